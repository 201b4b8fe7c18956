//! The file, what it says and how it is changed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use schemars::Schema;
use serde_json::Value;

use super::document::{Document, Scalar};
use super::values::Written;
use crate::config::cloud::{Expose, Key, Patience, Tls};
use crate::config::load::{Profiles, read_optional};
use crate::config::nearest::unknown;
use crate::config::network::{NetworkRole, Range};
use crate::config::scenario::Scenario;
use crate::config::schema;
use crate::config::variables::UserVariables;
use crate::config::yaml::{self, scalar};
use crate::error::{Error, ErrorKind, Result};

const NEW: &str = "\
# What this cloud is: what its first run chose, with the reasons. Edit it, or pass an option that
# changes it: the next `aio bootstrap` makes the cloud what stands here.

name:
region:
release:
scenario:

# Members by kind. Those that are commented out are the scenario's. 0 leaves a kind out. The numbers
# of kinds that form a cluster, such as galera, are fixed by the first run.
members:

# Ranges of addresses, and the address in the management range where all services are reached.
networks:
virtual_address:

# Where the cloud is reached from outside: off, host (this host's own address) or an address.
expose:

# What speaks TLS: exposed (what is reached from outside does, by an authority of the cloud's own, whose
# certificate is tls/ca.crt beside this file), everywhere (what is reached at the virtual address, the
# databases and the message queue too) or off. A certificate of your own for the outside, and its key, are
# files in PEM: tls_certificate, tls_key.
tls:

# What every time limit is multiplied by: 1, or more where the host is far slower than most.
patience:

# Values of variables, as `--set NAME=VALUE` writes them. They win over `user_variables.yml`.
variables:
";

/// The file, and what it says.
#[derive(Clone, Debug)]
pub struct CloudFile {
    document: Document,
    pub(super) written: Written,
    /// What errors call it.
    pub(super) shown: String,
    /// The text as it was read; none when there was no file.
    read: Option<String>,
}

impl CloudFile {
    /// Reads the file; a missing one leaves everything to be chosen.
    pub fn load(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        match read_optional(path)? {
            Some(text) => Self::new(&text, shown, Some(text.clone())),
            None => Self::new(NEW, shown, None),
        }
    }

    /// Reads the text of a file. `shown` is what errors call it.
    pub fn parse(text: &str, shown: &str) -> Result<Self> {
        Self::new(text, shown.to_owned(), Some(text.to_owned()))
    }

    fn new(text: &str, shown: String, read: Option<String>) -> Result<Self> {
        let written = yaml::parse(text, &shown)?;
        Ok(Self { document: Document::new(text), written, shown, read })
    }

    /// What may stand in it.
    pub fn schema() -> Schema {
        schema::schema_of::<Written>("cloud.yml")
    }

    /// Whether the file is there, so that this is not the first run.
    pub fn exists(&self) -> bool {
        self.read.is_some()
    }

    /// The cloud's name.
    pub fn name(&self) -> Option<&str> {
        self.written.name.as_deref()
    }

    /// The region in the catalog.
    pub fn region(&self) -> Option<&str> {
        self.written.region.as_deref()
    }

    /// The release.
    pub fn release(&self) -> Option<&str> {
        self.written.release.as_deref()
    }

    /// The scenario.
    pub fn scenario(&self) -> Option<&str> {
        self.written.scenario.as_deref()
    }

    /// The ranges that the file names.
    pub fn networks(&self) -> BTreeMap<NetworkRole, Range> {
        let networks = self.written.networks.iter();
        networks
            .flat_map(|networks| {
                NetworkRole::ALL.into_iter().filter_map(|role| Some((role, networks.get(role)?)))
            })
            .collect()
    }

    /// The internal virtual address.
    pub fn virtual_address(&self) -> Option<Ipv4Addr> {
        self.written.virtual_address
    }

    /// Where the cloud is reached from outside.
    pub fn expose(&self) -> Expose {
        self.written.expose.unwrap_or_default()
    }

    /// What speaks TLS.
    pub fn tls(&self) -> Tls {
        self.written.tls.unwrap_or_default()
    }

    /// The files of the user's own certificate and key for the outside address. An empty name is none.
    ///
    /// # Errors
    /// When only one of them is named.
    pub fn own_certificate(&self) -> Result<Option<(&Path, &Path)>> {
        fn named(path: &Option<PathBuf>) -> Option<&Path> {
            path.as_deref().filter(|path| !path.as_os_str().is_empty())
        }
        match (named(&self.written.tls_certificate), named(&self.written.tls_key)) {
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (None, None) => Ok(None),
            (certificate, _) => {
                let missing =
                    if certificate.is_some() { Key::TlsKeyFile } else { Key::TlsCertificateFile };
                let name = missing.name();
                Err(Error::new(ErrorKind::Config, format!("read `{}`", self.shown))
                    .because(format!("`{name}` is missing: a certificate is of use with its key"))
                    .hint(format!("Name its file: --set {name}=FILE.")))
            }
        }
    }

    /// What every time limit is multiplied by.
    pub fn patience(&self) -> Patience {
        self.written.patience.unwrap_or_default()
    }

    /// Chooses a value that the file leaves open; one that stands there stays.
    pub fn decide(&mut self, key: Key, value: &str, why: &str) -> Result<()> {
        if self.has(key) { Ok(()) } else { self.put(key, value, why) }
    }

    /// Adds the values of variables to those of `user_variables.yml`.
    pub fn add_variables(&self, user: &mut UserVariables) {
        for (name, value) in self.written.variables.iter().flatten() {
            user.add_set(name, value.clone(), self.place("variables", name));
        }
    }

    /// The file's text, the scenario's members as comments.
    pub fn text(&self, scenario: &Scenario) -> String {
        let mut document = self.document.clone();
        let own = self.own_members();
        let muted: Vec<(String, String)> = scenario
            .members
            .iter()
            .filter(|(kind, _)| !own.contains_key(*kind))
            .map(|(kind, members)| (kind.clone(), members.to_string()))
            .collect();
        document.set_muted("members", &muted);
        document.text()
    }

    /// The file's new text, if it is another than what was read.
    pub fn changed_text(&self, scenario: &Scenario) -> Option<String> {
        Some(self.text(scenario)).filter(|text| self.read.as_ref() != Some(text))
    }

    /// Refuses names that no profile defines.
    pub(super) fn check(&self, profiles: &Profiles) -> Result<()> {
        if let Some(name) = self.scenario() {
            self.known("scenario", name, "scenario", profiles.scenarios.keys())?;
        }
        if let Some(name) = self.release() {
            self.known("release", name, "release", profiles.releases.keys())?;
        }
        for kind in self.own_members().keys() {
            if profiles.kind(kind).is_none() {
                let place = self.place("members", kind);
                let known = profiles.kinds().map(|(kind, ..)| kind);
                return Err(unknown(&place, "container kind", kind, known));
            }
        }
        Ok(())
    }

    fn known<'a>(
        &self,
        key: &str,
        name: &str,
        what: &str,
        known: impl Iterator<Item = &'a String>,
    ) -> Result<()> {
        let known: Vec<&str> = known.map(String::as_str).collect();
        if known.contains(&name) {
            return Ok(());
        }
        let line = self.document.line_of(key).unwrap_or(1);
        Err(unknown(&format!("{}:{line}", self.shown), what, name, known))
    }

    pub(super) fn place(&self, section: &str, key: &str) -> String {
        match self.document.line_of_child(section, key) {
            Some(line) => format!("{}:{line}", self.shown),
            None => self.shown.clone(),
        }
    }

    pub(super) fn own_members(&self) -> IndexMap<String, u32> {
        self.written.members.clone().unwrap_or_default()
    }

    fn has(&self, key: Key) -> bool {
        match key {
            Key::Name => self.written.name.is_some(),
            Key::Region => self.written.region.is_some(),
            Key::Release => self.written.release.is_some(),
            Key::Scenario => self.written.scenario.is_some(),
            Key::Network(role) => self.networks().contains_key(&role),
            Key::VirtualAddress => self.written.virtual_address.is_some(),
            Key::Expose => self.written.expose.is_some(),
            Key::Tls => self.written.tls.is_some(),
            Key::TlsCertificateFile => self.written.tls_certificate.is_some(),
            Key::TlsKeyFile => self.written.tls_key.is_some(),
            Key::Patience => self.written.patience.is_some(),
        }
    }

    /// Sets a value. A line whose value is the same already stays as it is.
    pub(super) fn put(&mut self, key: Key, value: &str, why: &str) -> Result<()> {
        let text = match key {
            Key::Patience => value.to_owned(),
            _ => scalar(&Value::from(value)),
        };
        match key {
            Key::Network(role) => self.put_child("networks", role.name(), &text, why),
            key => self.edit(key.name(), |document, _| {
                document.set(key.name(), Scalar { text: &text, comment: why });
            }),
        }
    }

    pub(super) fn put_child(
        &mut self,
        section: &'static str,
        key: &str,
        text: &str,
        why: &str,
    ) -> Result<()> {
        let value = Scalar { text, comment: why };
        self.edit(&format!("{section}.{key}"), |document, written| {
            document.set_child(section, key, value, &written.children(section));
        })
    }

    /// Edits the document and reads it again: nothing else may have changed.
    fn edit(&mut self, what: &str, edit: impl FnOnce(&mut Document, &Written)) -> Result<()> {
        let mut document = self.document.clone();
        edit(&mut document, &self.written);
        let read: Result<Written> = yaml::parse(&document.text(), &self.shown);
        self.written = read.map_err(|error| {
            error
                .context(format!("set {what} in `{}`", self.shown))
                .hint(format!("Set `{what}` there by hand, one key a line."))
        })?;
        self.document = document;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
