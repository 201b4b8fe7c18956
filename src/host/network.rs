//! The host's network: guard routes, bridges and two nftables tables for each cloud, of packets
//! ([`rules`]) and of frames on its bridges ([`pins`]).
//!
//! `apply` goes from closed to open: guard routes, firewall, bridges, forwarding. `remove` goes
//! back the same way and takes the guard routes last, so that a packet meant for a container never
//! leaves by the host's default route.
//!
//! Other firewalls of the host are looked at too ([`obstacles`]); the usual ones are opened for the
//! cloud ([`openings`]).

pub mod ipv6;
pub mod links;
pub mod obstacles;
pub mod openings;
pub mod pins;
pub mod rules;

use std::path::PathBuf;

use async_trait::async_trait;
use links::{Correction, Observed};

use super::shared::SharedSettings;
use super::tool::run;
use crate::error::Result;
use crate::host::HostNetwork;
use crate::model::firewall::{self, Opening};
use crate::model::hash::sha256_hex;
use crate::model::host_network::HostNetworkSpec;
use crate::state::files;

/// The real network of this host.
pub struct RealNetwork {
    run_dir: PathBuf,
    shared: SharedSettings,
}

impl RealNetwork {
    /// Notes about what was applied since the last boot are kept in `run_dir`
    /// ([`crate::model::paths::RUN_DIR`]).
    pub fn new(run_dir: impl Into<PathBuf>) -> Self {
        let run_dir = run_dir.into();
        Self { shared: SharedSettings::new(&run_dir), run_dir }
    }

    /// The note that tells whether the firewall table is as it was applied: nft prints rules in
    /// another form than it reads them, so the printed form is noted after each `apply`.
    fn note(&self, cloud: &str) -> PathBuf {
        self.run_dir.join("firewall").join(cloud)
    }

    async fn observe(&self) -> Result<Observed> {
        let args = ["-json", "-details", "-batch", "-"];
        Observed::parse(&run("look at bridges and routes", "ip", &args, links::SHOW).await?)
    }

    /// Why the firewall table is not the one for `spec`.
    async fn firewall_differs(&self, spec: &HostNetworkSpec) -> Option<String> {
        let table = rules::table_name(&spec.cloud);
        let listing = list_tables(&table).await;
        if listing.0.is_none() {
            return Some(format!("the firewall table `{table}` is missing"));
        }
        let noted = std::fs::read_to_string(self.note(&spec.cloud)).unwrap_or_default();
        (noted != fingerprint(spec, &listing))
            .then(|| format!("the firewall table `{table}` is not as it should be"))
    }

    /// Foreign firewalls that cut the cloud off and can be opened.
    async fn to_open(&self, spec: &HostNetworkSpec) -> Vec<Opening> {
        let chains = obstacles::read().await;
        let closed = firewall::closed(&spec.networks, !spec.exposed.is_empty(), &chains);
        closed.into_iter().filter_map(Opening::of).collect()
    }

    async fn apply_firewall(&self, spec: &HostNetworkSpec) -> Result<()> {
        let doing = format!("make the firewall table of cloud `{}`", spec.cloud);
        run(&doing, "nft", &["-f", "-"], &rules::ruleset(spec)).await.map_err(|error| {
            error.hint(
                "The kernel must know nf_tables, connection tracking and address translation: \
                 see `aio size`.",
            )
        })?;
        if let Err(error) = run(&doing, "nft", &["-f", "-"], &pins::ruleset(spec)).await {
            // A kernel without this family: `aio size` says so. All else holds without it.
            if run(&doing, "nft", &["--check", "-f", "-"], BRIDGE_FAMILY).await.is_ok() {
                return Err(error);
            }
        }
        let listing = list_tables(&rules::table_name(&spec.cloud)).await;
        let note = self.note(&spec.cloud);
        if let Some(parent) = note.parent() {
            files::open_directory(parent)?;
        }
        files::write_atomic(&note, 0o644, fingerprint(spec, &listing).as_bytes())
    }
}

#[async_trait]
impl HostNetwork for RealNetwork {
    async fn differs(&self, spec: &HostNetworkSpec) -> Result<Option<String>> {
        let (observed, firewall, to_open) =
            tokio::join!(self.observe(), self.firewall_differs(spec), self.to_open(spec));
        let observed = observed?;
        let first = |corrections: Vec<Correction>| {
            corrections.into_iter().next().map(|correction| correction.reason)
        };
        if let Some(reason) = first(observed.guards(spec)) {
            return Ok(Some(reason));
        }
        if let Some(reason) = first(observed.bridges(spec)?)
            .or_else(|| first(observed.raised(spec)))
            .or_else(|| ipv6::differs(&spec.networks))
        {
            return Ok(Some(reason));
        }
        if firewall.is_some() {
            return Ok(firewall);
        }
        if let Some(opening) = to_open.first() {
            return Ok(Some(format!("{} cuts the containers off", opening.whose())));
        }
        self.shared.differs(&owner(&spec.cloud), &forwarding())
    }

    async fn apply(&self, spec: &HostNetworkSpec) -> Result<()> {
        let observed = self.observe().await?;
        // Before anything is made: a name that is taken by something else is an error here.
        let bridges = observed.bridges(spec)?;
        batch("set guard routes", &commands(observed.guards(spec))).await?;
        if self.firewall_differs(spec).await.is_some() {
            self.apply_firewall(spec).await?;
        }
        batch("make bridges", &commands(bridges)).await?;
        // Before they take the first packet.
        ipv6::close(&spec.networks)?;
        batch("raise bridges", &commands(observed.raised(spec))).await?;
        for opening in self.to_open(spec).await {
            opening.open(&spec.cloud, &spec.networks).await?;
        }
        self.shared.apply(&owner(&spec.cloud), &forwarding())
    }

    async fn remove(&self, spec: &HostNetworkSpec) -> Result<()> {
        openings::close(&spec.cloud, &spec.networks, &obstacles::read().await).await?;
        let observed = self.observe().await?;
        batch("remove bridges", &observed.without_bridges(spec)).await?;
        self.shared.release(&owner(&spec.cloud))?;
        let (table, pins) = list_tables(&rules::table_name(&spec.cloud)).await;
        let doing = format!("remove the firewall table of cloud `{}`", spec.cloud);
        if pins.is_some() {
            run(&doing, "nft", &["-f", "-"], &pins::deletion(&spec.cloud)).await?;
        }
        if table.is_some() {
            run(&doing, "nft", &["-f", "-"], &rules::deletion(&spec.cloud)).await?;
        }
        remove_note(&self.note(&spec.cloud))?;
        batch("remove guard routes", &observed.without_guards(&spec.cloud)).await
    }

    async fn obstacles(&self, spec: &HostNetworkSpec) -> Result<Vec<String>> {
        let mut chains = obstacles::read().await;
        chains.retain(|chain| Opening::of(chain).is_none());
        let exposed = !spec.exposed.is_empty();
        Ok(firewall::sentences(&spec.cloud, &spec.networks, exposed, &chains))
    }
}

/// Containers reach the world only through a host that forwards.
fn forwarding() -> std::collections::BTreeMap<String, u64> {
    std::collections::BTreeMap::from([("net.ipv4.ip_forward".to_owned(), 1)])
}

/// Under which name a cloud's network counts its need of shared settings.
fn owner(cloud: &str) -> String {
    format!("{cloud}/network")
}

fn commands(corrections: Vec<Correction>) -> Vec<String> {
    corrections.into_iter().map(|correction| correction.command).collect()
}

async fn batch(doing: &str, commands: &[String]) -> Result<()> {
    if commands.is_empty() {
        return Ok(());
    }
    run(doing, "ip", &["-batch", "-"], &(commands.join("\n") + "\n")).await.map(drop)
}

/// A chain of the bridge family, to ask whether the kernel has it.
const BRIDGE_FAMILY: &str = "table bridge aio { chain probe \
     { type filter hook prerouting priority -200; policy accept; ether type arp accept; }; }\n";

/// The cloud's two tables as nft prints them, of packets and of frames; nothing for one that is not
/// there.
type Listing = (Option<String>, Option<String>);

async fn list_tables(table: &str) -> Listing {
    let list = |family: &'static str| async move {
        run("look at the firewall", "nft", &["list", "table", family, table], "").await.ok()
    };
    tokio::join!(list("inet"), list("bridge"))
}

/// Ties what was asked for to what nft made of it.
fn fingerprint(spec: &HostNetworkSpec, listing: &Listing) -> String {
    let asked = [rules::ruleset(spec), pins::ruleset(spec)].concat();
    sha256_hex(format!("{asked}\n{listing:?}"))
}

fn remove_note(note: &std::path::Path) -> Result<()> {
    files::remove(note)?;
    // The directories go with the last cloud; they are not empty before.
    for directory in note.ancestors().skip(1).take(2) {
        let _ = std::fs::remove_dir(directory);
    }
    Ok(())
}
