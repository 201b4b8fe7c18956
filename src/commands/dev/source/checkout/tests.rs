use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::commands::dev::source::project::Project;
use crate::commands::dev::source::testing::{
    commit, git, give_away, listing, open_directory, repository, try_git, write,
};
use crate::commands::dev::source::unsaved::unsaved_work;
use crate::error::ErrorKind;

/// A small project in a repository.
const FILES: [(&str, &str); 3] =
    [("setup.cfg", "[metadata]\nname = app\n"), ("app/__init__.py", ""), (".gitignore", "*.pyc\n")];

fn causes(path: &Path) -> String {
    let error = Checkout::inspect(path).unwrap_err();
    assert!(!error.hints.is_empty() || error.kind == ErrorKind::Usage, "{error:?}");
    error.causes.join("; ")
}

#[test]
fn a_clean_checkout_and_a_directory_in_it() {
    let directory = open_directory();
    let root = directory.path().join("app");
    repository(&root, &FILES);
    let id = commit(&root, &[("a.txt", "a")], "Say a\n\nBecause b was said.");
    let found = Checkout::inspect(&root.join("app")).unwrap();
    let about = root.metadata().unwrap();
    let expected = Checkout {
        root: root.canonicalize().unwrap(),
        branch: Some("main".to_owned()),
        commit: Some(Commit { id, subject: "Say a".to_owned() }),
        dirty: false,
        owner_uid: about.uid(),
        owner_gid: about.gid(),
    };
    assert_eq!(found, expected);
    git(&root, &["checkout", "--quiet", "-b", "topic/of-mine"]);
    assert_eq!(Checkout::inspect(&root).unwrap().branch.as_deref(), Some("topic/of-mine"));
    git(&root, &["checkout", "--quiet", "--detach"]);
    assert_eq!(Checkout::inspect(&root).unwrap().branch, None);
}

#[test]
fn untracked_files_are_changes_and_ignored_ones_are_not() {
    let directory = open_directory();
    repository(directory.path(), &FILES);
    let dirty = || Checkout::inspect(directory.path()).unwrap().dirty;
    write(directory.path(), &[("app/x.pyc", "")]);
    assert!(!dirty());
    write(directory.path(), &[("new.txt", "")]);
    assert!(dirty());
    git(directory.path(), &["add", "new.txt"]);
    assert!(dirty());
    git(directory.path(), &["commit", "--quiet", "--message", "new"]);
    assert!(!dirty());
    write(directory.path(), &[("new.txt", "other")]);
    assert!(dirty());
}

#[test]
fn changed_python_files_are_named_one_by_one() {
    let directory = open_directory();
    let root = directory.path();
    repository(root, &FILES);
    commit(root, &[("gone.py", ""), ("same.py", "")], "more");
    fs::remove_file(root.join("gone.py")).unwrap();
    write(
        root,
        &[
            ("app/__init__.py", "x = 1\n"),
            ("new/deep/one.py", ""),
            ("new/deep/one.txt", ""),
            ("staged.py", ""),
        ],
    );
    git(root, &["add", "staged.py"]);
    let files = Checkout::inspect(root).unwrap().changed_python_files().unwrap();
    assert_eq!(files, ["app/__init__.py", "new/deep/one.py", "staged.py"].map(PathBuf::from));
}

#[test]
fn no_commit_yet_is_a_checkout_too() {
    let directory = open_directory();
    git(directory.path(), &["init", "--quiet"]);
    let found = Checkout::inspect(directory.path()).unwrap();
    assert_eq!((found.branch.as_deref(), found.commit), (Some("main"), None));
}

#[test]
fn a_linked_work_tree_is_a_checkout_of_its_own() {
    let directory = open_directory();
    let (main, linked) = (directory.path().join("main"), directory.path().join("linked"));
    repository(&main, &FILES);
    git(&main, &["worktree", "add", "--quiet", "-b", "side", linked.to_str().unwrap()]);
    write(&linked, &[("new.txt", "")]);
    let found = Checkout::inspect(&linked).unwrap();
    assert_eq!(found.root, linked.canonicalize().unwrap());
    assert_eq!((found.branch.as_deref(), found.dirty), (Some("side"), true));
    assert!(!Checkout::inspect(&main).unwrap().dirty);
    fs::remove_dir_all(&main).unwrap();
    assert!(causes(&linked).contains("leads to no repository"), "{}", causes(&linked));
}

#[test]
fn what_is_no_work_tree_is_explained() {
    let directory = open_directory();
    let at = |name: &str| directory.path().join(name);
    assert_eq!(causes(&at("missing")), "there is no such directory");
    fs::write(at("file"), "").unwrap();
    assert_eq!(causes(&at("file")), "it is not a directory");
    fs::create_dir(at("plain")).unwrap();
    assert!(causes(&at("plain")).contains("is a git work tree"));
    let error = Checkout::inspect(&at("plain")).unwrap_err();
    assert!(error.hints[0].contains("git clone"), "{:?}", error.hints);
    git(directory.path(), &["init", "--quiet", "--bare", "bare"]);
    assert!(causes(&at("bare")).contains("bare"));
    repository(&at("home"), &[(".gitignore", "downloads\n")]);
    write(&at("home"), &[("downloads/app/setup.cfg", "")]);
    assert!(causes(&at("home/downloads/app")).contains("ignores it"));
}

#[test]
fn formats_that_cannot_be_read_are_named() {
    let directory = open_directory();
    for (option, what) in
        [("--object-format=sha256", "SHA-256"), ("--ref-format=reftable", "reftable")]
    {
        let root = directory.path().join(what);
        fs::create_dir(&root).unwrap();
        if !try_git(&root, &["init", "--quiet", option]).0 {
            continue;
        }
        commit(&root, &[("a", "")], "start");
        let causes = causes(&root);
        assert!(causes.contains(what), "{causes}");
    }
}

#[test]
fn extensions_that_do_not_matter_are_no_obstacle() {
    let directory = open_directory();
    let root = directory.path();
    repository(root, &FILES);
    git(root, &["config", "core.repositoryformatversion", "1"]);
    git(root, &["config", "extensions.partialClone", "origin"]);
    git(root, &["config", "extensions.worktreeConfig", "true"]);
    git(root, &["config", "extensions.relativeWorktrees", "true"]);
    assert!(!Checkout::inspect(root).unwrap().dirty);
}

#[test]
fn what_git_has_begun_must_be_ended_first() {
    let directory = open_directory();
    let root = directory.path();
    repository(root, &[("a.py", "one\n"), ("b.py", "one\n")]);
    git(root, &["checkout", "--quiet", "-b", "side"]);
    commit(root, &[("a.py", "two\n"), ("b.py", "two\n")], "two");
    git(root, &["checkout", "--quiet", "main"]);
    commit(root, &[("a.py", "three\n"), ("b.py", "three\n")], "three");
    for (command, abort, what) in [
        (vec!["merge", "side"], vec!["merge", "--abort"], "a merge"),
        (vec!["rebase", "side"], vec!["rebase", "--abort"], "a rebase"),
        (vec!["cherry-pick", "side"], vec!["cherry-pick", "--abort"], "a cherry-pick"),
    ] {
        assert!(!try_git(root, &command).0);
        let causes = causes(root);
        assert!(causes.contains(what) && causes.contains("a.py, b.py"), "{causes}");
        git(root, &abort);
        assert!(!Checkout::inspect(root).unwrap().dirty);
    }
    write(root, &[("a.py", "four\n")]);
    git(root, &["stash"]);
    commit(root, &[("a.py", "five\n")], "five");
    assert!(!try_git(root, &["stash", "pop"]).0);
    assert_eq!(causes(root), "files have conflicts: a.py");
}

#[test]
fn a_bisection_is_there_to_be_run() {
    let directory = open_directory();
    let root = directory.path();
    repository(root, &[("a", "0")]);
    for number in ["1", "2", "3", "4"] {
        commit(root, &[("a", number)], number);
    }
    git(root, &["bisect", "start", "HEAD", "HEAD~4"]);
    assert_eq!(Checkout::inspect(root).unwrap().commit.unwrap().subject, "2");
}

#[test]
fn a_watcher_learns_what_git_knows() {
    let directory = open_directory();
    let root = directory.path().canonicalize().unwrap();
    repository(&root, &FILES);
    write(&root, &[("kept.pyc", ""), ("app/x.pyc", ""), ("build/x.py", "")]);
    git(&root, &["add", "--force", "kept.pyc"]);
    let test = IgnoreTest::at(&root).unwrap();
    for (path, standing) in [
        ("app/__init__.py", Standing::Tracked),
        ("app/new.py", Standing::Untracked),
        ("app/x.pyc", Standing::Ignored),
        ("kept.pyc", Standing::Tracked),
        ("build/x.py", Standing::Untracked),
        (".git/index", Standing::Ignored),
        ("", Standing::Untracked),
    ] {
        assert_eq!(test.standing(Path::new(path)), standing, "{path}");
        assert_eq!(test.standing(&root.join(path)), standing, "{path}");
    }
    assert_eq!(test.standing(Path::new("/etc/passwd")), Standing::Ignored);
    write(&root, &[(".gitignore", "*.pyc\nbuild/\n")]);
    assert_eq!(test.standing(Path::new("build/x.py")), Standing::Ignored);
}

#[test]
fn the_checkout_is_never_written_to() {
    let directory = open_directory();
    let root = directory.path().join("app");
    repository(&root, &FILES);
    git(&root, &["tag", "1.0.0"]);
    // The index knows an older state of each: git itself would write down what it learns now.
    write(&root, &FILES);
    write(&root, &[("app/__init__.py", "changed = 1\n"), ("new.py", "")]);
    // Somebody else's, closed to all others.
    give_away(&root, 12_345);
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    let before = listing(&root);
    let checkout = Checkout::inspect(&root).unwrap();
    assert!(checkout.dirty);
    checkout.changed_python_files().unwrap();
    IgnoreTest::at(&checkout.root).unwrap().standing(Path::new("new.py"));
    assert_eq!(Project::read(&root).unwrap().version, "1.0.0");
    unsaved_work(&root).unwrap();
    assert_eq!(listing(&root), before);
}
