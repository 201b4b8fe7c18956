//! Services, and single kinds of container, that `--with` and `--without` put on top of a scenario.
//!
//! They become lines of `members`, so that the next run, which is not told again, keeps them.

use std::collections::{BTreeMap, BTreeSet};

use super::CloudOptions;
use super::file::CloudFile;
use super::options::unknown;
use crate::config::load::Profiles;
use crate::config::profile::ServiceProfile;
use crate::config::scenario::Scenario;
use crate::error::{Error, ErrorKind, Result};

impl CloudFile {
    /// Makes the services that the options name part of the cloud, or leaves them out: those that a
    /// service needs come with it, and those that need it go with it. A kind comes with its service
    /// and goes alone.
    pub fn change_services(
        &mut self,
        options: &CloudOptions,
        scenario: &Scenario,
        profiles: &Profiles,
    ) -> Result<()> {
        let mut left_out = BTreeSet::new();
        for name in &options.without {
            let option = format!("--without {name}");
            match find(profiles, name, &option)? {
                Named::Kind(_, kind) => self.leave_out_kind(kind, scenario, &option)?,
                Named::Service(service) => {
                    for other in closure(service, |one| dependents(profiles, one)) {
                        left_out.insert(other.service.as_str());
                        self.leave_out(other, scenario, &because(&option, name, other))?;
                    }
                }
            }
        }
        for name in &options.with {
            let option = format!("--with {name}");
            let named = find(profiles, name, &option)?;
            let (Named::Service(service) | Named::Kind(service, _)) = named;
            for other in closure(service, |one| needed(profiles, one)) {
                if left_out.contains(other.service.as_str()) {
                    return Err(contradiction(&option, options, other, profiles));
                }
                let asked_for =
                    matches!(named, Named::Service(_)) && other.service == service.service;
                if asked_for || !self.has_service(other, scenario) {
                    self.take_in(other, scenario, &because(&option, name, other))?;
                }
            }
            if let Named::Kind(_, kind) = named
                && self.count(kind, scenario) == 0
            {
                self.put_child("members", kind, "1", &option)?;
            }
        }
        Ok(())
    }

    /// The members of that scenario's cloud with the services that the options name; the scenario's
    /// own where they contradict it.
    pub fn members_with(
        &self,
        options: &CloudOptions,
        scenario: &Scenario,
        profiles: &Profiles,
    ) -> BTreeMap<String, u32> {
        let mut file = self.clone();
        let changed = file.change_services(options, scenario, profiles);
        let members = changed.and_then(|()| file.members(scenario, profiles));
        members.unwrap_or_else(|_| scenario.members.clone().into_iter().collect())
    }

    fn count(&self, kind: &str, scenario: &Scenario) -> u32 {
        let own = self.own_members().get(kind).copied();
        own.or_else(|| scenario.members.get(kind).copied()).unwrap_or(0)
    }

    fn has_service(&self, service: &ServiceProfile, scenario: &Scenario) -> bool {
        service.containers.keys().any(|kind| self.count(kind, scenario) > 0)
    }

    /// Gives every kind of the service that has no member as many as the scenario has, or the
    /// profile says.
    fn take_in(&mut self, service: &ServiceProfile, scenario: &Scenario, why: &str) -> Result<()> {
        for (kind, definition) in &service.containers {
            if self.count(kind, scenario) == 0 {
                let usual = scenario.members.get(kind).copied().filter(|members| *members > 0);
                let members = usual.unwrap_or(definition.members);
                if members > 0 {
                    self.put_child("members", kind, &members.to_string(), why)?;
                }
            }
        }
        Ok(())
    }

    fn leave_out(
        &mut self,
        service: &ServiceProfile,
        scenario: &Scenario,
        why: &str,
    ) -> Result<()> {
        service.containers.keys().try_for_each(|kind| self.leave_out_kind(kind, scenario, why))
    }

    fn leave_out_kind(&mut self, kind: &str, scenario: &Scenario, why: &str) -> Result<()> {
        if self.count(kind, scenario) == 0 {
            return Ok(());
        }
        self.put_child("members", kind, "0", why)
    }
}

/// What an option names.
enum Named<'a> {
    Service(&'a ServiceProfile),
    /// One kind of container of that service.
    Kind(&'a ServiceProfile, &'a str),
}

/// `--with trove`, or for a service that comes along: `--with trove, which needs it`.
fn because(option: &str, named: &str, service: &ServiceProfile) -> String {
    let needs = if option.starts_with("--without") { "which it needs" } else { "which needs it" };
    if service.service == named { option.to_owned() } else { format!("{option}, {needs}") }
}

fn find<'a>(profiles: &'a Profiles, name: &str, option: &str) -> Result<Named<'a>> {
    if let Some(service) = profiles.services.get(name) {
        return Ok(Named::Service(service));
    }
    let mut kinds = profiles.kinds();
    if let Some((kind, service, _)) = kinds.find(|(kind, ..)| *kind == name) {
        return Ok(Named::Kind(service, kind));
    }
    let services = profiles.services.keys().map(String::as_str);
    let known = services.chain(profiles.kinds().map(|(kind, ..)| kind));
    Err(unknown(option, "service or container kind", name, known))
}

fn needed<'a>(profiles: &'a Profiles, service: &ServiceProfile) -> Vec<&'a ServiceProfile> {
    service.needs.iter().filter_map(|name| profiles.services.get(name)).collect()
}

fn dependents<'a>(profiles: &'a Profiles, service: &ServiceProfile) -> Vec<&'a ServiceProfile> {
    profiles.services.values().filter(|other| other.needs.contains(&service.service)).collect()
}

/// A service and all that `next` leads to from it, near or far, itself first.
fn closure<'a>(
    service: &'a ServiceProfile,
    next: impl Fn(&ServiceProfile) -> Vec<&'a ServiceProfile>,
) -> Vec<&'a ServiceProfile> {
    let mut all = vec![service];
    let mut place = 0;
    while let Some(one) = all.get(place).copied() {
        for other in next(one) {
            if !all.iter().any(|known| known.service == other.service) {
                all.push(other);
            }
        }
        place += 1;
    }
    all
}

/// `--with` needs what `--without` leaves out.
fn contradiction(
    option: &str,
    options: &CloudOptions,
    service: &ServiceProfile,
    profiles: &Profiles,
) -> Error {
    let culprit = options.without.iter().find(|name| {
        profiles.services.get(*name).is_some_and(|left_out| {
            closure(left_out, |one| dependents(profiles, one))
                .iter()
                .any(|other| other.service == service.service)
        })
    });
    let without = culprit.map(|name| format!("--without {name}")).unwrap_or_default();
    Error::new(ErrorKind::Usage, format!("`{option}` and `{without}` exclude each other"))
        .because(format!("the one needs service `{}`, the other leaves it out", service.service))
        .hint("Give one of the two.")
}
