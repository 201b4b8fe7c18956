//! Which unit of which container a user means.

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
    let Some((dev, unit_dev)) =
        service.dev.as_ref().and_then(|dev| Some((dev, dev.units.get(unit)?)))
    else {
        return Err(unknown(cloud, name, &known));
    };
    let members: Vec<&Container> = cloud.members(kind).collect();
    let wanted = member.unwrap_or(1);
    let container = members.iter().find(|it| it.member == wanted).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("find member {wanted} of {kind}"))
            .because(format!("{kind} has {} members", members.len()))
    })?;
    Ok(Target {
        container: (*container).clone(),
        service: (*service).clone(),
        dev: dev.clone(),
        unit: (*unit).to_owned(),
        unit_dev: unit_dev.clone(),
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
}
