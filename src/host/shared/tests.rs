use super::*;

struct Kernel {
    directory: tempfile::TempDir,
}

impl Kernel {
    fn new(values: &[(&str, &str)]) -> Self {
        let kernel = Self { directory: tempfile::tempdir().unwrap() };
        kernel.write("kernel.random.boot_id", "boot-1");
        for (name, value) in values {
            kernel.write(name, value);
        }
        kernel
    }

    fn shared(&self) -> SharedSettings {
        let root = self.directory.path();
        SharedSettings::with_kernel(&root.join("run/aio"), &root.join("sys"))
    }

    fn write(&self, name: &str, value: &str) {
        let path = self.shared().path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{value}\n")).unwrap();
    }

    fn read(&self, name: &str) -> String {
        self.shared().value(name).unwrap().unwrap()
    }
}

const INSTANCES: &str = "fs.inotify.max_user_instances";

fn needs(name: &str, least: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(name.to_owned(), least)])
}

#[test]
fn the_last_one_restores() {
    let kernel = Kernel::new(&[(INSTANCES, "128")]);
    let shared = kernel.shared();
    assert!(shared.differs("one", &needs(INSTANCES, 8192)).unwrap().is_some());
    shared.apply("one", &needs(INSTANCES, 8192)).unwrap();
    assert_eq!(shared.differs("one", &needs(INSTANCES, 8192)).unwrap(), None);
    // High enough already, but a second cloud must be counted.
    assert!(shared.differs("two", &needs(INSTANCES, 4096)).unwrap().is_some());
    shared.apply("two", &needs(INSTANCES, 4096)).unwrap();
    shared.release("one").unwrap();
    assert_eq!(kernel.read(INSTANCES), "4096", "what the second needs");
    shared.release("two").unwrap();
    assert_eq!(kernel.read(INSTANCES), "128");
    assert!(!kernel.directory.path().join("run/aio").exists());
    shared.release("two").unwrap();
}

#[test]
fn what_was_killed_in_the_midst_of_a_write_leaves_nothing() {
    let kernel = Kernel::new(&[(INSTANCES, "128")]);
    let shared = kernel.shared();
    for ledger_is_there in [true, false] {
        if ledger_is_there {
            shared.apply("one", &needs(INSTANCES, 8192)).unwrap();
        }
        fs::create_dir_all(&shared.run_dir).unwrap();
        fs::write(files::unfinished(&shared.file()), "{").unwrap();
        shared.release("one").unwrap();
        assert!(!shared.run_dir.exists());
    }
}

#[test]
fn what_is_high_enough_is_never_touched() {
    let kernel = Kernel::new(&[(INSTANCES, "65536")]);
    let shared = kernel.shared();
    shared.apply("one", &needs(INSTANCES, 8192)).unwrap();
    assert_eq!(kernel.read(INSTANCES), "65536");
    shared.release("one").unwrap();
    assert_eq!(kernel.read(INSTANCES), "65536");
}

#[test]
fn a_value_that_the_user_changed_since_is_left_alone() {
    let kernel = Kernel::new(&[(INSTANCES, "128")]);
    let shared = kernel.shared();
    shared.apply("one", &needs(INSTANCES, 8192)).unwrap();
    kernel.write(INSTANCES, "100000");
    shared.release("one").unwrap();
    assert_eq!(kernel.read(INSTANCES), "100000");
}

#[test]
fn a_second_need_that_is_higher_keeps_the_first_value() {
    let kernel = Kernel::new(&[(INSTANCES, "128")]);
    let shared = kernel.shared();
    shared.apply("one", &needs(INSTANCES, 1024)).unwrap();
    shared.apply("two", &needs(INSTANCES, 8192)).unwrap();
    assert_eq!(kernel.read(INSTANCES), "8192");
    shared.release("two").unwrap();
    assert_eq!(kernel.read(INSTANCES), "1024", "what the first needs");
    assert_eq!(shared.differs("one", &needs(INSTANCES, 1024)).unwrap(), None);
    shared.release("one").unwrap();
    assert_eq!(kernel.read(INSTANCES), "128");
}

#[test]
fn a_ledger_of_an_earlier_boot_is_not_believed() {
    let kernel = Kernel::new(&[(INSTANCES, "128")]);
    let shared = kernel.shared();
    shared.apply("one", &needs(INSTANCES, 8192)).unwrap();
    // After the reboot the administrator's own setting stands.
    kernel.write("kernel.random.boot_id", "boot-2");
    kernel.write(INSTANCES, "8192");
    shared.release("one").unwrap();
    assert_eq!(kernel.read(INSTANCES), "8192");
}

#[test]
fn a_need_that_a_later_version_drops_is_put_back() {
    let kernel = Kernel::new(&[(INSTANCES, "128"), ("vm.max_map_count", "65530")]);
    let shared = kernel.shared();
    let mut both = needs(INSTANCES, 8192);
    both.insert("vm.max_map_count".to_owned(), 262_144);
    shared.apply("one", &both).unwrap();
    shared.apply("one", &needs(INSTANCES, 8192)).unwrap();
    assert_eq!(kernel.read("vm.max_map_count"), "65530");
    assert_eq!(kernel.read(INSTANCES), "8192");
}

#[test]
fn side_effects_of_forwarding_are_put_back() {
    let redirects = "net.ipv4.conf.all.accept_redirects";
    let vlan = "net.ipv4.conf.eth0/5.forwarding";
    let kernel = Kernel::new(&[(FORWARD, "0"), (redirects, "0"), (vlan, "1")]);
    let shared = kernel.shared();
    shared.apply("one", &needs(FORWARD, 1)).unwrap();
    // The kernel's own doing when forwarding ends.
    kernel.write(redirects, "1");
    kernel.write(vlan, "0");
    shared.release("one").unwrap();
    assert_eq!(kernel.read(FORWARD), "0");
    assert_eq!(kernel.read(redirects), "0");
    assert_eq!(kernel.read(vlan), "1");
}

#[test]
fn a_setting_that_this_kernel_lacks_is_not_needed() {
    let kernel = Kernel::new(&[]);
    let shared = kernel.shared();
    shared.apply("one", &needs("kernel.unheard_of", 5)).unwrap();
    assert_eq!(shared.differs("one", &needs("kernel.unheard_of", 5)).unwrap(), None);
    shared.release("one").unwrap();
}
