use super::*;
use crate::commands::dev::source::testing::{commit, git, open_directory, repository, write};

/// A repository and a clone of it.
fn clone_of_one() -> (tempfile::TempDir, PathBuf) {
    let directory = open_directory();
    let (remote, clone) = (directory.path().join("remote"), directory.path().join("clone"));
    repository(&remote, &[("a.py", "")]);
    git(directory.path(), &["clone", "--quiet", "remote", "clone"]);
    (directory, clone)
}

#[test]
fn a_fresh_clone_has_nothing_of_its_own() {
    let (_directory, clone) = clone_of_one();
    assert_eq!(unsaved_work(&clone).unwrap(), [""; 0]);
}

#[test]
fn changes_untracked_files_and_stashes_are_told() {
    let (_directory, clone) = clone_of_one();
    write(&clone, &[("a.py", "stashed")]);
    git(&clone, &["stash"]);
    write(&clone, &[("a.py", "changed"), ("new/b.py", ""), ("new/c.py", "")]);
    let expected = [
        "1 file is changed but not committed: a.py.",
        "2 files are untracked: new/b.py, new/c.py.",
        "1 stash is there.",
    ];
    assert_eq!(unsaved_work(&clone).unwrap(), expected);
}

#[test]
fn commits_that_no_remote_has_are_told() {
    let (_directory, clone) = clone_of_one();
    commit(&clone, &[("a.py", "1")], "first");
    commit(&clone, &[("a.py", "2")], "second");
    git(&clone, &["checkout", "--quiet", "--detach", "origin/main"]);
    commit(&clone, &[("b.py", "")], "lonely");
    let expected = [
        "2 commits of branch `main` are on no remote; the newest: second.",
        "1 commit of the detached head are on no remote; the newest: lonely.",
    ];
    assert_eq!(unsaved_work(&clone).unwrap(), expected);
    git(&clone, &["checkout", "--quiet", "main"]);
    git(&clone, &["push", "--quiet", "origin", "main:topic"]);
    assert_eq!(unsaved_work(&clone).unwrap(), [""; 0]);
}

#[test]
fn a_tag_of_ones_own_and_a_linked_work_tree_are_told() {
    let (directory, clone) = clone_of_one();
    git(&clone, &["checkout", "--quiet", "--detach"]);
    commit(&clone, &[("b.py", "")], "tagged");
    git(&clone, &["tag", "mine"]);
    git(&clone, &["checkout", "--quiet", "main"]);
    let linked = directory.path().join("linked");
    git(&clone, &["worktree", "add", "--quiet", "--detach", linked.to_str().unwrap()]);
    let told = unsaved_work(&clone).unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("tag `mine`"), "{told:?}");
    assert!(told[1].contains("linked"), "{told:?}");
}
