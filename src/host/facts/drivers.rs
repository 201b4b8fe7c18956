//! Whether the kernel has a driver, loaded or not.
//!
//! A driver that is not loaded yet is no missing one: on a user's host `modprobe` brings it at its
//! first use. Only where the kernel's own lists say that there is none is it missing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::facts::Presence;

/// The kernel's lists of drivers.
pub struct Drivers {
    modules: PathBuf,
    sys: PathBuf,
    /// Kernel configuration, if it can be read.
    config: Option<String>,
    /// Whether an administrator has forbidden to load modules until the next boot.
    sealed: bool,
}

impl Drivers {
    /// Of the running kernel. `config` is its configuration where it is not under `/boot`.
    pub fn new(release: &str, config: Option<String>) -> Self {
        let sealed = fs::read_to_string("/proc/sys/kernel/modules_disabled");
        Self {
            modules: Path::new("/lib/modules").join(release),
            sys: PathBuf::from("/sys/module"),
            config: fs::read_to_string(format!("/boot/config-{release}")).ok().or(config),
            sealed: sealed.is_ok_and(|text| text.trim() == "1"),
        }
    }

    /// Whether the driver `module`, which `symbol` configures, is there.
    pub fn find(&self, module: &str, symbol: &str) -> Presence {
        let lists = |file: &str| {
            let text = fs::read_to_string(self.modules.join(file)).ok()?;
            let name = format!("/{module}.ko");
            Some(text.lines().any(|line| {
                let path = line.split(':').next().unwrap_or_default();
                path.find(&name).is_some_and(|at| {
                    // Modules may be compressed: `.ko`, `.ko.xz`, `.ko.zst`.
                    matches!(&path[at + name.len()..], "" | ".gz" | ".xz" | ".zst")
                })
            }))
        };
        if self.sys.join(module).exists() {
            return Presence::yes("loaded");
        }
        let (builtin, loadable) = (lists("modules.builtin"), lists("modules.dep"));
        if builtin == Some(true) {
            return Presence::yes("built into the kernel");
        }
        if loadable == Some(true) {
            return if self.sealed {
                Presence::no("its module is not loaded, and kernel.modules_disabled forbids it")
            } else {
                Presence::yes("a module that loads by itself")
            };
        }
        match (self.configured(symbol), loadable) {
            (Some('y'), _) => Presence::yes("built into the kernel"),
            (Some('m'), Some(false)) => {
                Presence::no(format!("the module {module} is not installed"))
            }
            (Some('n'), _) => Presence::no(format!("the kernel was built without {symbol}")),
            (None, Some(false)) if builtin.is_some() => {
                Presence::no(format!("the kernel has no driver {module}"))
            }
            _ => Presence::unknown("nothing says which drivers this kernel has"),
        }
    }

    /// `y`, `m` or `n`; nothing when the configuration cannot be read.
    fn configured(&self, symbol: &str) -> Option<char> {
        let config = self.config.as_ref()?;
        let value = config.lines().find_map(|line| line.strip_prefix(symbol)?.strip_prefix('='));
        Some(match value {
            Some("y") => 'y',
            Some("m") => 'm',
            _ => 'n',
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::Answer;

    fn drivers(lists: &[(&str, &str)], config: Option<&str>) -> (tempfile::TempDir, Drivers) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in lists {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let drivers = Drivers {
            modules: directory.path().to_owned(),
            sys: directory.path().join("sys"),
            config: config.map(str::to_owned),
            sealed: false,
        };
        (directory, drivers)
    }

    const DEP: (&str, &str) =
        ("modules.dep", "kernel/net/bridge/bridge.ko.xz: kernel/net/802/stp.ko.xz\n");
    const BUILTIN: (&str, &str) = ("modules.builtin", "kernel/fs/overlayfs/overlay.ko\n");

    fn answer(drivers: &Drivers, module: &str, symbol: &str) -> Answer {
        drivers.find(module, symbol).is
    }

    #[test]
    fn a_module_that_is_not_loaded_is_not_missing() {
        let (_kept, mut drivers) = drivers(&[DEP, BUILTIN], None);
        assert_eq!(
            drivers.find("bridge", "CONFIG_BRIDGE").because,
            "a module that loads by itself"
        );
        assert_eq!(drivers.find("overlay", "CONFIG_OVERLAY_FS").because, "built into the kernel");
        // Named as something that another one needs, or as a part of another name.
        assert_eq!(answer(&drivers, "stp", "CONFIG_STP"), Answer::No);
        assert_eq!(answer(&drivers, "ridge", "CONFIG_RIDGE"), Answer::No);
        drivers.sealed = true;
        assert_eq!(answer(&drivers, "bridge", "CONFIG_BRIDGE"), Answer::No);
    }

    #[test]
    fn the_kernels_configuration_helps_where_there_are_no_lists() {
        let config = "CONFIG_BRIDGE=y\n# CONFIG_VETH is not set\nCONFIG_TUN=m\n";
        let (_kept, drivers) = drivers(&[], Some(config));
        assert_eq!(answer(&drivers, "bridge", "CONFIG_BRIDGE"), Answer::Yes);
        assert_eq!(answer(&drivers, "veth", "CONFIG_VETH"), Answer::No);
        assert_eq!(answer(&drivers, "tun", "CONFIG_TUN"), Answer::Unknown);
    }

    #[test]
    fn without_any_list_nothing_is_known() {
        let (_kept, drivers) = drivers(&[], None);
        assert_eq!(answer(&drivers, "bridge", "CONFIG_BRIDGE"), Answer::Unknown);
    }
}
