//! The host's pip over wheels that the tests make; a scripted container.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::commands::dev::python::testing::{inspection, unmet};
use crate::host::python::testing::wheel;

/// Answers each look with the next list of what is missing.
#[derive(Default)]
struct Container {
    answers: Mutex<VecDeque<Vec<Unmet>>>,
    requests: Mutex<Vec<Request>>,
}

impl Container {
    fn that_misses(answers: impl IntoIterator<Item = Vec<Unmet>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

#[async_trait]
impl Inspect for Container {
    async fn inspect(&self, request: &Request) -> Result<Inspection> {
        self.requests.lock().unwrap().push(request.clone());
        let missing = self.answers.lock().unwrap().pop_front().expect("asked too often");
        Ok(Inspection { missing, ..inspection() })
    }
}

/// Wheels and a cache.
struct Place {
    directory: TempDir,
    cache: Cache,
    pip: Pip,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let wheels = directory.path().join("wheels");
        fs::create_dir(&wheels).unwrap();
        wheel(&wheels, "oslo.service", "4.8.0", "py3-none-any", &["aio-futurist>=3"]);
        wheel(&wheels, "aio_futurist", "3.1", "py3-none-any", &[]);
        wheel(&wheels, "aio_futurist", "4.0", "py3-none-any", &[]);
        let cache = cache(directory.path(), "aio1", "aio1_heat_engine_container-36e270c9");
        Self { cache, pip: Pip::of_directory(&wheels), directory }
    }

    /// The same directories, for another container.
    fn become_cache_of(&mut self, cloud: &str, container: &str) {
        self.cache = cache(self.directory.path(), cloud, container);
    }

    async fn provide(&self, missing: &[Unmet], container: &Container) -> Result<Option<Delta>> {
        let found = Inspection { missing: missing.to_vec(), ..inspection() };
        self.cache.provide(&request(), &found, &self.pip, container).await
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path().join("state/deltas")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "wheels").collect();
        names.sort();
        names
    }
}

fn whose(cloud: &str, container: &str) -> Whose {
    Whose { cloud: cloud.to_owned(), container: container.to_owned() }
}

fn cache(directory: &Path, cloud: &str, container: &str) -> Cache {
    let (deltas, wheels) = (directory.join("state/deltas"), directory.join("kept"));
    Cache::new(deltas, wheels, whose(cloud, container))
}

fn request() -> Request {
    Request {
        sources: BTreeMap::from([("a.py".to_owned(), "x".to_owned())]),
        met_by_packages: vec!["tzdata".to_owned()],
        ..Request::default()
    }
}

fn service() -> Unmet {
    unmet("oslo.service[threading]>=4.2.2", Some("4.1.1"))
}

fn futurist() -> Unmet {
    Unmet { required_by: "oslo-service".to_owned(), ..unmet("aio-futurist>=3", None) }
}

#[tokio::test]
async fn nothing_missing_makes_nothing() {
    let place = Place::new();
    assert_eq!(place.provide(&[], &Container::default()).await.unwrap(), None);
    assert!(!place.directory.path().join("state").exists());
}

#[tokio::test]
async fn rounds_go_on_until_nothing_is_missing_and_the_second_time_it_is_there() {
    let place = Place::new();
    let container = Container::that_misses([vec![futurist()], vec![]]);
    let delta = place.provide(&[service()], &container).await.unwrap().unwrap();

    assert!(!delta.cached);
    let fetched = delta.manifest.distributions.iter().map(|it| (&*it.name, &*it.version));
    assert_eq!(fetched.collect::<Vec<_>>(), [("aio_futurist", "4.0"), ("oslo.service", "4.8.0")]);
    assert_eq!(delta.manifest.requirements, [service(), futurist()]);
    // The module, and pip's note of itself.
    assert_eq!(delta.manifest.distributions[0].bytes, 16 + 4);
    assert!(delta.site.join("oslo_service.py").is_file());
    assert!(!delta.site.join("bin").exists());
    let mode =
        |name: &str| fs::metadata(delta.site.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("oslo_service.py")), (0o755, 0o644));

    // Only what was fetched is asked about again.
    let requests = container.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].delta[0].contains("Name: oslo.service\nVersion: 4.8.0\n"));
    assert_eq!(requests[1].delta.len(), 2);
    assert!(requests[1].sources.is_empty());
    assert_eq!(requests[1].met_by_packages, ["tzdata"]);

    // Neither wheels nor the container are needed now.
    fs::remove_dir_all(place.directory.path().join("wheels")).unwrap();
    let nobody = Container::default();
    let again = place.provide(&[service()], &nobody).await.unwrap().unwrap();
    assert_eq!(again, Delta { cached: true, ..delta });
    assert_eq!(place.names(), [again.id]);
}

#[tokio::test]
async fn other_needs_are_another_delta() {
    let found = Inspection { missing: vec![service(), futurist()], ..inspection() };
    let id = |request: &Request, found: &Inspection| id(&whose("aio1", "one"), request, found);
    let first = id(&request(), &found).unwrap();
    let turned = Inspection { missing: vec![futurist(), service()], ..inspection() };
    assert_eq!(id(&request(), &turned).unwrap(), first);

    let mut newer = found.clone();
    newer.installed.insert("aio-base".to_owned(), "2.1".to_owned());
    let python = Inspection { python: "3.14.0".to_owned(), ..found.clone() };
    let mut library = request();
    library.projects.push(crate::commands::dev::python::Project::default());
    for other in [
        id(&request(), &newer).unwrap(),
        id(&request(), &python).unwrap(),
        id(&library, &found).unwrap(),
        id(&request(), &Inspection { missing: vec![service()], ..inspection() }).unwrap(),
    ] {
        assert_ne!(other, first);
    }
}

#[tokio::test]
async fn a_failure_leaves_nothing_and_names_what_lacks() {
    let place = Place::new();
    let container = Container::that_misses([vec![unmet("aio-nowhere", None)]]);
    let error = place.provide(&[service()], &container).await.unwrap_err();
    assert!(error.message.ends_with("aio-nowhere"), "{error}");
    assert_eq!(place.names(), [""; 0]);
}

#[tokio::test]
async fn what_stays_missing_ends_the_search() {
    let place = Place::new();
    let service = unmet("oslo.service", Some("4.8.0"));
    let container = Container::that_misses([vec![service.clone()]]);
    let error = place.provide(&[service], &container).await.unwrap_err();
    assert_eq!(error.causes, ["heat needs oslo.service, and 4.8.0 was found"]);
}

#[tokio::test]
async fn a_requirement_found_later_narrows_an_earlier_one() {
    let place = Place::new();
    let narrow = unmet("aio-futurist<4", Some("4.0"));
    let container = Container::that_misses([vec![narrow], vec![]]);
    let delta = place.provide(&[unmet("aio-futurist", None)], &container).await.unwrap().unwrap();
    assert_eq!(delta.manifest.distributions[0].version, "3.1");
}

#[tokio::test]
async fn no_container_is_given_what_another_asked_for() {
    let mut place = Place::new();
    // Says the same as others at first, and then what it wants them to run.
    let broken_into = Container::that_misses([vec![futurist()], vec![]]);
    let poisoned = place.provide(&[service()], &broken_into).await.unwrap().unwrap();
    assert_eq!(poisoned.manifest.distributions.len(), 2);
    for (cloud, container) in [
        ("aio1", "aio1_heat_engine_container-7c0ffee7"),
        ("two", "aio1_heat_engine_container-36e270c9"),
    ] {
        place.become_cache_of(cloud, container);
        let honest = Container::that_misses([vec![]]);
        let delta = place.provide(&[service()], &honest).await.unwrap().unwrap();
        assert!(!delta.cached);
        assert_eq!(delta.manifest.distributions.len(), 1);
        let again = place.provide(&[service()], &Container::default()).await.unwrap().unwrap();
        assert!(again.cached);
    }
}

#[tokio::test]
async fn a_damaged_delta_is_made_again() {
    let place = Place::new();
    let answers = || Container::that_misses([vec![]]);
    let first = place.provide(&[futurist()], &answers()).await.unwrap().unwrap();
    fs::write(first.site.join("aio_futurist.py"), "").unwrap();
    let second = place.provide(&[futurist()], &answers()).await.unwrap().unwrap();
    assert_eq!((second.id.as_str(), second.cached), (first.id.as_str(), false));
    assert_eq!(
        fs::read_to_string(second.site.join("aio_futurist.py")).unwrap(),
        "VERSION = '4.0'\n"
    );

    fs::remove_file(second.site.parent().unwrap().join("manifest.json")).unwrap();
    assert!(!place.provide(&[futurist()], &answers()).await.unwrap().unwrap().cached);
}

#[tokio::test]
async fn what_a_killed_process_left_is_removed_and_what_a_living_one_makes_is_not() {
    let place = Place::new();
    let deltas = place.directory.path().join("state/deltas");
    let living = format!(".making-{}-abc", std::process::id());
    for name in [".making-4194999-abc", &living] {
        fs::create_dir_all(deltas.join(name)).unwrap();
    }
    let delta = place.provide(&[futurist()], &Container::that_misses([vec![]])).await.unwrap();
    assert_eq!(place.names(), [living, delta.unwrap().id]);
}
