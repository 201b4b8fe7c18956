use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::commands::dev::source::checkout::Checkout;
use crate::commands::dev::source::testing::{
    commit, git, give_away, listing, open_directory, repository, write,
};
use crate::commands::dev::source::unsaved::unsaved_work;

/// A remote repository, and the directory where clones go.
struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { directory: open_directory() };
        repository(&bench.remote(), &[("a.py", "0\n"), ("b.py", "0\n")]);
        git(&bench.remote(), &["tag", "--annotate", "--message", "release", "1.0.0"]);
        commit(&bench.remote(), &[("a.py", "1\n")], "one");
        bench
    }

    fn remote(&self) -> PathBuf {
        self.directory.path().join("remote")
    }

    fn url(&self) -> String {
        format!("file://{}", self.remote().display())
    }

    fn clones(&self) -> PathBuf {
        self.directory.path().join("state/clones")
    }

    fn get(&self, from: &str, reference: Option<&str>, change: Option<&str>) -> Result<Provided> {
        let wanted = Wanted {
            from: from.to_owned(),
            reference: reference.map(str::to_owned),
            change: change.map(|change| change.parse().unwrap()),
            naming: "--ref REF",
        };
        provide(&wanted, &self.clones(), &mut Watch { progress: &mut |_| {}, cancelled: &|| false })
    }

    fn clone(&self, reference: Option<&str>) -> Result<Checkout> {
        Checkout::inspect(&self.get(&self.url(), reference, None)?.path)
    }

    fn change(&self, from: &str, change: &str) -> Result<Checkout> {
        Checkout::inspect(&self.get(from, None, Some(change))?.path)
    }

    /// Makes patch set `patch_set` of change 1207 on top of `main`, as Gerrit keeps it.
    fn patch_set(&self, patch_set: u32) -> String {
        git(&self.remote(), &["checkout", "--quiet", "--detach", "main"]);
        let content = format!("patch set {patch_set}\n");
        let id = commit(&self.remote(), &[("c.py", &content)], &format!("Change, {patch_set}"));
        let reference = format!("refs/changes/07/1207/{patch_set}");
        git(&self.remote(), &["update-ref", &reference, &id]);
        git(&self.remote(), &["checkout", "--quiet", "main"]);
        id
    }
}

fn id(checkout: &Checkout) -> &str {
    &checkout.commit.as_ref().unwrap().id
}

fn read(checkout: &Checkout, file: &str) -> String {
    fs::read_to_string(checkout.root.join(file)).unwrap()
}

#[test]
fn a_work_tree_as_it_is_needs_no_clone() {
    let bench = Bench::new();
    let from = bench.remote();
    let provided = bench.get(from.to_str().unwrap(), None, None).unwrap();
    assert_eq!(provided, Provided { path: from, is_clone: false });
    assert!(!bench.clones().exists());
}

#[test]
fn a_url_is_cloned_once_and_then_followed() {
    let bench = Bench::new();
    let first = bench.clone(None).unwrap();
    assert_eq!((first.branch.as_deref(), first.dirty), (Some("main"), false));
    assert_eq!(all(&bench.clones()).unwrap(), std::slice::from_ref(&first.root));
    let second = commit(&bench.remote(), &[("a.py", "2\n")], "two");
    let again = bench.clone(None).unwrap();
    assert_eq!((again.root.clone(), id(&again)), (first.root, second.as_str()));
    assert_eq!(read(&again, "a.py"), "2\n");
    assert_eq!(unsaved_work(&again.root).unwrap(), [""; 0]);
}

#[test]
fn branches_tags_and_commits_are_references() {
    let bench = Bench::new();
    git(&bench.remote(), &["checkout", "--quiet", "-b", "stable/1"]);
    let stable = commit(&bench.remote(), &[("a.py", "stable\n")], "stable");
    git(&bench.remote(), &["checkout", "--quiet", "main"]);
    let branch = bench.clone(Some("stable/1")).unwrap();
    assert_eq!((branch.branch.as_deref(), id(&branch)), (Some("stable/1"), stable.as_str()));
    let qualified = bench.clone(Some("origin/stable/1")).unwrap();
    assert_eq!(qualified.branch.as_deref(), Some("stable/1"));
    let tag = bench.clone(Some("1.0.0")).unwrap();
    assert_eq!((tag.branch.as_deref(), read(&tag, "a.py").as_str()), (None, "0\n"));
    let short = bench.clone(Some(&stable[..9])).unwrap();
    assert_eq!((short.branch.as_deref(), id(&short)), (None, stable.as_str()));
    assert_eq!(unsaved_work(&short.root).unwrap(), [""; 0]);
    let error = bench.clone(Some("stabel/1")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.hints[0].contains("`stable/1`"), "{:?}", error.hints);
}

#[test]
fn a_clone_in_which_nothing_was_found_has_nothing_to_lose() {
    let bench = Bench::new();
    bench.clone(Some("missing")).unwrap_err();
    let clone = all(&bench.clones()).unwrap().remove(0);
    assert_eq!(unsaved_work(&clone).unwrap(), [""; 0]);
    write(&clone, &[("mine.py", ""), ("a.py", "mine")]);
    assert_eq!(unsaved_work(&clone).unwrap().len(), 2);
    fs::remove_file(clone.join("a.py")).unwrap();
    let found = bench.clone(Some("HEAD")).unwrap();
    assert_eq!((found.branch.as_deref(), found.dirty), (Some("main"), true));
    assert_eq!(unsaved_work(&clone).unwrap(), ["1 file is untracked: mine.py."]);
}

#[test]
fn without_its_remote_a_clone_can_still_be_run_as_it_is() {
    let bench = Bench::new();
    let found = bench.clone(None).unwrap();
    fs::rename(bench.remote(), bench.directory.path().join("away")).unwrap();
    let error = bench.clone(None).unwrap_err();
    assert!(error.hints[0].ends_with(found.root.to_str().unwrap()), "{error:?}");
}

#[test]
fn a_whole_reference_that_nothing_leads_to_can_be_fetched() {
    let bench = Bench::new();
    let patch_set = bench.patch_set(1);
    let found = bench.clone(Some("refs/changes/07/1207/1")).unwrap();
    assert_eq!((found.branch.as_deref(), id(&found)), (None, patch_set.as_str()));
    assert_eq!(unsaved_work(&found.root).unwrap(), [""; 0]);
    let error = bench.clone(Some("refs/changes/07/1207/9")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.causes[0].contains("no such branch"), "{error:?}");
}

#[test]
fn a_change_is_the_newest_patch_set_unless_one_is_given() {
    let bench = Bench::new();
    let url = bench.url();
    let ids: Vec<String> = (1..=10).map(|number| bench.patch_set(number)).collect();
    git(&bench.remote(), &["update-ref", "refs/changes/07/1207/meta", "main"]);
    let newest = bench.change(&url, "1207").unwrap();
    assert_eq!(newest.branch.as_deref(), Some("change/1207/10"));
    assert_eq!((id(&newest), read(&newest, "c.py").as_str()), (ids[9].as_str(), "patch set 10\n"));
    assert_eq!(id(&bench.change(&url, "1207/2").unwrap()), ids[1]);
    assert_eq!(unsaved_work(&newest.root).unwrap(), [""; 0]);
    for missing in ["1207/11", "5"] {
        let error = bench.change(&url, missing).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert!(error.causes[0].contains("no such change"), "{error:?}");
    }
}

#[test]
fn a_change_that_is_missing_where_the_project_is_mirrored_is_sought_at_its_review() {
    let bench = Bench::new();
    let review = "[gerrit]\nhost=review.example\nport=29418\nproject=openstack/app.git\n";
    commit(&bench.remote(), &[(".gitreview", review)], "review");
    let error = bench.change(&bench.url(), "5").unwrap_err();
    assert!(error.hints[0].contains("https://review.example/openstack/app"), "{error:?}");
}

#[test]
fn a_change_for_a_work_tree_comes_from_its_own_review_remote() {
    let bench = Bench::new();
    let patch_set = bench.patch_set(3);
    let mine = bench.directory.path().join("mine");
    repository(&mine, &[("a.py", "mine\n")]);
    git(&mine, &["remote", "add", "origin", "https://nowhere.invalid/app"]);
    git(&mine, &["remote", "add", "gerrit", &bench.url()]);
    write(&mine, &[("a.py", "being edited\n")]);
    let before = listing(&mine);
    let found = bench.change(mine.to_str().unwrap(), "1207").unwrap();
    assert_eq!((id(&found), read(&found, "c.py").as_str()), (patch_set.as_str(), "patch set 3\n"));
    assert_eq!(listing(&mine), before);
    assert_eq!(git(&found.root, &["remote", "get-url", "gerrit"]), bench.url());
    assert_eq!(unsaved_work(&found.root).unwrap(), [""; 0]);
}

#[test]
fn a_work_tree_gives_its_branches_and_those_it_knows_of() {
    let bench = Bench::new();
    git(&bench.remote(), &["branch", "stable/1", "1.0.0"]);
    let mine = bench.directory.path().join("mine");
    git(bench.directory.path(), &["clone", "--quiet", "remote", "mine"]);
    git(&mine, &["checkout", "--quiet", "-b", "topic"]);
    let topic = commit(&mine, &[("t.py", "")], "topic");
    git(&mine, &["checkout", "--quiet", "main"]);
    let before = listing(&mine);
    let from = mine.to_str().unwrap();
    let get = |name| Checkout::inspect(&bench.get(from, Some(name), None).unwrap().path).unwrap();
    assert_eq!(id(&get("topic")), topic);
    let stable = get("stable/1");
    assert_eq!(
        (stable.branch.as_deref(), read(&stable, "a.py").as_str()),
        (Some("stable/1"), "0\n")
    );
    // Unknown to the work tree, but not to its origin, which is a path relative to it no more.
    git(&bench.remote(), &["branch", "stable/2", "1.0.0"]);
    assert_eq!(get("stable/2").branch.as_deref(), Some("stable/2"));
    assert_eq!(listing(&mine), before);
    // A linked work tree has the same repository, so the same clone.
    let linked = bench.directory.path().join("linked");
    git(&mine, &["worktree", "add", "--quiet", "--detach", linked.to_str().unwrap()]);
    let again = bench.get(linked.to_str().unwrap(), Some("topic"), None).unwrap();
    assert!(again.is_clone);
}

#[test]
fn changes_that_a_checkout_would_lose_refuse_it() {
    let bench = Bench::new();
    let found = bench.clone(None).unwrap();
    write(&found.root, &[("a.py", "edited\n"), ("b.py", "kept\n")]);
    let error = bench.clone(Some("1.0.0")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.causes[0].ends_with("would be lost: a.py"), "{error:?}");
    assert_eq!(read(&found, "a.py"), "edited\n");
    git(&found.root, &["checkout", "--quiet", "a.py"]);
    let old = bench.clone(Some("1.0.0")).unwrap();
    assert_eq!((read(&old, "a.py").as_str(), read(&old, "b.py").as_str()), ("0\n", "kept\n"));
}

#[test]
fn commits_of_ones_own_are_kept_or_refuse_it() {
    let bench = Bench::new();
    let found = bench.clone(None).unwrap();
    let mine = commit(&found.root, &[("mine.py", "")], "mine");
    bench.clone(Some("1.0.0")).unwrap();
    assert_eq!(id(&bench.clone(None).unwrap()), mine);
    commit(&bench.remote(), &[("theirs.py", "")], "theirs");
    let error = bench.clone(None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.causes[0].contains("`main` has commits of yours"), "{error:?}");
    assert_eq!(git(&found.root, &["rev-parse", "main"]), mine);
    // Merged over there, they follow again.
    git(&bench.remote(), &["pull", "--quiet", "--no-rebase", found.root.to_str().unwrap(), "main"]);
    let merged = bench.clone(None).unwrap();
    assert_eq!(id(&merged), git(&bench.remote(), &["rev-parse", "main"]));
}

#[test]
fn commits_on_a_detached_head_are_not_left_behind() {
    let bench = Bench::new();
    let found = bench.clone(Some("1.0.0")).unwrap();
    commit(&found.root, &[("mine.py", "")], "mine");
    let error = bench.clone(None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    git(&found.root, &["branch", "kept"]);
    assert_eq!(bench.clone(None).unwrap().branch.as_deref(), Some("main"));
}

#[test]
fn a_branch_that_was_pushed_by_force_is_followed() {
    let bench = Bench::new();
    bench.clone(None).unwrap();
    git(&bench.remote(), &["reset", "--quiet", "--hard", "1.0.0"]);
    let other = commit(&bench.remote(), &[("a.py", "other\n")], "other");
    assert_eq!(id(&bench.clone(None).unwrap()), other);
}

#[test]
fn what_stands_in_the_way_is_left_alone_and_what_was_begun_is_begun_anew() {
    let bench = Bench::new();
    let path = bench.clone(None).unwrap().root;
    let partial = PathBuf::from(format!("{}{PARTIAL}", path.display()));
    fs::rename(&path, &partial).unwrap();
    assert!(all(&bench.clones()).unwrap().is_empty());
    bench.clone(None).unwrap();
    assert!(!partial.exists());
    git(&path, &["remote", "set-url", "origin", "https://nowhere.invalid/other"]);
    let error = bench.clone(None).unwrap_err();
    assert!(error.causes[0].contains("not a clone of"), "{error:?}");
}

#[test]
fn what_cannot_be_cloned_leaves_nothing() {
    let bench = Bench::new();
    let url = format!("file://{}/nowhere", bench.directory.path().display());
    let error = bench.get(&url, None, None).unwrap_err();
    assert!(error.causes[0].starts_with("git says: fatal: "), "{error:?}");
    assert!(error.output.is_some());
    assert_eq!(fs::read_dir(bench.clones()).unwrap().count(), 0);
    let both = bench.get(&bench.url(), Some("main"), Some("1")).unwrap_err();
    assert_eq!(both.kind, ErrorKind::Usage);
}

#[test]
fn root_clones_somebodys_closed_work_tree_as_that_user() {
    let bench = Bench::new();
    if !give_away(&bench.remote(), 12_345) {
        return;
    }
    fs::set_permissions(bench.remote(), fs::Permissions::from_mode(0o700)).unwrap();
    let before = listing(&bench.remote());
    for reference in ["1.0.0", "main"] {
        let remote = bench.remote();
        let found = bench.get(remote.to_str().unwrap(), Some(reference), None).unwrap();
        let owners: Vec<u32> = listing(&found.path).values().map(|traces| traces.1).collect();
        assert!(owners.iter().all(|owner| *owner == 12_345), "{owners:?}");
    }
    assert_eq!(listing(&bench.remote()), before);
}

#[test]
fn names_tell_clones_apart() {
    let name = |url: &str| clone_name(url, url);
    assert!(name("https://git.example/openstack/heat.git").starts_with("heat-"));
    assert_eq!(name("https://git.example/heat.git"), name("https://git.example/heat/"));
    assert_ne!(name("https://git.example/a/heat"), name("https://git.example/b/heat"));
    assert!(name("git@git.example:heat").starts_with("heat-"));
    assert!(name("/srv/.hidden").starts_with("hidden-"));
    assert!(name("https://git.example/..").starts_with("clone-"));
}

#[test]
fn whoever_called_gets_to_the_clones_whatever_the_mask_of_root() {
    const MASKED: &str = "AIO_TEST_MASKED";
    if std::env::var_os(MASKED).is_none() {
        // The mask is that of a whole process.
        let name = "whoever_called_gets_to_the_clones_whatever_the_mask_of_root";
        let again = std::process::Command::new("sh")
            .args(["-c", "umask 077; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                &format!("commands::dev::source::clone::tests::{name}"),
                "--nocapture",
            ])
            .env(MASKED, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&again.stdout).into_owned();
        assert!(again.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let bench = Bench::new();
    bench.clone(None).unwrap();
    for directory in [bench.clones(), bench.clones().parent().unwrap().to_owned()] {
        let mode = fs::metadata(&directory).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o755, "{}", directory.display());
    }
}
