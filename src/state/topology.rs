//! Names and addresses of a cloud's containers as a file, for commands that must be quick, and what
//! a user may call a container.
//!
//! | selector | means |
//! |---|---|
//! | `aio1_galera_container-36e270c9` | that container |
//! | `galera` | every member of the kind; `heat-engine` and `heat_engine` are the same |
//! | `galera/2` | that member |
//! | `36e270c9` | the container whose name ends so |

use crate::config::nearest::suggestion;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::topology::Container;

use super::files::write_atomic;
use crate::model::paths::Paths;

/// The containers of one cloud.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    containers: Vec<Container>,
}

impl Topology {
    /// From the containers, in the order in which they are listed to people.
    pub fn new(containers: Vec<Container>) -> Self {
        Self { containers }
    }

    /// All of them.
    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// Reads what the last run that defined containers wrote.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such cloud.
    pub fn load(paths: &Paths) -> Result<Self> {
        let file = paths.topology_file();
        let doing = || format!("read {}", file.display());
        let text = std::fs::read(&file).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::new(ErrorKind::NotFound, format!("find the cloud `{}`", paths.cloud))
                    .because(format!("nothing is recorded under {}", paths.state_dir.display()))
                    .hint("Build it with `aio bootstrap`, or name another with `--name`.")
            }
            std::io::ErrorKind::PermissionDenied => Error::new(ErrorKind::Refused, doing())
                .because(&error)
                .hint("Run it as root: `sudo aio …`."),
            _ => Error::failed(doing()).because(&error),
        })?;
        serde_json::from_slice(&text).doing(doing).map(Self::new)
    }

    /// Writes it for later commands.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, paths: &Paths) -> Result<()> {
        let text = serde_json::to_vec(&self.containers)
            .doing(|| "write down the containers".to_owned())?;
        write_atomic(&paths.topology_file(), 0o600, &text)
    }

    /// Every container that `selector` means; at least one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it means none.
    pub fn select_many(&self, selector: &str) -> Result<Vec<&Container>> {
        let wanted = fold(selector);
        let found: Vec<&Container> =
            self.containers.iter().filter(|container| means(&wanted, container)).collect();
        if found.is_empty() { Err(self.unknown(selector)) } else { Ok(found) }
    }

    /// The one container that `selector` means.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it means none, [`ErrorKind::Usage`] when it means several.
    pub fn select_one(&self, selector: &str) -> Result<&Container> {
        let found = self.select_many(selector)?;
        match found.as_slice() {
            [only] => Ok(only),
            several => Err(ambiguous(selector, several)),
        }
    }

    fn unknown(&self, selector: &str) -> Error {
        // Of a kind that is there, only the member is wrong.
        let kind = selector.split_once('/').map(|(kind, _)| fold(kind));
        let members: Vec<String> = self
            .containers
            .iter()
            .filter(|container| kind.as_ref() == Some(&container.kind))
            .map(Container::label)
            .collect();
        let error = Error::new(ErrorKind::NotFound, format!("find a container `{selector}`"))
            .because("this cloud has none that is called so");
        if !members.is_empty() {
            return error.hint(format!("There is {}.", members.join(", ")));
        }
        let names = self.containers.iter().flat_map(|it| [it.kind.as_str(), it.name.as_str()]);
        match suggestion(selector, names) {
            Some(hint) => error.hint(capitalised(&hint)),
            None => error.hint("`aio ls` shows all."),
        }
    }
}

/// People write `-` and `_` as it comes.
fn fold(name: &str) -> String {
    name.replace('-', "_")
}

fn means(wanted: &str, container: &Container) -> bool {
    let name = fold(&container.name);
    let is_suffix = |suffix: &str| suffix.len() == 8 && name.ends_with(&format!("_{suffix}"));
    let kind = fold(&container.kind);
    wanted == name
        || wanted == kind
        || wanted == format!("{kind}/{}", container.member)
        || is_suffix(wanted)
}

fn ambiguous(selector: &str, found: &[&Container]) -> Error {
    let meanings =
        found.iter().map(|container| format!("`{}` ({})", container.label(), container.name));
    let meanings: Vec<String> = meanings.collect();
    Error::new(ErrorKind::Usage, format!("choose one container by `{selector}`"))
        .because(format!("it could mean {}", meanings.join(", ")))
        .hint(format!("Say which: `{}`.", found[0].label()))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        let first: String = first.to_uppercase().collect();
        format!("{first}{}", letters.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::topology::tests::container;

    fn named(label: &str, suffix: &str) -> Container {
        let plain = container(label);
        Container { name: format!("aio1_{}_container-{suffix}", plain.kind), ..plain }
    }

    fn topology() -> Topology {
        Topology::new(vec![
            named("galera/1", "36e270c9"),
            named("galera/2", "00c0ffee"),
            named("heat_engine/1", "deadbeef"),
        ])
    }

    fn one(selector: &str) -> String {
        topology().select_one(selector).map_or_else(|error| error.to_string(), Container::label)
    }

    #[test]
    fn every_way_of_naming_one() {
        assert_eq!(one("aio1_galera_container-00c0ffee"), "galera/2");
        assert_eq!(one("aio1-galera-container-00c0ffee"), "galera/2");
        assert_eq!(one("heat_engine"), "heat_engine/1");
        assert_eq!(one("heat-engine"), "heat_engine/1");
        assert_eq!(one("heat-engine/1"), "heat_engine/1");
        assert_eq!(one("36e270c9"), "galera/1");
    }

    #[test]
    fn a_kind_means_all_its_members() {
        assert_eq!(topology().select_many("galera").unwrap().len(), 2);
    }

    #[test]
    fn several_are_listed_when_one_is_wanted() {
        let error = topology().select_one("galera").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert!(error.to_string().contains("`galera/1` (aio1_galera_container-36e270c9)"));
        assert!(error.to_string().contains("`galera/2`"));
    }

    #[test]
    fn unknown_names_get_the_nearest() {
        let error = topology().select_one("galeras").unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(error.hints, ["Did you mean `galera`?"]);
        let error = topology().select_many("galera/3").unwrap_err();
        assert_eq!(error.hints, ["There is galera/1, galera/2."]);
        // Half a suffix, or the end of another word, is no name.
        assert!(topology().select_one("c0ffee").is_err());
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths {
            config_dir: directory.path().join("etc"),
            state_dir: directory.path().join("state"),
            cloud: "aio1".to_owned(),
        };
        assert_eq!(Topology::load(&paths).unwrap_err().kind, ErrorKind::NotFound);
        topology().save(&paths).unwrap();
        assert_eq!(Topology::load(&paths).unwrap().containers(), topology().containers());
    }
}
