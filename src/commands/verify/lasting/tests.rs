use std::fs;
use std::path::PathBuf;
use std::sync::Mutex as Lock;

use super::*;
use crate::commands::verify::checks::Verdict;
use crate::host::fake::containers::FakeContainers;
use crate::host::fake::empty;
use crate::host::{Containers, Host};
use crate::model::command::Output;
use crate::model::paths::Paths;
use crate::render::testing;
use crate::steps::site::Site;
use crate::ui::Wish;

/// Two things that last, and one that this cloud cannot make.
const LASTING: &str = "
service: heat
summary: x
containers:
  heat_engine: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
verify:
  - {name: good, title: it works, container: heat_engine, script: 'true'}
lasting:
  - {name: stack, title: a stack, container: heat_engine, script: stack}
  - {name: user, title: a user, container: heat_engine, script: user}
  - {name: far, title: elsewhere, needs: [nova], script: far}
";

/// What a user is made with: it is written down and shown nowhere.
const PASSWORD: &str = "hunter2-of-the-user";

/// What users have in a cloud, as its scripts make, prove and remove it.
#[derive(Default)]
struct Users {
    /// What there is, by script and id, with what was printed of it.
    there: BTreeMap<String, String>,
    /// Scripts that fail, with what they say.
    failing: BTreeMap<String, String>,
    /// `prove stack`, in order.
    asked: Vec<String>,
    /// What the file says whenever something is made.
    file: Option<PathBuf>,
    written: Vec<String>,
}

impl Users {
    fn answer(&mut self, command: &Command) -> Output {
        let variable = |name: &str| command.environment.get(name).cloned().unwrap_or_default();
        let (action, script) = (variable("ACTION"), command.argv[4].clone());
        let asked = format!("{action} {script}");
        self.asked.push(asked.clone());
        if let Some(said) = self.failing.get(&asked) {
            let (stdout, stderr) = (Vec::new(), format!("{said}\n").into_bytes());
            return Output { status: 1, stdout, stderr };
        }
        let name = format!("{script}-{}", variable("VERIFY_ID"));
        match action.as_str() {
            "make" => {
                let written = self.file.iter().map(fs::read_to_string);
                self.written.extend(written.map(Result::unwrap_or_default));
                self.there.insert(name, PASSWORD.to_owned());
                let stdout = format!("{PASSWORD}\n").into_bytes();
                Output { stdout, ..Output::default() }
            }
            "prove" if self.there.get(&name) == Some(&variable("MADE")) => Output::default(),
            "remove" => {
                self.there.remove(&name);
                Output::default()
            }
            _ => Output {
                status: 1,
                stderr: format!("there is no {script} of that name\n").into_bytes(),
                ..Output::default()
            },
        }
    }
}

/// A cloud on a fake host, with its users, and where the file is to be.
struct World {
    _directory: tempfile::TempDir,
    file: PathBuf,
    options: Options,
    opened: Opened,
    users: Arc<Lock<Users>>,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (file, paths) = (directory.path().join("made.json"), Paths::below(directory.path()));
        let profiles = testing::profiles_with_heat(LASTING);
        let cloud = testing::cloud(&profiles);
        let renderer = testing::renderer(&cloud, &profiles);
        let containers = FakeContainers::default();
        let engine = cloud.containers.last().unwrap();
        containers.define(engine).await.unwrap();
        containers.start(&engine.name).await.unwrap();
        let users = Arc::new(Lock::new(Users { file: Some(file.clone()), ..Users::default() }));
        let theirs = Arc::clone(&users);
        containers.answer(move |_, command| Some(theirs.lock().unwrap().answer(command)));
        let host = Host { containers: Arc::new(containers), ..empty() };
        let site = Arc::new(Site::new(cloud, testing::secrets()));
        let session = Session { paths: paths.clone(), site, host: Arc::new(host) };
        let wish = Wish { json: false, quiet: true, verbose: 0, lines: false };
        let options = Options { paths, wish, lock_timeout: Duration::ZERO, timings: None };
        let opened = Opened { session, profiles, renderer };
        Self { _directory: directory, file, options, opened, users }
    }

    async fn before(&self) -> Verified {
        refuse_there(&self.file).unwrap();
        self.opened.before(&self.options, &self.file, &["heat".to_owned()]).await.unwrap()
    }

    async fn after(&self, remove: bool) -> Result<Verified> {
        let kept = Kept::read(&self.file)?;
        self.opened.after(&self.options, &self.file, &kept, remove).await
    }

    fn users(&self) -> std::sync::MutexGuard<'_, Users> {
        self.users.lock().unwrap()
    }

    /// What a script says from now on when it is asked for that, instead of doing it.
    fn fail(&self, asked: &str, says: &str) {
        self.users().failing.insert(asked.to_owned(), says.to_owned());
    }

    /// What scripts were asked since the last time, in order where they do not run side by side.
    fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut self.users().asked);
        // Steps of one run need nothing of one another; those of two runs do not mix.
        asked
            .chunk_by_mut(|one, next| one.split(' ').next() == next.split(' ').next())
            .for_each(<[_]>::sort);
        asked
    }

    /// All that a run wrote into its logs.
    fn logs(&self) -> String {
        let logs = fs::read_dir(self.options.paths.log_dir()).unwrap();
        logs.map(|log| fs::read_to_string(log.unwrap().path()).unwrap()).collect()
    }
}

fn seen(verified: &Verified) -> Vec<(&str, Verdict, Option<&str>)> {
    let checks = verified.checks.iter();
    checks.map(|it| (it.check.as_str(), it.result, it.reason.as_deref())).collect()
}

const FAR: (&str, Verdict, Option<&str>) =
    ("far", Verdict::LeftOut, Some("it needs nova, which this cloud does not have"));

#[tokio::test]
async fn what_is_made_is_written_down_before_and_what_it_is_afterwards() {
    let world = World::new().await;
    let verified = world.before().await;
    let made = [("stack", Verdict::Pass, None), ("user", Verdict::Pass, None), FAR];
    assert_eq!(seen(&verified), made);
    assert!(verified.error().is_none());
    assert_eq!(world.asked(), ["make stack", "make user"]);
    let kept = Kept::read(&world.file).unwrap();
    assert_eq!((kept.cloud.as_str(), kept.release.as_str()), ("aio1", "2025.1"));
    let one = |name: &str, text: Option<&str>| Made {
        service: "heat".to_owned(),
        name: name.to_owned(),
        text: text.map(str::to_owned),
    };
    assert_eq!(kept.made, [one("stack", Some(PASSWORD)), one("user", Some(PASSWORD))]);
    let names: Vec<String> = world.users().there.keys().cloned().collect();
    assert_eq!(names, ["stack", "user"].map(|name| format!("{name}-{}", kept.id)));
    // A run that is cut off while it makes something leaves what is needed to remove it.
    for written in &world.users().written {
        let early: Kept = serde_json::from_str(written).unwrap();
        assert_eq!(early.made, [one("stack", None), one("user", None)]);
        assert_eq!((early.cloud, early.id), (kept.cloud.clone(), kept.id.clone()));
    }
    assert_eq!(world.users().written.len(), 2);
    assert_eq!(files::mode(&world.file), Some(0o600));
    assert!(!world.logs().contains(PASSWORD));
}

#[tokio::test]
async fn all_is_proven_and_then_removed_and_the_file_with_it() {
    let world = World::new().await;
    world.before().await;
    let written = fs::read(&world.file).unwrap();
    world.asked();
    let proven = world.after(false).await.unwrap();
    assert_eq!(seen(&proven), [("stack", Verdict::Pass, None), ("user", Verdict::Pass, None)]);
    assert_eq!(world.asked(), ["prove stack", "prove user"]);
    assert_eq!(fs::read(&world.file).unwrap(), written);
    let proven = world.after(true).await.unwrap();
    assert!(proven.error().is_none());
    assert_eq!(world.asked(), ["prove stack", "prove user", "remove stack", "remove user"]);
    assert!(world.users().there.is_empty() && !world.file.exists());
}

#[tokio::test]
async fn what_was_lost_is_named_and_so_is_what_is_not_as_it_was() {
    let world = World::new().await;
    world.before().await;
    world.users().there.retain(|name, _| !name.starts_with("stack"));
    world.users().there.values_mut().for_each(|made| made.push('x'));
    let proven = world.after(false).await.unwrap();
    let lost = [
        ("stack", Verdict::Fail, Some("there is no stack of that name")),
        ("user", Verdict::Fail, Some("there is no user of that name")),
    ];
    assert_eq!(seen(&proven), lost);
    let error = proven.error().unwrap();
    assert!(error.to_string().ends_with("2 of 2 checks failed"), "{error}");
    assert!(world.file.exists());
    // Proven or not, it is removed if that is asked for.
    let proven = world.after(true).await.unwrap();
    assert_eq!(proven.count(Verdict::Fail), 2);
    assert!(world.users().there.is_empty() && !world.file.exists());
}

#[tokio::test]
async fn what_could_not_be_made_is_removed_all_the_same_and_not_proven() {
    let world = World::new().await;
    world.fail("make stack", "half of it is there");
    let verified = world.before().await;
    assert_eq!(seen(&verified)[0], ("stack", Verdict::Fail, Some("half of it is there")));
    let kept = Kept::read(&world.file).unwrap();
    assert_eq!(kept.made.iter().map(|it| it.text.is_some()).collect::<Vec<_>>(), [false, true]);
    world.asked();
    let proven = world.after(true).await.unwrap();
    let expected =
        [("stack", Verdict::LeftOut, Some("it was not made")), ("user", Verdict::Pass, None)];
    assert_eq!(seen(&proven), expected);
    assert_eq!(world.asked(), ["prove user", "remove stack", "remove user"]);
}

#[tokio::test]
async fn what_cannot_be_removed_keeps_its_file() {
    let world = World::new().await;
    world.before().await;
    world.fail("remove user", "it is in use");
    let error = world.after(true).await.unwrap_err();
    assert!(error.to_string().starts_with("remove what "), "{error}");
    assert!(error.to_string().contains("made.json names"), "{error}");
    assert!(world.file.exists());
    world.users().failing.clear();
    world.users().there.insert("stack-again".to_owned(), String::new());
    world.after(true).await.unwrap();
    assert!(!world.file.exists());
}

#[tokio::test]
async fn a_file_that_is_there_is_not_written_over() {
    let world = World::new().await;
    world.before().await;
    let error = refuse_there(&world.file).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.to_string().contains("what it names would be forgotten"), "{error}");
    assert_eq!(
        error.hints,
        [format!("Remove that: aio verify --after {} --remove", world.file.display())]
    );
}

#[tokio::test]
async fn a_file_of_another_cloud_or_a_broken_one_proves_nothing() {
    let world = World::new().await;
    world.before().await;
    world.asked();
    let kept = Kept::read(&world.file).unwrap();
    Kept { cloud: "other".to_owned(), ..kept }.write(&world.file).unwrap();
    let error = world.after(true).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.to_string().ends_with("it is of the cloud `other`, not of `aio1`"), "{error}");
    assert!(error.hints[0].starts_with("aio --name other verify --after "), "{error:?}");
    let whole = fs::read(&world.file).unwrap();
    for broken in [&whole[..whole.len() / 2], b"", b"[]"] {
        fs::write(&world.file, broken).unwrap();
        let error = world.after(true).await.unwrap_err();
        assert!(error.to_string().contains("made.json"), "{error}");
        assert!(error.hints[0].contains("aio verify --before"), "{error:?}");
    }
    assert_eq!(world.asked(), [""; 0]);
    assert!(world.file.exists() && !world.users().there.is_empty());
    fs::remove_file(&world.file).unwrap();
    assert!(world.after(true).await.is_err());
}

#[tokio::test]
async fn what_the_profile_does_not_have_any_more_is_said() {
    let mut world = World::new().await;
    world.before().await;
    let heat = world.opened.profiles.services.get_mut("heat").unwrap();
    heat.lasting.retain(|lasting| lasting.name != "stack");
    let proven = world.after(false).await.unwrap();
    let reason = "its profile has nothing of that name any more";
    assert_eq!(seen(&proven)[0], ("stack", Verdict::LeftOut, Some(reason)));
}

#[tokio::test]
async fn what_nobody_can_remove_any_more_keeps_its_file() {
    for gone in ["entry", "container"] {
        let mut world = World::new().await;
        world.before().await;
        let heat = world.opened.profiles.services.get_mut("heat").unwrap();
        let reason = if gone == "entry" {
            heat.lasting.retain(|lasting| lasting.name != "stack");
            "its profile has nothing of that name any more"
        } else {
            let stack = heat.lasting.iter_mut().find(|it| it.name == "stack").unwrap();
            stack.container = "heat_api".to_owned();
            "it runs in heat_api, which this cloud does not have"
        };
        let error = world.after(true).await.unwrap_err();
        assert!(error.message.starts_with("remove what "), "{error}");
        assert_eq!(error.causes, [format!("heat stack: {reason}")]);
        let id = Kept::read(&world.file).unwrap().id;
        assert!(error.hints[1].contains(&id), "{error:?}");
        // All else is gone.
        let there: Vec<String> = world.users().there.keys().cloned().collect();
        assert_eq!(there, [format!("stack-{id}")]);
    }
}
