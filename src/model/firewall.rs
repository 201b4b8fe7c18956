//! Firewalls of the host that would cut containers off, and which of them can be opened.

use super::facts::ForwardChain;
use super::topology::{Network, bridge_prefix};
use crate::config::network::NetworkRole;

/// Whose chain it is, and by which program it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Docker's, by this iptables.
    Docker(&'static str),
    /// Ufw's, by this iptables.
    Ufw(&'static str),
    Firewalld,
}

impl Opening {
    /// Returns how to let packets through `chain`; `None` for a firewall that is not known.
    pub fn of(chain: &ForwardChain) -> Option<Self> {
        let legacy = chain.chain.starts_with("iptables-legacy");
        let iptables = if legacy { "iptables-legacy" } else { "iptables-nft" };
        match chain.owner.as_str() {
            "docker" => Some(Self::Docker(iptables)),
            "ufw" => Some(Self::Ufw(iptables)),
            "firewalld" => Some(Self::Firewalld),
            _ => None,
        }
    }

    pub fn whose(self) -> &'static str {
        match self {
            Self::Docker(_) => "Docker's firewall",
            Self::Ufw(_) => "ufw",
            Self::Firewalld => "firewalld",
        }
    }
}

/// Returns those of `chains` that would keep the cloud's containers from the world, from each other, or
/// (`exposed`) from those who may reach them.
pub fn closed<'a>(
    networks: &[Network],
    exposed: bool,
    chains: &'a [ForwardChain],
) -> Vec<&'a ForwardChain> {
    let nat = networks.iter().find(|network| network.role == NetworkRole::Nat);
    let nat = nat.map(|network| network.bridge.as_str()).unwrap_or_default();
    let rejecting = chains.iter().filter(|chain| chain.otherwise != "accept");
    rejecting
        .filter(|chain| {
            let out = accepted(&chain.accepts_from, nat);
            let back = chain.accepts_answers || accepted(&chain.accepts_to, nat);
            let inward = !exposed || chain.accepts_translated || accepted(&chain.accepts_to, nat);
            !(out && back && inward)
        })
        .collect()
}

/// What a user should know about the closed ones of `chains`: one sentence each.
pub fn sentences(
    cloud: &str,
    networks: &[Network],
    exposed: bool,
    chains: &[ForwardChain],
) -> Vec<String> {
    closed(networks, exposed, chains).into_iter().map(|chain| sentence(cloud, chain)).collect()
}

fn sentence(cloud: &str, chain: &ForwardChain) -> String {
    let ForwardChain { chain: place, otherwise, .. } = chain;
    let what =
        format!("cuts the containers off: `{place}` {otherwise}s what no rule lets through.");
    match Opening::of(chain) {
        Some(opening) => format!(
            "{} {what} `aio bootstrap` lets this cloud's packets through, `aio destroy` ends that.",
            opening.whose()
        ),
        None => format!(
            "A firewall {what} Let it accept packets from and to the interfaces {}*.",
            bridge_prefix(cloud)
        ),
    }
}

/// Whether a rule accepts the interface: by name, by a prefix (`aio1-*`), or all of them (`*`).
fn accepted(patterns: &[String], interface: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix(['*', '+']) {
        Some(start) => interface.starts_with(start),
        None => pattern == interface,
    })
}
