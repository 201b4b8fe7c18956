//! Which units of which containers a user means.

use std::collections::BTreeSet;

use crate::config::nearest::{fold, suggestion};
use crate::config::profile::{ServiceDev, ServiceProfile, UnitDev};
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;
use crate::model::topology::Container;

/// A unit that can run from a checkout.
#[derive(Clone, Debug)]
pub struct Target {
    pub container: Container,
    pub service: ServiceProfile,
    /// How checkouts run as the service.
    pub dev: ServiceDev,
    /// The unit, with its suffix.
    pub unit: String,
    /// How this unit runs under a developer's hands.
    pub unit_dev: UnitDev,
}

impl Target {
    /// `heat-engine`.
    pub fn label(&self) -> &str {
        label(&self.unit)
    }

    /// See [`place`].
    pub fn place(&self, cloud: &Cloud) -> [Option<usize>; 3] {
        place(cloud, &self.service.service, &self.unit, &self.container.name)
    }

    /// Whether it is that unit in a container of that kind.
    pub fn is_of_kind(&self, kind: &str, unit: &str) -> bool {
        self.container.kind == kind && self.unit == unit
    }

    /// Whether another unit is of the same service.
    pub fn is_of_service(&self, other: &Self) -> bool {
        self.service.service == other.service.service
    }

    /// Whether it is that unit in that container.
    pub fn is_unit_in(&self, unit: &str, container: &Container) -> bool {
        self.unit == unit && self.container.name == container.name
    }
}

/// A unit without the suffix that goes without saying.
pub fn label(unit: &str) -> &str {
    unit.strip_suffix(".service").unwrap_or(unit)
}

/// Finds the unit that is called `name`: by its name with or without suffix, after its container kind
/// and a `/` where several kinds run it, or by the kind alone that runs nothing else.
///
/// # Errors
/// When there is none, when several kinds run it, or when the member is not there.
pub fn find(cloud: &Cloud, name: &str, member: Option<u32>) -> Result<Target> {
    let known = units(cloud);
    let matching: Vec<&(&str, &ServiceProfile, &str)> =
        known.iter().filter(|(kind, _, unit)| means(name, kind, unit, &known)).collect();
    let (kind, service, unit) = match matching[..] {
        [] => return Err(unknown(cloud, name, &known)),
        [one] => *one,
        _ => return Err(ambiguous(name, &matching)),
    };
    let members: Vec<&Container> = cloud.members(kind).collect();
    let wanted = member.unwrap_or(1);
    let container = members.iter().find(|it| it.member == wanted).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("find member {wanted} of {kind}"))
            .because(format!("{kind} has {} members", members.len()))
    })?;
    target(service, unit, container).ok_or_else(|| unknown(cloud, name, &known))
}

/// Finds what is called `name`: one unit, as [`find`] does, or all units of a service, in all their
/// containers and in the order in which they start.
///
/// # Errors
/// As [`find`]; a member of a service is none of a kind.
pub fn named(cloud: &Cloud, name: &str, member: Option<u32>) -> Result<Vec<Target>> {
    let all = of_service(cloud, &fold(name));
    match find(cloud, name, member) {
        Err(error) if error.kind == ErrorKind::NotFound && !all.is_empty() => {}
        found => return found.map(|target| vec![target]),
    }
    match member {
        None => Ok(all),
        Some(member) => {
            Err(Error::new(ErrorKind::Usage, format!("find member {member} of {name}"))
                .because(format!("{name} is a service of several units"))
                .hint("Name the unit, too."))
        }
    }
}

/// All units of a service that the cloud has, in all their containers and in the order in which they
/// start.
pub fn of_service(cloud: &Cloud, service: &str) -> Vec<Target> {
    let mut targets = all(cloud);
    targets.retain(|target| target.service.service == service);
    targets
}

/// All units that can be swapped, in the order in which they start.
pub fn all(cloud: &Cloud) -> Vec<Target> {
    let mut targets: Vec<Target> = units(cloud)
        .into_iter()
        .flat_map(|(kind, service, unit)| {
            cloud.members(kind).filter_map(move |container| target(service, unit, container))
        })
        .collect();
    targets.sort_by_key(|it| it.place(cloud));
    targets
}

/// Those that are called so: services and units.
///
/// # Errors
/// As [`find`].
pub fn among(cloud: &Cloud, names: &[String]) -> Result<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::new();
    for name in names {
        let mut found = of_service(cloud, &fold(name));
        if found.is_empty() {
            found.push(find(cloud, name, None)?);
        }
        found.retain(|it| targets.iter().all(|other| !other.is_unit_in(&it.unit, &it.container)));
        targets.extend(found);
    }
    Ok(targets)
}

/// Tells which of two units starts first: that of the service that others need, of one service as its
/// profile has them, of several members the first.
pub fn place(cloud: &Cloud, service: &str, unit: &str, container: &str) -> [Option<usize>; 3] {
    let services = &cloud.services;
    let profile = services.iter().find(|it| it.service == service);
    [
        services.iter().position(|it| it.service == service),
        profile.and_then(|profile| profile.dev.as_ref()?.units.get_index_of(unit)),
        cloud.containers.iter().position(|it| it.name == container),
    ]
}

fn target(service: &ServiceProfile, unit: &str, container: &Container) -> Option<Target> {
    let dev = service.dev.as_ref()?;
    Some(Target {
        container: container.clone(),
        service: service.clone(),
        dev: dev.clone(),
        unit: unit.to_owned(),
        unit_dev: dev.units.get(unit)?.clone(),
    })
}

/// Every unit of the cloud that a profile declares for `aio dev`: kind, service, unit. A service's
/// unit may stand in a container of another service.
fn units(cloud: &Cloud) -> Vec<(&str, &ServiceProfile, &str)> {
    let kinds = cloud.services.iter().flat_map(|service| &service.containers);
    let deployed = kinds.filter(|(kind, _)| cloud.members(kind).next().is_some());
    deployed
        .flat_map(|(kind, definition)| {
            definition.units.iter().filter_map(move |unit| {
                let service = cloud.services.iter().find(|service| {
                    service.dev.as_ref().is_some_and(|dev| dev.units.contains_key(&unit.name))
                })?;
                Some((kind.as_str(), service, unit.name.as_str()))
            })
        })
        .collect()
}

fn means(name: &str, kind: &str, unit: &str, known: &[(&str, &ServiceProfile, &str)]) -> bool {
    let name = fold(label(name));
    let (kind, unit) = (fold(kind), fold(label(unit)));
    let alone = known.iter().filter(|(other, ..)| fold(other) == kind).count() == 1;
    name == unit || name == format!("{kind}/{unit}") || (alone && name == kind)
}

fn ambiguous(name: &str, matching: &[&(&str, &ServiceProfile, &str)]) -> Error {
    let names: Vec<String> =
        matching.iter().map(|(kind, _, unit)| format!("{kind}/{}", label(unit))).collect();
    Error::new(ErrorKind::Usage, format!("find the unit `{name}`"))
        .because(format!("containers of {} kinds run it", names.len()))
        .hint(format!("Say which: {}.", names.join(" or ")))
}

fn unknown(cloud: &Cloud, name: &str, known: &[(&str, &ServiceProfile, &str)]) -> Error {
    let error =
        Error::new(ErrorKind::NotFound, format!("find a unit `{name}` that can be swapped"));
    let all = || cloud.services.iter().flat_map(|service| service.containers.values());
    let mut units = all().flat_map(|kind| &kind.units);
    if units.any(|unit| label(&unit.name) == label(name)) {
        let known: BTreeSet<&str> = known.iter().map(|(.., unit)| label(unit)).collect();
        let known: Vec<&str> = known.into_iter().collect();
        return error
            .because("its profile does not say how a checkout runs as it")
            .hint(format!("These can be: {}.", known.join(", ")));
    }
    let error = error.because("this cloud has none of that name");
    match suggestion(name, known.iter().map(|(.., unit)| label(unit))) {
        Some(hint) => error.hint(hint),
        None => error.hint("`aio dev --help` says how units are named."),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::load::Profiles;
    use crate::render::testing::builtin_cloud;

    #[test]
    fn a_unit_of_several_kinds_is_named_with_its_kind() {
        let profiles = Profiles::load(Path::new("/nonexistent")).unwrap();
        let cloud = builtin_cloud(&profiles, &profiles.scenarios["default"]);
        let kind = |name: &str| find(&cloud, name, None).map(|target| target.container.kind);
        let error = kind("neutron-ovn-metadata-agent").unwrap_err();
        let both =
            "neutron_agents/neutron-ovn-metadata-agent or nova_compute/neutron-ovn-metadata-agent";
        assert!(error.hints[0].contains(both), "{error:?}");
        assert_eq!(kind("nova_compute/neutron-ovn-metadata-agent").unwrap(), "nova_compute");
        assert_eq!(kind("nova-compute").unwrap(), "nova_compute");
        assert_eq!(kind("heat_engine").unwrap(), "heat_engine");
        assert!(kind("glance/nova-compute").is_err());
    }

    #[test]
    fn a_service_stands_for_its_units_in_the_order_in_which_they_start() {
        let profiles = Profiles::load(Path::new("/nonexistent")).unwrap();
        let cloud = builtin_cloud(&profiles, &profiles.scenarios["default"]);
        let named = |name: &str, member| -> Result<Vec<String>> {
            let targets = named(&cloud, name, member)?;
            Ok(targets.iter().map(|it| it.label().to_owned()).collect())
        };
        let nova = [
            "nova-conductor",
            "nova-scheduler",
            "nova-api",
            "nova-api-metadata",
            "nova-novncproxy",
            "nova-compute",
        ];
        assert_eq!(named("nova", None).unwrap(), nova);
        assert_eq!(named("nova-compute", None).unwrap(), ["nova-compute"]);
        // A unit and its service are called the same.
        assert_eq!(named("keystone", None).unwrap(), ["keystone"]);
        assert_eq!(named("nova", Some(2)).unwrap_err().kind, ErrorKind::Usage);
        assert_eq!(named("mariadb", None).unwrap_err().kind, ErrorKind::NotFound);
    }
}
