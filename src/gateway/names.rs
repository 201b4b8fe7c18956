//! Between the user name of an SSH client and a container.

use crate::error::{Error, ErrorKind, Result};
use crate::model::topology::Container;
use crate::state::topology::Topology;

/// The container that a user name means: whatever `aio attach` takes, and `galera-2` or `galera.2`
/// for `galera/2`, since `/` means something else to `scp`.
///
/// # Errors
/// When it means none, or several.
pub fn select<'topology>(
    topology: &'topology Topology,
    user: &str,
) -> Result<&'topology Container> {
    match topology.select_one(user) {
        Err(error) if error.kind == ErrorKind::NotFound => {
            let member = with_member(user).and_then(|selector| topology.select_one(&selector).ok());
            member.ok_or(error)
        }
        Err(error) if error.kind == ErrorKind::Usage => Err(ambiguous(topology, user, error)),
        other => other,
    }
}

/// `galera/2` of `galera-2`, `galera.2` or `galera_2`.
fn with_member(user: &str) -> Option<String> {
    let (kind, member) = user.rsplit_once(['-', '.', '_'])?;
    let is_number = !member.is_empty() && member.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| format!("{kind}/{member}"))
}

/// Says the names that can be typed as a user.
fn ambiguous(topology: &Topology, user: &str, error: Error) -> Error {
    let found = topology.select_many(user).unwrap_or_default();
    let names: Vec<String> = found.iter().map(|it| user_name(topology, it)).collect();
    Error { hints: vec![format!("Log in as one of {}.", names.join(", "))], ..error }
}

/// The shortest user name that means this container alone.
pub fn user_name(topology: &Topology, container: &Container) -> String {
    let alone = topology.containers().iter().filter(|it| it.kind == container.kind).count() == 1;
    if alone { container.kind.clone() } else { format!("{}-{}", container.kind, container.member) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::topology::tests::container;

    fn topology() -> Topology {
        let labels = ["galera/1", "galera/2", "heat_engine/1"];
        Topology::new(labels.map(container).to_vec())
    }

    fn chosen(user: &str) -> String {
        select(&topology(), user).map_or_else(|error| error.to_string(), |it| it.name.clone())
    }

    #[test]
    fn members_can_be_typed_as_users() {
        for user in ["galera-2", "galera.2", "galera_2", "galera/2"] {
            assert_eq!(chosen(user), "test_galera_container-2");
        }
        for user in ["heat_engine", "heat-engine", "heat_engine-1", "test_heat_engine_container-1"]
        {
            assert_eq!(chosen(user), "test_heat_engine_container-1");
        }
    }

    #[test]
    fn an_ambiguous_or_unknown_one_is_told_what_there_is() {
        let error = select(&topology(), "galera").unwrap_err();
        assert_eq!(error.hints, ["Log in as one of galera-1, galera-2."]);
        let error = select(&topology(), "galera-3").unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(select(&topology(), "root").is_err());
        assert!(select(&topology(), "").is_err());
    }

    #[test]
    fn a_user_name_leads_back() {
        let topology = topology();
        for container in topology.containers() {
            let user = user_name(&topology, container);
            assert_eq!(select(&topology, &user).unwrap().name, container.name);
        }
    }
}
