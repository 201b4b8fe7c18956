use serde_json::json;

use super::*;
use crate::config::cloud::CloudOptions;
use crate::config::cloud::members::{MemberChange, member_changes, refuse_fixed};
use crate::config::variables::resolve_variables;

const BASE: &str = "
service: base
summary: x
containers:
  balancer: {summary: x, most: 1, memory: {idle_mib: 1, limit_mib: 2}}
";

const GALERA: &str = "
service: galera
summary: x
needs: [base]
variables:
  read_timeout_secs: {description: x, default: 4}
  colour: {description: x, default: red}
containers:
  galera:
    summary: x
    memory: {idle_mib: 1, limit_mib: 2}
    cluster: {unit: x, form_timeout_secs: 1, size: {from: sql, query: x}}
  heat_engine: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
";

const CONTROL: &str =
    "scenario: control\nsummary: x\nrank: 2\nmembers: {balancer: 1, galera: 3, heat_engine: 1}\n";
const MINIMAL: &str =
    "scenario: minimal\nsummary: x\nrank: 1\nmembers: {balancer: 1, galera: 1, heat_engine: 1}\n";
const RELEASE: &str = "release: '2025.1'\nsummary: x\nsuite: trixie\nbase: {}\n";

fn profiles() -> Profiles {
    Profiles::from_texts([
        ("services/base.yml", BASE),
        ("services/galera.yml", GALERA),
        ("scenarios/control.yml", CONTROL),
        ("scenarios/minimal.yml", MINIMAL),
        ("releases/2025.1.yml", RELEASE),
    ])
    .unwrap()
}

fn options(set: &[(&str, &str)]) -> CloudOptions {
    let set = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    CloudOptions { name: "aio1".to_owned(), set: set.collect(), ..CloudOptions::default() }
}

/// What a first run writes.
fn first_run() -> CloudFile {
    let mut file = CloudFile::load(Path::new("/nonexistent/cloud.yml")).unwrap();
    file.apply(&options(&[]), &profiles()).unwrap();
    let nat = Key::Network(NetworkRole::Nat);
    file.decide(Key::Name, "aio1", "").unwrap();
    file.decide(Key::Region, "RegionOne", "").unwrap();
    file.decide(Key::Release, "2025.1", "").unwrap();
    file.decide(Key::Scenario, "control", "the largest that fits 24044 MiB and 2 cores").unwrap();
    file.decide(nat, "10.0.4.0/24", "10.0.3.0/24 is taken by lxcbr0").unwrap();
    file.decide(Key::Network(NetworkRole::Management), "172.29.236.0/22", "").unwrap();
    file.decide(Key::VirtualAddress, "172.29.236.101", "").unwrap();
    file.decide(Key::Expose, "off", "").unwrap();
    file.decide(Key::Tls, "exposed", "").unwrap();
    file.decide(Key::Patience, "1", "").unwrap();
    file
}

fn text(file: &CloudFile) -> String {
    let scenario = &profiles().scenarios[file.scenario().unwrap()];
    file.text(scenario)
}

#[test]
fn the_first_run_writes_each_choice_with_its_reason() {
    let file = first_run();
    let lines: Vec<String> =
        text(&file).lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    assert_eq!(
        lines.join("\n").trim(),
        "\
name: aio1
region: RegionOne
release: \"2025.1\"
scenario: control  # the largest that fits 24044 MiB and 2 cores

members:
  # balancer: 1
  # galera: 3
  # heat_engine: 1

networks:
  nat: 10.0.4.0/24  # 10.0.3.0/24 is taken by lxcbr0
  management: 172.29.236.0/22
virtual_address: 172.29.236.101

expose: off

tls: exposed

patience: 1

variables:"
    );
    assert!(!file.exists());
}

#[test]
fn what_was_written_is_read_and_not_chosen_again() {
    let written = text(&first_run());
    let mut file = CloudFile::parse(&written, "cloud.yml").unwrap();
    file.apply(&options(&[]), &profiles()).unwrap();
    file.decide(Key::Scenario, "minimal", "another").unwrap();
    assert_eq!(file.scenario(), Some("control"));
    assert_eq!(file.release(), Some("2025.1"));
    assert_eq!(file.networks()[&NetworkRole::Nat].to_string(), "10.0.4.0/24");
    assert_eq!(file.virtual_address(), Some(Ipv4Addr::new(172, 29, 236, 101)));
    assert_eq!(text(&file), written);
    let members = file.members(&profiles().scenarios["control"], &profiles()).unwrap();
    assert_eq!(members["galera"], 3);
}

#[test]
fn options_change_their_line_and_nothing_else() {
    let edited = text(&first_run())
        .replace("region: RegionOne", "region: RegionOne  # my own note")
        .replace("# Ranges", "# My ranges");
    let mut file = CloudFile::parse(&edited, "cloud.yml").unwrap();
    file.apply(&options(&[("galera.members", "1"), ("region", "RegionOne")]), &profiles()).unwrap();
    let expected = edited.replace("  # galera: 3", "  galera: 1  # --set galera.members=1");
    assert_eq!(text(&file), expected);
    // Said again, it is no change, whatever the comment.
    file.apply(&options(&[("galera.members", "1")]), &profiles()).unwrap();
    assert_eq!(text(&file), expected);
}

#[test]
fn a_change_of_the_scenario_changes_its_members() {
    let mut file = first_run();
    let mut choice = options(&[("heat-engine.members", "2")]);
    choice.scenario = Some("minimal".to_owned());
    file.apply(&choice, &profiles()).unwrap();
    let text = text(&file);
    assert!(text.contains("scenario: minimal  # --scenario minimal\n"), "{text}");
    assert!(text.contains("  # galera: 1\n"), "{text}");
    assert!(text.contains("  heat_engine: 2  # --set heat-engine.members=2\n"), "{text}");
    assert!(!text.contains("# heat_engine: 1"), "{text}");
    let profiles = profiles();
    let members = file.members(&profiles.scenarios["minimal"], &profiles).unwrap();
    assert_eq!((members["galera"], members["heat_engine"]), (1, 2));
}

#[test]
fn variables_are_typed_and_win_over_the_users_file() {
    let mut file = first_run();
    let set = [("read_timeout_secs", "9"), ("colour", "dark red"), ("networks.nat", "10.9.0.0/24")];
    file.apply(&options(&set), &profiles()).unwrap();
    let text = text(&file);
    assert!(text.contains("  read_timeout_secs: 9  # --set read_timeout_secs=9\n"), "{text}");
    assert!(text.contains("  colour: \"dark red\"  # --set"), "{text}");
    assert!(text.contains("  nat: 10.9.0.0/24  # --set networks.nat=10.9.0.0/24\n"), "{text}");
    let file = CloudFile::parse(&text, "cloud.yml").unwrap();
    let mut user = UserVariables::parse("colour: blue\n", "user_variables.yml").unwrap();
    file.add_variables(&mut user);
    let profiles = profiles();
    let variables = resolve_variables(&profiles, &profiles.scenarios["control"], &user).unwrap();
    assert_eq!(variables.values["read_timeout_secs"], json!(9));
    assert_eq!(variables.values["colour"], json!("dark red"));
    assert!(variables.origins["colour"].to_string().starts_with("cloud.yml:"));
}

#[test]
fn patience_is_a_number_of_times() {
    let mut file = CloudFile::load(Path::new("/nonexistent/cloud.yml")).unwrap();
    assert_eq!(file.patience(), Patience(1));
    file.apply(&options(&[("patience", "20")]), &profiles()).unwrap();
    assert_eq!(file.patience(), Patience(20));
    for wrong in ["0", "101", "2.5", "much"] {
        let refused = file.apply(&options(&[("patience", wrong)]), &profiles()).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Usage, "{wrong}");
    }
}

#[test]
fn tls_takes_its_words_and_two_files() {
    let mut file = first_run();
    assert_eq!(file.own_certificate().unwrap(), None);
    file.apply(&options(&[("tls", "off"), ("tls_certificate", "/a/b.crt")]), &profiles()).unwrap();
    assert_eq!(file.tls(), Tls::Off);
    assert!(text(&file).contains("tls: off  # --set tls=off\n"), "{}", text(&file));
    let error = file.own_certificate().unwrap_err();
    assert!(error.to_string().contains("`tls_key` is missing"), "{error}");
    file.apply(&options(&[("tls", "exposed"), ("tls_key", "b.key")]), &profiles()).unwrap();
    assert_eq!(file.tls(), Tls::Exposed);
    let (certificate, key) = file.own_certificate().unwrap().unwrap();
    assert_eq!(certificate, Path::new("/a/b.crt"));
    assert!(key.is_absolute() && key.ends_with("b.key"), "{}", key.display());
    file.apply(&options(&[("tls_certificate", ""), ("tls_key", "")]), &profiles()).unwrap();
    assert_eq!(CloudFile::parse(&text(&file), "x").unwrap().own_certificate().unwrap(), None);
    for address in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
        let error = file.apply(&options(&[("expose", address)]), &profiles()).unwrap_err();
        assert!(error.to_string().contains("by which others reach this host"), "{error}");
    }
    let error = file.apply(&options(&[("tls", "sometimes")]), &profiles()).unwrap_err();
    assert!(error.to_string().contains("none of `exposed`"), "{error}");
    // A file of before has no such line.
    assert_eq!(CloudFile::parse("expose: host\n", "x").unwrap().tls(), Tls::Exposed);
}

#[test]
fn expose_takes_an_address_or_the_hosts_own() {
    let mut file = first_run();
    let expose = |text: &str| CloudOptions { expose: Some(text.to_owned()), ..options(&[]) };
    file.apply(&expose("auto"), &profiles()).unwrap();
    assert_eq!(file.expose(), Expose::Host);
    assert!(text(&file).contains("expose: host  # --expose auto\n"));
    file.apply(&expose("192.0.2.7"), &profiles()).unwrap();
    assert_eq!(file.expose(), Expose::Address(Ipv4Addr::new(192, 0, 2, 7)));
    file.apply(&expose("off"), &profiles()).unwrap();
    assert_eq!(file.expose(), Expose::Off);
    assert_eq!(file.apply(&expose("here"), &profiles()).unwrap_err().kind, ErrorKind::Usage);
}

#[test]
fn wrong_names_are_errors_with_the_nearest_right_one() {
    let failure = |set| first_run().apply(&options(&[set]), &profiles()).unwrap_err();
    let hint = |set| failure(set).hints.join(" ");
    assert_eq!(hint(("galra.members", "1")), "did you mean `galera`?");
    assert_eq!(hint(("read_timeout", "1")), "did you mean `read_timeout_secs`?");
    assert_eq!(hint(("galera.member", "1")), "did you mean `galera.members`?");
    assert_eq!(hint(("scenario", "minmal")), "did you mean `minimal`?");
    assert_eq!(hint(("networks.natt", "10.0.0.0/24")), "did you mean `nat`?");
    assert!(failure(("galera.members", "-1")).message.contains("whole number"));
    assert!(failure(("networks.nat", "10.0.0.1/24")).message.contains("has host bits set"));
    assert!(failure(("read_timeout_secs", "soon")).message.contains("must be a whole number"));
    let read = |text: &str| {
        let mut file = CloudFile::parse(text, "cloud.yml")?;
        file.apply(&options(&[]), &profiles())
    };
    let error = read("scenario: contrl\n").unwrap_err();
    assert_eq!(error.message, "cloud.yml:1: there is no scenario `contrl`");
    assert_eq!(error.hints, ["did you mean `control`?"]);
    let error = read("members:\n  galera: 1\n  heat_engin: 1\n").unwrap_err();
    assert_eq!(error.message, "cloud.yml:3: there is no container kind `heat_engin`");
    let error = read("scenaro: control\n").unwrap_err();
    assert_eq!(error.message, "cloud.yml:1:1: unknown field `scenaro`");
    assert_eq!(read("networks: {natt: 10.0.0.0/24}\n").unwrap_err().hints, ["did you mean `nat`?"]);
    assert!(read("expose: here\n").is_err());
    assert!(read("patience: 0\n").is_err());
    assert!(read("members: {galera: many}\n").unwrap_err().message.starts_with("cloud.yml:1:"));
}

#[test]
fn a_directory_is_one_clouds() {
    let mut file = CloudFile::parse("name: lab\n", "cloud.yml").unwrap();
    let error = file.apply(&options(&[]), &profiles()).unwrap_err();
    assert!(error.message.contains("is of the cloud `lab`, not of `aio1`"), "{error}");
}

#[test]
fn a_kind_that_is_needed_cannot_be_left_out() {
    let profiles = profiles();
    let mut file = first_run();
    file.apply(&options(&[("heat_engine.members", "0")]), &profiles).unwrap();
    let members = file.members(&profiles.scenarios["control"], &profiles).unwrap();
    assert!(!members.contains_key("heat_engine"));
    file.apply(&options(&[("balancer.members", "0")]), &profiles).unwrap();
    let error = file.members(&profiles.scenarios["control"], &profiles).unwrap_err();
    assert_eq!(error.message, "leave `base` out of the cloud");
    assert_eq!(error.causes[0], "service `galera` needs it");
}

#[test]
fn a_kind_may_have_a_limit_of_members() {
    let mut file = first_run();
    let profiles = profiles();
    file.apply(&options(&[("balancer.members", "2")]), &profiles).unwrap();
    let error = file.members(&profiles.scenarios["control"], &profiles).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(
        error.to_string().starts_with("give `balancer` 2 members: there can be 1 at most"),
        "{error}"
    );
    assert_eq!(error.hints, ["Keep it: --set balancer.members=1"]);
}

#[test]
fn a_clusters_members_are_fixed_once_it_is_there() {
    let profiles = profiles();
    let count = |galera, heat_engine| {
        BTreeMap::from([("galera".to_owned(), galera), ("heat_engine".to_owned(), heat_engine)])
    };
    refuse_fixed(&profiles, &count(3, 1), &count(3, 2)).unwrap();
    refuse_fixed(&profiles, &BTreeMap::new(), &count(3, 2)).unwrap();
    let error = refuse_fixed(&profiles, &count(3, 1), &count(1, 1)).unwrap_err();
    assert_eq!(error.message, "change the members of `galera` from 3 to 1");
    assert!(error.hints[0].contains("--set galera.members=3"));
    assert_eq!(
        member_changes(&count(3, 1), &count(3, 2)),
        [MemberChange { kind: "heat_engine".to_owned(), from: 1, to: 2 }]
    );
}

#[test]
fn the_file_is_written_once() {
    let scenario = &profiles().scenarios["control"];
    let file = CloudFile::parse(&first_run().changed_text(scenario).unwrap(), "cloud.yml").unwrap();
    assert!(file.exists());
    assert_eq!(file.changed_text(scenario), None);
}

const EXTRA: &str = "
service: extra
summary: x
needs: [more]
containers:
  extra_api: {summary: x, members: 2, memory: {idle_mib: 1, limit_mib: 2}}
  extra_fake: {summary: x, members: 0, memory: {idle_mib: 1, limit_mib: 2}}
";

const MORE: &str = "
service: more
summary: x
needs: [galera]
containers:
  more: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
";

/// The file after these options on top of the scenario `control`, and its members.
fn changed(
    file: &CloudFile,
    with: &[&str],
    without: &[&str],
) -> Result<(CloudFile, BTreeMap<String, u32>)> {
    let profiles = Profiles::from_texts([
        ("services/base.yml", BASE),
        ("services/galera.yml", GALERA),
        ("services/extra.yml", EXTRA),
        ("services/more.yml", MORE),
        ("scenarios/control.yml", CONTROL),
        ("releases/2025.1.yml", RELEASE),
    ])?;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let options = CloudOptions { with: names(with), without: names(without), ..options(&[]) };
    let mut file = file.clone();
    let scenario = &profiles.scenarios["control"];
    file.change_services(&options, scenario, &profiles)?;
    let members = file.members(scenario, &profiles)?;
    Ok((file, members))
}

#[test]
fn a_service_comes_with_all_that_it_needs_and_stays() {
    let (file, members) = changed(&first_run(), &["extra"], &[]).unwrap();
    let deployed =
        [("balancer", 1), ("extra_api", 2), ("galera", 3), ("heat_engine", 1), ("more", 1)];
    let expected: BTreeMap<String, u32> =
        deployed.map(|(kind, count)| (kind.to_owned(), count)).into();
    assert_eq!(members, expected);
    let text = text(&file);
    assert!(text.contains("  extra_api: 2  # --with extra\n"), "{text}");
    assert!(text.contains("  more: 1  # --with extra, which needs it\n"), "{text}");
    // A later run is not told again, and being told again changes nothing.
    let read = CloudFile::parse(&text, "cloud.yml").unwrap();
    assert_eq!(changed(&read, &[], &[]).unwrap().1, members);
    assert_eq!(super::tests::text(&changed(&read, &["extra"], &[]).unwrap().0), text);
}

#[test]
fn a_service_goes_with_all_that_needs_it_and_comes_back() {
    let (file, _) = changed(&first_run(), &["extra"], &[]).unwrap();
    let (file, members) = changed(&file, &[], &["more"]).unwrap();
    assert!(!members.contains_key("extra_api") && !members.contains_key("more"), "{members:?}");
    let text = text(&file);
    assert!(text.contains("  more: 0  # --without more\n"), "{text}");
    assert!(text.contains("  extra_api: 0  # --without more, which it needs\n"), "{text}");
    assert_eq!(changed(&file, &["extra"], &[]).unwrap().1["extra_api"], 2);
    // What the scenario has comes back as the scenario has it.
    let (file, members) = changed(&first_run(), &[], &["galera"]).unwrap();
    assert_eq!(members, BTreeMap::from([("balancer".to_owned(), 1)]));
    assert_eq!(changed(&file, &["galera"], &[]).unwrap().1["galera"], 3);
}

#[test]
fn a_kind_comes_with_its_service_and_goes_alone() {
    let (file, members) = changed(&first_run(), &["extra_fake"], &[]).unwrap();
    assert_eq!((members["extra_fake"], members["extra_api"], members["more"]), (1, 2, 1));
    assert!(text(&file).contains("  extra_fake: 1  # --with extra_fake\n"), "{}", text(&file));
    let (file, members) = changed(&file, &[], &["extra_fake"]).unwrap();
    assert!(!members.contains_key("extra_fake") && members.contains_key("extra_api"));
    assert!(text(&file).contains("  extra_fake: 0  # --without extra_fake\n"), "{}", text(&file));
}

#[test]
fn services_that_exclude_each_other_or_are_unknown_are_refused() {
    let error = changed(&first_run(), &["extra"], &["galera"]).unwrap_err();
    assert_eq!(error.message, "`--with extra` and `--without galera` exclude each other");
    let error = changed(&first_run(), &["extar"], &[]).unwrap_err();
    assert_eq!(error.message, "`--with extar`: there is no service or container kind `extar`");
    assert_eq!(error.hints, ["did you mean `extra`?"]);
    assert_eq!(changed(&first_run(), &[], &["mroe"]).unwrap_err().kind, ErrorKind::Usage);
}
