//! What the emulated host is made of: packages of the distribution, the package `aio`, this program,
//! and layers that were built here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use aio::for_tests::sources;

use super::inside::Use;
use super::support::process::{self, shell};

/// What a user's host has before `aio` comes. Firewalls are there, and none is on.
const PACKAGES: &str = "systemd,systemd-sysv,udev,dbus,iproute2,ca-certificates,procps,kmod,\
    linux-image-cloud-amd64,apparmor,debian-archive-keyring,iptables,docker.io,ufw,firewalld";

/// Units that these packages turn on and that the test starts itself.
const OFF: [&str; 5] =
    ["docker.service", "docker.socket", "containerd.service", "firewalld.service", "ufw.service"];

/// The configuration directory of the cloud.
const LIGHT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/emulated/light");

/// The disks of a host, and a root in which QEMU runs.
pub struct Disks {
    place: PathBuf,
    /// The root in which QEMU is installed; the disks are in its `/disks`. The host's own QEMU, if it
    /// has one, need not go together with the packages that are installed here.
    pub emulator: PathBuf,
}

impl Disks {
    /// Makes everything anew.
    pub fn make(place: &Path, release: &str, used: &Use) -> Self {
        let suite = match release {
            "debian-13" => "trixie",
            "debian-12" => "bookworm",
            other => panic!("there is no host `{other}`: debian-13, debian-12"),
        };
        let disks = Self { place: place.to_owned(), emulator: place.join("emulator") };
        disks.remove();
        fs::create_dir_all(place).unwrap();
        let package = package();
        let system = place.join("system");
        let install = format!(
            "mkdir -p $1/root/packages && cp {} $1/root/packages/aio.deb && \
             chroot $1 apt-get install -qq -y --no-install-recommends /root/packages/aio.deb",
            package.display()
        );
        // Half of their time they wait for packages.
        thread::scope(|scope| {
            scope.spawn(|| debian("trixie", &disks.emulator, "qemu-system-x86", &[]));
            scope.spawn(|| debian(suite, &system, PACKAGES, &[install]));
            disks.layers(used);
        });
        furnish(&system, used);
        upgrade(&package, &system.join("root/packages/newer.deb"));
        let into = disks.emulator.join("disks");
        fs::create_dir_all(&into).unwrap();
        shell(&format!(
            "cp {system}/boot/vmlinuz-* {into}/vmlinuz; cp {system}/boot/initrd.img-* {into}/initrd; \
             truncate -s 4G {into}/system; truncate -s {state} {into}/state; \
             mke2fs -q -t ext4 -F -d {system} {into}/system; \
             mke2fs -q -t ext4 -F -L state -d {place}/state {into}/state",
            system = system.display(),
            into = into.display(),
            place = place.display(),
            state = if used.light { "4G" } else { "16G" },
        ));
        // Slaves: taken away here, what is mounted in them stays on this host.
        for name in ["dev", "proc"] {
            let there = disks.emulator.join(name);
            shell(&format!("mount --rbind --make-rslave /{name} {}", there.display()));
        }
        disks
    }

    /// Removes what [`Self::make`] made.
    pub fn remove(&self) {
        if !self.place.exists() {
            return;
        }
        for name in ["dev", "proc"] {
            let mount = self.emulator.join(name).display().to_string();
            shell(&format!("! mountpoint -q {mount} || umount --recursive --lazy {mount}"));
        }
        shell(&format!("rm -rf --one-file-system {}", self.place.display()));
    }

    /// Builds the layers of the cloud, by building it here.
    fn layers(&self, used: &Use) {
        let config = self.place.join("config");
        fs::create_dir(&config).unwrap();
        if used.light {
            shell(&format!("cp -r {LIGHT} {}/profiles", config.display()));
        }
        let state = self.place.join("state");
        let aio = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_aio"));
            command.args(["--name", "emulated", "--config-dir"]).arg(&config);
            command.arg("--state-dir").arg(&state).args(arguments).env_remove("AIO_NAME");
            process::run(command, Duration::from_secs(900)).ok();
        };
        aio(&["bootstrap", "--scenario", used.scenario]);
        aio(&["destroy", "--yes", "--keep-images"]);
    }
}

/// A Debian in a directory, from where this host has its own packages.
fn debian(suite: &str, root: &Path, packages: &str, hooks: &[String]) {
    let own = root.with_extension("work");
    fs::create_dir_all(&own).unwrap();
    let list = own.join("debian.sources");
    fs::write(&list, sources::sources_text(suite, &own).unwrap()).unwrap();
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--mode=root", "--variant=minbase", "--format=directory"]);
    command.arg(format!("--include={packages}"));
    command.arg(format!("--keyring={}", sources::KEYRING));
    command.args(hooks.iter().map(|hook| format!("--customize-hook={hook}")));
    command.arg(suite).arg(root).arg(&list);
    process::run(command, Duration::from_secs(300)).ok();
}

/// What a host has besides packages: a name, a network, its disks, this program at every boot.
fn furnish(root: &Path, used: &Use) {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("etc/hostname", "emulated\n");
    // Without one this would be a first boot, at which every unit is turned on.
    write("etc/machine-id", &format!("{:032x}\n", 0x0a10_u32));
    write(
        "etc/fstab",
        "/dev/vda / ext4 defaults 0 1\nLABEL=state /var/lib/aio ext4 defaults 0 2\n",
    );
    write("etc/apt/sources.list", "");
    let sources = root.with_extension("work").join("debian.sources");
    write("etc/apt/sources.list.d/debian.sources", &fs::read_to_string(sources).unwrap());
    // Nothing that AppArmor denies may be missing from the kernel's log.
    write("etc/sysctl.d/log.conf", "kernel.printk_ratelimit = 0\n");
    // QEMU's own.
    write("etc/resolv.conf", "nameserver 10.0.2.3\n");
    write("etc/systemd/network/wired.network", "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n");
    write("etc/systemd/system/emulated-test.service", &UNIT.replace("PART", used.part));
    if used.light {
        shell(&format!("mkdir -p {0}; cp -r {LIGHT} {0}/profiles", root.join("etc/aio").display()));
    }
    shell(&format!(
        "cp {program} {root}/usr/local/sbin/emulated-test; mkdir -p {root}/var/lib/aio; \
         systemctl --quiet --root={root} enable emulated-test systemd-networkd \
             systemd-networkd-wait-online; \
         systemctl --quiet --root={root} disable {off}; \
         systemctl --quiet --root={root} mask serial-getty@ttyS0.service",
        program = std::env::current_exe().unwrap().display(),
        root = root.display(),
        off = OFF.join(" "),
    ));
}

/// The serial line is its standard output: a getty there would hang it up.
const UNIT: &str = "[Unit]
Description=What is tried on this host
[Service]
Environment=AIO_TEST_INSIDE=PART HOME=/root
ExecStart=/usr/local/sbin/emulated-test --include-ignored --nocapture
ExecStopPost=/bin/sh -c 'test -e /run/reboots || systemctl poweroff'
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
";

/// The package that `scripts/package` made, by the name that `scripts/test` gives.
fn package() -> PathBuf {
    let made = std::env::var("AIO_TEST_PACKAGE").unwrap_or_default();
    let made = PathBuf::from(made);
    assert!(made.is_file(), "AIO_TEST_PACKAGE names no package: scripts/test --emulated-host does");
    made
}

/// The same package as a newer version with another binary.
fn upgrade(package: &Path, newer: &Path) {
    let root = newer.with_extension("root");
    shell(&format!(
        "dpkg-deb --raw-extract {package} {root}; \
         sed -i 's/^Version: .*/&+newer/' {root}/DEBIAN/control; \
         touch {root}/usr/bin/aio; \
         dpkg-deb --root-owner-group -Zgzip --build {root} {newer}; rm -r {root}",
        package = package.display(),
        root = root.display(),
        newer = newer.display(),
    ));
}
