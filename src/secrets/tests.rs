use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use secrecy::{ExposeSecret as _, SecretString};

use super::applied::AppliedSecrets;
use super::check::check;
use super::file::{Completed, SecretValues, SecretsFile};
use super::generate::generate;
use super::spec::{Kind, Secret, SecretSpec};
use super::store;
use crate::error::ErrorKind;

fn spec() -> SecretSpec {
    SecretSpec::embedded().unwrap()
}

fn random() -> StdRng {
    StdRng::seed_from_u64(7)
}

fn services(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn all_services() -> Vec<String> {
    services(&["galera", "rabbitmq", "memcached", "haproxy", "keystone", "heat"])
}

fn completed(text: &str, deployed: &[&str]) -> (String, Completed) {
    let mut file = SecretsFile::parse(text, "user_secrets.yml").unwrap();
    let done = file.complete(&spec(), &services(deployed), &mut random()).unwrap();
    (file.text().to_owned(), done)
}

fn refused(text: &str, deployed: &[&str]) -> String {
    match SecretsFile::parse(text, "user_secrets.yml") {
        Ok(mut file) => {
            let before = file.text().to_owned();
            let error = file.complete(&spec(), &services(deployed), &mut random()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Config);
            assert_eq!(file.text(), before, "nothing is filled when something is wrong");
            error.to_string()
        }
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Config);
            error.to_string()
        }
    }
}

fn plain(text: &str) -> BTreeMap<String, Option<String>> {
    serde_yaml::from_str(text).unwrap()
}

fn secret(kind: Kind, length: Option<usize>, accepts: &[usize]) -> Secret {
    Secret {
        purpose: "Of a test".to_owned(),
        kind,
        length,
        accepts: accepts.to_vec(),
        rotation: super::spec::Rotation::Apply,
        reason: None,
        also_used_by: Vec::new(),
        service: "test".to_owned(),
    }
}

#[test]
fn specification_covers_the_control_plane() {
    let spec = spec();
    for name in [
        "galera_root_password",
        "galera_monitoring_user_password",
        "rabbitmq_cookie_token",
        "rabbitmq_monitoring_password",
        "memcached_encryption_key",
        "haproxy_stats_password",
        "keystone_container_mysql_password",
        "keystone_auth_admin_password",
        "keystone_fernet_key_1",
        "keystone_credential_key_1",
        "heat_container_mysql_password",
        "heat_oslomsg_rpc_password",
        "heat_service_password",
        "heat_stack_domain_admin_password",
        "heat_auth_encryption_key",
    ] {
        assert!(spec.get(name).is_some(), "{name}");
    }
    let heat = services(&["heat"]);
    assert!(
        spec.needed_by(&heat)
            .all(|(name, secret)| { name.starts_with("heat_") && secret.service == "heat" })
    );
}

/// Names after `secret: ` and `secrets.` in a profile or template.
fn named_secrets(text: &str) -> impl Iterator<Item = &str> {
    ["secret: ", "secrets."].into_iter().flat_map(|mark| text.split(mark).skip(1)).filter_map(
        |rest| {
            let end =
                rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
            Some(&rest[..end.unwrap_or(rest.len())]).filter(|name| !name.is_empty())
        },
    )
}

#[test]
fn specification_and_profiles_are_in_step() {
    let spec = spec();
    let profiles = crate::config::embedded::profiles();
    let mut named = std::collections::BTreeSet::new();
    for (path, text) in &profiles {
        for name in named_secrets(text) {
            if name == super::tls::outside::OUTSIDE_PEM {
                continue;
            }
            assert!(spec.get(name).is_some(), "{path} names `{name}`, which secrets/ lacks");
            named.insert(name);
        }
    }
    let deployed: Vec<String> = profiles
        .iter()
        .filter_map(|(path, _)| path.strip_prefix("services/")?.strip_suffix(".yml"))
        .map(str::to_owned)
        .collect();
    for (name, _) in spec.needed_by(&deployed) {
        assert!(named.contains(name), "no profile uses `{name}`");
    }
    assert_eq!(spec.needed_by(&deployed).count(), named.len(), "every service is a profile");
}

#[test]
fn specification_mistakes_name_file_and_secret() {
    let load = |text: &str| SecretSpec::load([("x.yml", text)]).unwrap_err().to_string();
    let unknown = load("service: x\nsecrets:\n  a_b:\n    use: U\n    kind: passwort\n");
    assert!(unknown.contains("secrets/x.yml") && unknown.contains("passwort"), "{unknown}");
    let no_length = load("service: x\nsecrets: {a: {use: U, kind: token, rotation: apply}}\n");
    assert!(no_length.contains("`a`") && no_length.contains("`length`"), "{no_length}");
    let length =
        load("service: x\nsecrets: {a: {use: U, kind: ceph_key, length: 1, rotation: apply}}\n");
    assert!(length.contains("`a`") && length.contains("has no `length`"), "{length}");
    let no_reason = load("service: x\nsecrets: {a: {use: U, kind: uuid, rotation: refuse}}\n");
    assert!(no_reason.contains("`reason`"), "{no_reason}");
    let twice = "service: x\nsecrets: {a: {use: U, kind: uuid, rotation: apply}}\n";
    let error = SecretSpec::load([("a.yml", twice), ("b.yml", twice)]);
    assert!(error.unwrap_err().to_string().contains("already"));
}

#[test]
fn generated_values_are_of_their_kind() {
    let mut random = random();
    for (_, secret) in spec().needed_by(&all_services()) {
        for _ in 0..50 {
            let value = generate(secret, &mut random);
            assert_eq!(check(secret, value.expose_secret()), None, "{secret:?}");
        }
    }
    let uuid = generate(&secret(Kind::Uuid, None, &[]), &mut random);
    assert_eq!(uuid::Uuid::parse_str(uuid.expose_secret()).unwrap().get_version_num(), 4);
    let ceph = secret(Kind::CephKey, None, &[]);
    let values = [generate(&ceph, &mut random), generate(&ceph, &mut random)];
    assert_ne!(values[0].expose_secret(), values[1].expose_secret());
    assert!(values.iter().all(|value| check(&ceph, value.expose_secret()).is_none()));
    let wrong = check(&ceph, "bm90IGEga2V5").unwrap();
    assert!(wrong.contains("ceph-authtool") && !wrong.contains("bm90"), "{wrong}");
}

#[test]
fn alphabet_is_uniform() {
    let long = secret(Kind::Password, Some(62 * 2000), &[]);
    let value = generate(&long, &mut random());
    let mut counts: BTreeMap<char, u32> = BTreeMap::new();
    for character in value.expose_secret().chars() {
        *counts.entry(character).or_default() += 1;
    }
    assert_eq!(counts.len(), 62);
    // Standard deviation is 44; the remainder of a byte would favour eight characters by a quarter.
    assert!(counts.values().all(|count| (1780..2220).contains(count)), "{counts:?}");
}

#[test]
fn wrong_kinds_are_refused_without_being_quoted() {
    let cases = [
        ("heat", "heat_auth_encryption_key: abcdef0123", "10 characters where 16 or 24 or 32"),
        ("heat", "heat_auth_encryption_key: zzzzzzzzzzzzzzzz", "hexadecimal"),
        ("keystone", "keystone_fernet_key_1: c2hvcnQ=", "Fernet"),
        ("keystone", "keystone_credential_key_0: not/base64+at-all", "Fernet"),
        ("keystone", "keystone_auth_admin_password: \"two\\nlines\"", "printable ASCII"),
        ("keystone", "keystone_auth_admin_password: pässwort", "printable ASCII"),
        ("keystone", "keystone_auth_admin_password: ' spaced'", "space"),
        ("keystone", "keystone_auth_admin_password: '\"hidden\"'", "quotation marks"),
        ("keystone", "keystone_auth_admin_password: 'hid\\$den'", "cannot express"),
        ("keystone", "keystone_auth_admin_password: [a, b]", "list or a mapping"),
        ("keystone", "keystone_auth_admin_password:\n  nested: hidden", "list or a mapping"),
        ("keystone", "keystone_auth_admin_password: !vault |\n  61626364", "ansible-vault"),
        ("keystone", "keystone_auth_admin_password: &anchor thing", "anchor"),
        ("rabbitmq", "rabbitmq_cookie_token: 'with blank'", "letter, a digit"),
    ];
    for (service, text, expected) in cases {
        let message = refused(&format!("---\n{text}\n"), &[service]);
        assert!(message.contains(expected), "{text}: {message}");
        assert!(message.contains("user_secrets.yml:2: "), "{text}: {message}");
        let value = text.rsplit([' ', '\n']).next().unwrap().trim_matches(['\'', '"', ']']);
        assert!(!message.contains(value), "{text}: {message}");
    }
}

#[test]
fn lengths_of_older_files_are_accepted() {
    for length in [16, 24, 32] {
        let text = format!("heat_auth_encryption_key: {}\n", "a".repeat(length));
        let (after, _) = completed(&text, &["heat"]);
        assert!(after.starts_with(&text));
    }
}

#[test]
fn forms_that_are_not_name_and_value_are_refused() {
    for (text, expected) in [
        ("{keystone_auth_admin_password: hidden}\n", ":1: "),
        ("- hidden\n", ":1: "),
        ("a_password: x\n? hidden\n: y\n", ":2: "),
        ("a_password: 'hidden\nmore hidden'\n", ":2: "),
        ("a_password: x\n---\nb_password: y\n", ":2: "),
        ("a_password: 'hidden\n", "not valid YAML"),
        ("a_password: hidden: x\n", "not valid YAML"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162\n", "ansible-vault"),
    ] {
        let message = refused(text, &[]);
        assert!(message.contains(expected), "{text}: {message}");
        assert!(!message.contains("hidden"), "{text}: {message}");
    }
    let twice = "heat_service_password: a\n\nheat_service_password: b\n";
    assert!(
        refused(twice, &[]).contains(":3: `heat_service_password` is there already, on line 1")
    );
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    let message = refused("keystone_auth_admin_pasword: x\nquite_something_else: y\n", &["heat"]);
    assert!(message.contains("line 1"), "{message}");
    assert!(message.contains("did you mean `keystone_auth_admin_password`?"), "{message}");
    assert!(message.ends_with("there is no secret `quite_something_else`"), "{message}");
}

#[test]
fn names_of_every_era_are_kept_and_reported() {
    let text = "# from 2015\nheat_rabbitmq_password: old\nkeystone_auth_admin_token:\nnova_v21_service_password: [1]\n\
                cinder_ceph_client_uuid: 7\nnova_oslomsg_notify_password:\nmurano_service_password: x\n";
    let (after, done) = completed(text, &["heat"]);
    assert!(after.starts_with(text), "{after}");
    assert_eq!(
        done.unused,
        [
            "heat_rabbitmq_password",
            "keystone_auth_admin_token",
            "nova_v21_service_password",
            "cinder_ceph_client_uuid",
            "nova_oslomsg_notify_password",
            "murano_service_password",
        ]
    );
    assert_eq!(done.filled.len(), 5);
}

#[test]
fn only_empty_entries_are_filled() {
    let text = "---\n# Mine.\nkeystone_auth_admin_password: 0123  # kept\n\
                heat_service_password:    # please fill\nheat_oslomsg_rpc_password: ~\n\
                heat_container_mysql_password: ''\r\n\
                heat_stack_domain_admin_password:\n  # below\n  null\n\
                'heat_auth_encryption_key' : null # a # b\n# The end.";
    let (after, done) = completed(text, &["heat"]);
    let values = plain(&after);
    assert_eq!(values.len(), 6);
    assert_eq!(values["keystone_auth_admin_password"].as_deref(), Some("0123"));
    assert!(after.starts_with("---\n# Mine.\nkeystone_auth_admin_password: 0123  # kept\n"));
    let service = values["heat_service_password"].as_deref().unwrap();
    assert_eq!(service.len(), 32);
    assert!(after.contains("    # please fill\nheat_oslomsg_rpc_password: "), "{after}");
    assert!(after.contains("\r\nheat_stack_domain_admin_password: "), "{after}");
    assert!(after.contains("\n  # below\n'heat_auth_encryption_key' : "), "{after}");
    assert!(after.ends_with(" # a # b\n# The end.\r\n"), "{after}");
    assert_eq!(done.filled.len(), 5);
    assert_eq!(done.unused, ["keystone_auth_admin_password"]);

    let mut again = SecretsFile::parse(&after, "x").unwrap();
    let second = again.complete(&spec(), &services(&["heat"]), &mut random()).unwrap();
    assert!(second.filled.is_empty() && !again.changed());
    assert_eq!(again.text(), after);
}

#[test]
fn new_names_are_appended_by_service() {
    let (first, done) = completed("", &["galera", "heat"]);
    assert!(first.starts_with("# The secrets of this cloud"), "{first}");
    assert!(
        first.contains(
            "\n\n# galera\n# Password of the database's user root.\ngalera_root_password: "
        )
    );
    assert!(
        first.contains("Cannot be changed once the cloud holds data.\nheat_auth_encryption_key: ")
    );
    assert_eq!(done.filled.len(), plain(&first).len());

    let (second, done) = completed(&first, &["galera", "heat", "haproxy"]);
    assert!(second.starts_with(&first));
    assert_eq!(done.filled, ["haproxy_stats_password"]);
    assert!(second[first.len()..].starts_with("\n# haproxy\n"));
}

#[test]
fn values_need_all_names_and_are_what_is_written() {
    let spec = spec();
    let file = SecretsFile::parse("haproxy_stats_password: 1e3\n", "f").unwrap();
    let values = file.values(&spec, &services(&["haproxy"])).unwrap();
    assert_eq!(values.get("haproxy_stats_password").unwrap().expose_secret(), "1e3");
    let error = file.values(&spec, &services(&["memcached"])).unwrap_err();
    assert!(error.to_string().contains("`memcached_encryption_key` has no value"));
}

#[test]
fn debug_and_errors_show_no_value() {
    let mut file = SecretsFile::parse("haproxy_stats_password: hunter2hunter2\n", "f").unwrap();
    let done = file.complete(&spec(), &all_services(), &mut random()).unwrap();
    let values = file.values(&spec(), &all_services()).unwrap();
    let mut applied = AppliedSecrets::new(&mut random());
    applied.set_all(&values);
    let shown =
        format!("{file:?} {done:?} {values:?} {applied:?} {}", applied.to_record().unwrap());
    for (name, value) in &values {
        assert!(!shown.contains(value.expose_secret()), "{name}");
    }
    assert!(shown.contains("haproxy_stats_password"));
}

#[test]
fn edits_are_seen_and_sorted_by_what_they_mean() {
    let spec = spec();
    let values = |admin: &str, key: &str| -> SecretValues {
        [("keystone_auth_admin_password", admin), ("heat_auth_encryption_key", key)]
            .map(|(name, value)| (name.to_owned(), SecretString::from(value)))
            .into_iter()
            .collect()
    };
    let mut applied = AppliedSecrets::new(&mut random());
    assert_eq!(applied.compare(&values("a", "k"), &spec), Default::default());
    applied.set_all(&values("a", "k"));
    let applied = AppliedSecrets::from_record(&applied.to_record().unwrap()).unwrap();
    assert_eq!(applied.compare(&values("a", "k"), &spec), Default::default());

    let admin = applied.compare(&values("b", "k"), &spec);
    assert_eq!(admin.permitted("f", true).unwrap(), ["keystone_auth_admin_password"]);
    let both = applied.compare(&values("b", "l"), &spec);
    let error = both.clone().permitted("f", true).unwrap_err().to_string();
    assert!(error.contains("`heat_auth_encryption_key` was edited: stacks"), "{error}");
    assert_eq!(both.permitted("f", false).unwrap().len(), 2);
    // Equal values of two secrets, or of two clouds, do not look equal.
    let mut other = AppliedSecrets::new(&mut StdRng::seed_from_u64(8));
    other.set_all(&values("k", "k"));
    let record: serde_json::Value = serde_json::from_str(&other.to_record().unwrap()).unwrap();
    let hashes = record["hashes"].as_object().unwrap();
    assert_ne!(hashes["keystone_auth_admin_password"], hashes["heat_auth_encryption_key"]);
    assert!(
        !applied
            .to_record()
            .unwrap()
            .contains(hashes["heat_auth_encryption_key"].as_str().unwrap())
    );
}

#[test]
fn file_on_disk_is_private_and_replaced_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("user_secrets.yml");
    let mut file = store::read(&path).unwrap();
    assert!(!store::write(&file, &path).unwrap(), "nothing changed, nothing written");
    assert!(!path.exists());
    file.complete(&spec(), &all_services(), &mut random()).unwrap();
    assert!(store::write(&file, &path).unwrap());
    let inode = fs::metadata(&path).unwrap().ino();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_to_string(&path).unwrap(), file.text());
    assert_eq!(store::tighten(&path).unwrap(), None);

    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let warning = store::tighten(&path).unwrap().unwrap();
    assert!(warning.contains("0644") && warning.contains("0600"), "{warning}");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);

    let link = directory.path().join("link.yml");
    std::os::unix::fs::symlink("user_secrets.yml", &link).unwrap();
    let mut text = fs::read_to_string(&path).unwrap();
    text = text.replacen("haproxy_stats_password: ", "haproxy_stats_password: # ", 1);
    fs::write(&path, &text).unwrap();
    let mut edited = store::read(&link).unwrap();
    edited.complete(&spec(), &all_services(), &mut random()).unwrap();
    assert!(store::write(&edited, &link).unwrap());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_ne!(fs::metadata(&path).unwrap().ino(), inode, "a new file took the name");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left beside it");
}

/// A line of a file, and whether it is an entry of that name which is to be filled.
fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "#[ -~]{0,20}",
        (
            0..20_usize,
            prop_oneof![
                Just(""),
                Just(" "),
                Just(" ~"),
                Just(" ''"),
                Just(" null"),
                Just(" # comment"),
                Just(" value"),
                Just(" 'quo''ted: #'"),
                Just(" \"dou\\\"ble\" # c"),
                Just(" |-\n  block\n\n  more"),
                Just(" 0777"),
                Just("\n  # inner\n  text"),
                Just("\n\n"),
            ]
        )
            .prop_map(|(index, rest)| {
                let spec = spec();
                let deployed = services(&["heat", "haproxy"]);
                let names: Vec<&str> = spec
                    .needed_by(&deployed)
                    .map(|(name, _)| name)
                    .filter(|name| !name.ends_with("_key"))
                    .chain([
                        "nova_service_password",
                        "trove_galera_password",
                        "heat_rabbitmq_password",
                    ])
                    .collect();
                format!("{}:{rest}", names[index % names.len()])
            }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn filling_keeps_everything_else(lines in prop::collection::vec(any_line(), 0..12), end in prop_oneof![Just(""), Just("\n")]) {
        let text = lines.join("\n") + end;
        let Ok(mut file) = SecretsFile::parse(&text, "f") else {
            // Only a name that stands twice is refused.
            let mut names: Vec<&str> =
                text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name)
                .filter(|name| !name.starts_with(['#', ' '])).collect();
            names.sort_unstable();
            prop_assert!(names.windows(2).any(|pair| pair[0] == pair[1]), "{text}");
            return Ok(());
        };
        let before: BTreeMap<String, Option<String>> =
            if file_is_blank(&text) { BTreeMap::new() } else { plain(&text) };
        let Ok(done) = file.complete(&spec(), &services(&["heat", "haproxy"]), &mut random()) else {
            // A block has a line end, which no password may have.
            prop_assert!(text.contains("block"), "{text}");
            return Ok(());
        };
        let after = plain(file.text());
        for (name, old) in &before {
            match old.as_deref() {
                Some(value) if !value.is_empty() => prop_assert_eq!(after[name].as_deref(), Some(value)),
                _ if done.unused.contains(name) => prop_assert_eq!(&after[name], old),
                _ => prop_assert!(after[name].as_deref().unwrap().len() >= 32 && done.filled.contains(name)),
            }
        }
        let comments = |text: &str| -> Vec<String> {
            text.lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect()
        };
        let (old, new) = (comments(&text), comments(file.text()));
        prop_assert!(text.is_empty() || new.starts_with(&old), "{text}\n{}", file.text());
        let order = |text: &str| SecretsFile::parse(text, "f").map(|file| format!("{file:?}")).unwrap();
        let kept = order(&text);
        prop_assert!(order(file.text()).starts_with(kept.split(']').next().unwrap()));
        let mut again = SecretsFile::parse(file.text(), "f").unwrap();
        prop_assert!(again.complete(&spec(), &services(&["heat", "haproxy"]), &mut random()).unwrap().filled.is_empty());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\n\t]{0,80}") {
        if let Ok(file) = SecretsFile::parse(&text, "f") {
            prop_assert_eq!(file.text(), &text);
        }
    }
}

fn file_is_blank(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.starts_with('#'))
}

#[test]
fn users_specifications_add_and_replace() {
    let directory = tempfile::tempdir().unwrap();
    assert!(store::specification(directory.path()).unwrap().get("galera_root_password").is_some());
    fs::create_dir(directory.path().join("secrets")).unwrap();
    let text = |service: &str, name: &str| {
        format!(
            "service: {service}\nsecrets: {{{name}: {{use: U, kind: uuid, rotation: apply}}}}\n"
        )
    };
    fs::write(directory.path().join("secrets/galera.yml"), text("galera", "own_uuid")).unwrap();
    fs::write(directory.path().join("secrets/new.yml"), text("new", "new_uuid")).unwrap();
    let spec = store::specification(directory.path()).unwrap();
    assert!(spec.get("own_uuid").is_some() && spec.get("new_uuid").is_some());
    assert!(spec.get("galera_root_password").is_none(), "its file was replaced");
    assert!(spec.accepts("galera_root_password"), "the name is still OpenStack-Ansible's");
    fs::write(directory.path().join("secrets/bad.yml"), "service: x\nsecret: {}\n").unwrap();
    let error = store::specification(directory.path()).unwrap_err();
    assert!(error.to_string().contains("secrets/bad.yml:2:1"), "{error}");
}
