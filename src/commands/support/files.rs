//! Which files of the user's count.

use std::path::{Path, PathBuf};

use crate::model::paths::Paths;

/// How deep directories of the user's are followed: a link may lead back.
const DEPTH: usize = 8;

/// Files below a directory, sorted, without those that editors leave.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(directory, DEPTH, &mut found);
    found.sort();
    found
}

fn walk(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_left_over =
            [".bak", ".orig", ".swp", ".tmp", "~"].iter().any(|it| name.ends_with(it));
        if name.starts_with('.') || is_left_over {
            continue;
        }
        if path.is_dir() {
            if depth > 1 {
                walk(&path, depth - 1, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// The user's files in which every line may set something.
pub fn settings(paths: &Paths) -> Vec<PathBuf> {
    let mut settings = vec![paths.cloud_file(), paths.variables_file()];
    settings.extend(files_below(&paths.overrides_dir()));
    settings
}
