use super::*;
use crate::commands::global::{Choices, Format};

/// Commands whose `run` stands elsewhere are parsed through this.
#[derive(Debug, Parser)]
struct Probe {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    choices: Choices,
}

fn probe(arguments: &[&str]) -> Result<Probe, clap::Error> {
    Probe::try_parse_from([&["aio"], arguments].concat())
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

/// Clap would take the one for the other: a service's name for the cloud's.
#[test]
fn no_commands_own_argument_is_called_as_a_global_one() {
    fn clashes(command: &clap::Command, global: &[String], found: &mut Vec<String>) {
        for own in command.get_subcommands() {
            let ids = own.get_arguments().map(|argument| argument.get_id().to_string());
            let same = ids.filter(|id| global.contains(id));
            found.extend(same.map(|id| format!("{}: {id}", own.get_name())));
            clashes(own, global, found);
        }
    }
    let whole = Cli::command();
    let all = whole.get_arguments().filter(|argument| argument.is_global_set());
    let global: Vec<String> = all.map(|argument| argument.get_id().to_string()).collect();
    assert!(global.contains(&"name".to_owned()), "{global:?}");
    let mut found = Vec::new();
    clashes(&whole, &global, &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn defaults_are_those_of_the_manual() {
    let global = probe(&[]).unwrap().global;
    assert_eq!(global.name, "aio1");
    assert_eq!(global.paths().config_dir, std::path::Path::new("/etc/aio"));
    assert_eq!(global.paths().state_dir, std::path::Path::new("/var/lib/aio"));
    let second = probe(&["--name", "two"]).unwrap().global.paths();
    assert_eq!(second.config_dir, std::path::Path::new("/etc/aio/clouds/two"));
    let removed: Vec<_> = second.config_dirs().collect();
    let wanted = ["/etc/aio/clouds/two", "/etc/aio/clouds", "/etc/aio"];
    assert_eq!(removed, wanted.map(std::path::PathBuf::from));
    assert_eq!(global.output, Format::Table);
    assert_eq!(global.lock_timeout().as_secs(), 60);
}

#[test]
fn relative_directories_become_absolute() {
    let global = probe(&["--state-dir", "here"]).unwrap().global;
    assert!(global.paths().state_dir.is_absolute());
    assert!(global.paths().state_dir.ends_with("here"));
}

#[test]
fn cloud_names_are_checked() {
    for name in ["", "1aio", "Aio", "a-b", "a_b", "toolongname", "../x"] {
        assert!(probe(&["--name", name]).is_err(), "{name:?} was accepted");
    }
    assert!(probe(&["--name", "dev2"]).is_ok());
}

#[test]
fn settings_keep_what_stands_behind_the_first_equals_sign() {
    let choices =
        probe(&["--set", "galera.members=1", "--set", "heat.option=a=b"]).unwrap().choices;
    let expected = [("galera.members", "1"), ("heat.option", "a=b")];
    assert_eq!(choices.set, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert!(probe(&["--set", "galera.members"]).is_err());
    assert!(probe(&["--set", "=1"]).is_err());
}

#[test]
fn expose_takes_an_address_or_none() {
    assert_eq!(probe(&[]).unwrap().choices.expose, None);
    assert_eq!(probe(&["--expose"]).unwrap().choices.expose.as_deref(), Some("auto"));
    for given in [&["--expose=192.0.2.1"][..], &["--expose", "192.0.2.1"]] {
        assert_eq!(probe(given).unwrap().choices.expose.as_deref(), Some("192.0.2.1"));
    }
}

#[test]
fn every_exit_code_is_documented() {
    use crate::error::ErrorKind::*;
    for kind in [Failed, Usage, Config, Host, Busy, NotFound, Refused, Interrupted] {
        let code = format!("\n  {:>3}  ", kind.exit_code());
        assert!(LONG_NOTES.contains(&code), "{kind:?} is missing in the help");
    }
}

#[test]
fn what_is_in_memory_stays_there() {
    keep_memory();
    let behaviour = rustix::process::dumpable_behavior().unwrap();
    assert_eq!(behaviour, DumpableBehavior::NotDumpable);
}
