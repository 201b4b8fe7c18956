//! The profiles that are built into the binary.

use aio::config::load::Profiles;

#[test]
fn every_profile_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::load(directory.path()).unwrap();
    assert!(profiles.services.contains_key("heat"));
}
