//! Wheels of checkouts. What builds them is fetched first; then each is built where there is no network, no
//! setting of the host's and nothing to write to but its own directory: a tree is a stranger's program.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::day::AsOf;
use super::trees::Tree;
use crate::commands::dev::source::project::normalize;
use crate::error::{Error, Result, ResultExt};
use crate::host::confined;
use crate::host::python::{Installer, Target, Task};
use crate::lxc::sandbox::{Lent, Program};
use crate::lxc::{descent, rooted};
use crate::model::hash::sha256_hex;
use crate::model::lock::{Distribution, Lock};
use crate::model::requirement::is_version;
use crate::state::files;

const SCRIPT: &str = include_str!("build.sh");

/// What builds wheels of OpenStack's: PyPA's front end, and the back ends that its projects name, with what
/// those ask for when they run. No other back end is there.
const TOOLS: [&str; 5] = ["build", "pbr", "setuptools", "setuptools-scm", "wheel"];
/// Where they are while they are used, and where a wheel is built: no checkout stands there.
const TOOLS_PLACE: &str = "/.aio-build";
const PLACE: &str = "/.aio-work";
/// Where the wheel is put, below the place.
const BUILT: &str = "built";
/// The host's Python.
const PYTHON: &str = "/usr/bin/python3";
/// How long a wheel is kept that no lock names: one that was written elsewhere may.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long one may take.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// A wheel, and what a lock says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wheel {
    pub distribution: Distribution,
    /// `nova-34.0.1.dev15-py3-none-any.whl`.
    pub file_name: String,
    pub content: Vec<u8>,
}

/// The wheels of trees: those of `kept`, and all others built below `directory`, which nobody else uses
/// meanwhile. `say` is told of each.
///
/// # Errors
/// When what builds them cannot be fetched, a build fails, or what it made is not for every Python.
pub async fn build(
    trees: &[Tree],
    installer: &Installer,
    as_of: AsOf,
    directory: &Path,
    kept: &Kept<'_>,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Wheel>> {
    let (tools, work) = (directory.join("build"), directory.join("tree"));
    let built = build_all(trees, installer, as_of, (&tools, &work), kept, say).await;
    remove(&work)?;
    remove(&tools)?;
    built
}

async fn build_all(
    trees: &[Tree],
    installer: &Installer,
    as_of: AsOf,
    (tools, work): (&Path, &Path),
    kept: &Kept<'_>,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Wheel>> {
    let mut fetched = false;
    let mut wheels = Vec::new();
    for tree in trees {
        if let Some(wheel) = kept.of(tree)? {
            say(&format!("{tree} is there"));
            wheels.push(wheel);
            continue;
        }
        if !std::mem::replace(&mut fetched, true) {
            say("fetching what builds wheels");
            fetch(installer, as_of, tools).await?;
        }
        say(&format!("building {tree}"));
        let wheel = build_one(tree, tools, work).await;
        wheels.push(wheel.map_err(|error| {
            error.context(format!("build the wheel of `{}` in {}", tree.name, tree.root.display()))
        })?);
    }
    Ok(wheels)
}

fn remove(directory: &Path) -> Result<()> {
    descent::remove(directory).doing(|| format!("remove {}", directory.display()))
}

async fn fetch(installer: &Installer, as_of: AsOf, tools: &Path) -> Result<()> {
    remove(tools)?;
    files::private_directory(&tools.join("cache"))?;
    let place = Path::new(TOOLS_PLACE);
    let target = Target { system: None, directory: tools, place, work: place, wheels: None };
    let venv = ["venv", "--allow-existing", "--python", PYTHON, TOOLS_PLACE];
    let fetched = async {
        installer.run(Task::Install, &target, &venv).await?;
        let python = format!("{TOOLS_PLACE}/bin/python");
        let newest = as_of.option();
        let install = ["pip", "install", "--python", &python].into_iter();
        let arguments: Vec<&str> = install.chain(newest.as_deref()).chain(TOOLS).collect();
        installer.run(Task::Install, &target, &arguments).await
    };
    fetched.await.map_err(|error| error.context("fetch what builds wheels"))
}

async fn build_one(tree: &Tree, tools: &Path, work: &Path) -> Result<Wheel> {
    remove(work)?;
    files::private_directory(work)?;
    let place = Path::new(PLACE);
    let target = Target { system: None, directory: work, place, work: place, wheels: None };
    let mut sandbox = target.sandbox()?;
    let owner = 0;
    let (source, target) = (tools.to_owned(), TOOLS_PLACE.into());
    sandbox.lent.push(Lent { source, target, owner, writable: false });
    sandbox.lent.extend(tree.reader.lent().iter().cloned());
    let environment = [
        ("PATH", "/usr/bin:/bin".to_owned()),
        ("LC_ALL", "C.UTF-8".to_owned()),
        ("HOME", PLACE.to_owned()),
        ("TMPDIR", PLACE.to_owned()),
        ("TREE", tree.root.display().to_string()),
        ("COMMIT", tree.commit.clone()),
        ("BUILT", format!("{PLACE}/{BUILT}")),
        ("PBR_VERSION", tree.version.clone()),
        // Who wrote what is in no wheel, and reading it takes longest.
        ("SKIP_GENERATE_AUTHORS", "1".to_owned()),
        ("SKIP_WRITE_GIT_CHANGELOG", "1".to_owned()),
        ("SETUPTOOLS_SCM_PRETEND_VERSION", tree.version.clone()),
    ];
    let program = Program {
        argv: ["sh", "-euc", SCRIPT].map(str::to_owned).to_vec(),
        environment: environment.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        directory: place.to_owned(),
    };
    let finished = confined::run(sandbox, program, LIMIT).await?;
    if finished.status != Some(0) {
        return Err(Error::failed("run its own build").output(finished.stderr));
    }
    take(tree, work)
}

/// What the build left. Who built could put anything in its place.
fn take(tree: &Tree, work: &Path) -> Result<Wheel> {
    let doing = || "take the wheel".to_owned();
    let file_name = match &files::entries(&work.join(BUILT))?[..] {
        [one] => one.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        all => return Err(Error::failed(doing()).because(format!("there are {}", all.len()))),
    };
    let stem = file_name.strip_suffix(".whl");
    let parts: Vec<&str> = stem.into_iter().flat_map(|stem| stem.split('-')).collect();
    let &[name, version, _, "none", "any"] = &parts[..] else {
        return Err(Error::failed(doing())
            .because(format!("{file_name} is for one kind of machine or Python"))
            .hint("Only projects that are Python and nothing else are built of a checkout."));
    };
    if normalize(name) != tree.name || !is_version(version) {
        return Err(Error::failed(doing())
            .because(format!("{file_name} is another project's, or of no version")));
    }
    let root = rooted::open_root(work).doing(doing)?;
    let found = rooted::read(root.as_fd(), &Path::new(BUILT).join(&file_name)).doing(doing)?;
    let content = found.ok_or_else(|| Error::failed(doing()).because("it is gone"))?;
    let distribution = Distribution {
        name: tree.name.clone(),
        version: version.to_owned(),
        hashes: vec![sha256_hex(&content)],
        commit: Some(tree.commit.clone()),
    };
    Ok(Wheel { distribution, file_name, content })
}

/// Wheels that were built before.
pub struct Kept<'a> {
    pub directory: &'a Path,
    /// The lock that they were built for.
    pub lock: Option<&'a Lock>,
}

impl Kept<'_> {
    /// The wheel of the tree's commit, if it is there and what the lock says.
    fn of(&self, tree: &Tree) -> Result<Option<Wheel>> {
        let found = self.lock.and_then(|lock| lock.distribution(&tree.name));
        let same = |it: &&Distribution| {
            it.commit.as_ref() == Some(&tree.commit) && plain(&it.version) == plain(&tree.version)
        };
        let Some(distribution) = found.filter(same) else { return Ok(None) };
        let entries = files::entries(&self.directory.join(&distribution.hashes[0]))?;
        let is_wheel = |it: &PathBuf| it.extension().is_some_and(|it| it == "whl");
        let Some(file) = entries.into_iter().find(is_wheel) else { return Ok(None) };
        let Some(content) = files::read(&file)? else { return Ok(None) };
        if sha256_hex(&content) != distribution.hashes[0] {
            return Ok(None);
        }
        let file_name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Some(Wheel { distribution: distribution.clone(), file_name, content }))
    }
}

/// A version without the zeros that builds leave out: a tag may say `2026.01.0`.
fn plain(version: &str) -> Vec<&str> {
    let plain = |part| match str::trim_start_matches(part, '0') {
        rest if rest.starts_with(|it: char| it.is_ascii_digit()) => rest,
        _ => part,
    };
    version.split('.').map(plain).collect()
}

impl Wheel {
    /// Where it stands below a directory of wheels: what is built anew of the same version is another.
    fn place(&self, directory: &Path) -> PathBuf {
        directory.join(&self.distribution.hashes[0]).join(&self.file_name)
    }
}

/// Keeps wheels, for layers are made of them.
///
/// # Errors
/// When one cannot be written.
pub fn keep(wheels: &[Wheel], directory: &Path) -> Result<()> {
    for wheel in wheels {
        files::write_atomic(&wheel.place(directory), 0o600, &wheel.content)?;
    }
    Ok(())
}

/// Removes kept wheels that are older than [`KEPT`] as of `now`, but those with one of these hashes.
///
/// # Errors
/// When one cannot be removed.
pub fn forget_others(directory: &Path, hashes: &[&str], now: SystemTime) -> Result<()> {
    for kept in files::entries(directory)? {
        let named = kept.file_name().is_some_and(|name| hashes.iter().any(|hash| name == *hash));
        let made = kept.metadata().and_then(|it| it.modified());
        let made = made.doing(|| format!("look at {}", kept.display()))?;
        if !named && now.duration_since(made).is_ok_and(|age| age > KEPT) {
            remove(&kept)?;
        }
    }
    let _ = fs::remove_dir(directory);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::source::reader::CheckoutReader;
    use crate::commands::dev::source::testing::{open_directory, repository};

    fn tree(root: &Path) -> Tree {
        repository(root, &[("x", "")]);
        Tree {
            reader: CheckoutReader::find(root).unwrap(),
            root: root.to_owned(),
            name: "oslo-app".to_owned(),
            version: "1.0.dev1".to_owned(),
            commit: "a".repeat(40),
            reference: None,
        }
    }

    fn built(work: &Path, names: &[&str]) {
        files::private_directory(&work.join(BUILT)).unwrap();
        for name in names {
            fs::write(work.join(BUILT).join(name), "wheel").unwrap();
        }
    }

    #[test]
    fn one_wheel_of_that_project_for_every_python_is_taken() {
        let place = open_directory();
        let tree = tree(&place.path().join("tree"));
        let taken = |name: &str, names: &[&str]| {
            let work = place.path().join(name);
            built(&work, names);
            take(&tree, &work).map_err(|error| error.causes.join("; "))
        };
        let wheel = taken("one", &["oslo_app-1.0.dev1-py3-none-any.whl"]).unwrap();
        assert_eq!(wheel.distribution.version, "1.0.dev1");
        assert_eq!(wheel.distribution.hashes, [sha256_hex("wheel")]);
        assert_eq!(wheel.distribution.commit.as_deref(), Some(&*"a".repeat(40)));
        let said = |name, names: &[&str]| taken(name, names).unwrap_err();
        assert_eq!(said("none", &[]), "there are 0");
        assert_eq!(said("two", &["a-1-py3-none-any.whl", "b-1-py3-none-any.whl"]), "there are 2");
        let other = said("other", &["nova-1.0-py3-none-any.whl"]);
        assert_eq!(other, "nova-1.0-py3-none-any.whl is another project's, or of no version");
        let split = said("split", &["oslo_app-1.0\nuv-py3-none-any.whl"]);
        assert!(split.ends_with("of no version"), "{split}");
        let other = said("suffix", &["oslo_app-1.0-py3-none-any"]);
        assert!(other.ends_with("machine or Python"), "{other}");
        let binary = said("binary", &["oslo_app-1.0-cp313-cp313-linux_x86_64.whl"]);
        assert!(binary.ends_with("is for one kind of machine or Python"), "{binary}");
        // A link that the build left leads nowhere.
        let work = place.path().join("link");
        built(&work, &[]);
        fs::write(place.path().join("secret"), "secret").unwrap();
        let link = work.join(BUILT).join("oslo_app-1.0-py3-none-any.whl");
        std::os::unix::fs::symlink("../../secret", link).unwrap();
        assert!(take(&tree, &work).is_err());
    }

    #[test]
    fn what_was_built_of_the_same_commit_is_used_again_while_it_is_whole() {
        let place = open_directory();
        let mut tree = tree(&place.path().join("tree"));
        let work = place.path().join("work");
        built(&work, &["oslo_app-1.0.dev1-py3-none-any.whl"]);
        let wheel = take(&tree, &work).unwrap();
        let directory = &place.path().join("wheels");
        keep(std::slice::from_ref(&wheel), directory).unwrap();
        let lock = Lock { title: String::new(), distributions: vec![wheel.distribution.clone()] };
        let kept = Kept { directory, lock: Some(&lock) };
        assert_eq!(kept.of(&tree).unwrap(), Some(wheel.clone()));
        let later = SystemTime::now() + 2 * KEPT;
        forget_others(directory, &[&wheel.distribution.hashes[0]], later).unwrap();
        forget_others(directory, &[], SystemTime::now()).unwrap();
        fs::write(files::unfinished(&wheel.place(directory)), "wh").unwrap();
        assert!(kept.of(&tree).unwrap().is_some());
        let zero = Tree { version: "01.0.dev1".to_owned(), ..tree.clone() };
        assert!(kept.of(&zero).unwrap().is_some());
        fs::write(wheel.place(directory), "other").unwrap();
        assert_eq!(kept.of(&tree).unwrap(), None);
        keep(std::slice::from_ref(&wheel), directory).unwrap();
        tree.commit = "b".repeat(40);
        assert_eq!(kept.of(&tree).unwrap(), None);
        forget_others(directory, &[], later).unwrap();
        assert!(!directory.exists());
    }
}
