//! Options of the command line that change `cloud.yml`.

use std::path::Path;

use super::file::CloudFile;
use super::{Expose, Key, Patience, Tls};
use crate::config::load::Profiles;
use crate::config::nearest::{fold, suggestion};
use crate::config::network::{NetworkRole, Range};
use crate::config::variables;
use crate::config::yaml::scalar;
use crate::error::{Error, ErrorKind, Result};

/// What a user passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudOptions {
    /// `--name`.
    pub name: String,
    /// `--scenario`.
    pub scenario: Option<String>,
    /// `--set KEY=VALUE`.
    pub set: Vec<(String, String)>,
    /// `--with SERVICE`: see [`CloudFile::change_services`].
    pub with: Vec<String>,
    /// `--without SERVICE`.
    pub without: Vec<String>,
    /// `--expose [ADDRESS]`.
    pub expose: Option<String>,
}

/// Keys of `--set` that are those of `cloud.yml` itself.
const SINGLE: [(&str, Key); 9] = [
    ("region", Key::Region),
    ("release", Key::Release),
    ("scenario", Key::Scenario),
    ("virtual_address", Key::VirtualAddress),
    ("expose", Key::Expose),
    ("tls", Key::Tls),
    ("tls_certificate", Key::TlsCertificateFile),
    ("tls_key", Key::TlsKeyFile),
    ("patience", Key::Patience),
];

impl CloudFile {
    /// Merges options into the file, and checks all names that then stand there.
    pub fn apply(&mut self, options: &CloudOptions, profiles: &Profiles) -> Result<()> {
        self.check_name(&options.name)?;
        if let Some(scenario) = &options.scenario {
            self.set_single(Key::Scenario, scenario, &format!("--scenario {scenario}"), profiles)?;
        }
        if let Some(expose) = &options.expose {
            self.set_single(Key::Expose, expose, &format!("--expose {expose}"), profiles)?;
        }
        for (key, value) in &options.set {
            self.set(key, value, profiles)?;
        }
        self.check(profiles)
    }

    /// One configuration directory is one cloud's.
    fn check_name(&self, wanted: &str) -> Result<()> {
        match self.name() {
            Some(name) if name != wanted => {
                let message =
                    format!("`{}` is of the cloud `{name}`, not of `{wanted}`", self.shown);
                Err(Error::new(ErrorKind::Config, message)
                    .hint(format!(
                        "Give `{wanted}` a directory of its own: --config-dir DIRECTORY."
                    ))
                    .hint(format!("Or mean that cloud: --name {name}.")))
            }
            _ => Ok(()),
        }
    }

    /// `--set KEY=VALUE`.
    fn set(&mut self, key: &str, value: &str, profiles: &Profiles) -> Result<()> {
        let option = format!("--set {key}={value}");
        let members = key.strip_suffix(".members").or_else(|| key.strip_prefix("members."));
        if let Some(kind) = members {
            return self.set_members(kind, value, &option, profiles);
        }
        if let Some(role) = key.strip_prefix("networks.") {
            return self.set_network(role, value, &option);
        }
        if let Some((_, single)) = SINGLE.iter().find(|(name, _)| *name == key) {
            return self.set_single(*single, value, &option, profiles);
        }
        // `nova_fake.units`, in the manner of `galera.members`, is the variable `nova_fake_units`.
        let name = key.replace('.', "_");
        let Some(variable) = variables::find(profiles, &name) else {
            return Err(unknown_key(key, &option, profiles));
        };
        let value =
            variables::from_text(variable, value).map_err(|reason| wrong(&option, &reason))?;
        let present = self.written.variables.iter().flatten().find(|(known, _)| **known == name);
        if present.is_some_and(|(_, present)| *present == value) {
            return Ok(());
        }
        self.put_child("variables", &name, &scalar(&value), &option)
    }

    fn set_members(
        &mut self,
        kind: &str,
        value: &str,
        option: &str,
        profiles: &Profiles,
    ) -> Result<()> {
        let kind = fold(kind);
        if profiles.kind(&kind).is_none() {
            let known = profiles.kinds().map(|(kind, ..)| kind);
            return Err(unknown(option, "container kind", &kind, known));
        }
        let count: u32 = value
            .parse()
            .map_err(|_| wrong(option, "the number of members is a whole number, 0 or more"))?;
        if self.own_members().get(&kind) == Some(&count) {
            return Ok(());
        }
        self.put_child("members", &kind, &count.to_string(), option)
    }

    fn set_network(&mut self, role: &str, value: &str, option: &str) -> Result<()> {
        let known = NetworkRole::ALL.into_iter();
        let Some(role) = known.clone().find(|known| known.name() == role) else {
            return Err(unknown(option, "network", role, known.map(NetworkRole::name)));
        };
        let range: Range = value.parse().map_err(|reason: String| wrong(option, &reason))?;
        if self.networks().get(&role) == Some(&range) {
            return Ok(());
        }
        self.put(Key::Network(role), value, option)
    }

    /// A value of the file that is no map, unless it is there already.
    fn set_single(
        &mut self,
        key: Key,
        value: &str,
        option: &str,
        profiles: &Profiles,
    ) -> Result<()> {
        let present = match key {
            Key::Region => self.region().map(str::to_owned),
            Key::Release => self.release().map(str::to_owned),
            Key::Scenario => self.scenario().map(str::to_owned),
            Key::VirtualAddress => self.virtual_address().map(|address| address.to_string()),
            Key::Expose => self.written.expose.map(|expose| expose.to_string()),
            Key::Tls => self.written.tls.map(|tls| tls.to_string()),
            Key::TlsCertificateFile => shown(self.written.tls_certificate.as_deref()),
            Key::TlsKeyFile => shown(self.written.tls_key.as_deref()),
            Key::Patience => self.written.patience.map(|patience| patience.to_string()),
            Key::Name | Key::Network(_) => None,
        };
        let value = match key {
            Key::Scenario => {
                known(option, "scenario", value, profiles.scenarios.keys())?;
                value.to_owned()
            }
            Key::Release => {
                known(option, "release", value, profiles.releases.keys())?;
                value.to_owned()
            }
            Key::Expose => {
                let expose: Expose = value.parse().map_err(|why: String| wrong(option, &why))?;
                expose.to_string()
            }
            Key::Patience => {
                let patience: Patience =
                    value.parse().map_err(|why: String| wrong(option, &why))?;
                patience.to_string()
            }
            Key::Tls => {
                let tls: Tls = value.parse().map_err(|why: String| wrong(option, &why))?;
                tls.to_string()
            }
            // Said in one directory, it is read in another.
            Key::TlsCertificateFile | Key::TlsKeyFile if !value.is_empty() => {
                let path = std::path::absolute(value);
                path.map_err(|why| wrong(option, &why.to_string()))?.display().to_string()
            }
            Key::VirtualAddress => {
                let address = value.parse::<std::net::Ipv4Addr>();
                address.map_err(|_| wrong(option, "this is not an IPv4 address"))?.to_string()
            }
            _ => value.to_owned(),
        };
        if present.as_deref() == Some(value.as_str()) {
            return Ok(());
        }
        self.put(key, &value, option)
    }
}

fn shown(path: Option<&Path>) -> Option<String> {
    path.map(|path| path.display().to_string())
}

fn known<'a>(
    option: &str,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a String> + Clone,
) -> Result<()> {
    if known.clone().any(|known| known == name) {
        return Ok(());
    }
    Err(unknown(option, what, name, known.map(String::as_str)))
}

pub(super) fn unknown<'a>(
    option: &str,
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Error {
    let error = wrong(option, &format!("there is no {what} `{name}`"));
    error.hints(suggestion(name, known))
}

fn unknown_key(key: &str, option: &str, profiles: &Profiles) -> Error {
    let variables =
        profiles.services.values().flat_map(|service| service.variables.keys().cloned());
    let kinds = profiles.kinds().map(|(kind, ..)| format!("{kind}.members"));
    let networks = NetworkRole::ALL.into_iter().map(|role| format!("networks.{}", role.name()));
    let single = SINGLE.iter().map(|(name, _)| (*name).to_owned());
    let known: Vec<String> = variables.chain(kinds).chain(networks).chain(single).collect();
    unknown(option, "key", key, known.iter().map(String::as_str))
}

fn wrong(option: &str, reason: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("`{option}`: {reason}"))
}
