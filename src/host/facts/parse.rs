//! Reads what the kernel and the host's tools print. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use crate::host::network::links::route_range;
use crate::model::facts::{
    CgroupLayout, DistributionFacts, HostAddress, HostRoute, Listener, MemoryFacts,
};

/// `/proc/meminfo`.
pub fn memory(text: &str) -> MemoryFacts {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim_start_matches(':').split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024)
    };
    let total_mib = field("MemTotal").unwrap_or(0);
    let available_mib = field("MemAvailable").or_else(|| field("MemFree")).unwrap_or(0);
    MemoryFacts { total_mib, available_mib }
}

/// `/etc/os-release`.
pub fn distribution(text: &str) -> DistributionFacts {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    DistributionFacts {
        id: field("ID"),
        codename: field("VERSION_CODENAME"),
        name: field("PRETTY_NAME"),
    }
}

/// One line of `/proc/self/mountinfo`: mount point, file system, options of mount and file system.
struct Mount<'a> {
    point: &'a str,
    filesystem: &'a str,
    options: Vec<&'a str>,
}

fn mounts(mountinfo: &str) -> impl Iterator<Item = Mount<'_>> {
    mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(4);
        let (point, own) = (fields.next()?, fields.next()?);
        let mut fields = after.split(' ');
        let filesystem = fields.next()?;
        let of_filesystem = fields.nth(1).unwrap_or_default();
        let options = own.split(',').chain(of_filesystem.split(',')).collect();
        Some(Mount { point, filesystem, options })
    })
}

/// How control groups are mounted.
pub fn cgroup_layout(mountinfo: &str) -> CgroupLayout {
    let of = |kind: &str| -> Vec<String> {
        mounts(mountinfo)
            .filter(|mount| mount.filesystem == kind && mount.point.starts_with("/sys/fs/cgroup"))
            .map(|mount| mount.point.to_owned())
            .collect()
    };
    let (new, old) = (of("cgroup2"), of("cgroup"));
    match (new.is_empty(), old.is_empty()) {
        (false, true) => CgroupLayout::Unified,
        (false, false) => CgroupLayout::Hybrid,
        (true, false) => CgroupLayout::Legacy,
        (true, true) => CgroupLayout::Absent,
    }
}

/// The file system that holds an absolute path, and whether it is read-only. The last mount of the
/// longest mount point counts: later ones hide earlier ones.
pub fn filesystem_of(mountinfo: &str, path: &str) -> (String, bool) {
    let below = |point: &str| {
        let point = unescape(point);
        point == "/" || path == point || path.starts_with(&format!("{point}/"))
    };
    let mut best: Option<Mount<'_>> = None;
    for mount in mounts(mountinfo).filter(|mount| below(mount.point)) {
        if best.as_ref().is_none_or(|found| mount.point.len() >= found.point.len()) {
            best = Some(mount);
        }
    }
    best.map_or_else(
        || ("unknown".to_owned(), false),
        |mount| (mount.filesystem.to_owned(), mount.options.contains(&"ro")),
    )
}

/// The kernel writes spaces in mount points as `\040`.
fn unescape(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

/// What `ip -json -4 address show` prints.
pub fn addresses(text: &str) -> Vec<HostAddress> {
    let links: Value = serde_json::from_str(text).unwrap_or_default();
    let mut all = Vec::new();
    for link in links.as_array().into_iter().flatten() {
        for address in link["addr_info"].as_array().into_iter().flatten() {
            let local = address["local"].as_str().and_then(|text| text.parse().ok());
            let prefix = address["prefixlen"].as_u64().and_then(|bits| u8::try_from(bits).ok());
            if let (Some(name), Some(address), Some(prefix)) =
                (link["ifname"].as_str(), local, prefix)
            {
                all.push(HostAddress { interface: name.to_owned(), address, prefix });
            }
        }
    }
    all
}

/// What `ip -json -4 route show table all` prints, without what the kernel keeps for itself.
pub fn routes(text: &str) -> Vec<HostRoute> {
    let routes: Value = serde_json::from_str(text).unwrap_or_default();
    let own = |route: &&Value| route["table"] != "local";
    let all = routes.as_array().into_iter().flatten().filter(own).filter_map(|route| {
        Some(HostRoute {
            destination: route_range(route["dst"].as_str()?)?,
            kind: route["type"].as_str().unwrap_or("unicast").to_owned(),
            interface: route["dev"].as_str().map(str::to_owned),
            metric: route["metric"].as_u64().and_then(|it| u32::try_from(it).ok()).unwrap_or(0),
        })
    });
    all.filter(|route| !matches!(route.kind.as_str(), "local" | "broadcast" | "multicast"))
        .collect()
}

/// Listening sockets of `/proc/net/tcp` or `/proc/net/tcp6`, sorted.
pub fn listeners(text: &str) -> Vec<Listener> {
    const LISTENING: &str = "0A";
    let lines = text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(3) == Some(&LISTENING)).then(|| listener(fields.get(1)?)).flatten()
    });
    lines.collect()
}

/// `0100007F:1F90`: addresses are words of the host's byte order, ports are plain.
fn listener(text: &str) -> Option<Listener> {
    let (address, port) = text.split_once(':')?;
    let word = |hex: &str| u32::from_str_radix(hex, 16).ok().map(u32::to_ne_bytes);
    let address = if address.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(word(address)?))
    } else {
        let mut bytes = [0; 16];
        for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
            part.copy_from_slice(&word(address.get(index * 8..index * 8 + 8)?)?);
        }
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    Some(Listener { address, port: u16::from_str_radix(port, 16).ok()? })
}

/// Name servers of a resolver configuration that are not on loopback.
pub fn resolvers(text: &str) -> Vec<IpAddr> {
    let words = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()
    });
    words.filter_map(|word| word.parse().ok()).filter(|it: &IpAddr| !it.is_loopback()).collect()
}

/// The `Date` field of a package index, in seconds since the epoch:
/// `Date: Sat, 17 May 2025 09:22:51 UTC`.
pub fn index_date(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Date: "))?;
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, day, month, year, time, _] = fields.as_slice() else { return None };
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|name| name == month)? as u64 + 1;
    let clock: Vec<u64> = time.split(':').filter_map(|part| part.parse().ok()).collect();
    let [hours, minutes, seconds] = clock.as_slice() else { return None };
    let days = days_since_epoch(year.parse().ok()?, month, day.parse().ok()?)?;
    Some(days * 86_400 + hours * 3_600 + minutes * 60 + seconds)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years begin in March here: the leap day is then the last one.
    let shifted = if month <= 2 { year.checked_sub(1)? } else { year };
    let month = (month + 9) % 12;
    let in_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + in_year;
    // The same sum for 1970-01-01.
    days.checked_sub(719_468)
}

/// Versions as `lxc-start --version` prints them.
pub fn version(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?;
    word.starts_with(|letter: char| letter.is_ascii_digit()).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_mib() {
        let text = "MemTotal:        8031234 kB\nMemFree: 1 kB\nMemAvailable:    4096000 kB\n";
        assert_eq!(memory(text), MemoryFacts { total_mib: 7843, available_mib: 4000 });
    }

    const UNIFIED: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const HYBRID: &str = "24 18 0:21 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        25 24 0:22 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        26 24 0:23 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn control_groups_are_told_apart() {
        assert_eq!(cgroup_layout(UNIFIED), CgroupLayout::Unified);
        assert_eq!(cgroup_layout(HYBRID), CgroupLayout::Hybrid);
        let legacy: String = HYBRID.lines().take(2).map(|line| format!("{line}\n")).collect();
        assert_eq!(cgroup_layout(&legacy), CgroupLayout::Legacy);
        // A container's cgroup2 elsewhere says nothing about the host's.
        assert_eq!(cgroup_layout("1 1 0:1 / /mnt rw - cgroup2 none rw\n"), CgroupLayout::Absent);
    }

    #[test]
    fn the_innermost_mount_holds_a_path() {
        let text = "1 0 8:1 / / rw - ext4 /dev/vda rw\n\
                    2 1 8:2 / /var ro,nodev - xfs /dev/vdb ro\n\
                    3 1 8:3 / /var/lib/a\\040b rw - btrfs /dev/vdc rw\n";
        assert_eq!(filesystem_of(text, "/var/lib/aio"), ("xfs".to_owned(), true));
        assert_eq!(filesystem_of(text, "/variable"), ("ext4".to_owned(), false));
        assert_eq!(filesystem_of(text, "/var/lib/a b/c"), ("btrfs".to_owned(), false));
    }

    #[test]
    fn listening_sockets_of_both_families() {
        let four = "  sl  local_address rem_address   st\n\
            0: 0100007F:1F90 00000000:0000 0A 0 0\n   1: 0100007F:1F90 0100007F:8888 01 0 0\n";
        let six = "  sl  local_address\n\
            0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0\n";
        assert_eq!(
            listeners(four),
            [Listener { address: "127.0.0.1".parse().unwrap(), port: 8080 }]
        );
        assert_eq!(listeners(six), [Listener { address: "::".parse().unwrap(), port: 22 }]);
    }

    #[test]
    fn loopback_resolvers_are_of_no_use_to_containers() {
        let text = "# systemd\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nsearch x\n";
        assert_eq!(resolvers(text), ["192.0.2.53".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn dates_of_an_index() {
        let date = |text: &str| index_date(&format!("Origin: Debian\nDate: {text}\n"));
        assert_eq!(date("Thu, 01 Jan 1970 00:00:00 UTC"), Some(0));
        assert_eq!(date("Thu, 29 Feb 2024 12:00:01 UTC"), Some(1_709_208_001));
        assert_eq!(date("Sat, 17 May 2025 09:22:51 UTC"), Some(1_747_473_771));
        assert_eq!(date("nonsense"), None);
    }

    #[test]
    fn routes_without_the_kernels_own() {
        let text = r#"[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]},
            {"type":"local","dst":"192.0.2.2","dev":"eth0","table":"local"},
            {"type":"unreachable","dst":"10.0.3.0/24","metric":5000},
            {"dst":"10.1.2.3","dev":"wg0","table":"51820"}]"#;
        let all: Vec<String> = routes(text)
            .iter()
            .map(|route| format!("{} {} {}", route.kind, route.destination, route.metric))
            .collect();
        assert_eq!(
            all,
            ["unicast 0.0.0.0/0 0", "unreachable 10.0.3.0/24 5000", "unicast 10.1.2.3/32 0"]
        );
    }
}
