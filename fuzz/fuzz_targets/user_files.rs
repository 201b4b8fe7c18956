//! The other files that people write: `cloud.yml`, `user_variables.yml`, scenarios, releases, and INI
//! files of `overrides/`, of which the same merged twice is the same.
#![no_main]

use aio::for_tests::{CloudFile, Ini, Profiles, UserVariables};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = CloudFile::parse(text, "cloud.yml");
    let _ = UserVariables::parse(text, "user_variables.yml");
    for (key, directory) in [("scenario: ", "scenarios"), ("release: ", "releases")] {
        if let Some(name) = text.lines().find_map(|line| line.strip_prefix(key)) {
            let path = format!("{directory}/{}.yml", name.trim());
            if let Ok(profiles) = Profiles::from_texts([(path.as_str(), text)]) {
                let _ = profiles.check(&|_| Ok(()));
            }
        }
    }
    if let (Ok(mut once), Ok(over)) = (Ini::parse(text), Ini::parse_override(text, "heat.conf")) {
        once.merge(&over);
        let mut twice = once.clone();
        twice.merge(&over);
        assert_eq!(once.to_string(), twice.to_string());
        for (section, key) in over.keys() {
            assert_eq!(once.values(section, key), over.values(section, key), "[{section}] {key}");
        }
    }
});
