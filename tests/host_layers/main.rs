//! Image layers for real: mmdebstrap, APT, overlays of this machine. Needs root and Debian's
//! packages.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]
#![allow(clippy::expect_used, clippy::print_stdout, reason = "helpers of tests")]

mod bench;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use aio::for_tests::{Error, ErrorKind, Layers, RealLayers};
use bench::{Order, Watcher, bench, leftovers, own, read_until, run};

/// Not a test: the other process of some tests.
#[test]
#[ignore = "other tests start it"]
fn other_process() {
    bench::follow_order();
}

fn masked(root: &Path, unit: &str) -> bool {
    let link = fs::read_link(root.join("etc/systemd/system").join(unit));
    link.is_ok_and(|target| target == Path::new("/dev/null"))
}

fn entries(directory: PathBuf) -> Vec<String> {
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Files below `directory` for which `wanted` holds.
fn find(directory: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(find(&path, wanted));
        } else if wanted(&path) {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_base_is_a_quiet_system_with_the_hosts_package_settings() {
    let bench = bench();
    let root = bench.root(&bench.base);
    assert!(root.join("usr/lib/systemd/systemd").is_file());
    assert!(masked(&root, "getty.target"));
    for directory in ["multi-user.target.wants", "timers.target.wants", "getty.target.wants"] {
        let links = entries(root.join("etc/systemd/system").join(directory));
        assert!(links.is_empty(), "{directory}: {links:?}");
    }

    let sources = fs::read_to_string(root.join("etc/apt/sources.list.d/debian.sources")).unwrap();
    assert!(sources.contains("Suites: trixie"), "{sources}");
    assert_eq!(entries(root.join("etc/apt/sources.list.d")).len(), 1);
    assert!(!root.join("etc/apt/sources.list").exists());
    for own in entries(PathBuf::from("/usr/local/share/ca-certificates")) {
        assert!(root.join("usr/local/share/ca-certificates").join(&own).exists(), "{own}");
    }
    let bundle = fs::metadata(root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(bundle.len() > 100_000);

    assert_eq!(fs::read_to_string(root.join("etc/issue")).unwrap(), "a test\n");
    assert_eq!(fs::metadata(root.join("etc/issue")).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(entries(root.join("etc/skel")), Vec::<String>::new());
    assert_eq!(fs::read_to_string(root.join("etc/machine-id")).unwrap(), "");
}

#[test]
fn nothing_of_the_build_stays_in_a_layer() {
    let bench = bench();
    let root = bench.root(&bench.base);
    for gone in
        ["etc/hostname", "etc/resolv.conf", "usr/sbin/policy-rc.d", "var/lib/apt/lists/lock"]
    {
        assert!(!root.join(gone).exists(), "{gone}");
    }
    for empty in ["var/lib/apt/lists", "var/cache/apt", "usr/share/doc", "usr/share/man"] {
        assert_eq!(entries(root.join(empty)), Vec::<String>::new(), "{empty}");
    }
    let traces = find(&root.join("etc"), &|path| {
        path.file_name().unwrap().to_string_lossy().contains("mmdebstrap")
            || path.ends_with("aio-build")
    });
    assert!(traces.is_empty(), "{traces:?}");
    assert!(find(&root.join("var/log"), &|_| true).is_empty());
    for (_, path) in [("layers", bench.paths.layers_dir()), ("private", bench.paths.private_dir())]
    {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o7777, 0o700);
    }
}

#[test]
fn a_layer_has_its_packages_masked_compiled_and_written_down() {
    let bench = bench();
    let mut spec = bench.small("contents");
    // Its script asks for the machine's name and address, as those of nova, cinder and horizon do.
    spec.packages.push("ssl-cert".to_owned());
    let id = spec.id("test");
    let watcher = Watcher::quiet();
    run(bench.layers.build(&spec, &id, watcher.clone())).unwrap();
    assert!(watcher.saw("packages"));
    let root = bench.root(&id);
    assert!(masked(&root, "memcached.service"));
    assert!(entries(root.join("etc/systemd/system/multi-user.target.wants")).is_empty());
    for level in 0..=6 {
        assert!(entries(root.join(format!("etc/rc{level}.d"))).is_empty());
    }
    let compiled = root.join("usr/lib/python3/dist-packages/__pycache__");
    assert!(entries(compiled).iter().any(|name| name.starts_with("six.cpython-")));
    assert!(!root.join("usr/bin/py3compile").exists(), "the stand-in is the layer's");
    let certificate = root.join("etc/ssl/certs/ssl-cert-snakeoil.pem");
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["x509", "-noout", "-subject", "-in"]).arg(certificate);
    let named = String::from_utf8(openssl.output().unwrap().stdout).unwrap();
    assert!(
        named.trim_end().ends_with("CN = localhost"),
        "the build knew this host's name: {named}"
    );

    let infos = run(bench.layers.list()).unwrap();
    let info = infos.iter().find(|info| info.id == id).unwrap();
    assert_eq!(info.parent.as_ref(), Some(&bench.base));
    assert!(info.packages.contains_key("memcached"));
    assert!(!info.packages.contains_key("systemd"), "{:?}", info.packages.keys());
    assert!(info.size_bytes > 1 << 20);
    let base = infos.iter().find(|info| info.id == bench.base).unwrap();
    assert!(base.packages.contains_key("systemd"));

    // ConditionNeedsUpdate compares these in the merged root, where the topmost wins.
    let time = |path: &str| fs::metadata(root.join(path)).unwrap().modified().unwrap();
    assert!(time("etc/.updated") >= time("usr") && time("var/.updated") >= time("usr"));
    assert!(time("usr") <= SystemTime::now());
}

#[test]
fn a_killed_build_leaves_nothing_that_the_next_does_not_clean() {
    let bench = bench();
    let spec = bench.small("killed");
    let id = spec.id("test");
    let order =
        Order { state_dir: bench.paths.state_dir.clone(), id: id.clone(), spec: spec.clone() };
    for moment in ["finding the packages", "installing packages", "Unpacking", "aio: done"] {
        let mut child = bench::start(&order, &[]);
        assert!(read_until(&mut child, moment), "the build never came to: {moment}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(moment == "aio: done" || !run(bench.layers.exists(&id)).unwrap(), "{moment}");
        // The kernel ends what the killed process had started, and the mounts with it.
        let deadline = Instant::now() + Duration::from_secs(10);
        while leftovers(&bench.paths).iter().any(|left| left.contains("has a mount")) {
            assert!(Instant::now() < deadline, "{moment}: {:?}", leftovers(&bench.paths));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let watcher = Watcher::quiet();
    run(bench.layers.build(&spec, &id, watcher.clone())).unwrap();
    assert!(run(bench.layers.exists(&id)).unwrap());
    assert!(!watcher.saw("bytes"), "something was downloaded again");
    let own = |left: &String| left.contains("killed");
    assert!(!leftovers(&bench.paths).iter().any(own), "{:?}", leftovers(&bench.paths));
}

#[test]
fn a_cancelled_build_stops_at_once_and_leaves_nothing() {
    let bench = bench();
    let spec = bench.small("cancelled");
    let id = spec.id("test");
    let unpacking = Arc::new(AtomicBool::new(false));
    let cancelled = Arc::clone(&unpacking);
    let watcher = Watcher::new(
        move |line| {
            if line.starts_with("Unpacking") {
                unpacking.store(true, Ordering::Relaxed);
            }
        },
        move || cancelled.load(Ordering::Relaxed),
    );
    let error = run(bench.layers.build(&spec, &id, watcher)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Interrupted, "{error}");
    assert!(!run(bench.layers.exists(&id)).unwrap());
    let own = |left: &String| left.contains("cancelled");
    assert!(!leftovers(&bench.paths).iter().any(own), "{:?}", leftovers(&bench.paths));
}

#[test]
fn the_same_layer_at_once_is_built_once_and_others_beside_it() {
    let bench = bench();
    let (same, other) = (bench.small("same"), bench.small("beside"));
    let (id, other_id) = (same.id("test"), other.id("test"));
    let built = run(async {
        let second = RealLayers::new(bench.paths.clone());
        tokio::join!(
            bench.layers.build(&same, &id, Watcher::quiet()),
            second.build(&same, &id, Watcher::quiet()),
            bench.layers.build(&other, &other_id, Watcher::quiet()),
        )
    });
    built.0.unwrap();
    built.1.unwrap();
    built.2.unwrap();
    assert!(run(bench.layers.exists(&id)).unwrap());
    assert!(run(bench.layers.exists(&other_id)).unwrap());
}

#[test]
fn packages_of_all_layers_are_found_and_downloaded_ahead() {
    let bench = bench();
    let first = bench.small("ahead");
    let mut second = bench.small("ahead_above");
    second.parent = Some(first.id("test"));
    second.packages = own(&["haproxy"]);
    let layers = vec![(first.id("test"), first), (second.id("test"), second)];
    let own = RealLayers::new(bench.paths.clone());
    run(own.prepare(&layers, Watcher::quiet())).unwrap();
    run(own.download(&layers, Watcher::quiet())).unwrap();
    for (id, spec) in &layers {
        let watcher = Watcher::quiet();
        run(own.build(spec, id, watcher.clone())).unwrap();
        assert!(!watcher.saw("bytes"), "{id} downloaded something itself");
    }
    let infos = run(own.list()).unwrap();
    let above = infos.iter().find(|info| info.id == layers[1].0).unwrap();
    assert!(above.packages.contains_key("haproxy") && !above.packages.contains_key("memcached"));

    let refused = run(own.remove(&layers[0].0)).unwrap_err();
    assert!(refused.to_string().contains(&layers[1].0), "{refused}");
    run(own.remove(&layers[1].0)).unwrap();
    run(own.remove(&layers[0].0)).unwrap();
    assert!(!run(own.exists(&layers[0].0)).unwrap());
}

#[test]
fn a_damaged_download_is_told_and_downloaded_anew() {
    let bench = bench();
    let mut spec = bench.small("damaged");
    // Of no other test: this one damages it for all.
    spec.packages = own(&["socat"]);
    let id = spec.id("test");
    let layers = vec![(id.clone(), spec.clone())];
    run(bench.layers.download(&layers, Watcher::quiet())).unwrap();
    let pool = bench.paths.downloads_dir().join("pool");
    let is_socat = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("socat_");
    let [archive] = find(&pool, &is_socat).try_into().unwrap();
    let size = usize::try_from(fs::metadata(&archive).unwrap().len()).unwrap();
    fs::write(&archive, vec![0; size]).unwrap();

    let error = run(bench.layers.build(&spec, &id, Watcher::quiet())).unwrap_err();
    assert!(error.to_string().contains("was damaged"), "{error}\n{:?}", error.output);
    assert!(!archive.exists());
    run(bench.layers.build(&spec, &id, Watcher::quiet())).unwrap();
}

#[test]
fn an_unknown_package_is_named() {
    let bench = bench();
    let mut spec = bench.small("unknown");
    spec.packages = own(&["no-such-package-anywhere"]);
    let error = run(bench.layers.build(&spec, "unknown-1", Watcher::quiet())).unwrap_err();
    assert!(error.to_string().contains("no-such-package-anywhere"), "{error}");
    assert!(error.hints.iter().any(|hint| hint.contains("http")), "{:?}", error.hints);
}

#[test]
fn an_unreachable_index_names_the_mirror_and_what_to_check() {
    bench::need_root();
    let directory = tempfile::tempdir().unwrap();
    let order = Order {
        state_dir: directory.path().to_owned(),
        id: "base-1".to_owned(),
        spec: bench::base(),
    };
    // Nobody listens there.
    let proxy = "http://127.0.0.1:9";
    let environment = [("http_proxy", proxy), ("https_proxy", proxy)];
    let output = bench::start(&order, &environment).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = text.lines().find(|line| line.starts_with("failed: ")).unwrap();
    assert!(failed.contains("package index unreachable"), "{failed}");
    assert!(failed.contains("/etc/apt/sources.list"), "{failed}");
    assert_eq!(leftovers(&bench::paths(directory.path())), Vec::<String>::new());
}

/// A file system of so many MiB, unmounted with the test.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(mib: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        shell(&format!("mount -t tmpfs -o size={mib}m tmpfs {}", directory.path().display()));
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        shell(&format!("umount {}", self.0.path().display()));
    }
}

fn shell(script: &str) {
    let status = std::process::Command::new("sh").args(["-euc", script]).status().unwrap();
    assert!(status.success(), "{script}");
}

#[test]
fn a_full_disk_is_refused_before_or_told_after_and_loses_nothing() {
    let bench = bench();
    let disk = SmallDisk::new(600);
    let paths = bench::paths(disk.0.path());
    let layers_dir = paths.layers_dir();
    shell(&format!(
        "mkdir -m 0700 {private}; mkdir -p {layers}; cp -a {base} {layers}",
        private = paths.private_dir().display(),
        layers = layers_dir.display(),
        base = bench.paths.layers_dir().join(&bench.base).display(),
    ));
    let layers = RealLayers::new(paths.clone());
    let spec = bench.small("full");
    let filler = disk.0.path().join("filler");

    // It fills up while packages are unpacked.
    let watcher = {
        let (filler, filled) = (filler.clone(), AtomicBool::new(false));
        Watcher::new(
            move |line| {
                if line == "aio: installing packages" && !filled.swap(true, Ordering::Relaxed) {
                    let _ = std::process::Command::new("sh")
                        .args(["-c", &format!("cat /dev/zero >{}", filler.display())])
                        .stderr(std::process::Stdio::null())
                        .status();
                }
            },
            || false,
        )
    };
    let told = run(layers.build(&spec, "full-1", watcher)).unwrap_err();
    check_full(&told, &paths.state_dir);
    assert!(!run(layers.exists("full-1")).unwrap());

    // It is full from the start.
    let room = 20 << 20;
    let length = fs::metadata(&filler).unwrap().len();
    fs::File::options().write(true).open(&filler).unwrap().set_len(length - room).unwrap();
    let refused = run(layers.build(&spec, "full-1", Watcher::quiet())).unwrap_err();
    check_full(&refused, &paths.state_dir);
    assert_eq!(leftovers(&paths).iter().filter(|left| left.contains("full-1")).count(), 0);

    fs::remove_file(&filler).unwrap();
    run(layers.build(&spec, "full-1", Watcher::quiet())).unwrap();
    assert!(run(layers.exists("full-1")).unwrap());
}

fn check_full(error: &Error, state: &Path) {
    assert_eq!(error.kind, ErrorKind::Host, "{error}");
    let text = error.to_string();
    assert!(text.contains("disk full: ") && text.contains(" MiB"), "{text}");
    assert!(text.contains(&state.display().to_string()), "{text}");
    assert!(!error.hints.is_empty());
}

/// A map that is sorted by key: what a manifest holds.
#[test]
fn versions_are_those_of_the_archive() {
    let bench = bench();
    let infos = run(bench.layers.list()).unwrap();
    let base = infos.into_iter().find(|info| info.id == bench.base).unwrap();
    let packages: BTreeMap<String, String> = base.packages;
    let output = std::process::Command::new("dpkg-query")
        .arg("--admindir")
        .arg(bench.root(&bench.base).join("var/lib/dpkg"))
        .args(["--show", "--showformat", "${Package} ${Version}\n"])
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let expected: BTreeMap<String, String> = shown
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect();
    assert_eq!(packages, expected);
}
