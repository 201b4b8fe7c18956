use secrecy::{ExposeSecret as _, SecretString};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::outside::{Brought, Held, Settled, by_authority, by_user};
use super::pair::Pair;
use super::{authority, inside, store};
use crate::model::cloud::Certified;

const NOW: OffsetDateTime = datetime!(2026-11-28 12:00 UTC);
const ADDRESS: &str = "192.0.2.7";

fn first() -> Settled {
    by_authority("aio1", ADDRESS, Held::default(), NOW).unwrap()
}

fn shown(settled: &Settled) -> &Pair {
    settled.held.shown.as_ref().unwrap()
}

fn trusted(settled: &Settled) -> &Pair {
    settled.held.authority.as_ref().unwrap()
}

fn later(settled: &Settled, days: i64) -> Settled {
    by_authority("aio1", ADDRESS, settled.held.clone(), NOW + Duration::days(days)).unwrap()
}

/// What a client does that trusts nothing but the authority.
fn client_accepts(authority: &Pair, shown: &Pair, name: &str, now: OffsetDateTime) -> bool {
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    let der = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der(&authority.certificate)).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .unwrap();
    let seconds = u64::try_from(now.unix_timestamp()).unwrap();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(&der(&shown.certificate), &[], &name, &[], now).is_ok()
}

#[test]
fn a_client_that_trusts_the_authority_accepts_what_is_shown_and_nothing_else() {
    let settled = first();
    assert_eq!(settled.host, ADDRESS);
    assert!(client_accepts(trusted(&settled), shown(&settled), ADDRESS, NOW));
    assert!(!client_accepts(trusted(&settled), shown(&settled), "192.0.2.8", NOW));
    let long_after = NOW + Duration::days(398);
    assert!(!client_accepts(trusted(&settled), shown(&settled), ADDRESS, long_after));
    let other = first();
    assert!(!client_accepts(trusted(&other), shown(&settled), ADDRESS, NOW));
    assert!(!shown(&settled).is_signed_by(&trusted(&other).certificate));
}

#[test]
fn what_is_held_stays_until_a_third_of_its_life_is_left() {
    let settled = first();
    for days in [0, 1, 200, 263] {
        let again = later(&settled, days);
        assert_eq!(shown(&again).certificate, shown(&settled).certificate, "after {days} days");
        assert_eq!(trusted(&again).certificate, trusted(&settled).certificate);
        assert!(again.notes.is_empty());
    }
    let renewed = later(&settled, 266);
    assert_ne!(shown(&renewed).certificate, shown(&settled).certificate);
    assert_eq!(trusted(&renewed).certificate, trusted(&settled).certificate);
    let then = NOW + Duration::days(266 + 300);
    assert!(client_accepts(trusted(&settled), shown(&renewed), ADDRESS, then));
}

#[test]
fn a_renewed_authority_is_the_same_to_those_who_have_the_former_certificate() {
    let settled = first();
    let renewed = later(&settled, 2500);
    assert_eq!(renewed.notes.len(), 1, "{:?}", renewed.notes);
    assert_ne!(trusted(&renewed).certificate, trusted(&settled).certificate);
    assert_eq!(
        super::pair::key_hash(&trusted(&renewed).certificate),
        super::pair::key_hash(&trusted(&settled).certificate)
    );
    assert_ne!(serial(trusted(&renewed)), serial(trusted(&settled)), "some clients refuse that");
    let then = NOW + Duration::days(2501);
    for known in [trusted(&settled), trusted(&renewed)] {
        assert!(client_accepts(known, shown(&renewed), ADDRESS, then));
    }
}

fn serial(pair: &Pair) -> String {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pair.certificate.as_bytes()).unwrap();
    pem.parse_x509().unwrap().raw_serial_as_string()
}

#[test]
fn an_authority_whose_key_is_missing_is_not_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    store::write(directory.path(), &first().held).unwrap();
    std::fs::remove_file(directory.path().join("outside.key")).unwrap();
    assert!(store::read(directory.path()).unwrap().shown.is_none(), "that is");
    std::fs::remove_file(directory.path().join("ca.key")).unwrap();
    let error = store::read(directory.path()).err().unwrap();
    assert!(error.hints[0].contains("Put it back"), "{error}");
}

#[test]
fn what_is_shown_no_more_goes_and_the_authority_stays() {
    let directory = tempfile::tempdir().unwrap();
    store::write(directory.path(), &first().held).unwrap();
    store::write(directory.path(), &Held::default()).unwrap();
    let held = store::read(directory.path()).unwrap();
    assert!(held.shown.is_none() && held.authority.is_some());
    assert!(!directory.path().join("outside.key").exists());
}

#[test]
fn another_address_or_authority_has_another_certificate() {
    let settled = first();
    let moved = by_authority("aio1", "192.0.2.8", settled.held.clone(), NOW).unwrap();
    assert_eq!(shown(&moved).names, ["192.0.2.8"]);
    assert_eq!(trusted(&moved).certificate, trusted(&settled).certificate);
    let lost = Held { authority: None, ..settled.held.clone() };
    let anew = by_authority("aio1", ADDRESS, lost, NOW).unwrap();
    assert!(client_accepts(trusted(&anew), shown(&anew), ADDRESS, NOW));
}

/// What a user brings: a certificate for these names.
fn brought(names: &[&str], made: OffsetDateTime) -> Brought {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let own = authority::settle("mine", None, made).unwrap().0;
    let pair = authority::issue(&own, &names, authority::Purpose::Server, made).unwrap();
    Brought {
        certificate_file: "mine.crt".to_owned(),
        certificate: pair.certificate,
        key_file: "mine.key".to_owned(),
        key: pair.key,
    }
}

fn refused(brought: &Brought) -> String {
    let refused = by_user(brought, ADDRESS, Held::default(), NOW).err().unwrap();
    assert!(!refused.to_string().contains("PRIVATE"), "{refused}");
    refused.to_string()
}

#[test]
fn a_users_certificate_is_used_as_it_is() {
    let brought = brought(&[ADDRESS, "cloud.example.org"], NOW);
    let settled = by_user(&brought, ADDRESS, first().held, NOW).unwrap();
    assert_eq!(shown(&settled).certificate, brought.certificate);
    assert_eq!((settled.host.as_str(), settled.notes.len()), (ADDRESS, 0));
}

#[test]
fn a_users_certificate_for_a_name_sends_clients_to_that_name() {
    let named = brought(&["*.example.org", "cloud.example.org"], NOW);
    let settled = by_user(&named, ADDRESS, Held::default(), NOW).unwrap();
    assert_eq!(settled.host, "cloud.example.org");
    assert!(settled.notes[0].contains("is not for 192.0.2.7"), "{:?}", settled.notes);
    let unnamed = brought(&["*.example.org", "2001:db8::1"], NOW);
    let settled = by_user(&unnamed, ADDRESS, Held::default(), NOW).unwrap();
    assert_eq!(settled.host, ADDRESS);
    assert!(settled.notes[0].contains("clients will refuse it"), "{:?}", settled.notes);
}

#[test]
fn a_users_certificate_that_is_of_no_use_is_refused() {
    assert!(refused(&brought(&[ADDRESS], NOW - Duration::days(500))).contains("it ended on 2026-"));
    assert!(
        refused(&brought(&[ADDRESS], NOW + Duration::days(5))).contains("only from 2026-12-02")
    );
    let other = brought(&[ADDRESS], NOW).key;
    let mixed = Brought { key: other, ..brought(&[ADDRESS], NOW) };
    assert!(refused(&mixed).contains("the key is another certificate's"), "{}", refused(&mixed));
    let last = brought(&[ADDRESS], NOW);
    let turned = format!("{}{}", trusted(&first()).certificate, last.certificate);
    let turned = Brought { certificate: turned, ..last };
    assert!(refused(&turned).contains("must be the first in its file"), "{}", refused(&turned));
    let none = Brought { certificate: "x".to_owned(), ..brought(&[ADDRESS], NOW) };
    assert!(refused(&none).contains("no certificate"), "{}", refused(&none));
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let locked = Brought { key: locked.into(), ..brought(&[ADDRESS], NOW) };
    assert!(refused(&locked).contains("encrypted"));
    let soon = brought(&[ADDRESS], NOW - Duration::days(380));
    let settled = by_user(&soon, ADDRESS, Held::default(), NOW).unwrap();
    assert!(settled.notes[0].contains("ends on 2026-12-15"), "{:?}", settled.notes);
}

#[test]
fn a_wildcard_covers_one_label_and_no_address() {
    let pair = brought(&["*.example.org"], NOW);
    let pair = Pair::read(&pair.certificate, &pair.key).unwrap();
    for (name, covered) in [
        ("cloud.example.org", true),
        ("CLOUD.example.org", true),
        ("a.cloud.example.org", false),
        ("example.org", false),
        (ADDRESS, false),
    ] {
        assert_eq!(pair.is_for(name), covered, "{name}");
    }
}

#[test]
fn keys_are_their_owners_and_what_is_held_is_read_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let tls = directory.path().join("tls");
    assert!(store::read(&tls).unwrap().shown.is_none());
    let settled = first();
    store::write(&tls, &settled.held).unwrap();
    let mode = |name: &str| std::fs::metadata(tls.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("ca.key"), mode("outside.key"), mode("ca.crt")), (0o600, 0o600, 0o644));
    let held = store::read(&tls).unwrap();
    assert_eq!(held.shown.unwrap().certificate, shown(&settled).certificate);
    let again = by_authority("aio1", ADDRESS, store::read(&tls).unwrap(), NOW).unwrap();
    assert_eq!(shown(&again).certificate, shown(&settled).certificate);

    std::fs::write(tls.join("der.crt"), [0x30, 0x82, 0xff]).unwrap();
    let error = store::brought(&tls.join("der.crt"), &tls.join("ca.key")).err().unwrap();
    assert!(error.hints[0].contains("openssl x509 -inform DER"), "{error}");

    std::fs::copy(tls.join("ca.key"), tls.join("outside.key")).unwrap();
    let error = store::read(&tls).err().unwrap();
    assert!(error.to_string().contains("the key is another certificate's"), "{error}");
    assert!(error.hints[0].contains("Remove outside.crt"), "{:?}", error.hints);
}

#[test]
fn each_container_has_a_certificate_of_its_own_that_stays_while_others_come_and_go() {
    let authority = authority::settle("aio1", None, NOW).unwrap().0;
    let wanted = |names: &[&str]| {
        let certified = |name: &str| Certified {
            addresses: vec![format!("192.0.2.1{name}"), ADDRESS.to_owned()],
            peer: false,
        };
        names.iter().map(|name| ((*name).to_owned(), certified(name))).collect()
    };
    let first = inside::settle(&authority, &wanted(&["1", "2"]), Default::default(), NOW).unwrap();
    for name in ["192.0.2.11", ADDRESS] {
        assert!(client_accepts(&authority, &first["1"], name, NOW), "{name}");
    }
    assert!(!client_accepts(&authority, &first["1"], "192.0.2.12", NOW));
    assert_ne!(first["1"].key.expose_secret(), first["2"].key.expose_secret());

    let then = inside::settle(&authority, &wanted(&["2", "3"]), first.clone(), NOW).unwrap();
    assert_eq!(then["2"].certificate, first["2"].certificate);
    assert_eq!(then.keys().collect::<Vec<_>>(), ["2", "3"]);

    let directory = tempfile::tempdir().unwrap();
    let held = |containers| Held { authority: Some(authority.clone()), shown: None, containers };
    store::write(directory.path(), &held(first)).unwrap();
    assert_eq!(store::key_files(directory.path()).len(), 4);
    store::write(directory.path(), &held(then)).unwrap();
    let read = store::read(directory.path()).unwrap();
    assert_eq!(read.containers.keys().collect::<Vec<_>>(), ["2", "3"]);
    assert!(!directory.path().join("containers/1.key").exists());
    assert!(store::own_files(directory.path()).contains(&directory.path().join("containers")));
}

#[test]
fn members_of_a_cluster_show_theirs_to_one_another_in_both_roles() {
    let authority = authority::settle("aio1", None, NOW).unwrap().0;
    let names = [ADDRESS.to_owned()];
    for (purpose, client) in [(authority::Purpose::Server, false), (authority::Purpose::Peer, true)]
    {
        let pair = authority::issue(&authority, &names, purpose, NOW).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(pair.certificate.as_bytes()).unwrap();
        let parsed = pem.parse_x509().unwrap();
        let usage = parsed.extended_key_usage().unwrap().unwrap().value;
        assert_eq!((usage.server_auth, usage.client_auth), (true, client));
        assert_eq!(
            pair.ends == authority.ends,
            client,
            "a member's counts as long as the authority"
        );
    }
}

#[test]
fn when_a_certificate_ends_is_read_without_its_key() {
    let settled = first();
    let end = (NOW + Duration::days(397)).date();
    assert_eq!(super::pair::ends(&shown(&settled).certificate), Some(end));
    assert_eq!(super::pair::ends("none"), None);
}

#[test]
fn certificate_and_key_together_are_what_a_server_reads() {
    let settled = first();
    let together: SecretString = shown(&settled).together();
    let text = together.expose_secret();
    assert!(text.starts_with("-----BEGIN CERTIFICATE-----\n"), "the certificate is first");
    assert!(text.contains("-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"));
}

#[test]
fn of_both_in_one_file_the_key_is_in_no_certificate() {
    let pair = shown(&first()).clone();
    let both = format!("# mine\n{}", pair.together().expose_secret());
    let read = Pair::read(&both, &SecretString::from(both.as_str())).unwrap();
    assert_eq!(read.certificate, pair.certificate);
    assert_eq!(read.key.expose_secret(), pair.key.expose_secret());
}
