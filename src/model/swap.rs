//! A unit that runs from a checkout instead of its package: what was asked, and what it became. A
//! pure value; the record of it is written before the first change and goes with the last undone one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::publication::{Access, Directory, Publication};

/// The directories of a publication, by their names in the container. Checkouts stand beside them under
/// the normalized names of their projects, none of which begins so.
mod name {
    pub const GENERATED: &str = "_python";
    pub const PROGRAMS: &str = "_programs";
    pub const BYTE_CODE: &str = "_bytecode";
    pub const PACKAGES: &str = "_packages";
}

/// One unit of one container that runs from a checkout.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Swap {
    /// Tells it from every other swap of the same unit.
    pub id: String,
    /// Those that one `aio dev` began together have the same.
    #[serde(default)]
    pub transaction: String,
    pub service: String,
    /// The container's full name.
    pub container: String,
    pub kind: String,
    pub member: u32,
    /// With its suffix: `heat-engine.service`.
    pub unit: String,
    /// The service's own checkout first, libraries after it.
    pub checkouts: Vec<Checkout>,
    /// Whether it outlives a restart of the container.
    pub keep: bool,
    /// When it began, in seconds since the epoch.
    pub began: u64,
    /// The process that undoes it when it ends; none for one that stays.
    pub holder: Option<Holder>,
    /// Full names of siblings that stand by.
    pub standby: Vec<String>,
    /// Python packages beside the packaged ones: their directory on the host.
    pub packages: Option<PathBuf>,
    /// Where byte code of the checkouts is kept, on the host.
    pub byte_code: PathBuf,
    /// Environment beside what every swap has: that of a debugger.
    pub environment: BTreeMap<String, String>,
    /// Whether its process runs in a terminal, and the unit only keeps its place.
    #[serde(default)]
    pub in_terminal: bool,
    /// What the unit starts, where its environment alone does not have it start the checkout's own.
    #[serde(default)]
    pub command: Option<String>,
    pub stage: Stage,
}

/// What is made of a swap's checkouts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// Files that Python reads before the checkouts, by their paths: metadata and the hook that starts a
    /// debugger.
    pub python: BTreeMap<String, Vec<u8>>,
    /// Programs that the service's own checkout declares, by their names.
    pub programs: BTreeMap<String, Vec<u8>>,
}

/// A checkout as it was when the swap began.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Checkout {
    pub path: PathBuf,
    /// The distribution's name, normalised: `openstack-heat`.
    pub project: String,
    pub version: String,
    /// Directories below the work tree from which Python imports: "" or `src`.
    pub import_roots: Vec<String>,
    /// User id of the work tree's owner.
    pub owner: u32,
    /// The branch at the time; none when detached.
    pub branch: Option<String>,
    /// The commit at the time; none before the first.
    pub commit: Option<String>,
}

/// A process, told from a later one with the same number.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Holder {
    pub pid: u32,
    /// When it started, in clock ticks since the host's boot.
    pub started: u64,
}

/// How far a swap came. Undoing tolerates whatever was not done.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing but the record was written.
    Recorded,
    /// The container may have been touched.
    Begun,
    /// The checkout serves.
    Serving,
}

impl Swap {
    /// `heat-engine`, for people.
    pub fn label(&self) -> &str {
        self.unit.trim_end_matches(".service")
    }

    /// `heat_engine/heat-engine`: what `aio dev` takes for this unit and for no other.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.kind, self.label())
    }

    /// The service's own checkout.
    pub fn own(&self) -> Option<&Checkout> {
        self.checkouts.first()
    }

    /// Returns where a directory of its publication appears in the container.
    fn path(&self, name: &str) -> String {
        path(&self.unit, name)
    }

    /// Returns where a checkout appears in the container.
    pub fn checkout_path(&self, checkout: &Checkout) -> String {
        project_path(&self.unit, &checkout.project)
    }

    /// The directory of the checkout's own programs, in the container.
    pub fn programs_path(&self) -> String {
        self.path(name::PROGRAMS)
    }

    /// The file, below its publication, that every process of the swap holds open.
    pub fn mark(&self) -> String {
        format!("{}/sitecustomize.py", name::GENERATED)
    }

    /// The same in the container.
    pub fn mark_path(&self) -> String {
        self.path(&self.mark())
    }

    /// The file, in the directory of byte code, in which the unit's processes write down which files of the
    /// checkouts they have loaded.
    pub fn loaded_file(&self) -> String {
        format!("loaded-{}", self.unit)
    }

    /// What Python searches before the packaged code.
    pub fn python_path(&self) -> String {
        let roots = self.checkouts.iter().flat_map(|checkout| {
            let base = self.checkout_path(checkout);
            checkout.import_roots.iter().map(move |root| match root.as_str() {
                "" => base.clone(),
                below => format!("{base}/{below}"),
            })
        });
        let packages = self.packages.iter().map(|_| self.path(name::PACKAGES));
        let all: Vec<String> =
            std::iter::once(self.path(name::GENERATED)).chain(roots).chain(packages).collect();
        all.join(":")
    }

    /// Returns the environment in which Python runs the checkout's code.
    pub fn python_environment(&self) -> BTreeMap<String, String> {
        let mut roots: Vec<String> =
            self.checkouts.iter().map(|it| format!("{}/", self.checkout_path(it))).collect();
        roots.extend(self.packages.iter().map(|_| format!("{}/", self.path(name::PACKAGES))));
        let own = [
            ("PYTHONPATH", self.python_path()),
            ("AIO_DEV_ROOTS", roots.join(":")),
            ("AIO_DEV_PYC", self.path(name::BYTE_CODE)),
            ("AIO_DEV_LOADED", format!("{}/{}", self.path(name::BYTE_CODE), self.loaded_file())),
        ];
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What the unit's process finds in its environment.
    pub fn process_environment(&self) -> BTreeMap<String, String> {
        let mut all = self.python_environment();
        all.extend(self.environment.clone());
        all
    }

    /// What makes the unit run from the checkout: the packaged unit keeps its name, user, arguments
    /// and configuration; its environment differs, and how long a stop may take.
    pub fn publication(&self, reader: u32, generated: Generated) -> Publication {
        let read = |source: &PathBuf, owner| Directory {
            source: source.clone(),
            access: Access::Read { owner, reader },
        };
        let mut directories: BTreeMap<String, Directory> = self
            .checkouts
            .iter()
            .map(|it| (it.project.clone(), read(&it.path, it.owner)))
            .collect();
        directories.extend(
            self.packages.iter().map(|packages| (name::PACKAGES.to_owned(), read(packages, 0))),
        );
        let byte_code = Directory { source: self.byte_code.clone(), access: Access::Write };
        directories.insert(name::BYTE_CODE.to_owned(), byte_code);
        let mut drop_in = format!("# Made by `aio dev`: {} runs from a checkout.\n", self.label());
        // Whoever saves a file does not wait for a request that hangs: 10 s were seen.
        drop_in.push_str("[Service]\nTimeoutStopSec=2\n");
        if self.in_terminal {
            // Nobody else starts the unit meanwhile, and everybody sees for what it stands.
            let mark = self.mark_path();
            drop_in.push_str("Type=exec\nExecStartPre=\nExecStart=\n");
            drop_in.push_str(&format!("ExecStart=/bin/sh -c 'exec sleep infinity 3<{mark}'\n"));
        } else if let Some(command) = &self.command {
            drop_in.push_str(&format!("ExecStart=\nExecStart={command}\n"));
        }
        for (name, value) in self.process_environment() {
            drop_in.push_str(&format!("Environment={}\n", quoted(&name, &value)));
        }
        Publication {
            unit: self.unit.clone(),
            drop_in,
            directories,
            files: below(name::GENERATED, generated.python),
            programs: below(name::PROGRAMS, generated.programs),
        }
    }
}

/// Where a directory of the publication for a unit appears in its container.
fn path(unit: &str, name: &str) -> String {
    format!("{}/{name}", Publication::path_in_container(unit))
}

/// Where the checkout of a project appears in the container of a unit.
pub fn project_path(unit: &str, project: &str) -> String {
    path(unit, project)
}

/// Where a program that a checkout declares appears in the container of a unit.
pub fn program_path(unit: &str, program: &str) -> String {
    format!("{}/{program}", path(unit, name::PROGRAMS))
}

fn below(directory: &str, files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    files.into_iter().map(|(path, content)| (format!("{directory}/{path}"), content)).collect()
}

/// As `systemd.syntax(7)` has it: quoted, and no specifier.
fn quoted(name: &str, value: &str) -> String {
    let text = format!("{name}={value}");
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{text}\"")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::commands::dev::source::project::normalize;

    pub(crate) fn swap() -> Swap {
        Swap {
            id: "0a1b2c3d".to_owned(),
            transaction: "d3c2b1a0".to_owned(),
            service: "heat".to_owned(),
            container: "aio1_heat_engine_container-1".to_owned(),
            kind: "heat_engine".to_owned(),
            member: 1,
            unit: "heat-engine.service".to_owned(),
            checkouts: vec![
                Checkout {
                    path: "/home/me/heat".into(),
                    project: "openstack-heat".to_owned(),
                    version: "24.0.0".to_owned(),
                    import_roots: vec![String::new()],
                    owner: 1000,
                    branch: Some("fix".to_owned()),
                    commit: Some("f".repeat(40)),
                },
                Checkout {
                    path: "/home/me/lib".into(),
                    project: "a-lib".to_owned(),
                    version: "1".to_owned(),
                    import_roots: vec!["src".to_owned()],
                    owner: 1000,
                    branch: None,
                    commit: None,
                },
            ],
            keep: false,
            began: 7,
            holder: None,
            standby: Vec::new(),
            packages: Some("/s/private/dev/packages/x".into()),
            byte_code: "/s/private/dev/bytecode/x".into(),
            environment: BTreeMap::from([("A".to_owned(), "100 % \"b\"".to_owned())]),
            in_terminal: false,
            command: None,
            stage: Stage::Recorded,
        }
    }

    #[test]
    fn the_checkout_comes_before_libraries_and_these_before_what_was_installed() {
        let base = "/dev/.aio/heat-engine.service";
        assert_eq!(
            swap().python_path(),
            format!("{base}/_python:{base}/openstack-heat:{base}/a-lib/src:{base}/_packages")
        );
    }

    #[test]
    fn the_drop_in_leaves_the_command_alone() {
        let publication = swap().publication(113, Generated::default());
        let lines: Vec<&str> = publication.drop_in.lines().collect();
        assert!(lines.contains(&"Environment=\"A=100 %% \\\"b\\\"\""), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("Environment=\"PYTHONPATH=/dev/.aio/")));
        assert!(!publication.drop_in.contains("ExecStart"));
        let own = &publication.directories["openstack-heat"];
        assert_eq!(own.access, Access::Read { owner: 1000, reader: 113 });
        let packages = &publication.directories["_packages"];
        assert_eq!(packages.access, Access::Read { owner: 0, reader: 113 });
    }

    #[test]
    fn no_checkout_takes_the_place_of_what_is_generated() {
        for name in [name::GENERATED, name::PROGRAMS, name::BYTE_CODE, name::PACKAGES] {
            assert_ne!(normalize(name), name);
        }
    }

    #[test]
    fn a_command_takes_the_place_of_the_packages() {
        let swap = Swap { command: Some("/dev/.aio/x --y".to_owned()), ..swap() };
        let program = BTreeMap::from([("heat-engine".to_owned(), b"#!".to_vec())]);
        let generated = Generated { programs: program, ..Generated::default() };
        let publication = swap.publication(113, generated);
        assert!(publication.drop_in.contains("\nExecStart=\nExecStart=/dev/.aio/x --y\n"));
        assert!(publication.programs.contains_key("_programs/heat-engine"));
        let path = "/dev/.aio/heat-engine.service/_programs/heat-engine";
        assert_eq!(program_path(&swap.unit, "heat-engine"), path);
        assert_eq!(format!("{}/heat-engine", swap.programs_path()), path);
    }

    #[test]
    fn a_unit_whose_process_is_in_a_terminal_keeps_its_place() {
        let command = Some("/dev/.aio/x".to_owned());
        let swap = Swap { in_terminal: true, command, ..swap() };
        let publication = swap.publication(113, Generated::default());
        let held = "3</dev/.aio/heat-engine.service/_python/sitecustomize.py'";
        assert!(publication.drop_in.contains(held), "{}", publication.drop_in);
        assert_eq!(publication.drop_in.matches("ExecStart=").count(), 2);
    }
}
