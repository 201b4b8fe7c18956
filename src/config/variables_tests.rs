use serde_json::json;

use super::*;

const TINY: &str = "
service: tiny
summary: x
variables:
  debug: {description: say more, default: false}
  workers: {description: how many, default: 2}
  ratio: {description: how much, default: 1.5}
  colour: {description: of the shed, default: red, choices: [red, blue]}
  plugins: {description: which, default: []}
containers:
  shed: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
";

const SCENARIO: &str =
    "scenario: small\nsummary: x\nrank: 1\nmembers: {}\nvariables: {workers: 1}\n";

fn profiles() -> Profiles {
    Profiles::from_texts([("services/tiny.yml", TINY), ("scenarios/small.yml", SCENARIO)]).unwrap()
}

fn resolve(text: &str) -> Result<Variables> {
    let profiles = profiles();
    let user = UserVariables::parse(text, "user_variables.yml")?;
    resolve_variables(&profiles, &profiles.scenarios["small"], &user)
}

#[test]
fn a_later_source_wins_and_is_remembered() {
    let profiles = profiles();
    let mut user = UserVariables::parse("# mine\ndebug: true\ncolour: blue\n", "u.yml").unwrap();
    user.add_set("colour", json!("red"), "cloud.yml:9".to_owned());
    let variables = resolve_variables(&profiles, &profiles.scenarios["small"], &user).unwrap();
    assert_eq!(variables.values["debug"], json!(true));
    assert_eq!(variables.values["workers"], json!(1));
    assert_eq!(variables.values["colour"], json!("red"));
    let origin = |name: &str| variables.origins[name].to_string();
    assert_eq!(origin("debug"), "u.yml:2");
    assert_eq!(origin("workers"), "profiles/scenarios/small.yml:5");
    assert_eq!(origin("ratio"), "profiles/services/tiny.yml:7");
    assert_eq!(origin("colour"), "cloud.yml:9");
}

#[test]
fn unknown_names_and_wrong_types_are_errors_with_file_and_line() {
    let error = resolve("\ndebgu: true\n").unwrap_err();
    assert_eq!(error.message, "user_variables.yml:2: there is no variable `debgu`");
    assert_eq!(error.hints, ["did you mean `debug`?"]);
    let message = |text| resolve(text).unwrap_err().message;
    assert_eq!(
        message("workers: many\n"),
        "user_variables.yml:1: variable `workers` must be a whole number, not a text"
    );
    assert_eq!(
        message("colour: green\n"),
        "user_variables.yml:1: variable `colour` must be one of red, blue, not green"
    );
    assert!(message("workers: 1.5\n").contains("must be a whole number, not a number"));
    assert!(message("plugins: a\n").contains("must be a list, not a text"));
    assert!(message("debug: false\ndebug: true\n").contains(":2:1: the key `debug` stands here"));
    assert_eq!(resolve("ratio: 2\n").unwrap().values["ratio"], json!(2));
}

#[test]
fn values_of_the_command_line_have_the_variables_type() {
    let profiles = profiles();
    let value = |name: &str, text: &str| from_text(find(&profiles, name).unwrap(), text);
    assert_eq!(value("debug", "yes"), Ok(json!(true)));
    assert_eq!(value("workers", "7"), Ok(json!(7)));
    assert_eq!(value("colour", "blue"), Ok(json!("blue")));
    assert_eq!(value("plugins", "[a, b]"), Ok(json!(["a", "b"])));
    assert!(value("debug", "1").is_err());
    assert!(value("workers", "x").is_err());
    assert!(value("colour", "green").is_err());
}

#[test]
fn a_missing_file_has_no_values() {
    assert_eq!(UserVariables::load(Path::new("/nonexistent")).unwrap(), UserVariables::default());
}

#[test]
fn a_container_kind_gets_packages_besides_its_own() {
    let variables = resolve("packages.shed: [vim, g++]\ndebug: true\n").unwrap();
    assert_eq!(variables.packages["shed"], ["vim", "g++"]);
    assert!(!variables.values.keys().any(|name| name.contains("shed")));
    let error = resolve("debug: true\npackages.shde: [vim]\n").unwrap_err();
    assert_eq!(error.message, "user_variables.yml:2: there is no container kind `shde`");
    assert_eq!(error.hints, ["did you mean `shed`?"]);
    for (text, reason) in [
        ("packages.shed: vim\n", "must be a list of packages"),
        ("packages.shed: [1]\n", "must be a list of packages"),
        ("packages.shed: [--yes]\n", "`--yes` is not a package's name"),
        ("packages.shed: [vim=2]\n", "`vim=2` is not a package's name"),
    ] {
        let message = resolve(text).unwrap_err().message;
        assert!(
            message.starts_with("user_variables.yml:1: ") && message.contains(reason),
            "{message}"
        );
    }
}
