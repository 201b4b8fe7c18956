use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use secrecy::ExposeSecret as _;

use super::*;
use crate::cloud::files::Files;
use crate::cloud::{recorded, secrets};
use crate::commands::support::mask::forms;
use crate::commands::support::{containers, layout};
use crate::config::load::Profiles;
use crate::host::Containers;
use crate::host::fake::absent;
use crate::host::fake::containers::FakeContainers;
use crate::host::fake::diagnostics::FakeDiagnostics;
use crate::model::cloud::Cloud;
use crate::model::command::Output;
use crate::model::file::ContainerFile;
use crate::model::journal::Entry;
use crate::model::paths::Paths;
use crate::render::testing::builtin_cloud;
use crate::secrets::store;
use crate::ui::Wish;

/// A password with everything in it that needs to be escaped somewhere.
const ODD: &str = r#"Ch0sen: by $me & "you" %40/@#'`\<x>"#;

/// A token that nobody wrote down.
const TOKEN: &str = "gAAAAABmZ9x0abcdefghijklmnopqrstuvwxyz0123456789_-ABCDEFGHIJKLMNOPQRSTUVWX";

/// A recorded cloud of the scenario `control` with its secrets, a fake host, and a place for archives.
struct World {
    directory: tempfile::TempDir,
    options: Options,
    cloud: Cloud,
    containers: FakeContainers,
    diagnostics: FakeDiagnostics,
}

impl World {
    fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        fs::create_dir_all(&paths.config_dir).unwrap();
        fs::create_dir_all(directory.path().join("out")).unwrap();
        let profiles = Profiles::load(&paths.config_dir).unwrap();
        let cloud = builtin_cloud(&profiles, &profiles.scenarios["control"]);
        let wish = Wish { json: false, quiet: true, verbose: 0, lines: false };
        let lock_timeout = Duration::ZERO;
        let options = Options { paths, wish, lock_timeout, timings: None };
        let facts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/facts/trixie-systemd-16g.json");
        let facts = serde_json::from_slice(&fs::read(facts).unwrap()).unwrap();
        let diagnostics = FakeDiagnostics { facts: Some(facts), ..FakeDiagnostics::default() };
        Self { directory, options, cloud, containers: FakeContainers::default(), diagnostics }
    }

    /// With a cloud, of which only the first container is stopped.
    async fn with_cloud() -> Self {
        let world = Self::empty();
        let paths = &world.options.paths;
        fs::create_dir_all(paths.cloud_dir()).unwrap();
        recorded::save(paths, &world.cloud).unwrap();
        let services = secrets::services(&world.cloud);
        let specification = store::specification(&paths.config_dir).unwrap();
        let mut file = store::read(&paths.secrets_file()).unwrap();
        file.complete(&specification, &services, &mut rand::rng()).unwrap();
        store::write(&file, &paths.secrets_file()).unwrap();
        let text = fs::read_to_string(paths.secrets_file()).unwrap();
        let name = "keystone_auth_admin_password:";
        let quoted = ODD.replace('\'', "''");
        let lines = text.lines().map(|line| match line.starts_with(name) {
            true => format!("{name} '{quoted}'\n"),
            false => format!("{line}\n"),
        });
        let unused = "swift_hash_path_suffix: nobody-uses-this-one\n";
        fs::write(paths.secrets_file(), lines.collect::<String>() + unused).unwrap();
        for container in &world.cloud.containers {
            world.containers.define(container).await.unwrap();
        }
        for container in &world.cloud.containers[1..] {
            world.containers.start(&container.name).await.unwrap();
        }
        world
    }

    fn secrets(&self) -> Vec<(String, String)> {
        let file = store::read(&self.options.paths.secrets_file()).unwrap();
        let values = file.every_value().into_iter();
        values.map(|(name, value)| (name, value.expose_secret().to_owned())).collect()
    }

    /// Everything that must be in no file.
    fn forbidden(&self) -> Vec<String> {
        let mut forbidden = vec![TOKEN.to_owned()];
        for (_, value) in self.secrets() {
            forbidden.extend(forms(&value));
            forbidden.extend(crate::render::derived(&value));
        }
        forbidden
    }

    /// Says every secret in every form wherever a host and its containers can say something.
    fn leak(&self) {
        let all: String = self.forbidden().iter().map(|form| format!("said {form} so\n")).collect();
        let paths = &self.options.paths;
        let mut journals = self.diagnostics.journals.lock().unwrap();
        for (index, container) in self.cloud.containers.iter().enumerate() {
            let message = if index == 1 { all.clone() } else { "quiet".to_owned() };
            let unit = "unit".to_owned();
            let entry = Entry { message, unit, ..Entry::default() };
            journals.insert(container.machine_id.clone(), vec![entry]);
            let console = Paths::lxc_dir(&container.name).join("console.log");
            let mut bytes = b"\xff\xfe".to_vec();
            bytes.extend_from_slice(ODD.as_bytes());
            self.diagnostics.files.lock().unwrap().insert(console, bytes);
        }
        let text = all.clone();
        self.containers.answer(move |_, command| {
            let asks_for_units = command.argv.last().is_some_and(|it| it.contains("--failed"));
            asks_for_units
                .then(|| Output { stdout: text.clone().into_bytes(), ..Output::default() })
        });
        let tools = &self.diagnostics.tools;
        tools.lock().unwrap().insert("nft".to_owned(), b"table inet aio1 {}\n".to_vec());
        tools.lock().unwrap().insert("dmesg".to_owned(), all.clone().into_bytes());
        fs::create_dir_all(paths.log_dir()).unwrap();
        fs::write(paths.log_dir().join("1-bootstrap.log"), &all).unwrap();
        fs::write(paths.steps_file(), &all).unwrap();
        fs::create_dir_all(paths.overrides_dir()).unwrap();
        fs::write(paths.overrides_dir().join("heat.conf"), format!("[DEFAULT]\n#{ODD}\n")).unwrap();
        fs::copy(paths.secrets_file(), paths.config_dir.join("user_secrets.yml.old")).unwrap();
        fs::copy(paths.secrets_file(), paths.overrides_dir().join("s.yml~")).unwrap();
        fs::create_dir_all(paths.gateway_dir()).unwrap();
        fs::write(paths.gateway_dir().join("host_key"), "a private key\n").unwrap();
    }

    fn target(&self) -> PathBuf {
        self.directory.path().join("out/x.tar.gz")
    }

    async fn written(self, interrupt: Interrupt) -> (Self, Result<Bundle>) {
        let asked = Asked {
            file: self.target(),
            force: false,
            lines: 2000,
            arguments: vec!["aio".to_owned()],
        };
        let archive = Archive::begin(&asked.file, asked.force).unwrap();
        let Self { directory, options, cloud, containers, diagnostics } = self;
        let (containers, diagnostics) = (Arc::new(containers), Arc::new(diagnostics));
        let host = Arc::new(Host {
            containers: Arc::clone(&containers) as Arc<_>,
            diagnostics: Arc::clone(&diagnostics) as Arc<_>,
            ..absent()
        });
        let bundle = write(&options, &asked, archive, host, interrupt).await;
        let (containers, diagnostics) = (FakeContainers::default(), FakeDiagnostics::default());
        (Self { directory, options, cloud, containers, diagnostics }, bundle)
    }
}

/// Files of the archive by their names below its one directory.
fn unpacked(bundle: &Bundle) -> BTreeMap<String, Vec<u8>> {
    let file = fs::File::open(&bundle.file).unwrap();
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(GzDecoder::new(file)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let (top, name) = path.split_once('/').unwrap();
        assert_eq!(top, bundle.directory);
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(name.to_owned(), content);
    }
    let listed: Vec<&String> = bundle.members.iter().map(|member| &member.name).collect();
    assert_eq!(listed.len(), files.len());
    assert!(listed.iter().all(|name| files.contains_key(*name)), "{listed:?}");
    files
}

fn text(files: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    let content = files.get(name).unwrap_or_else(|| panic!("{name} is not in {:?}", files.keys()));
    String::from_utf8_lossy(content).into_owned()
}

fn contains(content: &[u8], part: &str) -> bool {
    content.windows(part.len()).any(|window| window == part.as_bytes())
}

fn reason<'a>(bundle: &'a Bundle, name: &str) -> &'a str {
    let found = bundle.missing.iter().find(|missing| missing.name == name);
    &found.unwrap_or_else(|| panic!("{name} is not among {:?}", bundle.missing)).reason
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_in_it_and_no_secret_in_any_form() {
    let world = World::with_cloud().await;
    world.leak();
    let forbidden = world.forbidden();
    assert!(forbidden.len() > 300, "{}", forbidden.len());
    // One file is as it should be, one is not, and what it has instead stays where it is.
    let files = Files::open(&world.options.paths).unwrap();
    let engine = world.cloud.containers.iter().find(|it| it.kind == "heat_engine").unwrap();
    let hosts = files.render(engine, "/etc/heat/heat.conf").unwrap();
    let other = b"[DEFAULT]\nformer = long-forgotten-password\n".to_vec();
    let log =
        ContainerFile { path: "/etc/rsyslog.conf".to_owned(), content: other, ..hosts.clone() };
    world.containers.write_files(&engine.name, &[hosts, log]).await.unwrap();

    let (world, bundle) = world.written(Interrupt::default()).await;
    let bundle = bundle.unwrap();
    assert!(bundle.directory.starts_with("aio1-20") && bundle.directory.ends_with('Z'));
    assert_eq!(fs::metadata(world.target()).unwrap().len(), bundle.bytes);
    let files = unpacked(&bundle);
    for (name, content) in &files {
        assert!(layout::is_explained(name), "the README says nothing about {name}");
        for form in &forbidden {
            assert!(!contains(content, form), "{form:?} is in {name}");
        }
        assert!(!contains(content, "long-forgotten"), "{name}");
        assert!(!contains(content, "a private key\n"), "{name}");
        assert!(!name.contains("s.yml") && !name.contains(".old"), "{name}");
    }
    let journal = text(&files, "containers/galera-2/journal.txt");
    for (name, _) in world.secrets() {
        assert!(journal.contains(&format!("[masked: {name}]")), "{name} is not in the journal");
    }
    assert!(journal.contains("said [masked: token] so"), "the rest of it is there");
    let conf = text(&files, "containers/heat_engine-1/rendered/etc/heat/heat.conf");
    assert!(
        conf.contains("mysql+pymysql://heat:[masked: heat_container_mysql_password]@"),
        "{conf}"
    );
    let listed = text(&files, "containers/heat_engine-1/files.txt");
    assert!(listed.contains("/etc/heat/heat.conf root:heat 0640: as it should be"), "{listed}");
    assert!(
        listed.contains(": differs from line 1 on") || listed.contains(": missing"),
        "{listed}"
    );
    let names = text(&files, "config/user_secrets.names.txt");
    assert!(names.contains("swift_hash_path_suffix\n"), "{names}");
    for name in [
        "README.txt",
        "errors.txt",
        "aio.json",
        "host/facts.json",
        "host/nftables.txt",
        "host/meminfo.txt",
        "size.json",
        "status.json",
        "ls.json",
        "config/overrides/heat.conf",
        "state/topology.json",
        "state/cloud.json",
        "state/steps.jsonl",
        "state/log/1-bootstrap.log",
        "containers/galera-1/container.json",
        "containers/galera-2/units.txt",
        "containers/galera-1/lxc/console.log",
    ] {
        assert!(files.contains_key(name), "{name} is not in {:?}", files.keys());
    }
    let status: serde_json::Value = serde_json::from_slice(&files["status.json"]).unwrap();
    assert_eq!(status["cloud"], "aio1");
    // What a stopped container and a missing tool cannot say is named.
    let first = containers::directory(&world.cloud.containers[0]);
    assert!(reason(&bundle, &format!("{first}/units.txt")).contains("it is stopped"));
    assert!(files.contains_key(&format!("{first}/journal.txt")));
    assert!(reason(&bundle, "host/df.txt").contains("it is not there"));
    assert!(text(&files, "errors.txt").contains("host/df.txt: run `df`: it is not there\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_user_broke_stops_nothing_else() {
    let world = World::with_cloud().await;
    world.leak();
    let paths = &world.options.paths;
    let broken = "database_read_timeout: [1\nmirror_password: hunter2hunter2\nproxy_token: abc\n";
    fs::write(paths.variables_file(), broken).unwrap();
    let repeated = format!("[DEFAULT]\nurl = hunter2hunter2\nx = {ODD}\n");
    fs::write(paths.overrides_dir().join("heat.conf"), repeated).unwrap();
    fs::write(paths.topology_file(), "{").unwrap();
    let (_world, bundle) = world.written(Interrupt::default()).await;
    let bundle = bundle.unwrap();
    let files = unpacked(&bundle);
    assert_eq!(
        text(&files, "config/user_variables.yml"),
        "database_read_timeout: [1\nmirror_password: [masked: mirror_password]\n\
         proxy_token: [masked: proxy_token]\n"
    );
    assert!(reason(&bundle, "containers/*/rendered").contains("user_variables.yml"));
    assert!(reason(&bundle, "plan.json").contains("user_variables.yml"));
    assert!(files.contains_key("size.json"));
    let conf = text(&files, "containers/heat_engine-1/rendered/etc/heat/heat.conf");
    assert!(conf.contains("url = [masked: mirror_password]"), "{conf}");
    for (name, content) in &files {
        assert!(!contains(content, "hunter2hunter2"), "{name}");
    }
    assert!(files.contains_key("containers/galera-1/journal.txt"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_secrets_nothing_is_taken_that_could_hold_one() {
    for text in [Some("a: b: c\n- x\n"), Some("$ANSIBLE_VAULT;1.1;AES256\n61\n"), None] {
        let world = World::with_cloud().await;
        world.leak();
        let forbidden = world.forbidden();
        let file = world.options.paths.secrets_file();
        match text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        world.diagnostics.tools.lock().unwrap().clear();
        fs::remove_file(world.options.paths.config_dir.join("user_secrets.yml.old")).unwrap();
        let (_world, bundle) = world.written(Interrupt::default()).await;
        let bundle = bundle.unwrap();
        let files = unpacked(&bundle);
        for left_out in ["config", "state/runs", "containers/galera-1/journal"] {
            let why = reason(&bundle, left_out);
            assert!(why.starts_with("what to mask is not known: "), "{why}");
        }
        for (name, content) in &files {
            let secret = ["journal", "rendered", "console", "state/log", "overrides", "cloud.json"];
            assert!(!secret.iter().any(|it| name.contains(it)), "{name}");
            assert!(!forbidden.iter().any(|form| contains(content, form)), "{name}");
        }
        assert!(files.contains_key("host/facts.json") && files.contains_key("state/topology.json"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_cloud_the_host_is_described() {
    let (world, bundle) = World::empty().written(Interrupt::default()).await;
    let bundle = bundle.unwrap();
    let files = unpacked(&bundle);
    for name in ["README.txt", "errors.txt", "aio.json", "host/facts.json", "size.json"] {
        assert!(files.contains_key(name), "{name} is not in {:?}", files.keys());
    }
    assert!(files.keys().all(|name| !name.starts_with("containers") && !name.starts_with("state")));
    assert!(reason(&bundle, "containers").contains("there is no cloud `aio1`"));
    assert!(!world.options.paths.state_dir.exists(), "it only looks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_one_leaves_nothing() {
    for late in [false, true] {
        let world = World::with_cloud().await;
        let interrupt = Interrupt::default();
        if late {
            let cancel = interrupt.cancel.clone();
            world.containers.answer(move |_, _| {
                cancel.cancel();
                None
            });
        } else {
            interrupt.cancel.cancel();
        }
        let (world, bundle) = world.written(interrupt).await;
        let error = bundle.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Interrupted);
        let out = world.directory.path().join("out");
        assert_eq!(fs::read_dir(out).unwrap().count(), 0);
    }
}
