//! The specification of every secret (`secrets/*.yml`) and the names that OpenStack-Ansible knows.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use crate::config::nearest::nearest;
use crate::config::{embedded, schema, yaml};
use crate::error::{Error, ErrorKind, Result};

/// The file of `secrets/` that holds names instead of a specification.
const NAMES_FILE: &str = "openstack-ansible-names.yml";

/// What a value looks like.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Made of letters and digits; a user's own may be any printable ASCII text.
    Password,
    /// Letters, digits and `-._~`: a shared word that is read by programs only.
    Token,
    /// Hexadecimal digits.
    HexKey,
    /// A UUID with its hyphens.
    Uuid,
    /// 32 bytes in URL-safe Base64, as the `cryptography` library's Fernet wants them.
    FernetKey,
    /// A key of cephx in Base64: an AES key of 16 bytes, in the encoding of Ceph's `CryptoKey`.
    CephKey,
}

/// How an edit is treated once the secret is in use.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// The new value is brought into the cloud.
    Apply,
    /// The edit is refused: what is stored could not be read any more.
    Refuse,
}

/// One secret.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// What it is for; a fragment that starts with a capital letter.
    #[serde(rename = "use")]
    pub purpose: String,
    /// What a value looks like.
    pub kind: Kind,
    /// Characters of a new value, for kinds that have no length of their own.
    #[serde(default)]
    pub length: Option<usize>,
    /// Further lengths of a hex key that a user may bring.
    #[serde(default)]
    pub accepts: Vec<usize>,
    /// How an edit is treated once it is in use.
    pub rotation: Rotation,
    /// Why an edit is refused.
    #[serde(default)]
    pub reason: Option<String>,
    /// Services that need it beside the one whose file names it.
    #[serde(default)]
    pub also_used_by: Vec<String>,
    /// The service whose file names it.
    #[serde(skip)]
    pub service: String,
}

/// One file of `secrets/`: the secrets of a service. Their values are made up once, and stand in
/// `user_secrets.yml`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SpecFile {
    /// The service.
    service: String,
    /// Its secrets, by the names that profiles use.
    secrets: IndexMap<String, Secret>,
}

/// Every secret that profiles may name, and every name that is accepted without one.
#[derive(Clone, Debug)]
pub struct SecretSpec {
    secrets: IndexMap<String, Secret>,
    accepted: BTreeSet<String>,
}

impl SecretSpec {
    /// What may stand in a file of `secrets/`.
    pub fn schema() -> Schema {
        schema::schema_of::<SpecFile>("secrets/NAME.yml")
    }

    /// The specification that this binary carries.
    pub fn embedded() -> Result<Self> {
        Self::overlaid(BTreeMap::new())
    }

    /// The specification that this binary carries, with files of the user's: file name and text. A
    /// file of the same name replaces a built-in one.
    pub fn overlaid(own: BTreeMap<String, String>) -> Result<Self> {
        let built_in = embedded::secrets();
        let kept = built_in.iter().filter(|(name, _)| !own.contains_key(name));
        let all = kept.map(|(name, text)| (name.as_str(), *text));
        Self::load(all.chain(own.iter().map(|(name, text)| (name.as_str(), text.as_str()))))
    }

    /// Reads specification files: (file name, text) each. A later file may add a service, and may
    /// not say again what an earlier one said.
    pub fn load<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut spec = Self { secrets: IndexMap::new(), accepted: BTreeSet::new() };
        for (name, text) in texts {
            let shown = format!("secrets/{name}");
            if name == NAMES_FILE {
                let names: BTreeMap<String, Vec<String>> = yaml::parse(text, &shown)?;
                spec.accepted.extend(names.into_values().flatten());
            } else {
                spec.add(&shown, text, yaml::parse(text, &shown)?)?;
            }
        }
        Ok(spec)
    }

    fn add(&mut self, file_name: &str, text: &str, file: SpecFile) -> Result<()> {
        for (name, mut secret) in file.secrets {
            let wrong = |why: String| {
                let line = yaml::line_of_word(text, &name).map(|line| format!(":{line}"));
                let place = format!("{file_name}{}", line.unwrap_or_default());
                Err(Error::new(ErrorKind::Config, format!("{place}: secret `{name}`: {why}")))
            };
            if let Some(why) = secret.mistake() {
                return wrong(why.to_owned());
            }
            if let Some(first) = self.secrets.get(&name) {
                return wrong(format!("`{}` has a secret of that name already", first.service));
            }
            secret.service.clone_from(&file.service);
            self.secrets.insert(name, secret);
        }
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name)
    }

    /// Names and secrets that these services need, in the order of the specification.
    pub fn needed_by<'a>(
        &'a self,
        services: &'a [String],
    ) -> impl Iterator<Item = (&'a str, &'a Secret)> {
        self.secrets
            .iter()
            .filter(|(_, secret)| {
                services.iter().any(|name| {
                    secret.service == *name || secret.also_used_by.iter().any(|also| also == name)
                })
            })
            .map(|(name, secret)| (name.as_str(), secret))
    }

    /// Whether a `user_secrets.yml` may have that name.
    pub fn accepts(&self, name: &str) -> bool {
        self.secrets.contains_key(name) || self.accepted.contains(name)
    }

    /// Whether profiles may name it: `Err` holds the accepted name that is most like it.
    pub fn known(&self, name: &str) -> Result<(), Option<String>> {
        match self.get(name) {
            Some(_) => Ok(()),
            None => Err(self.nearest(name).map(str::to_owned)),
        }
    }

    /// The accepted name that is most like an unknown one, if any is like it at all.
    pub fn nearest(&self, unknown: &str) -> Option<&str> {
        nearest(unknown, self.secrets.keys().chain(&self.accepted).map(String::as_str))
    }
}

impl Secret {
    /// What is wrong with the entry itself.
    fn mistake(&self) -> Option<&'static str> {
        let has_length = matches!(self.kind, Kind::Password | Kind::Token | Kind::HexKey);
        if has_length != self.length.is_some() {
            return Some(if has_length {
                "a password, token or hex key needs a `length`"
            } else {
                "a UUID, Fernet key or Ceph key has no `length`"
            });
        }
        if self.length == Some(0) {
            return Some("`length` must be at least 1");
        }
        if !self.accepts.is_empty() && self.kind != Kind::HexKey {
            return Some("only a hex key may have `accepts`");
        }
        match (self.rotation, &self.reason) {
            (Rotation::Refuse, None) => Some("`rotation: refuse` needs a `reason`"),
            (Rotation::Apply, Some(_)) => Some("`rotation: apply` has no `reason`"),
            _ => None,
        }
    }
}
