//! The papers: every link among them leads somewhere, and the README stays one that is read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every paper below a directory.
fn papers(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            papers(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// A heading as its link names it.
fn anchor(heading: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
    heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// What is wrong with a link of a paper.
fn broken(paper: &Path, target: &str) -> Option<String> {
    let (file, wanted) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { paper.to_owned() } else { paper.parent()?.join(file) };
    let said = || format!("{}: `{target}`", paper.display());
    if !path.exists() {
        return Some(said());
    }
    let text = fs::read_to_string(&path).unwrap_or_default();
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    let found = headings.any(|line| anchor(line.trim_start_matches('#').trim()) == wanted);
    (!wanted.is_empty() && !found).then(said)
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "profiles/README.md"]
        .map(|name| root.join(name))
        .to_vec();
    papers(&root.join("docs"), &mut all);
    let link = regex::Regex::new(r"\]\(([^) \n]+)\)").unwrap();
    let mut wrong = Vec::new();
    for paper in &all {
        let text = fs::read_to_string(paper).unwrap();
        let links = link.captures_iter(&text).map(|found| found.get(1).unwrap().as_str());
        wrong.extend(links.filter(|at| !at.contains("://")).filter_map(|at| broken(paper, at)));
    }
    assert!(wrong.is_empty(), "these lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn the_readme_is_short() {
    let readme = include_str!("../README.md");
    assert!(readme.lines().count() <= 300);
    let setup = readme.split("\n## Set-up\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let commands: Vec<&str> = setup.lines().filter(|line| line.starts_with("    ")).collect();
    assert_eq!(commands, ["    scripts/install && sudo aio bootstrap", "    scripts/test"]);
}
