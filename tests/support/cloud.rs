//! One cloud of a test: a name, directories and ranges of its own, and the built `aio` for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aio::for_tests::Paths;
use serde_json::Value;

use super::process::{self, Finished, shell};

/// A cloud that a test owns.
pub struct Cloud {
    /// Its name, which all its containers have as a prefix.
    pub name: String,
    /// Its configuration directory.
    pub config_dir: PathBuf,
    /// Its state directory.
    pub state_dir: PathBuf,
    binary: PathBuf,
    /// Whether it is used as by a user who names no directories.
    installed: bool,
}

impl Cloud {
    /// A cloud of that name under `/var/lib`, which must be on a disk: overlays need it.
    pub fn new(binary: &str, name: &str) -> Self {
        let root = Path::new("/var/lib").join(format!("{name}-test"));
        Self {
            name: name.to_owned(),
            config_dir: root.join("config"),
            state_dir: root.join("state"),
            binary: PathBuf::from(binary),
            installed: false,
        }
    }

    /// A cloud of the installed `aio`, in its usual places.
    pub fn installed(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            config_dir: Paths::usual_config_dir(name),
            state_dir: "/var/lib/aio".into(),
            binary: PathBuf::from("aio"),
            installed: true,
        }
    }

    /// `aio` for this cloud.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["--name", &self.name]);
        if !self.installed {
            command.arg("--config-dir").arg(&self.config_dir);
            command.arg("--state-dir").arg(&self.state_dir);
        }
        command.args(arguments);
        command.env_remove("AIO_NAME").env("NO_COLOR", "1");
        command
    }

    /// Runs `aio`, for two minutes at most.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        process::run(self.command(arguments), Duration::from_secs(120))
    }

    /// Runs `aio` to its good end, for two minutes at most. Its standard output.
    pub fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).ok().stdout
    }

    /// Builds the cloud, or brings it back, and returns what the run did. `AIO_TEST_TLS=everywhere` makes
    /// it speak TLS.
    pub fn bootstrap(&self, options: &[&str]) -> Run {
        let tls = std::env::var("AIO_TEST_TLS").map(|tls| format!("tls={tls}"));
        let said: Vec<&str> = tls.iter().flat_map(|tls| ["--set", tls]).collect();
        let arguments = [&["bootstrap", "--output", "json"], &said[..], options].concat();
        Run(process::run(self.command(&arguments), Duration::from_secs(900)).ok())
    }

    /// `aio status --output json`.
    pub fn status(&self) -> Value {
        self.run(&["status", "--output", "json"]).ok().json()
    }

    /// What is not healthy, in words; empty for a healthy cloud.
    pub fn ailments(&self) -> Vec<String> {
        let finished = self.run(&["status", "--output", "json"]);
        let Ok(status) = serde_json::from_str::<Value>(&finished.stdout) else {
            return vec![format!("no status: {}", finished.stderr)];
        };
        let mut ailments: Vec<String> = containers(&status)
            .filter(|container| container["health"] != "healthy")
            .map(|container| format!("{}: {}", container["name"], container["reason"]))
            .collect();
        if status["state"] != "healthy" {
            ailments.push(format!("the cloud is {}", status["state"]));
        }
        ailments
    }

    /// Fails unless everything is healthy within `limit`.
    pub fn healthy_within(&self, limit: Duration) {
        let mut last = Vec::new();
        process::eventually(
            limit,
            || {
                last = self.ailments();
                last.is_empty().then_some(())
            },
            "a healthy cloud",
        );
    }

    /// Full names of all its containers, as LXC's own tool lists them.
    pub fn lxc_names(&self) -> Vec<String> {
        let prefix = format!("{}_", self.name);
        let all = shell("lxc-ls -1");
        all.split_whitespace().filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect()
    }

    /// The full name of a member.
    pub fn container(&self, kind: &str, member: u64) -> String {
        let name = |row: &Value| row["name"].as_str().unwrap().to_owned();
        containers(&self.status())
            .find(|row| row["kind"] == kind && row["member"] == member)
            .map(name)
            .unwrap_or_else(|| panic!("there is no {kind}/{member}"))
    }

    /// The management address of a member.
    pub fn address(&self, kind: &str, member: u64) -> String {
        let status = self.status();
        let row = containers(&status)
            .find(|row| row["kind"] == kind && row["member"] == member)
            .unwrap_or_else(|| panic!("there is no {kind}/{member}"));
        row["addresses"]["management"].as_str().unwrap().to_owned()
    }

    /// Runs a shell script in a container.
    pub fn inside(&self, container: &str, script: &str) -> Finished {
        self.run(&["attach", container, "--", "sh", "-euc", script])
    }

    /// Runs a client command as the administrator and reads its JSON.
    pub fn openstack(&self, arguments: &[&str]) -> Value {
        let arguments = [&["openstack"], arguments, &["-f", "json"]].concat();
        self.run(&arguments).ok().json()
    }

    /// The file of secrets: name and value.
    pub fn secrets(&self) -> std::collections::BTreeMap<String, String> {
        let text = fs::read_to_string(self.config_dir.join("user_secrets.yml")).unwrap();
        let all: std::collections::BTreeMap<String, Option<String>> =
            serde_yaml::from_str(&text).unwrap();
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Sets one secret in the file.
    pub fn edit_secret(&self, name: &str, value: &str) {
        let file = self.config_dir.join("user_secrets.yml");
        let text = fs::read_to_string(&file).unwrap();
        let prefix = format!("{name}:");
        let lines = text.lines().map(|line| {
            if line.starts_with(&prefix) {
                format!("{name}: '{value}'\n")
            } else {
                format!("{line}\n")
            }
        });
        fs::write(&file, lines.collect::<String>()).unwrap();
    }

    /// Kills every container at the same moment, as a power cut does.
    pub fn cut_power(&self) {
        let killed: Vec<_> = self
            .lxc_names()
            .into_iter()
            .map(|name| Command::new("lxc-stop").args(["-k", "-n", &name]).spawn().unwrap())
            .collect();
        for mut child in killed {
            child.wait().unwrap();
        }
    }

    /// Removes what an earlier run left. `AIO_TEST_KEEP_IMAGES=1` keeps image layers, for quick
    /// runs while developing.
    pub fn remove_leftovers(&self) {
        let keep = std::env::var_os("AIO_TEST_KEEP_IMAGES").is_some();
        if self.state_dir.exists() {
            let mut arguments = vec!["destroy", "--yes"];
            if keep {
                arguments.push("--keep-images");
            }
            let finished = process::run(self.command(&arguments), Duration::from_secs(180));
            println!("leftovers: destroy ended with {}", finished.status);
        }
        for name in self.lxc_names() {
            let script = format!("lxc-stop -k -n {name} || true; lxc-destroy -f -n {name} || true");
            shell(&script);
        }
        if !keep {
            let root = self.state_dir.parent().unwrap();
            let mounted = shell("cut -d' ' -f5 /proc/self/mountinfo");
            for mount in mounted.lines().rev().filter(|path| Path::new(path).starts_with(root)) {
                shell(&format!("umount '{mount}'"));
            }
            let _ = fs::remove_dir_all(root);
        }
        let _ = fs::remove_dir_all(&self.config_dir);
        assert_eq!(self.lxc_names(), Vec::<String>::new(), "leftovers cannot be removed");
    }
}

/// The containers of a status.
pub fn containers(status: &Value) -> impl Iterator<Item = &Value> {
    status["containers"].as_array().unwrap().iter()
}

/// A run with events as JSON lines on standard error.
pub struct Run(pub Finished);

impl Run {
    /// The numbers of the last line.
    pub fn summary(&self) -> Value {
        self.events("run_finished").pop().unwrap_or_else(|| panic!("no end: {}", self.0.all()))
    }

    /// How many steps changed something.
    pub fn changed(&self) -> u64 {
        self.summary()["changed"].as_u64().unwrap()
    }

    /// Keys of the steps that changed something.
    pub fn changed_steps(&self) -> Vec<String> {
        self.events("step_finished")
            .iter()
            .filter(|event| {
                event["outcome"] == "changed" || event["outcome"]["outcome"] == "changed"
            })
            .map(|event| event["key"].as_str().unwrap().to_owned())
            .collect()
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        let lines = self.0.stderr.lines().filter(|line| line.starts_with('{'));
        let events = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["event"] == kind).collect()
    }
}
