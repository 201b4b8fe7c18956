//! Bridges, addresses and guard routes: what is there, and the commands that make it right. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Deserialize;

use crate::config::network::Range;
use crate::error::{Error, Result, ResultExt};
use crate::model::addresses::bridge_mac;
use crate::model::host_network::HostNetworkSpec;
use crate::model::ranges::guard_metric;
use crate::model::topology::Network;

/// Input of one `ip -json -details -batch -` that prints all that [`Observed::parse`] needs.
pub const SHOW: &str = "address show\nroute show table main type unreachable\n";

/// What of the host's network concerns us.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    links: BTreeMap<String, Link>,
    unreachable: Vec<(Range, u32)>,
}

#[derive(Clone, Debug)]
struct Link {
    bridge: bool,
    up: bool,
    mac: String,
    addresses: Vec<(Ipv4Addr, u8)>,
}

/// One command of `ip -batch`, and why it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// "the bridge `aio1-mgmt` is missing".
    pub reason: String,
    /// The command without the leading `ip`.
    pub command: String,
}

#[derive(Deserialize)]
struct RawLink {
    ifname: String,
    flags: Vec<String>,
    #[serde(default)]
    address: String,
    linkinfo: Option<RawInfo>,
    #[serde(default)]
    addr_info: Vec<RawAddress>,
}

#[derive(Deserialize)]
struct RawInfo {
    info_kind: Option<String>,
}

#[derive(Deserialize)]
struct RawAddress {
    family: String,
    local: Option<String>,
    prefixlen: u8,
}

#[derive(Deserialize)]
struct RawRoute {
    dst: String,
    #[serde(default)]
    metric: u32,
}

impl Observed {
    /// Reads what `ip` printed for [`SHOW`].
    pub fn parse(text: &str) -> Result<Self> {
        let doing = || "read the answer of `ip`".to_owned();
        let mut documents =
            serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
        let mut next = || documents.next().transpose().doing(doing);
        let links = next()?.unwrap_or_default();
        let routes = next()?.unwrap_or_else(|| serde_json::Value::Array(Vec::new()));
        let links: Vec<RawLink> = serde_json::from_value(links).doing(doing)?;
        let routes: Vec<RawRoute> = serde_json::from_value(routes).doing(doing)?;
        let unreachable = routes
            .into_iter()
            .filter_map(|route| Some((route_range(&route.dst)?, route.metric)))
            .collect();
        Ok(Self { links: links.into_iter().map(link).collect(), unreachable })
    }

    /// What makes guard routes right.
    pub fn guards(&self, spec: &HostNetworkSpec) -> Vec<Correction> {
        let metric = guard_metric(&spec.cloud);
        spec.networks
            .iter()
            .map(|network| network.range)
            .filter(|range| !self.unreachable.contains(&(*range, metric)))
            .map(|range| Correction {
                reason: format!("the guard route of {range} is missing"),
                command: format!("route replace unreachable {range} metric {metric}"),
            })
            .collect()
    }

    /// What makes bridges and their addresses right, but for [`Self::raised`].
    ///
    /// # Errors
    /// When something that is no bridge has a bridge's name.
    pub fn bridges(&self, spec: &HostNetworkSpec) -> Result<Vec<Correction>> {
        let mut all = Vec::new();
        for network in &spec.networks {
            let bridge = &network.bridge;
            let mac = bridge_mac(bridge);
            let link = self.links.get(bridge);
            let mut add = |reason: String, command: String| {
                all.push(Correction { reason, command });
            };
            match link {
                Some(link) if !link.bridge => return Err(not_a_bridge(bridge)),
                Some(link) => {
                    if link.mac != mac {
                        let reason = format!("the bridge `{bridge}` has another hardware address");
                        add(reason, format!("link set dev {bridge} address {mac}"));
                    }
                }
                // A fixed hardware address: else it changes with the containers on the bridge, and
                // they lose the host until their neighbour tables age.
                None => add(
                    format!("the bridge `{bridge}` is missing"),
                    format!("link add name {bridge} address {mac} type bridge stp_state 0"),
                ),
            }
            let address = (network.host_address, network.range.prefix);
            if !link.is_some_and(|link| link.addresses.contains(&address)) {
                let (local, prefix) = address;
                add(
                    format!("the bridge `{bridge}` lacks its address {local}/{prefix}"),
                    format!("address replace {local}/{prefix} dev {bridge}"),
                );
            }
        }
        Ok(all)
    }

    /// What makes bridges take packets: after all else about them is right.
    pub fn raised(&self, spec: &HostNetworkSpec) -> Vec<Correction> {
        let down = |network: &&Network| !self.links.get(&network.bridge).is_some_and(|it| it.up);
        let raise = |network: &Network| Correction {
            reason: format!("the bridge `{}` is down", network.bridge),
            // The networks are IPv4 alone: no link-local address either.
            command: format!("link set dev {} addrgenmode none up", network.bridge),
        };
        spec.networks.iter().filter(down).map(raise).collect()
    }

    /// Commands that remove the cloud's bridges.
    pub fn without_bridges(&self, spec: &HostNetworkSpec) -> Vec<String> {
        spec.networks
            .iter()
            .filter(|network| self.links.get(&network.bridge).is_some_and(|link| link.bridge))
            .map(|network| format!("link delete dev {}", network.bridge))
            .collect()
    }

    /// Commands that remove every guard route of the cloud, also those of ranges that it had once.
    pub fn without_guards(&self, cloud: &str) -> Vec<String> {
        let metric = guard_metric(cloud);
        self.unreachable
            .iter()
            .filter(|(_, found)| *found == metric)
            .map(|(range, _)| format!("route delete unreachable {range} metric {metric}"))
            .collect()
    }
}

fn link(raw: RawLink) -> (String, Link) {
    let kind = raw.linkinfo.and_then(|info| info.info_kind);
    let addresses = raw
        .addr_info
        .iter()
        .filter(|address| address.family == "inet")
        .filter_map(|address| Some((address.local.as_ref()?.parse().ok()?, address.prefixlen)))
        .collect();
    let link = Link {
        bridge: kind.as_deref() == Some("bridge"),
        up: raw.flags.iter().any(|flag| flag == "UP"),
        mac: raw.address,
        addresses,
    };
    (raw.ifname, link)
}

/// The range of a route; `ip` writes a single address without a prefix and the default as a word.
pub fn route_range(text: &str) -> Option<Range> {
    if text == "default" {
        return Some(Range { base: Ipv4Addr::UNSPECIFIED, prefix: 0 });
    }
    text.parse().ok().or_else(|| Some(Range { base: text.parse().ok()?, prefix: 32 }))
}

fn not_a_bridge(name: &str) -> Error {
    Error::new(crate::error::ErrorKind::Host, format!("make the bridge `{name}`"))
        .because("an interface of that name is there and is no bridge")
        .hint(format!("Look at it (ip -details link show {name}) and remove or rename it."))
}
