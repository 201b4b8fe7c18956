//! In which order a cloud comes to another release. Pure.

use std::collections::BTreeSet;

use crate::config::release::{Behind, Release};
use crate::model::build::keep_layers;
use crate::model::cloud::Cloud;
use crate::model::topology::Container;

/// What comes along together: the kinds of one service, but for those that come last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub service: String,
    pub kinds: Vec<String>,
    /// Whether others of the service came before.
    pub last: bool,
}

/// The kinds whose software the cloud has otherwise than is wanted, service by service, each after those
/// that it needs. Those that `run` are made of other than what is recorded: a run that was cut off has
/// written down that their kind comes along.
pub fn stretches<'a>(
    former: &Cloud,
    wanted: &Cloud,
    run: impl IntoIterator<Item = &'a Container> + Clone,
) -> Vec<Stretch> {
    let has_python =
        |id: &String| wanted.layers.iter().any(|(it, spec)| it == id && spec.python.is_some());
    let begun = |kind: &str| {
        let mut members = run.clone().into_iter().filter(|member| member.kind == kind);
        members.any(|member| member.software().iter().any(has_python))
    };
    let differs = |kind: &str| {
        let before = former.members(kind).map(Container::software);
        let after = wanted.members(kind).map(Container::software);
        before.ne(after) || begun(kind)
    };
    let of = |last: bool| {
        wanted.services.iter().filter_map(move |service| {
            let kinds = service
                .containers
                .iter()
                .filter(|(kind, definition)| definition.upgraded_last == last && differs(kind));
            let mut kinds: Vec<String> = kinds.map(|(kind, _)| kind.clone()).collect();
            // What answers clients is of no use before what it asks.
            kinds.sort_by_key(|kind| wanted.is_balanced(kind));
            let service = service.service.clone();
            (!kinds.is_empty()).then_some(Stretch { service, kinds, last })
        })
    };
    of(false).chain(of(true)).collect()
}

/// The kinds that are still to come when the first `done` stretches are behind the cloud, and those that
/// are left where they are. What came along before is not behind again, whatever it is made of.
pub fn still_behind(
    former: &Cloud,
    to: &str,
    stretches: &[Stretch],
    done: usize,
    left: &BTreeSet<String>,
) -> BTreeSet<String> {
    let waiting = stretches.iter().skip(done).flat_map(|stretch| stretch.kinds.iter().cloned());
    let all = waiting.chain(left.iter().cloned());
    if former.release.release != to {
        return all.collect();
    }
    let behind = former.behind.as_ref().map(|behind| &behind.kinds);
    all.filter(|kind| behind.is_some_and(|behind| behind.contains(kind))).collect()
}

/// The release of what in a cloud is not of the release `to`.
pub fn present<'a>(former: &'a Cloud, to: &str) -> &'a Release {
    match &former.behind {
        Some(behind) if former.release.release == to => &behind.release,
        _ => &former.release,
    }
}

/// The cloud that is wanted, with these kinds as they were.
pub fn mixed(former: &Cloud, wanted: &Cloud, behind: BTreeSet<String>) -> Cloud {
    let mut cloud = wanted.clone();
    for container in &mut cloud.containers {
        let before = former.container(&container.name).filter(|it| behind.contains(&it.kind));
        let Some(before) = before else { continue };
        *container = before.clone();
        let probes = former.health.get(&before.name).cloned().unwrap_or_default();
        cloud.health.insert(before.name.clone(), probes);
    }
    for service in &mut cloud.services {
        for (kind, definition) in &mut service.containers {
            if behind.contains(kind)
                && let Some((_, before)) = former.kind(kind)
            {
                *definition = before.clone();
            }
        }
    }
    let ids: Vec<String> = former.layers.iter().map(|(id, _)| id.clone()).collect();
    keep_layers(&mut cloud.layers, former, &ids);
    let release = present(former, &wanted.release.release).clone();
    cloud.behind = (!behind.is_empty()).then_some(Behind { release, kinds: behind });
    cloud
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::Profiles;
    use crate::render::testing::builtin_cloud;

    #[test]
    fn services_come_after_those_that_they_need_and_hypervisors_last() {
        let profiles = Profiles::built_in().unwrap();
        let former = builtin_cloud(&profiles, &profiles.scenarios["default"]);
        let mut wanted = former.clone();
        let needed =
            |name: &str| ["galera", "keystone", "glance"].iter().position(|it| *it == name);
        wanted.services.sort_by_key(|it| needed(&it.service).unwrap_or(usize::MAX));
        let openstack = |kind: &str| {
            let (_, definition) = former.kind(kind).unwrap();
            definition.layers.contains(&"openstack".to_owned())
        };
        for container in &mut wanted.containers {
            if openstack(&container.kind) {
                container.layers = vec!["other".to_owned()];
            }
        }
        assert_eq!(stretches(&former, &former, []), []);
        let order = stretches(&former, &wanted, []);
        let place = |service: &str| order.iter().position(|it| it.service == service);
        assert_eq!(place("galera"), None);
        assert!(place("keystone") < place("glance") && place("glance") < place("nova"));
        let last = order.last().unwrap();
        assert_eq!((last.service.as_str(), last.last), ("nova", true));
        assert_eq!(last.kinds, ["nova_compute"]);
        let nova = place("nova").unwrap();
        assert_eq!(order[nova].kinds[0], "nova_conductor");
        assert!(!order[nova].kinds.contains(&"nova_compute".to_owned()));
        let left = BTreeSet::from(["x".to_owned()]);
        assert_eq!(still_behind(&former, "9999.9", &order, order.len(), &left), left);
        let behind = still_behind(&former, "9999.9", &order, nova, &left);
        assert!(behind.contains("nova_conductor") && !behind.contains("keystone"));
        // Keystone came along, and is to be made anew for another reason.
        let mut half_way = former.clone();
        half_way.behind = Some(Behind { release: former.release.clone(), kinds: behind.clone() });
        let again = still_behind(&half_way, &former.release.release, &order, 0, &BTreeSet::new());
        assert!(again.contains("nova_conductor") && !again.contains("keystone"));
    }
}
