//! What the tests share: layers, kept between runs in Cargo's directory for tests' files, a state
//! directory of their own, and a bridge. All but the layers is gone with the last test.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use aio::for_tests::{
    BuildProgress, Command, Container, ContainerState, Containers, Data, HostFeatures, IdRanges,
    Interface, LayerSpec, Layers, NetworkRole, Output, Paths, Profiles, RUN_DIR, RealContainers,
    RealLayers, RealSettings, Records, Result, Settings, Stop, addresses, fingerprint, limits,
    sizing,
};

// Each set of tests that has a bench has a place of its own on the host.
use crate::place::{BRIDGE, CLOUD, NETWORK, STATE};

/// For how many containers the tests have ids.
const CONTAINERS: u32 = 64;

/// What the tests share.
pub struct Bench {
    pub containers: RealContainers,
    pub paths: Paths,
    pub ids: IdRanges,
    /// Who has ids, in the order of the slots.
    given: Mutex<Vec<String>>,
    settings: RealSettings,
    layers: Vec<String>,
}

/// The one bench of this process.
pub fn bench() -> Arc<Bench> {
    static SHARED: Mutex<Weak<Bench>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let made = Arc::new(run(Bench::make()));
        *shared = Arc::downgrade(&made);
        made
    })
}

/// Runs a future on a runtime of its own.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// Runs a shell script on the host that must succeed.
pub fn sh(script: &str) -> String {
    let output = std::process::Command::new("sh").args(["-euc", script]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}\n{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn address(number: u8) -> std::net::Ipv4Addr {
    format!("{NETWORK}.{number}").parse().unwrap()
}

fn paths() -> Paths {
    Paths {
        config_dir: PathBuf::from("/nonexistent"),
        state_dir: PathBuf::from(STATE),
        cloud: CLOUD.to_owned(),
    }
}

/// The copy of the binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_aio"))
}

impl Bench {
    async fn make() -> Self {
        let root = rustix::process::geteuid().is_root();
        assert!(root, "host tests need root: they make containers");
        let lxc = Path::new("/usr/bin/lxc-start").exists();
        assert!(lxc, "host tests need LXC: install the package `lxc`");
        let paths = paths();
        clear(&paths).await;
        aio::for_tests::prepare(&paths).unwrap();
        let profiles = Profiles::load(&paths.config_dir).unwrap();
        let release = profiles.releases.values().next().unwrap();
        let settings = RealSettings::new(CLOUD, Path::new(RUN_DIR), Arc::new(Memory::default()));
        settings
            .apply(&sizing::limits::settings(CONTAINERS.into(), &BTreeMap::new()))
            .await
            .unwrap();
        let ids = settings.id_ranges(CONTAINERS).await.unwrap();
        let features = HostFeatures {
            patience: 1,
            unified_cgroups: Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
            tasks_limit: limits::tasks(Path::new("/sys/fs/cgroup/cgroup.controllers").exists()),
            swap_limit: limits::swap(Path::new("/sys/fs/cgroup/cgroup.controllers").exists()),
            apparmor: Path::new("/sys/kernel/security/apparmor/profiles").exists(),
            legacy_cgroup_environment: release.legacy_cgroup_environment.clone(),
        };
        let containers =
            RealContainers::new(paths.clone(), ids.clone(), features, binary().to_owned());
        std::fs::create_dir_all(paths.binary().parent().unwrap()).unwrap();
        std::fs::copy(binary(), paths.binary()).unwrap();
        let layers = build_layers(&paths, &profiles).await;
        sh(&format!(
            "ip link add {BRIDGE} type bridge; ip address add {NETWORK}.1/24 dev {BRIDGE}; \
                     ip link set {BRIDGE} up"
        ));
        Self { containers, paths, ids, given: Mutex::default(), settings, layers }
    }

    /// A container of the kind `what`, unlike those of other tests.
    pub fn container(&self, what: &str) -> Container {
        let name = addresses::container_name(CLOUD, what, 1);
        let hostname = addresses::hostname(&name);
        Container {
            kind: what.to_owned(),
            service: what.to_owned(),
            member: 1,
            machine_id: addresses::machine_id(&name),
            layers: self.layers.clone(),
            renewed: None,
            privileged: None,
            id_slot: self.id_slot(what),
            interfaces: Vec::new(),
            devices: Vec::new(),
            nesting: false,
            memory_limit_mib: 256,
            cpu_weight: None,
            data: Vec::new(),
            shared: Vec::new(),
            environment: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            units: vec!["memcached.service".to_owned()],
            identity_files: BTreeMap::from([
                ("/etc/hostname".to_owned(), format!("{hostname}\n")),
                ("/etc/machine-id".to_owned(), format!("{}\n", addresses::machine_id(&name))),
            ]),
            hostname,
            name,
        }
    }

    fn id_slot(&self, what: &str) -> u32 {
        let mut given = self.given.lock().unwrap();
        let slot = given.iter().position(|it| it == what).unwrap_or_else(|| {
            given.push(what.to_owned());
            given.len() - 1
        });
        u32::try_from(slot).unwrap()
    }

    /// A data directory of a container.
    pub fn data(&self, container: &Container, path: &str, owner: &str) -> Data {
        Data {
            path: path.to_owned(),
            owner: owner.to_owned(),
            mode: "0750".to_owned(),
            from_image: false,
            precious: true,
            keep: false,
            source: self.paths.data_dir(&container.name, path).display().to_string(),
        }
    }

    /// An interface on the tests' bridge.
    pub fn interface(&self, container: &Container, number: u8) -> Interface {
        Interface {
            role: NetworkRole::Management,
            bridge: BRIDGE.to_owned(),
            host_name: addresses::veth_name(&container.name, NetworkRole::Management),
            mac: format!("00:16:3e:7a:00:{number:02x}"),
            addresses: vec![(address(number), 24)],
            configured: true,
            gateway: Some(address(1)),
        }
    }

    /// Defines and starts.
    pub async fn up(&self, container: &Container) {
        self.containers.define(container).await.unwrap();
        assert_eq!(self.containers.definition_differs(container).await.unwrap(), None);
        self.containers.start(&container.name).await.unwrap();
    }

    /// Runs a shell script in a container; its output, trimmed.
    pub async fn sh(&self, container: &Container, script: &str) -> String {
        let output = self.output(container, script).await;
        assert!(output.success(), "{script}: {}", output.tail(20));
        output.text().trim().to_owned()
    }

    pub async fn output(&self, container: &Container, script: &str) -> Output {
        self.containers.run(&container.name, Command::shell(script)).await.unwrap()
    }

    pub async fn kill(&self, container: &Container) {
        self.containers.stop(&container.name, Stop::Kill).await.unwrap();
    }

    pub async fn init_pid(&self, container: &Container) -> u32 {
        match self.containers.state(&container.name).await.unwrap() {
            ContainerState::Running { init_pid } => init_pid,
            state => panic!("{} is {state:?}", container.name),
        }
    }

    /// Mount points of this host that belong to a container.
    pub fn mounts(&self, container: &Container) -> Vec<String> {
        let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        text.lines().filter(|line| line.contains(&container.name)).map(str::to_owned).collect()
    }

    /// What of a container's root is the container's own.
    pub fn upper(&self, container: &Container) -> PathBuf {
        self.paths.container_dir(&container.name).join("upper")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        run(async {
            clear(&self.paths).await;
            self.settings.release().await.unwrap();
        });
    }
}

/// Removes what this or an earlier run left.
async fn clear(paths: &Paths) {
    let features = HostFeatures {
        patience: 1,
        unified_cgroups: false,
        tasks_limit: false,
        swap_limit: false,
        apparmor: false,
        legacy_cgroup_environment: BTreeMap::new(),
    };
    let containers =
        RealContainers::new(paths.clone(), IdRanges::default(), features, binary().to_owned());
    for name in containers.list().await.unwrap() {
        containers.stop(&name, Stop::Kill).await.unwrap();
        containers.discard(&name).await.unwrap();
    }
    sh(&format!("rm -rf {STATE}; ip link delete {BRIDGE} 2>/dev/null || true"));
}

/// The base of the release, and one layer with a service on top of it.
async fn build_layers(paths: &Paths, profiles: &Profiles) -> Vec<String> {
    let kept =
        Paths { state_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("state"), ..paths.clone() };
    aio::for_tests::prepare(&kept).unwrap();
    let builder = RealLayers::new(kept.clone());
    let release = profiles.releases.values().next().unwrap();
    let sources = fingerprint(&release.suite).unwrap();
    let mut base = spec("base", None, &release.suite, &release.base.packages);
    base.mask_units = release.base.mask_units.clone();
    let base_id = build(&builder, &base, &sources).await;
    let packages = ["memcached".to_owned()];
    let top = spec("test", Some(base_id.clone()), &release.suite, &packages);
    let top_id = build(&builder, &top, &sources).await;
    std::os::unix::fs::symlink(kept.layers_dir(), paths.layers_dir()).unwrap();
    vec![top_id, base_id]
}

fn spec(name: &str, parent: Option<String>, suite: &str, packages: &[String]) -> LayerSpec {
    LayerSpec {
        name: name.to_owned(),
        parent,
        suite: suite.to_owned(),
        packages: packages.to_vec(),
        keep_units: Vec::new(),
        mask_units: Vec::new(),
        files: Vec::new(),
        python: None,
        users: BTreeMap::new(),
        script: String::new(),
        drop: Vec::new(),
    }
}

async fn build(builder: &RealLayers, spec: &LayerSpec, sources: &str) -> String {
    let id = spec.id(sources);
    if !builder.exists(&id).await.unwrap() {
        builder.build(spec, &id, Arc::new(Silent)).await.unwrap();
    }
    id
}

struct Silent;

impl BuildProgress for Silent {
    fn progress(&self, _: u64, _: u64, _: &'static str) {}
    fn line(&self, _: &str) {}
    fn cancelled(&self) -> bool {
        false
    }
}

/// Records in memory.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, String>>);

#[async_trait::async_trait]
impl Records for Memory {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }
    async fn set(&self, key: &str, value: &str) -> Result<()> {
        self.0.lock().unwrap().insert(key.to_owned(), value.to_owned());
        Ok(())
    }
    async fn remove(&self, key: &str) -> Result<()> {
        self.0.lock().unwrap().remove(key);
        Ok(())
    }
}
