//! Certificates of a cloud: what its configuration directory holds and what it should hold.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use secrecy::SecretString;
use time::OffsetDateTime;

use crate::config::cloud::{CloudFile, Tls};
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::{Cloud, Inside, Outside};
use crate::model::paths::Paths;
use crate::secrets::tls::inside::{self, pem_name};
use crate::secrets::tls::outside::{self, Held, OUTSIDE_PEM, Settled};
use crate::secrets::tls::{authority, pair, store};

/// How the cloud is reached from outside, with what is written for it.
#[derive(Default)]
pub struct Certificates {
    /// What the cloud is told of it.
    pub outside: Option<Outside>,
    /// What a user should know before anything changes.
    pub notes: Vec<String>,
    held: Held,
}

impl Certificates {
    /// What they should be at `address`, if the cloud is exposed at all. Nothing is written.
    pub fn settle(
        paths: &Paths,
        file: &CloudFile,
        address: Option<Ipv4Addr>,
        now: OffsetDateTime,
    ) -> Result<Self> {
        let own = file.own_certificate()?;
        let Some(address) = address.map(|address| address.to_string()) else {
            let held = match file.tls() {
                Tls::Everywhere => store::read(&paths.tls_dir())?,
                Tls::Exposed | Tls::Off => Held::default(),
            };
            return Ok(Self { held, ..Self::default() });
        };
        if file.tls() == Tls::Off {
            let outside = Outside {
                names: vec![address.clone()],
                host: address,
                certificate: None,
                authority: None,
            };
            return Ok(Self { outside: Some(outside), ..Self::default() });
        }
        let held = store::read(&paths.tls_dir())?;
        let by_user = own.is_some();
        let Settled { held, host, notes } = match own {
            Some((certificate, key)) => {
                let at = |path| paths.config_dir.join(path);
                let brought = store::brought(&at(certificate), &at(key))?;
                outside::by_user(&brought, &address, held, now)?
            }
            None => outside::by_authority(&paths.cloud, &address, held, now)?,
        };
        let shown = held.shown.as_ref();
        let mut names = shown.map(|pair| pair.names.clone()).unwrap_or_default();
        if !names.contains(&address) {
            names.push(address);
        }
        let authority = held.authority.as_ref().filter(|_| !by_user);
        let outside = Outside {
            host,
            names,
            certificate: shown.map(|pair| pair.certificate.clone()),
            authority: authority.map(|pair| pair.certificate.clone()),
        };
        Ok(Self { outside: Some(outside), notes, held })
    }

    /// What containers show each other, once it is known which there are; the cloud is told of it.
    pub fn settle_inside(
        &mut self,
        file: &CloudFile,
        cloud: &mut Cloud,
        now: OffsetDateTime,
    ) -> Result<()> {
        let held = std::mem::take(&mut self.held.containers);
        if file.tls() != Tls::Everywhere {
            return Ok(());
        }
        let (authority, note) = authority::settle(&cloud.name, self.held.authority.take(), now)?;
        self.notes.extend(note);
        self.held.containers = inside::settle(&authority, &cloud.certified(), held, now)?;
        let shown = self.held.containers.iter();
        cloud.inside = Some(Inside {
            authority_key: pair::key_hash(&authority.certificate).unwrap_or_default(),
            authority: authority.certificate.clone(),
            certificates: shown
                .map(|(name, pair)| (name.clone(), pair.certificate.clone()))
                .collect(),
        });
        self.held.authority = Some(authority);
        Ok(())
    }

    /// Tells of an authority that is another than clients of the cloud as it was know.
    pub fn compare(&mut self, former: Option<&Cloud>) {
        let (Some(former), Some(authority)) = (former, &self.held.authority) else { return };
        let outside = former.outside.as_ref().and_then(|outside| outside.authority.as_ref());
        let inside = former.inside.as_ref().map(|inside| &inside.authority);
        let known = outside.or(inside).and_then(|text| pair::key_hash(text));
        if known.is_some() && known != pair::key_hash(&authority.certificate) {
            self.notes.push(
                "The cloud has a new authority, because the former one is not in its configuration \
                 directory any more: give its certificate to clients."
                    .to_owned(),
            );
        }
    }

    /// Adds the keys that templates need to the cloud's secrets.
    pub fn add_keys(&self, secrets: &mut BTreeMap<String, SecretString>) {
        add_keys(&self.held, secrets);
    }

    /// Writes what differs.
    pub fn write(&self, paths: &Paths) -> Result<()> {
        store::write(&paths.tls_dir(), &self.held)
    }
}

/// Adds the keys that a cloud which is there uses to its secrets.
pub fn add_recorded(
    paths: &Paths,
    cloud: &Cloud,
    secrets: &mut BTreeMap<String, SecretString>,
) -> Result<()> {
    if cloud.inside.is_some() || cloud.outside.as_ref().is_some_and(Outside::tls) {
        add_keys(&store::read(&paths.tls_dir())?, secrets);
    }
    Ok(())
}

/// Whether every certificate that a cloud which is there shows within has its key among the secrets.
///
/// # Errors
/// When one has not: somebody removed it from the configuration directory.
pub fn check_keys(
    paths: &Paths,
    cloud: &Cloud,
    secrets: &BTreeMap<String, SecretString>,
) -> Result<()> {
    let mut shown = cloud.inside.iter().flat_map(|inside| inside.certificates.keys());
    match shown.find(|name| !secrets.contains_key(&pem_name(name))) {
        None => Ok(()),
        Some(name) => {
            Err(Error::new(ErrorKind::NotFound, format!("find the certificate of `{name}`"))
                .because(format!("it is not, with its key, in {}", paths.tls_dir().display()))
                .hint("`aio bootstrap` makes both anew."))
        }
    }
}

fn add_keys(held: &Held, secrets: &mut BTreeMap<String, SecretString>) {
    if let Some(shown) = &held.shown {
        secrets.insert(OUTSIDE_PEM.to_owned(), shown.together());
    }
    let theirs = held.containers.iter().map(|(name, pair)| (pem_name(name), pair.together()));
    secrets.extend(theirs);
}

/// What a user is told at the end of a run: where the cloud is reached, and what to trust.
pub fn told(paths: &Paths, cloud: &Cloud) -> Option<String> {
    let Some(outside) = cloud.outside.as_ref() else {
        let authority = store::authority_file(&paths.tls_dir());
        return cloud.inside.as_ref().map(|_| {
            format!("The cloud speaks TLS: clients on this host trust {}.", authority.display())
        });
    };
    let frontend = cloud.frontend(&cloud.identity_server()?.frontend).ok()?;
    let url = cloud.outside_url(frontend);
    let authority = store::authority_file(&paths.tls_dir());
    let authority = authority.display();
    let trust = match (outside.tls(), &outside.authority, &cloud.inside) {
        (false, ..) => "in clear: passwords can be read on the way there".to_owned(),
        (true, Some(_), _) => format!("clients trust {authority}"),
        (true, None, None) => "with your certificate".to_owned(),
        (true, None, Some(_)) => {
            format!("with your certificate; clients on this host trust {authority}")
        }
    };
    Some(format!("From outside the cloud is at {url}/v3, {trust}."))
}
