//! A systemd unit that runs in a container, and the files that follow from what it runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dev::UnitDev;
use super::file::{File, Origin};

/// A systemd unit that runs in a container.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// With its suffix: `heat-engine.service`.
    pub name: String,
    /// Where OpenStack's programs must come from for it to be there; wherever they do unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Origin>,
    /// The first series of OpenStack that has it: `"2026.1"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The last series of OpenStack that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Who starts it.
    #[serde(default)]
    pub start: UnitStart,
    /// How many seconds it may take from its start until its container is healthy.
    #[serde(default = "patience_secs")]
    pub timeout_secs: u64,
    /// What it runs. Its configuration by its package's start script and its drop-in follow from that,
    /// and need no `files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<Runs>,
}

/// What a unit runs: one of `wsgi`, `worker`, `daemon` and `program`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// A WSGI application, which uWSGI serves: `heat.wsgi.api:application`, or a factory with its
    /// parentheses: `manila.wsgi.wsgi:initialize_application()`. Where a release has it as a script
    /// alone, the release says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wsgi: Option<String>,
    /// The port of the WSGI application, on the member's management address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How many threads each process of the WSGI application has; as sizing decides unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u16>,
    /// Further lines of uWSGI's configuration.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub options: String,
    /// An OpenStack program that waits for its own workers on SIGTERM, and ends at once on SIGINT:
    /// `heat-engine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Another OpenStack program that its package's start script starts, such as one that has a child for
    /// each of its backends: `cinder-volume`. In doubt it is this one: it stops more slowly, nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon: Option<String>,
    /// A program that its unit starts without such a script: `nginx`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The arguments of its program where no package says them: the service's own configuration file
    /// unless said. A `program` with arguments is OpenStack's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// The user that it runs as where no package says so: the one named as the service unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What its start script calls itself, where that is not the unit's name: that of the file below
    /// `/etc/default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The template of its drop-in, in place of the one of all that run the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_in: Option<String>,
}

impl Runs {
    /// How many of the things that a unit may run it names. One is right.
    pub fn said(&self) -> usize {
        [&self.wsgi, &self.worker, &self.daemon, &self.program].into_iter().flatten().count()
    }

    /// Whether it is a program of OpenStack's, and not of the distribution's.
    fn of_openstack(&self) -> bool {
        self.program.is_none() || self.arguments.is_some()
    }

    /// The program of OpenStack's that it names; none for a WSGI application.
    pub fn openstack_program(&self) -> Option<&str> {
        let named = [&self.worker, &self.daemon, &self.program].into_iter().flatten().next();
        named.filter(|_| self.of_openstack()).map(String::as_str)
    }

    /// Whether it is started by its package's start script, which `$AIO_DEV_PROGRAM` has start another
    /// program with the same arguments.
    pub fn by_start_script(&self, origin: Origin) -> bool {
        origin == Origin::Packages && (self.worker.is_some() || self.daemon.is_some())
    }

    /// A program with the arguments that it names.
    pub fn with_arguments(&self, program: &str, service: &str) -> String {
        let default = || format!("--config-file=/etc/{service}/{service}.conf");
        format!("{program} {}", self.arguments.clone().unwrap_or_else(default))
    }
}

impl Unit {
    /// Its name without the suffix.
    pub fn stem(&self) -> &str {
        self.name.rsplit_once('.').map_or(&self.name, |(stem, _)| stem)
    }

    /// Where uWSGI's configuration stands.
    pub fn uwsgi_file(&self, service: &str) -> String {
        format!("/etc/{service}/{}-uwsgi.ini", self.stem())
    }

    /// Whether it runs a program of OpenStack's, and not of the distribution's.
    pub fn runs_openstack(&self) -> bool {
        self.runs.as_ref().is_some_and(Runs::of_openstack)
    }

    /// The user as whom it runs a program of OpenStack's.
    pub fn user<'a>(&'a self, service: &'a str) -> Option<&'a str> {
        let runs = self.runs.as_ref().filter(|runs| runs.of_openstack())?;
        Some(runs.user.as_deref().unwrap_or(service))
    }

    /// What a unit without a package starts.
    pub fn command(&self, service: &str) -> Option<String> {
        let runs = self.runs.as_ref().filter(|runs| runs.of_openstack())?;
        let Some(program) = runs.openstack_program() else {
            let ini = self.uwsgi_file(service);
            return Some(format!("/usr/bin/uwsgi_python3 --ini {ini} $AIO_DEV_ARGUMENTS"));
        };
        Some(runs.with_arguments(&format!("/usr/local/bin/{program}"), service))
    }

    /// The files that follow from what it runs.
    pub fn files(&self, service: &str, origin: Origin) -> Vec<File> {
        let Some(runs) = &self.runs else { return Vec::new() };
        let environment = |template| {
            let script = runs.script.as_deref().unwrap_or(self.stem());
            let packaged = origin == Origin::Packages;
            packaged.then(|| (format!("/etc/default/{script}"), template))
        };
        let (mut files, drop_in): (Vec<_>, _) = if runs.wsgi.is_some() {
            let uwsgi = (self.uwsgi_file(service), "common/wsgi.ini");
            let default = environment("common/uwsgi.default");
            (std::iter::once(uwsgi).chain(default).collect(), "common/uwsgi-unit.conf")
        } else if runs.worker.is_some() {
            let default = environment("common/daemon.default");
            (default.into_iter().collect(), "common/worker-unit.conf")
        } else if runs.daemon.is_some() {
            let default = environment("common/daemon.default");
            (default.into_iter().collect(), "common/unit.conf")
        } else {
            (Vec::new(), "common/unit.conf")
        };
        if origin == Origin::Wheels && runs.of_openstack() {
            files.push((format!("/etc/systemd/system/{}", self.name), "common/wheel.service"));
        }
        let drop_in = runs.drop_in.as_deref().unwrap_or(drop_in);
        files.push((format!("/etc/systemd/system/{}.d/aio.conf", self.name), drop_in));
        let of_unit = |(path, template): (String, &str)| File::of_unit(&self.name, path, template);
        files.into_iter().map(of_unit).collect()
    }

    /// Says what follows from what it runs for its runs in a developer's terminal.
    pub fn complete(&self, service: &str, dev: &mut UnitDev) {
        let Some(runs) = &self.runs else { return };
        if runs.wsgi.is_some() {
            let one_process = "--processes 1 --threads 1";
            let uwsgi = format!("uwsgi_python3 --ini {}", self.uwsgi_file(service));
            // What is said is for releases in which the unit runs a program.
            dev.foreground =
                format!("exec {uwsgi} --honour-stdin $AIO_DEV_ARGUMENTS {one_process}");
            let arguments = dev.debug_environment.entry("AIO_DEV_ARGUMENTS".to_owned());
            arguments.or_insert_with(|| one_process.to_owned());
        } else if let Some(program) = runs.openstack_program().filter(|_| dev.foreground.is_empty())
        {
            dev.foreground = format!("exec {}", runs.with_arguments(program, service));
        }
    }
}

/// After a power cut all containers start at once: on two cores, with forty of them, an API that
/// takes 8 s by itself took 66 s.
pub const PATIENCE_SECS: u64 = 120;

const fn patience_secs() -> u64 {
    PATIENCE_SECS
}

/// Who starts a unit.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitStart {
    /// Enabled: systemd starts it with the container (after the first run set it up).
    #[default]
    Boot,
    /// Never enabled: `aio` starts all members of the cluster together.
    Cluster,
}
