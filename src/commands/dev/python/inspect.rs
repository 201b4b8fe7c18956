//! One look at the packaged Python of a container, by `bootstrap/dev/inspect.py`: what is installed,
//! what a checkout needs beyond it, whether its changed files compile, which migrations it brings.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::python::Platform;
use crate::model::requirement::{Conditional, Requirement, is_name};

/// The longest report. That of a container with all of OpenStack has 0.1 MiB.
const LONGEST_REPORT: usize = 8 << 20;
/// The longest platform tag, machine or revision.
const LONGEST_TAG: usize = 100;
/// How much of a text is shown.
const LONGEST_SHOWN: usize = 400;

const SCRIPT: &str = include_str!("../../../../bootstrap/dev/inspect.py");

/// The command that takes [`Request::script`] on its standard input. `-I`: neither the environment
/// nor the working directory has a say.
pub const COMMAND: [&str; 3] = ["python3", "-I", "-"];

/// How a container is looked at; a fake in tests.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// Runs [`COMMAND`] with [`Request::script`] in the container and reads what it printed with
    /// [`Inspection::parse`].
    async fn inspect(&self, request: &Request) -> Result<Inspection>;
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Request {
    /// The checkouts that run together. Each counts as installed for the others.
    pub projects: Vec<Project>,
    /// Distributions that may use the checkouts.
    pub users: Vec<String>,
    /// Requirements besides those of the projects.
    pub wanted: Vec<Requirement>,
    /// Names that the packages provide in a form that Python does not see as a distribution.
    pub met_by_packages: Vec<String>,
    /// METADATA of the distributions that go in front of the packaged ones.
    pub delta: Vec<String>,
    /// Python files by path, to be compiled (nothing of them runs).
    pub sources: BTreeMap<String, String>,
    pub migrations: Migrations,
}

/// What a checkout says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Project {
    pub name: String,
    /// Its version; without one, it satisfies every requirement.
    pub version: Option<String>,
    /// Requirements, markers included.
    pub requirements: Vec<Conditional>,
    /// Its optional requirements, by extra.
    pub extras: BTreeMap<String, Vec<Conditional>>,
    pub wanted_extras: Vec<String>,
    /// The Python versions that it supports, as in its metadata.
    pub requires_python: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Migrations {
    /// Directories of revisions, relative to the directory from which packages are imported, which
    /// is also what `files` are relative to.
    pub directories: Vec<String>,
    /// The checkout's files below them.
    pub files: BTreeMap<String, String>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// `3.13.5`.
    pub python: String,
    /// `x86_64`.
    pub machine: String,
    /// `glibc 2.41`.
    pub libc: String,
    /// Platform tags of the wheels that run there, best first.
    pub platforms: Vec<String>,
    /// Packaged distributions: normalised name and version.
    pub installed: BTreeMap<String, String>,
    /// The checkouts that the request's users need, by whatever way.
    pub used: Vec<String>,
    /// Requirements that nothing meets, in the order in which they were found.
    pub missing: Vec<Unmet>,
    /// Requirements that a checkout should meet, and does not with its version.
    pub unsatisfied_by_checkouts: Vec<Unmet>,
    /// Requirements that could not be understood.
    pub unreadable_requirements: Vec<Unreadable>,
    /// Projects that do not support this Python.
    pub unsupported_python: Vec<Unsupported>,
    /// Files that do not compile.
    pub syntax_errors: Vec<Problem>,
    /// One for each directory of the request.
    pub migrations: Vec<Migration>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    /// `oslo.service[threading]>=4.2.2`, its marker left out.
    pub requirement: Requirement,
    /// The project or distribution that says so.
    pub required_by: String,
    /// The version that is there.
    pub found: Option<String>,
}

/// A requirement that is not written as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    pub text: String,
    /// The project or distribution that says so.
    pub required_by: String,
    pub reason: String,
}

/// A project that does not support the container's Python.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    pub project: String,
    pub requires_python: String,
}

/// Something wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub path: String,
    /// Where in it, from 1.
    pub line: Option<u32>,
    pub text: String,
    pub reason: String,
}

/// The migrations of one directory. Where packages and checkout agree, `added` and `removed` are
/// empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    pub directory: String,
    /// The packaged code's last revisions, one for each branch.
    pub packaged_heads: Vec<String>,
    /// The checkout's.
    pub checkout_heads: Vec<String>,
    /// Those of the checkout that the packages do not have, each after those it builds upon.
    pub added: Vec<Revision>,
    /// Those of the packages that the checkout does not have.
    pub removed: Vec<Revision>,
    /// Files of either that could not be read.
    pub unreadable: Vec<Problem>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    pub revision: String,
    /// The ids upon which it builds.
    pub down: Vec<String>,
    pub path: String,
}

impl Request {
    /// What [`COMMAND`] gets on its standard input.
    ///
    /// # Errors
    /// Never in practice: plain maps and strings can always be written as JSON.
    pub fn script(&self) -> Result<String> {
        let request = serde_json::to_string(self).doing(|| "write the request".to_owned())?;
        Ok(format!("{SCRIPT}\n\nmain(\"{}\")\n", STANDARD.encode(request)))
    }
}

/// What the script prints: one of the two.
#[derive(Deserialize)]
struct Answer {
    error: Option<String>,
    inspection: Option<serde_json::Value>,
}

/// A text of a container's as it may be shown: one line of it, without what a terminal would obey.
fn plain(text: &str) -> String {
    let shown = text.chars().take(LONGEST_SHOWN);
    shown.map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

impl Inspection {
    /// Reads what the script printed.
    ///
    /// # Errors
    /// When the container lacks what the script needs, when it printed something else, and when any
    /// part of it is not what its name says: whoever is root in the container may have written it.
    pub fn parse(printed: &str) -> Result<Self> {
        let doing = "look at the container's Python";
        let strange = |reason: String| Error::failed(doing).because(reason);
        if printed.len() > LONGEST_REPORT {
            return Err(strange(format!("its report has more than {} MiB", LONGEST_REPORT >> 20)));
        }
        match serde_json::from_str::<Answer>(printed) {
            Ok(Answer { error: Some(error), .. }) => {
                Err(Error::new(ErrorKind::Host, doing).because(plain(&error)))
            }
            Ok(Answer { inspection: Some(report), .. }) => {
                let mut inspection: Self = serde_json::from_value(report)
                    .map_err(|error| strange(plain(&error.to_string())))?;
                inspection.refuse_strange().map_err(strange)?;
                inspection.make_plain();
                Ok(inspection)
            }
            Ok(_) => Err(strange("its report is empty".to_owned())),
            Err(error) => {
                let shown = printed.trim_end().lines().take(20).map(plain).collect::<Vec<_>>();
                Err(strange(error.to_string()).output(shown.join("\n")))
            }
        }
    }

    /// What becomes an argument, a name or a key.
    fn refuse_strange(&self) -> Result<(), String> {
        let tag = |text: &str| {
            let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
            !text.is_empty() && text.len() <= LONGEST_TAG && text.bytes().all(named)
        };
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
        let python = |text: &str| {
            let minor: Vec<&str> = text.splitn(3, '.').take(2).collect();
            minor.len() == 2 && minor.into_iter().all(digits)
        };
        let wrong = |what: &str, text: &str| Err(format!("`{}` is no {what}", plain(text)));
        if !python(&self.python) {
            return wrong("version of Python", &self.python);
        }
        if !tag(&self.machine) {
            return wrong("machine", &self.machine);
        }
        if let Some(platform) = self.platforms.iter().find(|it| !tag(it)) {
            return wrong("platform", platform);
        }
        let migrations = self.migrations.iter();
        let mut heads =
            migrations.flat_map(|it| it.checkout_heads.iter().chain(&it.packaged_heads));
        match heads.find(|head| !tag(&head.replace('-', "_"))) {
            Some(head) => wrong("revision", head),
            None => Ok(()),
        }
    }

    /// What is only shown or compared: it goes to a terminal.
    fn make_plain(&mut self) {
        for text in
            [&mut self.python, &mut self.libc].into_iter().chain(self.installed.values_mut())
        {
            *text = plain(text);
        }
        self.installed.retain(|name, _| is_name(name));
        self.used.retain(|name| is_name(name));
        let unmet = self.missing.iter_mut().chain(&mut self.unsatisfied_by_checkouts);
        for Unmet { required_by, found, .. } in unmet {
            *required_by = plain(required_by);
            *found = found.take().map(|found| plain(&found));
        }
        for Unreadable { text, required_by, reason } in &mut self.unreadable_requirements {
            for text in [text, required_by, reason] {
                *text = plain(text);
            }
        }
        for Unsupported { project, requires_python } in &mut self.unsupported_python {
            *project = plain(project);
            *requires_python = plain(requires_python);
        }
        let of_migrations = self.migrations.iter_mut().flat_map(|it| &mut it.unreadable);
        for Problem { path, text, reason, .. } in self.syntax_errors.iter_mut().chain(of_migrations)
        {
            for text in [path, text, reason] {
                *text = plain(text);
            }
        }
    }

    /// Where wheels for it are to run.
    pub fn platform(&self) -> Platform {
        Platform {
            python: self.python.splitn(3, '.').take(2).collect::<Vec<_>>().join("."),
            tags: self.platforms.clone(),
            machine: self.machine.clone(),
        }
    }
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
