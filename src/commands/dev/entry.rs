//! What a unit starts when it runs from a checkout: the checkout's own entry point.
//!
//! A package's program imports a module by the name that it had when the package was made; newer
//! checkouts keep it elsewhere, or have none any more. So what the unit's profile names is looked up in
//! what the checkout declares, before anything changes, and started instead, with the arguments, the
//! user and the configuration of the unit:
//!
//! | the unit runs | what starts the checkout's own |
//! |---|---|
//! | a program, by a package's start script | `$AIO_DEV_PROGRAM`, which that script's defaults take for the program |
//! | a program, by a unit that names it | `ExecStart=` of the drop-in |
//! | a WSGI module | nothing: uWSGI imports it from the checkout |
//! | a WSGI script, where the release has no module | `--wsgi-file` among `$AIO_DEV_ARGUMENTS`, of which the last one counts |
//!
//! All that the checkout has is named to whom it is refused, and not what is spelled most like it: what
//! took the place of a program is often called otherwise.

use std::collections::BTreeMap;

use super::source::look::Modules;
use super::source::project::Project;
use super::source::reader::CheckoutReader;
use super::target::Target;
use crate::config::profile::{Runs, Unit};
use crate::config::release::Release;
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;
use crate::model::swap::{program_path, project_path};

/// Arguments of uWSGI's beside those of the unit.
const ARGUMENTS: &str = "AIO_DEV_ARGUMENTS";
/// What a package's start script starts in place of the package's program.
const PROGRAM: &str = "AIO_DEV_PROGRAM";
/// The Python of a release whose programs are the suite's packages.
const PACKAGED_PYTHON: &str = "/usr/bin/python3";

/// How a unit comes to start what its checkout declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Programs of the checkout by their names.
    pub programs: BTreeMap<String, Vec<u8>>,
    /// What the unit starts, where its environment does not say it.
    pub command: Option<String>,
    environment: BTreeMap<String, String>,
}

impl Entry {
    /// Finds what the unit starts in a checkout of its own project.
    ///
    /// # Errors
    /// When the checkout does not declare it.
    pub fn find(
        cloud: &Cloud,
        target: &Target,
        reader: &CheckoutReader,
        project: &Project,
    ) -> Result<Self> {
        let unit = cloud.kind(&target.container.kind).and_then(|(_, definition)| {
            definition.units.iter().find(|unit| unit.name == target.unit)
        });
        // A profile that does not say what the unit runs leaves all to the unit.
        let Some((unit, runs)) = unit.and_then(|it| Some((it, it.runs.as_ref()?))) else {
            return Ok(Self::default());
        };
        let release = cloud.releases().of(&target.container.kind);
        let place = Place { unit, runs, service: &target.container.service, release };
        place.entry(&Found { label: target.label(), reader, project })
    }

    /// The environment of the unit, beside what every swap has: with that of a debugger.
    pub fn environment(&self, of_debugger: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = of_debugger;
        for (name, value) in &self.environment {
            let there = all.entry(name.clone()).or_default();
            if !there.is_empty() {
                there.push(' ');
            }
            there.push_str(value);
        }
        all
    }
}

/// The unit as its profile and its release have it.
struct Place<'a> {
    unit: &'a Unit,
    runs: &'a Runs,
    /// The service whose container it runs in.
    service: &'a str,
    release: &'a Release,
}

/// The checkout.
struct Found<'a> {
    label: &'a str,
    reader: &'a CheckoutReader,
    project: &'a Project,
}

impl Place<'_> {
    fn entry(&self, found: &Found<'_>) -> Result<Entry> {
        let python = self.release.python.as_ref();
        let python = python
            .map_or_else(|| PACKAGED_PYTHON.to_owned(), |it| format!("{}/bin/python3", it.home));
        let root = project_path(&self.unit.name, &found.project.normalized_name);
        let programs = found.project.programs(&python, &root);
        let entry = Entry { programs, ..Entry::default() };
        match (&self.runs.wsgi, self.runs.openstack_program()) {
            (Some(application), _) => self.application(application, found, &root, entry),
            (None, Some(program)) => self.program(program, found, entry),
            (None, None) => Ok(entry),
        }
    }

    fn program(&self, program: &str, found: &Found<'_>, entry: Entry) -> Result<Entry> {
        if !entry.programs.contains_key(program) {
            // To name what there is instead: without an answer that is less.
            let modules = found.reader.modules(&found.project.import_roots, "").unwrap_or_default();
            let reason = format!("{} declares no program `{program}`", found.project.name);
            return Err(found.refused(reason, &modules));
        }
        let path = program_path(&self.unit.name, program);
        if self.runs.by_start_script(self.release.origin()) {
            let environment = BTreeMap::from([(PROGRAM.to_owned(), path)]);
            return Ok(Entry { environment, ..entry });
        }
        let command = self.runs.with_arguments(&path, self.service);
        Ok(Entry { command: Some(command), ..entry })
    }

    /// `application` is `MODULE:WHAT`; uWSGI serves what is called `application` unless said.
    fn application(
        &self,
        application: &str,
        found: &Found<'_>,
        root: &str,
        mut entry: Entry,
    ) -> Result<Entry> {
        let (module, what) = application.split_once(':').unwrap_or((application, "application"));
        let modules = found.reader.modules(&found.project.import_roots, module)?;
        let no_module = || {
            let reason = format!("{} has no module `{module}` to be served", found.project.name);
            found.refused(reason, &modules)
        };
        let Some(script) = self.release.wsgi_scripts.get(application) else {
            return if modules.has_wanted { Ok(entry) } else { Err(no_module()) };
        };
        let script = script.rsplit('/').next().unwrap_or(script);
        let text = if modules.has_wanted {
            Some(format!("import {module}\n\napplication = {module}.{what}\n"))
        } else {
            found.project.wsgi_script(script, root)
        };
        let text = text.ok_or_else(no_module)?;
        entry.programs.insert(script.to_owned(), text.into_bytes());
        let file = program_path(&self.unit.name, script);
        entry.environment.insert(ARGUMENTS.to_owned(), format!("--wsgi-file {file}"));
        Ok(entry)
    }
}

impl Found<'_> {
    /// The refusal, with what there is instead.
    fn refused(&self, reason: String, modules: &Modules) -> Error {
        let all = [
            ("programs", self.project.program_names()),
            ("WSGI modules", modules.wsgi.iter().map(String::as_str).collect()),
            ("WSGI scripts", self.project.wsgi_script_names().collect::<Vec<_>>()),
        ];
        let has = all.iter().filter(|(_, names)| !names.is_empty());
        let has: Vec<String> =
            has.map(|(what, names)| format!("the {what} {}", names.join(", "))).collect();
        let error = Error::new(ErrorKind::Usage, format!("run {} from this checkout", self.label))
            .because(reason);
        let error = if has.is_empty() {
            error.because("it declares none at all")
        } else {
            error.because(format!("it has {}", has.join("; ")))
        };
        error.hint(
            "Another commit of it may have it, or a cloud of another release runs what this one has: \
             `aio release ls`.",
        )
    }
}

#[cfg(test)]
mod tests;
