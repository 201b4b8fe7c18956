//! The command as a user calls it: exit codes, where text goes, what happens to a closed pipe.
//! Needs no root and no cloud.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "helpers of tests fail as tests do"
)]

use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A command with directories of its own, so that a cloud of this host is not seen.
struct Aio {
    directory: TempDir,
}

impl Aio {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aio"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("AIO_STATE_DIR", self.directory.path().join("state"))
            .env("AIO_CONFIG_DIR", self.directory.path().join("etc"))
            .args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the command starts")
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// The visible commands, from the help.
fn commands(aio: &Aio) -> Vec<String> {
    let help = out(&aio.run(&[]));
    let list = help.split("Commands:\n").nth(1).expect("a list of commands");
    list.lines()
        .map_while(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn alone_it_prints_its_help() {
    let output = Aio::new().run(&[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(out(&output).contains("Usage: aio"), "{}", out(&output));
    assert!(!out(&output).contains('\u{1b}'), "colour in a pipe");
    assert_eq!(err(&output), "");
}

#[test]
fn every_command_of_the_manual_is_there_with_help_and_a_page() {
    let aio = Aio::new();
    let commands = commands(&aio);
    let expected = [
        "size",
        "plan",
        "bootstrap",
        "status",
        "ls",
        "attach",
        "openstack",
        "verify",
        "tempest",
        "logs",
        "config",
        "rebuild",
        "stop",
        "start",
        "support-bundle",
        "image",
        "release",
        "destroy",
        "profile",
        "completions",
    ];
    for name in expected {
        assert!(commands.iter().any(|command| command == name), "`{name}` is missing");
    }
    let pages = aio.directory.path().join("man1");
    let made = aio.run(&["man", pages.to_str().expect("a path")]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    for name in &commands {
        let help = out(&aio.run(&["help", name]));
        assert!(help.contains("Usage: aio"), "{name}: {help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{name}: {help}");
        assert!(pages.join(format!("aio-{name}.1")).is_file(), "no page for {name}");
    }
}

#[test]
fn a_wrong_command_line_is_2_and_a_cloud_that_is_not_there_is_6() {
    let aio = Aio::new();
    for arguments in [&["blub"][..], &["ls", "--blub"], &["--name", "Not_A_Name", "ls"]] {
        let output = aio.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(out(&output), "");
    }
    for arguments in [&["logs"][..], &["attach", "utility"], &["openstack", "--version"]] {
        let output = aio.run(arguments);
        assert_eq!(output.status.code(), Some(6), "{arguments:?}: {}", err(&output));
        assert!(err(&output).starts_with("error: find the cloud `aio1`\n"), "{}", err(&output));
        assert!(err(&output).contains("\nhint: "), "{}", err(&output));
        assert_eq!(out(&output), "");
    }
}

#[test]
fn a_new_service_is_one_with_which_nothing_is_wrong_until_it_is() {
    let aio = Aio::new();
    let made = aio.run(&["profile", "new", "greeter"]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    let paths: Vec<String> = out(&made).lines().map(str::to_owned).collect();
    assert_eq!(paths.len(), 3, "{paths:?}");
    let again = aio.run(&["profile", "new", "greeter"]);
    assert_eq!(again.status.code(), Some(2), "{}", err(&again));
    let checked = aio.run(&["profile", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", out(&checked));
    assert_eq!(out(&checked), "nothing is wrong with the profiles\n");

    let text = std::fs::read_to_string(&paths[0]).expect("a profile");
    std::fs::write(&paths[0], text.replace("backend:", "bakend:")).expect("a profile");
    let checked = aio.run(&["profile", "check"]);
    assert_eq!(checked.status.code(), Some(3), "{}", err(&checked));
    assert!(out(&checked).starts_with(&format!("{}:", paths[0])), "{}", out(&checked));
    assert!(out(&checked).contains("did you mean `backend`?"), "{}", out(&checked));
    let directory = aio.directory.path().join("etc");
    let directory = directory.to_str().expect("a path");
    let checked = aio.run(&["profile", "check", directory, "--output", "json"]);
    assert_eq!(checked.status.code(), Some(3), "{}", err(&checked));
    assert!(out(&checked).contains("\"line\": "), "{}", out(&checked));
    let nowhere = aio.run(&["profile", "check", "/nonexistent"]);
    assert_eq!(nowhere.status.code(), Some(6), "{}", err(&nowhere));
    let none = aio.run(&["profile", "measure", "greeter"]);
    assert!([Some(6), Some(7)].contains(&none.status.code()), "{}", err(&none));
}

#[test]
fn releases_are_listed_whatever_their_locks_are_and_only_some_have_one() {
    let aio = Aio::new();
    let listed = |aio: &Aio| -> serde_json::Value {
        let output = aio.run(&["release", "ls", "--output", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let releases = listed(&aio);
    let releases = releases.as_array().expect("a list");
    let named = |wanted: fn(&serde_json::Value) -> bool| {
        let found = releases.iter().find(|release| wanted(release)).expect("a release");
        found["release"].as_str().expect("a name").to_owned()
    };
    let packages = named(|release| release["origin"] == "packages");
    let wheels = named(|release| release["lock"]["state"] == "whole");
    assert_eq!(releases.iter().filter(|release| release["new_clouds"] == true).count(), 1);

    for (arguments, status, said) in [
        (&["release", "lock", "none"][..], 6, "there is no such release"),
        (&["release", "lock", &packages], 2, "it has no lock"),
        (&["release", "lock", &wheels, "--as-of", "2026-10-32"], 2, "write YYYY-MM-DD"),
        (&["release", "lock", &wheels, "--as-of", "9999-01-01"], 2, "is yet to come"),
        (&["release", "lock", &wheels, "--from", "./nova#-x"], 2, "is the name of no branch"),
    ] {
        let output = aio.run(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{}", err(&output));
        assert_eq!(out(&output), "");
    }
    assert!(!aio.directory.path().join("state").exists(), "nothing was begun");

    let own = aio.directory.path().join("etc/profiles/releases");
    std::fs::create_dir_all(&own).expect("a directory");
    std::fs::write(own.join(format!("{wheels}.lock")), "nova==34.0.0\n").expect("a lock");
    let broken = listed(&aio);
    let mut states = broken.as_array().expect("a list").iter().map(|it| &it["lock"]["state"]);
    assert!(states.any(|state| state == "broken"), "{broken}");
    let table = out(&aio.run(&["release", "ls"]));
    assert!(table.contains("wheels, but its lock is broken: line 2: "), "{table}");
}

#[test]
fn a_support_bundle_is_refused_before_anything_is_collected_or_whole() {
    let aio = Aio::new();
    let place = |name: &str| aio.directory.path().join(name).display().to_string();
    for name in ["bundle.zip", "bundle", ".tar.gz"] {
        let output = aio.run(&["support-bundle", &place(name)]);
        assert_eq!(output.status.code(), Some(2), "{name}: {}", err(&output));
        assert!(err(&output).contains("for example aio.tar.gz"), "{}", err(&output));
    }
    let missing = aio.run(&["support-bundle", &place("none/bundle.tar.gz")]);
    assert_eq!(missing.status.code(), Some(2), "{}", err(&missing));
    assert!(err(&missing).contains("hint: Make it with `mkdir -p "), "{}", err(&missing));
    let target = place("bundle.tar.gz");
    std::fs::write(&target, "mine").expect("a file");
    let there = aio.run(&["support-bundle", &target]);
    assert_eq!(there.status.code(), Some(7), "{}", err(&there));
    assert!(err(&there).contains("--force"), "{}", err(&there));
    assert_eq!(std::fs::read(&target).expect("a file"), b"mine");

    let forced = aio.run(&["support-bundle", &target, "--force", "--output", "json"]);
    assert_eq!(forced.status.code(), Some(0), "{}", err(&forced));
    let bundle: serde_json::Value = serde_json::from_slice(&forced.stdout).expect("JSON");
    let size = std::fs::metadata(&target).expect("a file").len();
    assert_eq!(bundle["file"], target.as_str());
    assert_eq!(bundle["bytes"], size);
    let members = bundle["members"].as_array().expect("members");
    assert!(members.iter().any(|member| member["name"] == "host/facts.json"), "{bundle}");
    assert!(
        err(&forced).contains("missing: containers: there is no cloud `aio1`"),
        "{}",
        err(&forced)
    );
    assert!(!aio.directory.path().join("state").exists(), "it only looks");
    let entries = std::fs::read_dir(aio.directory.path()).expect("a directory");
    assert_eq!(entries.count(), 1, "nothing stands beside it");
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is() {
    let aio = Aio::new();
    let mut child = aio
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()));

    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let output = aio.command(&["completions", "bash"]).stdout(full).output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("No space left"), "{}", err(&output));
}

#[test]
fn colour_can_be_asked_for_and_refused() {
    let aio = Aio::new();
    let colourful = |command: &mut Command| {
        let output = command.output().expect("it ends");
        err(&output).contains('\u{1b}')
    };
    assert!(!colourful(&mut aio.command(&["logs"])));
    assert!(colourful(&mut aio.command(&["--color", "always", "logs"])));
    assert!(!colourful(aio.command(&["logs"]).env("NO_COLOR", "1")));
}
