//! A certificate with its key, both as PEM.

use std::net::IpAddr;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use time::{Date, OffsetDateTime};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::model::hash::sha256_hex;

/// What proves that a server is who it says.
#[derive(Clone)]
pub struct Pair {
    /// The certificate, and after it those that lead to an authority which clients know.
    pub certificate: String,
    pub key: SecretString,
    /// Names and addresses that it is for, as they are written.
    pub names: Vec<String>,
    pub begins: OffsetDateTime,
    pub ends: OffsetDateTime,
}

impl Pair {
    /// Reads the two. Of each text its own part alone is kept: people have both in one file, and the
    /// certificate is for everybody to read.
    ///
    /// # Errors
    /// Says what is wrong with them.
    pub fn read(certificate: &str, key: &SecretString) -> Result<Self, String> {
        let chain = chain(certificate)?;
        let private = private_key(key)?;
        let first = chain.first().ok_or("there is no certificate in it")?.clone();
        let fits = |chain: Vec<CertificateDer<'static>>| {
            CertifiedKey::from_der(chain, private.clone_key(), &ring::default_provider())
        };
        fits(chain.clone()).map_err(|why| match why {
            rustls::Error::InconsistentKeys(_)
                if chain[1..].iter().any(|other| fits(vec![other.clone()]).is_ok()) =>
            {
                "the certificate of the key must be the first in its file".to_owned()
            }
            rustls::Error::InconsistentKeys(_) => "the key is another certificate's".to_owned(),
            other => format!("the key is of no use: {other}"),
        })?;
        let parsed = parse(&first)?;
        Ok(Self {
            certificate: blocks(certificate, &CERTIFICATES).concat(),
            key: blocks(key.expose_secret(), &KEYS).first().cloned().unwrap_or_default().into(),
            names: names(&parsed),
            begins: parsed.validity().not_before.to_datetime(),
            ends: parsed.validity().not_after.to_datetime(),
        })
    }

    /// Whether it is for that name or address.
    pub fn is_for(&self, host: &str) -> bool {
        self.names.iter().any(|name| {
            let covered = name.strip_prefix("*.").and_then(|domain| {
                let (_, rest) = host.split_once('.')?;
                Some(rest.eq_ignore_ascii_case(domain) && host.parse::<IpAddr>().is_err())
            });
            name.eq_ignore_ascii_case(host) || covered == Some(true)
        })
    }

    /// Whether it is time for the next one: a third of its life is left, or it does not count yet.
    pub fn is_due(&self, now: OffsetDateTime) -> bool {
        now < self.begins || now >= self.ends - (self.ends - self.begins) / 3
    }

    /// Whether `authority`, a certificate, signed it.
    pub fn is_signed_by(&self, authority: &str) -> bool {
        let both = chain(&self.certificate).and_then(|own| Ok((own, chain(authority)?)));
        let Ok((own, authority)) = both else { return false };
        let (Some(own), Some(authority)) = (own.first(), authority.first()) else { return false };
        let (Ok(own), Ok(authority)) = (parse(own), parse(authority)) else { return false };
        own.issuer() == authority.subject()
            && own.verify_signature(Some(authority.public_key())).is_ok()
    }

    /// Whether it goes on being shown for these names: signed by `authority`, and not yet due.
    pub fn serves(&self, names: &[String], authority: &Self, now: OffsetDateTime) -> bool {
        self.names == names && !self.is_due(now) && self.is_signed_by(&authority.certificate)
    }

    /// Both in one text, as servers read them.
    pub fn together(&self) -> SecretString {
        let text = Zeroizing::new(format!(
            "{}\n{}\n",
            self.certificate.trim_end(),
            self.key.expose_secret().trim_end()
        ));
        text.as_str().into()
    }
}

/// What a certificate is called in PEM (RFC 7468).
const CERTIFICATES: [&str; 1] = ["CERTIFICATE"];
/// What private keys are called there, by themselves and in OpenSSL's own ways.
const KEYS: [&str; 3] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];

/// The parts of a text in PEM that are called so.
fn blocks(text: &str, labels: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines().map(str::trim) {
        let is =
            |edge: &str| labels.iter().any(|label| line == format!("-----{edge} {label}-----"));
        if is("BEGIN") {
            open = Some(String::new());
        }
        if let Some(block) = &mut open {
            block.push_str(line);
            block.push('\n');
            if is("END") {
                found.extend(open.take());
            }
        }
    }
    found
}

/// On which day the first of a text's certificates ends; none where it has none that can be read.
pub fn ends(text: &str) -> Option<Date> {
    let first = chain(text).ok()?.into_iter().next()?;
    Some(parse(&first).ok()?.validity().not_after.to_datetime().date())
}

/// SHA-256 of the public key of the first of a text's certificates, in hex.
pub fn key_hash(text: &str) -> Option<String> {
    let first = chain(text).ok()?.into_iter().next()?;
    Some(sha256_hex(parse(&first).ok()?.public_key().raw))
}

fn chain(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| "it is no certificate in PEM".to_owned())
}

fn private_key(text: &SecretString) -> Result<PrivateKeyDer<'static>, String> {
    let text = text.expose_secret();
    if text.contains("ENCRYPTED") {
        return Err("the key is encrypted: nobody could give its password at a start".to_owned());
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| "there is no private key in PEM in it".to_owned())
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    X509Certificate::from_der(certificate)
        .map(|(_, parsed)| parsed)
        .map_err(|_| "it is no certificate that can be read".to_owned())
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternatives.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    });
    names.collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
