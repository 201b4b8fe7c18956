//! `user_secrets.yml`: what is filled in can be read again, and what stood there still stands.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aio::for_tests::{SecretSpec, SecretsFile};
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use secrecy::ExposeSecret as _;

static SPECIFICATION: LazyLock<SecretSpec> = LazyLock::new(|| SecretSpec::embedded().unwrap());

fn values(file: &SecretsFile) -> BTreeMap<String, String> {
    let values = file.every_value().into_iter();
    values.map(|(name, value)| (name, value.expose_secret().to_owned())).collect()
}

fuzz_target!(|text: &str| {
    let Ok(mut file) = SecretsFile::parse(text, "user_secrets.yml") else { return };
    let before = values(&file);
    let services = ["galera", "keystone", "heat"].map(str::to_owned);
    let mut random = StdRng::seed_from_u64(7);
    if file.complete(&SPECIFICATION, &services, &mut random).is_err() {
        assert_eq!(file.text(), text, "nothing is filled when something is wrong");
        return;
    }
    let again = SecretsFile::parse(file.text(), "user_secrets.yml").expect("it was written by us");
    let after = values(&again);
    for (name, value) in before.iter().filter(|(_, value)| !value.is_empty()) {
        assert_eq!(after.get(name), Some(value), "{name}");
    }
    again.values(&SPECIFICATION, &services).expect("all of it has a value");
});
