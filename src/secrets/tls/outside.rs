//! Which certificate the outside address shows. Pure: what is on the disk is given, the time too.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use super::authority::{self, Purpose};
use super::pair::Pair;
use crate::error::{Error, ErrorKind, Result};

/// What templates call, among the secrets, the certificate of the outside address with its key.
pub const OUTSIDE_PEM: &str = "tls_outside_pem";

/// A user's certificate that ends sooner than this is spoken of.
const SOON: Duration = Duration::days(30);

/// What the configuration directory holds of all certificates.
#[derive(Clone, Default)]
pub struct Held {
    pub authority: Option<Pair>,
    /// What the outside address shows.
    pub shown: Option<Pair>,
    /// What containers show where everything speaks TLS, by full name.
    pub containers: BTreeMap<String, Pair>,
}

/// A certificate and a key that a user brings.
pub struct Brought {
    pub certificate_file: String,
    pub certificate: String,
    pub key_file: String,
    pub key: SecretString,
}

/// What should be held, and what a user should know of it.
pub struct Settled {
    /// As it should be.
    pub held: Held,
    /// By what name or address clients reach the cloud.
    pub host: String,
    /// Sentences.
    pub notes: Vec<String>,
}

/// Certifies by the cloud's own authority, for `address`: what is held stays while it can.
pub fn by_authority(
    cloud: &str,
    address: &str,
    held: Held,
    now: OffsetDateTime,
) -> Result<Settled> {
    let (authority, note) = authority::settle(cloud, held.authority, now)?;
    let names = [address.to_owned()];
    let shown = match held.shown.filter(|pair| pair.serves(&names, &authority, now)) {
        Some(present) => present,
        None => authority::issue(&authority, &names, Purpose::Server, now)?,
    };
    let held = Held { authority: Some(authority), shown: Some(shown), ..held };
    Ok(Settled { held, host: address.to_owned(), notes: note.into_iter().collect() })
}

/// By what the user brings. Where that does not name the address, but a name, clients are told that.
pub fn by_user(
    brought: &Brought,
    address: &str,
    held: Held,
    now: OffsetDateTime,
) -> Result<Settled> {
    let Brought { certificate_file, key_file, .. } = brought;
    let wrong = |why: String| {
        Error::new(ErrorKind::Config, format!("use the certificate {certificate_file}"))
            .because(why)
            .hint(format!("Its key is read from {key_file}. Put in others, or leave both out."))
    };
    let pair = Pair::read(&brought.certificate, &brought.key).map_err(wrong)?;
    if now >= pair.ends {
        return Err(wrong(format!("it ended on {}", pair.ends.date())));
    }
    if now < pair.begins {
        return Err(wrong(format!("it counts only from {} on", pair.begins.date())));
    }
    let mut notes = Vec::new();
    if pair.ends - now < SOON {
        notes.push(format!("The certificate {certificate_file} ends on {}.", pair.ends.date()));
    }
    // No network of a cloud carries IPv6.
    let leads_here = |name: &&String| !name.contains('*') && name.parse::<Ipv6Addr>().is_err();
    let named = pair.names.iter().find(leads_here);
    let host = match named {
        _ if pair.is_for(address) => address.to_owned(),
        Some(name) => {
            notes.push(format!(
                "The certificate {certificate_file} is not for {address}: the catalog sends clients \
                 to `{name}`, which must lead there."
            ));
            name.clone()
        }
        None => {
            notes.push(format!(
                "The certificate {certificate_file} is not for {address}, where the cloud is exposed: \
                 clients will refuse it."
            ));
            address.to_owned()
        }
    };
    Ok(Settled { held: Held { shown: Some(pair), ..held }, host, notes })
}
