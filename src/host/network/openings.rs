//! Ways for a cloud's packets through the firewalls that hosts usually have.
//!
//! What comes to the containers from elsewhere is judged by the cloud's own table, whatever these
//! let through, so all of the cloud's bridges may be open here. Nothing is recorded: what is open is
//! told by the bridges' names, which no other interface has. Nothing is permanent either: every
//! start of the cloud opens again what is closed.
//!
//! Docker and ufw write rules of iptables. Ours stand in the chain `FORWARD` itself, which neither
//! flushes when it is reloaded: after their own rules, so that what the user forbids there stays
//! forbidden, and before the ones with which ufw logs and rejects the rest.
//!
//! Firewalld lets nobody else change its table, so it is asked to trust the bridges. That opens the
//! host's own services too, as far as firewalld is concerned: the cloud's own table keeps them closed
//! (`inward` of [`super::rules`]), and a packet that one table drops no other accepts. A policy object,
//! which could open forwarding alone, can only be made in the permanent configuration and with a
//! reload, which throws away what other tools and the user have set until the next one.

use super::super::tool::run;
use crate::error::Result;
use crate::model::facts::ForwardChain;
use crate::model::firewall::Opening;
use crate::model::topology::{Network, bridge_prefix};

impl Opening {
    /// Lets packets from and to the cloud's bridges through.
    ///
    /// # Errors
    /// When the firewall's own program fails.
    pub async fn open(self, cloud: &str, networks: &[Network]) -> Result<()> {
        let doing = format!("let the packets of cloud `{cloud}` through {}", self.whose());
        match self {
            Self::Docker(iptables) | Self::Ufw(iptables) => {
                let chain = run(&doing, iptables, &["-w", "-S", "FORWARD"], "").await?;
                for (index, rule) in missing(cloud, &chain).into_iter().enumerate() {
                    let place = (place(&chain) + index).to_string();
                    let arguments = [&["-w", "-I", "FORWARD", &place][..], &words(&rule)].concat();
                    run(&doing, iptables, &arguments, "").await?;
                }
            }
            Self::Firewalld => {
                let bridges = networks.iter().map(|it| format!("--change-interface={}", it.bridge));
                zone_trusted(&doing, &bridges.collect::<Vec<_>>()).await?;
            }
        }
        Ok(())
    }
}

/// Changes firewalld's zone for those whom nothing is forbidden, until firewalld is restarted.
async fn zone_trusted(doing: &str, changes: &[String]) -> Result<()> {
    let changes = changes.iter().map(String::as_str);
    let arguments: Vec<&str> = std::iter::once("--zone=trusted").chain(changes).collect();
    run(doing, "firewall-cmd", &arguments, "").await.map(drop)
}

/// Ends what [`Opening::open`] began, in those of `chains` whose owner is known, closed or not.
///
/// # Errors
/// When a firewall's own program fails.
pub async fn close(cloud: &str, networks: &[Network], chains: &[ForwardChain]) -> Result<()> {
    let doing = format!("close the ways of cloud `{cloud}` through other firewalls");
    let pattern = format!("{}*", bridge_prefix(cloud));
    for chain in chains {
        match Opening::of(chain) {
            Some(Opening::Docker(iptables) | Opening::Ufw(iptables)) => {
                let there = run(&doing, iptables, &["-w", "-S", "FORWARD"], "").await?;
                for rule in rules(cloud) {
                    if there.lines().any(|line| line == format!("-A FORWARD {rule}")) {
                        let arguments = [&["-w", "-D", "FORWARD"][..], &words(&rule)].concat();
                        run(&doing, iptables, &arguments, "").await?;
                    }
                }
            }
            Some(Opening::Firewalld) => {
                let trusted = |bridge: &str| {
                    chain.accepts_from.iter().any(|it| it == bridge || *it == pattern)
                };
                let ours = networks.iter().filter(|network| trusted(&network.bridge));
                let ours: Vec<String> =
                    ours.map(|it| format!("--remove-interface={}", it.bridge)).collect();
                if !ours.is_empty() {
                    zone_trusted(&doing, &ours).await?;
                }
            }
            None => {}
        }
    }
    Ok(())
}

/// Our rules, as `iptables -S` prints them.
fn rules(cloud: &str) -> [String; 2] {
    let prefix = bridge_prefix(cloud);
    [format!("-i {prefix}+ -j ACCEPT"), format!("-o {prefix}+ -j ACCEPT")]
}

/// Those of our rules that are not in what `iptables -S FORWARD` printed.
fn missing(cloud: &str, chain: &str) -> Vec<String> {
    let there = |rule: &String| chain.lines().any(|line| line == format!("-A FORWARD {rule}"));
    rules(cloud).into_iter().filter(|rule| !there(rule)).collect()
}

/// Which number our first rule gets: before ufw's chains for what no rule let through, else the last.
fn place(chain: &str) -> usize {
    let rules: Vec<&str> = chain.lines().filter(|line| line.starts_with("-A FORWARD ")).collect();
    let after = rules.iter().position(|rule| rule.contains("-j ufw-after-"));
    1 + after.unwrap_or(rules.len())
}

fn words(rule: &str) -> Vec<&str> {
    rule.split(' ').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_come_after_dockers_rules_and_before_ufw_rejects() {
        let docker = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-FORWARD\n";
        assert_eq!(place(docker), 3);
        let ufw = "-P FORWARD DROP\n-A FORWARD -j ufw-before-logging-forward\n\
                   -A FORWARD -j ufw-before-forward\n-A FORWARD -j ufw-after-forward\n\
                   -A FORWARD -j ufw-reject-forward\n";
        assert_eq!(place(ufw), 3);
        assert_eq!(place("-P FORWARD DROP\n"), 1);
    }

    #[test]
    fn a_rule_that_is_there_is_not_added_again() {
        assert_eq!(missing("aio1", "-P FORWARD DROP\n").len(), 2);
        let half = "-P FORWARD DROP\n-A FORWARD -i aio1-+ -j ACCEPT\n";
        assert_eq!(missing("aio1", half), ["-o aio1-+ -j ACCEPT"]);
        assert_eq!(missing("aio2", half).len(), 2);
    }
}
