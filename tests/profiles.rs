//! The profiles that are built into the binary.

use aio::config::load::Profiles;
use aio::secrets::spec::SecretSpec;

#[test]
fn every_profile_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::load(directory.path()).unwrap();
    assert!(profiles.services.contains_key("heat"));
}

#[test]
fn the_profiles_fit_together() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::load(directory.path()).unwrap();
    let spec = SecretSpec::embedded().unwrap();
    let checked = profiles.check(&|name| match spec.get(name) {
        Some(_) => Ok(()),
        None => Err(spec.nearest(name).map(str::to_owned)),
    });
    if let Err(error) = checked {
        panic!("{}\n{}", error.message, error.causes.join("\n"));
    }
}
