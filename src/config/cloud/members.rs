//! How many members each kind has.

use std::collections::{BTreeMap, BTreeSet};

use super::file::CloudFile;
use crate::config::load::Profiles;
use crate::config::scenario::Scenario;
use crate::error::{Error, ErrorKind, Result};

/// A kind whose number of members is to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberChange {
    /// The kind.
    pub kind: String,
    /// How many there are.
    pub from: u32,
    /// How many there will be.
    pub to: u32,
}

impl CloudFile {
    /// Members of every kind that is deployed: the scenario's, changed by the file.
    ///
    /// # Errors
    /// When a deployed service needs one that is left out.
    pub fn members(
        &self,
        scenario: &Scenario,
        profiles: &Profiles,
    ) -> Result<BTreeMap<String, u32>> {
        let mut members: BTreeMap<String, u32> =
            scenario.members.iter().map(|(kind, members)| (kind.clone(), *members)).collect();
        members.extend(self.own_members());
        members.retain(|_, members| *members > 0);
        self.check_needs(&members, profiles)?;
        self.check_most(&members, profiles)?;
        Ok(members)
    }

    fn check_most(&self, members: &BTreeMap<String, u32>, profiles: &Profiles) -> Result<()> {
        for (kind, wanted) in members {
            let most = profiles.kind(kind).and_then(|(_, definition)| definition.most);
            if let Some(most) = most.filter(|most| most < wanted) {
                let place = self.place("members", kind);
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("give `{kind}` {wanted} members"),
                )
                .because(format!("there can be {most} at most"))
                .because(format!("{place} says so"))
                .hint(format!("Keep it: --set {kind}.members={most}")));
            }
        }
        Ok(())
    }

    fn check_needs(&self, members: &BTreeMap<String, u32>, profiles: &Profiles) -> Result<()> {
        let deployed: BTreeSet<&str> = members
            .keys()
            .filter_map(|kind| profiles.kind(kind))
            .map(|(service, _)| service.service.as_str())
            .collect();
        let mut services = deployed.iter().filter_map(|name| profiles.services.get(*name));
        let missing = services.find_map(|service| {
            let missing =
                service.needs.iter().find(|needed| !deployed.contains(needed.as_str()))?;
            Some((service.service.as_str(), missing))
        });
        let Some((service, needed)) = missing else { return Ok(()) };
        let error = Error::new(ErrorKind::Config, format!("leave `{needed}` out of the cloud"))
            .because(format!("service `{service}` needs it"));
        Err(match self.zeroed(needed, profiles) {
            Some(kind) => error
                .because(format!("{} says so", self.place("members", &kind)))
                .hint(format!("Give `{kind}` a member, or leave out `{service}` too.")),
            None => error.hint(format!("Give `{needed}` a member: --set KIND.members=1.")),
        })
    }

    /// The kind of a service that the file sets to 0.
    fn zeroed(&self, service: &str, profiles: &Profiles) -> Option<String> {
        let service = profiles.services.get(service)?;
        let own = self.own_members();
        service.containers.keys().find(|kind| own.get(*kind) == Some(&0)).cloned()
    }
}

/// What changes from the members that there are to those that are wanted.
pub fn member_changes(
    current: &BTreeMap<String, u32>,
    wanted: &BTreeMap<String, u32>,
) -> Vec<MemberChange> {
    let kinds: BTreeSet<&String> = current.keys().chain(wanted.keys()).collect();
    let count = |of: &BTreeMap<String, u32>, kind: &str| of.get(kind).copied().unwrap_or(0);
    kinds
        .into_iter()
        .map(|kind| MemberChange {
            kind: kind.clone(),
            from: count(current, kind),
            to: count(wanted, kind),
        })
        .filter(|change| change.from != change.to)
        .collect()
}

/// Refuses to change the number of members of a kind that forms a cluster: such a cluster is formed
/// once, by all of its members. `current` are the members that there are.
pub fn refuse_fixed(
    profiles: &Profiles,
    current: &BTreeMap<String, u32>,
    wanted: &BTreeMap<String, u32>,
) -> Result<()> {
    let changes = member_changes(current, wanted);
    let fixed: Vec<&MemberChange> = changes
        .iter()
        .filter(|change| change.from > 0)
        .filter(|change| profiles.kind(&change.kind).is_some_and(|(_, it)| it.cluster.is_some()))
        .collect();
    let Some(first) = fixed.first() else { return Ok(()) };
    let keep: Vec<String> = fixed
        .iter()
        .map(|change| format!("--set {}.members={}", change.kind, change.from))
        .collect();
    Err(Error::new(
        ErrorKind::Config,
        format!("change the members of `{}` from {} to {}", first.kind, first.from, first.to),
    )
    .because("they form one cluster, and the first run fixed how many they are")
    .hint(format!("Keep them: {}", keep.join(" ")))
    .hint("Or begin anew: aio destroy, then aio bootstrap with the members that you want.")
    .hint("Or build a second cloud beside this one: --name NAME."))
}
