//! LXC's configuration of one container, as text. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::inner::HostFeatures;
use crate::lxc::publication::{Place, UNITS};
use crate::lxc::root::Root;
use crate::model::publication::IN_CONTAINER;
use crate::model::topology::{Container, Interface};

/// Directory of LXC's own configuration files.
const INCLUDES: &str = "/usr/share/lxc/config";

/// The longest a container's console log becomes before the next begins.
const CONSOLE_LOG_BYTES: u64 = 1 << 20;

/// How many tasks a container may have. In an idle cloud none has more than 250; the busiest, a
/// hypervisor, needs some seventy for itself and for each guest. systemd gives each unit that says
/// nothing else 15 % of it.
const TASKS: u32 = 4096;

/// What `lxc.*` lines follow from.
pub(super) struct Definition<'a> {
    pub(super) container: &'a Container,
    pub(super) root: &'a Root,
    /// What of the host appears in it while it runs.
    pub(super) shared: &'a Path,
    pub(super) features: &'a HostFeatures,
    /// What the control group of a privileged container must let through: `c 10:200 rwm`.
    pub(super) device_rules: &'a [String],
    /// The record that hooks read.
    pub(super) record: &'a Path,
    /// The binary that hooks call.
    pub(super) binary: &'a Path,
    /// LXC's directory of the container.
    pub(super) directory: &'a Path,
}

/// `key = value` lines, in the order in which they are added.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, key: &str, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{key} = {value}");
    }
}

/// The whole file.
pub(super) fn render(definition: &Definition<'_>) -> String {
    let Definition { container, root, features, directory, .. } = definition;
    let mut lines = Lines::default();
    lines.0.push_str(
        "# Made by aio, made anew when it differs. Change the cloud's settings instead.\n",
    );
    lines.add("lxc.include", format!("{INCLUDES}/common.conf"));
    if let Some((first, count)) = root.id_range {
        lines.add("lxc.include", format!("{INCLUDES}/userns.conf"));
        lines.add("lxc.idmap", format!("u 0 {first} {count}"));
        lines.add("lxc.idmap", format!("g 0 {first} {count}"));
        if container.nesting {
            // `ip netns exec` mounts a sysfs of its own, which the kernel only allows in a user
            // namespace that can see a whole one.
            lines.add("lxc.mount.entry", "proc dev/.lxc/proc proc create=dir,optional 0 0");
            lines.add("lxc.mount.entry", "sys dev/.lxc/sys sysfs create=dir,optional 0 0");
        }
    }
    lines.add("lxc.uts.name", &container.hostname);
    lines.add("lxc.rootfs.path", format!("dir:{}", root.merged.display()));
    add_hooks(&mut lines, definition);
    add_publications(&mut lines, definition.shared);
    add_devices(&mut lines, definition);
    // Started by `aio start` alone, which makes bridges first: not by the distribution's unit, which
    // starts what is in no group or in `onboot`.
    lines.add("lxc.start.auto", 1);
    lines.add("lxc.group", "openstack");
    lines.add("lxc.log.file", directory.join("lxc.log").display());
    lines.add("lxc.log.level", "WARN");
    lines.add("lxc.console.logfile", directory.join("console.log").display());
    // Else it grows as long as somebody in the container writes; so it is two files of this size.
    lines.add("lxc.console.size", CONSOLE_LOG_BYTES);
    lines.add("lxc.console.rotate", 1);
    add_limits(&mut lines, container, features);
    if features.apparmor {
        lines.add("lxc.apparmor.profile", "generated");
        lines.add("lxc.apparmor.allow_nesting", 1);
    } else {
        lines.add("lxc.apparmor.profile", "unconfined");
    }
    if !features.unified_cgroups {
        add_environment(&mut lines, &features.legacy_cgroup_environment);
    }
    if container.interfaces.is_empty() {
        lines.add("lxc.net.0.type", "empty");
    }
    for (index, interface) in container.interfaces.iter().enumerate() {
        add_interface(&mut lines, index, interface);
    }
    lines.0
}

fn add_hooks(lines: &mut Lines, definition: &Definition<'_>) {
    for hook in ["pre-start", "start-host", "post-stop"] {
        let (binary, record) = (quoted(definition.binary), quoted(definition.record));
        lines.add(&format!("lxc.hook.{hook}"), format!("{binary} __hook {hook} {record}"));
    }
}

/// What the host publishes propagates into the container, and nothing comes back. systemd looks for
/// units there first.
fn add_publications(lines: &mut Lines, shared: &Path) {
    let target = IN_CONTAINER.trim_start_matches('/');
    let entry = format!("{} {target} none rbind,create=dir,rslave 0 0", escaped(shared));
    lines.add("lxc.mount.entry", entry);
    lines.add("lxc.environment", format!("SYSTEMD_UNIT_PATH={IN_CONTAINER}/{UNITS}:"));
}

/// Nodes of the container's own stand in for devices of the host. A user namespace is ruled by their
/// permissions alone; without one the control group must let them through too.
fn add_devices(lines: &mut Lines, definition: &Definition<'_>) {
    for device in &definition.container.devices {
        let node = escaped(&Place::device(definition.shared, Path::new(device)));
        let path = escaped(Path::new(device));
        let target = path.trim_start_matches('/');
        lines.add("lxc.mount.entry", format!("{node} {target} none bind,create=file,optional 0 0"));
    }
    let group = if definition.features.unified_cgroups { "cgroup2" } else { "cgroup" };
    for rule in definition.device_rules {
        lines.add(&format!("lxc.{group}.devices.allow"), rule);
    }
}

/// For a line in the form of fstab(5).
fn escaped(path: &Path) -> String {
    path.display().to_string().replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011")
}

/// For the shell to which liblxc gives a hook's line.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/-_.".contains(letter);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// What one container may take of the host, whatever it does.
fn add_limits(lines: &mut Lines, container: &Container, features: &HostFeatures) {
    let unified = features.unified_cgroups;
    let memory_bytes = container.memory_limit_mib << 20;
    let key = if unified { "lxc.cgroup2.memory.max" } else { "lxc.cgroup.memory.limit_in_bytes" };
    lines.add(key, memory_bytes);
    if features.swap_limit {
        // As much again, and no more. Version 1 counts both together.
        if unified {
            lines.add("lxc.cgroup2.memory.swap.max", memory_bytes);
        } else {
            lines.add("lxc.cgroup.memory.memsw.limit_in_bytes", 2 * memory_bytes);
        }
    }
    if features.tasks_limit {
        let group = if unified { "cgroup2" } else { "cgroup" };
        lines.add(&format!("lxc.{group}.pids.max"), TASKS);
    }
    if let Some(weight) = container.cpu_weight.map(u32::from) {
        if unified {
            lines.add("lxc.cgroup2.cpu.weight", weight);
        } else {
            // In version 1 an ordinary group has 1024.
            lines.add("lxc.cgroup.cpu.shares", weight * 1024 / 100);
        }
    }
}

fn add_environment(lines: &mut Lines, environment: &BTreeMap<String, String>) {
    for (name, value) in environment {
        lines.add("lxc.environment", format!("{name}={value}"));
    }
}

fn add_interface(lines: &mut Lines, index: usize, interface: &Interface) {
    let key = |name: &str| format!("lxc.net.{index}.{name}");
    lines.add(&key("type"), "veth");
    lines.add(&key("link"), &interface.bridge);
    lines.add(&key("flags"), "up");
    lines.add(&key("name"), interface.role.interface());
    lines.add(&key("veth.pair"), &interface.host_name);
    // Fixed: with a random one a restarted container stays unreachable until the neighbours' ARP
    // entries age.
    lines.add(&key("hwaddr"), &interface.mac);
    for (address, prefix) in interface.addresses.iter().filter(|_| interface.configured) {
        lines.add(&key("ipv4.address"), format!("{address}/{prefix}"));
    }
    if let Some(gateway) = interface.gateway {
        lines.add(&key("ipv4.gateway"), gateway);
    }
}

#[cfg(test)]
mod tests;
