//! The cloud's networks are IPv4 alone.
//!
//! The kernel believes router advertisements on every interface unless it is told otherwise, a
//! bridge's own among them: one packet of a container would be an address of the host and its default
//! route. So a bridge has no IPv6 at all, from before it takes its first packet. The firewall's table
//! drops it as well, should somebody turn it on.
//!
//! Containers' ends on the host need nothing of this: what arrives at a bridge's port is the bridge's,
//! and never the port's own.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::model::topology::Network;
use crate::state::files;

/// What the kernel knows of each interface; nothing on a host without IPv6.
const SETTINGS: &str = "/proc/sys/net/ipv6/conf";

/// Each on its own is enough; whoever turns one back has not yet opened the host.
const CLOSED: [(&str, &str); 3] = [("accept_ra", "0"), ("autoconf", "0"), ("disable_ipv6", "1")];

/// Why a bridge that is there is not closed.
pub fn differs(networks: &[Network]) -> Option<String> {
    let (path, _) = open(networks, Path::new(SETTINGS)).next()?;
    let bridge = path.parent().and_then(Path::file_name).unwrap_or_default();
    Some(format!("the bridge `{}` would take IPv6", bridge.to_string_lossy()))
}

/// Closes every bridge that is there.
///
/// # Errors
/// When the kernel refuses.
pub fn close(networks: &[Network]) -> Result<()> {
    for (path, value) in open(networks, Path::new(SETTINGS)) {
        files::write(&path, value)?;
    }
    Ok(())
}

/// Settings that are there and not as they should be, with what they should be.
fn open(networks: &[Network], settings: &Path) -> impl Iterator<Item = (PathBuf, &'static str)> {
    let all = networks.iter().flat_map(move |network| {
        CLOSED.map(|(name, value)| (settings.join(&network.bridge).join(name), value))
    });
    all.filter(|(path, value)| {
        std::fs::read_to_string(path).is_ok_and(|found| found.trim() != *value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::NetworkFacts;
    use crate::model::ranges;

    #[test]
    fn a_host_without_ipv6_has_nothing_open_and_of_another_all_that_is_not_closed() {
        let choice = ranges::choose("aio1", &[].into(), &NetworkFacts::default()).unwrap();
        let networks = choice.networks.networks;
        let settings = tempfile::tempdir().unwrap();
        let found = || -> Vec<String> {
            open(&networks, settings.path())
                .map(|(path, value)| {
                    let path = path.strip_prefix(settings.path()).unwrap().to_owned();
                    format!("{} {value}", path.display())
                })
                .collect()
        };
        assert!(found().is_empty());
        let bridge = settings.path().join("aio1-mgmt");
        std::fs::create_dir(&bridge).unwrap();
        for (name, value) in [("accept_ra", "1\n"), ("autoconf", "0\n"), ("disable_ipv6", "0\n")] {
            std::fs::write(bridge.join(name), value).unwrap();
        }
        assert_eq!(found(), ["aio1-mgmt/accept_ra 0", "aio1-mgmt/disable_ipv6 1"]);
    }
}
