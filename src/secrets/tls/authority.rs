//! The cloud's own authority: clients that know its certificate know the cloud.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use secrecy::{ExposeSecret as _, SecretString};
use time::{Duration, OffsetDateTime};

use super::pair::Pair;
use crate::error::{Result, ResultExt as _};

/// Longer than a development cloud lives: every client must be told of a new one.
const AUTHORITY_DAYS: i64 = 3650;

/// What browsers and clients still believe.
const CERTIFICATE_DAYS: i64 = 397;

/// A client's clock may be behind.
const EARLIER: Duration = Duration::days(1);

/// The authority to use from now on, and what a user should know of it: what is held stays while it can.
pub fn settle(
    cloud: &str,
    held: Option<Pair>,
    now: OffsetDateTime,
) -> Result<(Pair, Option<String>)> {
    match held {
        None => Ok((new(cloud, now)?, None)),
        Some(present) if present.is_due(now) => {
            let note = "The cloud's authority was renewed: give its new certificate to clients \
                        before the former one ends.";
            Ok((renewed(&present, now)?, Some(note.to_owned())))
        }
        Some(present) => Ok((present, None)),
    }
}

/// A new authority. Its name tells it from that of a cloud which had the same name before.
fn new(cloud: &str, now: OffsetDateTime) -> Result<Pair> {
    let name = format!("aio cloud {cloud}, {}", now.date());
    let key = KeyPair::generate().doing(|| "make a key".to_owned())?;
    signed_by_itself(name, &key, now)
}

/// The same authority, for longer: what it signed is still believed, by old clients and new.
fn renewed(authority: &Pair, now: OffsetDateTime) -> Result<Pair> {
    let doing = || "renew the cloud's authority".to_owned();
    let key = KeyPair::from_pem(authority.key.expose_secret()).doing(doing)?;
    signed_by_itself(subject(&authority.certificate).unwrap_or_default(), &key, now)
}

fn signed_by_itself(name: String, key: &KeyPair, now: OffsetDateTime) -> Result<Pair> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    // By default it follows from the key, and some clients refuse two certificates with one number.
    params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (now - EARLIER, now + Duration::days(AUTHORITY_DAYS));
    let made = params.self_signed(key).doing(|| "make the cloud's authority".to_owned())?;
    pair(made.pem(), key)
}

/// What a certificate is shown for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Server,
    /// That, and by a member of a cluster to the members it connects to: for as long as the authority
    /// counts. Members that know an ended one are not understood by the first that has a new one.
    Peer,
}

/// A certificate for these names and addresses, signed by `authority`.
pub fn issue(
    authority: &Pair,
    names: &[String],
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<Pair> {
    let doing = || format!("make a certificate for {}", names.join(", "));
    let signing = KeyPair::from_pem(authority.key.expose_secret()).doing(doing)?;
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, signing).doing(doing)?;
    let key = KeyPair::generate().doing(doing)?;
    let mut params = CertificateParams::new(names).doing(doing)?;
    params.distinguished_name = common_name(names.first().cloned().unwrap_or_default());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    if purpose == Purpose::Peer {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    }
    params.use_authority_key_identifier_extension = true;
    let ends = match purpose {
        Purpose::Server => (now + Duration::days(CERTIFICATE_DAYS)).min(authority.ends),
        Purpose::Peer => authority.ends,
    };
    (params.not_before, params.not_after) = (now - EARLIER, ends);
    let made = params.signed_by(&key, &issuer).doing(doing)?;
    pair(made.pem(), &key)
}

fn common_name(name: String) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn pair(certificate: String, key: &KeyPair) -> Result<Pair> {
    let key = SecretString::from(key.serialize_pem());
    Pair::read(&certificate, &key).doing(|| "read a certificate that was just made".to_owned())
}

/// Its common name.
fn subject(certificate: &str) -> Option<String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).ok()?;
    let parsed = pem.parse_x509().ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}
