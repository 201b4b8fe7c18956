//! Examples of the files that a user may write, made from the profiles: nothing in them is forgotten
//! or out of date.

use std::fmt::Write as _;
use std::path::Path;

use super::cloud::CloudFile;
use super::load::Profiles;
use super::{reference, schema, yaml};
use crate::error::Result;

/// Each file's name and text. Everything that would change a cloud is commented out.
///
/// # Errors
/// Never with the built-in profiles.
pub fn all(profiles: &Profiles) -> Result<Vec<(&'static str, String)>> {
    let mut files =
        vec![("cloud.yml", cloud(profiles)?), ("user_variables.yml", variables(profiles))];
    for (name, text) in &mut files {
        let schema = name.replace(".yml", ".json");
        *text = format!("# yaml-language-server: $schema=schema/{schema}\n{text}");
    }
    for (name, made) in reference::schemas(profiles) {
        match name {
            "cloud" => files.push(("schema/cloud.json", schema::text(&made))),
            "user_variables" => files.push(("schema/user_variables.json", schema::text(&made))),
            _ => {}
        }
    }
    Ok(files)
}

/// `cloud.yml` before its first run, with the members of the largest scenario.
fn cloud(profiles: &Profiles) -> Result<String> {
    let empty = CloudFile::load(Path::new(""))?;
    let largest = profiles.scenarios.values().max_by_key(|scenario| scenario.rank);
    Ok(largest.map(|scenario| empty.text(scenario)).unwrap_or_default())
}

fn variables(profiles: &Profiles) -> String {
    let mut text = "\
# Values that the profiles let you set, with their defaults. What is written here wins over the
# profiles and the scenario; `aio bootstrap --set NAME=VALUE`, which stands in cloud.yml, over both.

# Packages of the distribution that the containers of a kind get besides their own:
# packages.heat_engine: [gdb]
"
    .to_owned();
    for service in profiles.services.values() {
        for (name, variable) in &service.variables {
            let choices: Vec<String> = variable.choices.iter().map(yaml::scalar).collect();
            let choices = match choices.as_slice() {
                [] => String::new(),
                some => format!(" ({})", some.join(", ")),
            };
            let _ = writeln!(text, "\n# {}: {}{choices}.", service.service, variable.description);
            let _ = writeln!(text, "# {name}: {}", yaml::scalar(&variable.default));
        }
    }
    text
}

/// The files of a new service, by their paths below the configuration directory. Its port is one that
/// no frontend has yet.
pub fn service(profiles: &Profiles, name: &str) -> [(String, String); 3] {
    let frontends = profiles.services.values().flat_map(|service| &service.frontends);
    let taken: Vec<u16> = frontends.flat_map(|it| [it.port, it.port_by(true)]).collect();
    let port = (9500..u16::MAX).find(|port| !taken.contains(port)).unwrap_or_default();
    let filled = |text: &str| text.replace("NAME", name).replace("PORT", &port.to_string());
    [
        (format!("profiles/services/{name}.yml"), filled(include_str!("new/service.yml"))),
        (
            format!("profiles/templates/{name}/{name}.conf"),
            filled(include_str!("new/service.conf")),
        ),
        (format!("secrets/{name}.yml"), filled(include_str!("new/secrets.yml"))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::variables::{UserVariables, resolve_variables};

    #[test]
    fn uncommented_they_are_read_and_change_nothing() {
        let profiles = Profiles::built_in().unwrap();
        let scenario = &profiles.scenarios["default"];
        let written = variables(&profiles);
        let said: Vec<&str> = written
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| {
                let key = yaml::key_of(line);
                key.is_some_and(|key| key.contains('_') && !key.contains(['.', ' ']))
            })
            .collect();
        let user = UserVariables::parse(&said.join("\n"), "x").unwrap();
        let with = resolve_variables(&profiles, scenario, &user).unwrap().values;
        let without = resolve_variables(&profiles, scenario, &UserVariables::default()).unwrap();
        assert!(said.len() > 5, "{said:?}");
        assert_eq!(with.len(), said.len(), "each is there once: {said:?}");
        let differing: Vec<_> =
            with.iter().filter(|(name, value)| without.values[*name] != **value).collect();
        let of_scenario = scenario.variables.keys();
        assert!(differing.len() <= of_scenario.len(), "{differing:?}");
    }

    #[test]
    fn the_cloud_file_is_one_that_a_first_run_takes() {
        let profiles = Profiles::built_in().unwrap();
        let text = cloud(&profiles).unwrap();
        let file = CloudFile::parse(&text, "cloud.yml").unwrap();
        assert_eq!((file.name(), file.scenario()), (None, None));
        assert!(text.contains("  # galera: 3"), "{text}");
    }
}
