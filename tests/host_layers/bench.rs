//! What the tests share: a state directory with a base layer, gone with the last test, and builds in
//! processes of their own, which can be killed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use aio::for_tests::{BuildProgress, LayerFile, LayerSpec, Layers, Paths, RealLayers, Result};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// A state directory of its own, on a disk: overlays need it.
pub struct Bench {
    pub paths: Paths,
    pub layers: RealLayers,
    pub base: String,
    _directory: TempDir,
}

/// The one bench of this process.
pub fn bench() -> Arc<Bench> {
    static SHARED: Mutex<Weak<Bench>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let made = Arc::new(Bench::make());
        *shared = Arc::downgrade(&made);
        made
    })
}

/// Runs a future on a runtime of its own.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// The directories of a state directory.
pub fn paths(state_dir: &Path) -> Paths {
    Paths {
        config_dir: PathBuf::from("/nonexistent"),
        state_dir: state_dir.to_owned(),
        cloud: "layers".to_owned(),
    }
}

/// Fails with a reason where layers cannot be built.
pub fn need_root() {
    assert!(rustix::process::geteuid().is_root(), "host tests need root: they mount overlays");
    let mmdebstrap = Path::new("/usr/bin/mmdebstrap").exists();
    assert!(mmdebstrap, "host tests need mmdebstrap: install the package `mmdebstrap`");
}

impl Bench {
    fn make() -> Self {
        need_root();
        let directory =
            tempfile::Builder::new().prefix("aio-test-layers-").tempdir_in("/var/lib").unwrap();
        let paths = paths(directory.path());
        let layers = RealLayers::new(paths.clone());
        let spec = base();
        let base = spec.id("test");
        run(layers.build(&spec, &base, Watcher::quiet())).unwrap();
        Self { paths, layers, base, _directory: directory }
    }

    /// The root of a published layer.
    pub fn root(&self, id: &str) -> PathBuf {
        self.paths.layers_dir().join(id).join("root")
    }

    /// A small layer on the base, with a service and a Python package.
    pub fn small(&self, name: &str) -> LayerSpec {
        LayerSpec {
            name: name.to_owned(),
            parent: Some(self.base.clone()),
            packages: own(&["memcached", "python3-six"]),
            ..base()
        }
    }
}

/// Strings of one's own.
pub fn own(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A small base.
pub fn base() -> LayerSpec {
    LayerSpec {
        name: "base".to_owned(),
        parent: None,
        suite: "trixie".to_owned(),
        packages: own(&["ca-certificates", "dbus", "python3-minimal", "systemd", "systemd-sysv"]),
        keep_units: Vec::new(),
        mask_units: own(&["getty.target"]),
        python: None,
        users: BTreeMap::new(),
        script: String::new(),
        files: vec![LayerFile {
            path: "/etc/issue".to_owned(),
            mode: "0640".to_owned(),
            text: "a test\n".to_owned(),
        }],
        drop: own(&["/etc/skel"]),
    }
}

/// What a watcher of a build does with a line.
type OnLine = dyn Fn(&str) + Send + Sync;

/// Watches a build; may cancel it.
pub struct Watcher {
    on_line: Box<OnLine>,
    cancelled: Box<dyn Fn() -> bool + Send + Sync>,
    /// The largest total that was seen for each unit.
    pub totals: Mutex<Vec<(&'static str, u64)>>,
}

impl Watcher {
    pub fn new(
        on_line: impl Fn(&str) + Send + Sync + 'static,
        cancelled: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (on_line, cancelled) = (Box::new(on_line), Box::new(cancelled));
        Arc::new(Self { on_line, cancelled, totals: Mutex::default() })
    }

    pub fn quiet() -> Arc<Self> {
        Self::new(|_| {}, || false)
    }

    /// Whether progress in `unit` was reported.
    pub fn saw(&self, unit: &str) -> bool {
        self.totals.lock().unwrap().iter().any(|(seen, total)| *seen == unit && *total > 0)
    }
}

impl BuildProgress for Watcher {
    fn progress(&self, current: u64, total: u64, unit: &'static str) {
        assert!(current <= total, "{current} of {total} {unit}");
        self.totals.lock().unwrap().push((unit, total));
    }

    fn line(&self, line: &str) {
        (self.on_line)(line);
    }

    fn cancelled(&self) -> bool {
        (self.cancelled)()
    }
}

/// What the other process builds.
#[derive(Deserialize, Serialize)]
pub struct Order {
    pub state_dir: PathBuf,
    pub id: String,
    pub spec: LayerSpec,
}

const ORDER: &str = "AIO_TEST_LAYER";

/// Starts a build in another process, which prints every line of it.
pub fn start(order: &Order, environment: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "other_process", "--ignored", "--nocapture"])
        .env(ORDER, serde_json::to_string(order).unwrap())
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads what the other process prints up to the line that has `text`. Whether there was one.
pub fn read_until(child: &mut Child, text: &str) -> bool {
    let stdout = child.stdout.as_mut().unwrap();
    BufReader::new(stdout).lines().any(|line| line.unwrap().contains(text))
}

/// The body of the other process.
pub fn follow_order() {
    let order = std::env::var(ORDER).expect("this is not a test: other tests start it");
    let order: Order = serde_json::from_str(&order).unwrap();
    let layers = RealLayers::new(paths(&order.state_dir));
    let watcher = Watcher::new(|line| println!("{line}"), || false);
    let built: Result<()> = run(layers.build(&order.spec, &order.id, watcher));
    match built {
        Ok(()) => println!("built"),
        Err(error) => println!("failed: {error} {:?}", error.hints),
    }
}

/// What is left of builds: processes and mounts that know the directory, and work directories.
pub fn leftovers(paths: &Paths) -> Vec<String> {
    let state = paths.state_dir.display().to_string();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let mounts = fs::read_to_string(process.path().join("mountinfo")).unwrap_or_default();
        if mounts.lines().any(|line| line.contains(&format!("{state}/private/layers/.build-"))) {
            found.push(format!("{} has a mount", process.path().display()));
        }
    }
    for directory in [paths.layers_dir(), paths.downloads_dir()] {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with('.') {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}
