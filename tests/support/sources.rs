//! Real code of OpenStack as git work trees: source archives from the Python index, by its ordinary
//! client, each made a repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{run, shell};

/// Somebody's user id: checkouts belong to a developer, not to root.
const OWNER: u32 = 1000;

/// Where the checkouts of a test stand. Nobody but their owner may look into them.
pub struct Sources {
    directory: PathBuf,
}

impl Sources {
    /// An empty place.
    pub fn new(directory: PathBuf) -> Self {
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        Self { directory }
    }

    /// A distribution as a work tree with one commit: `heat` of `openstack-heat==24.0.0`.
    pub fn checkout(&self, name: &str, requirement: &str) -> PathBuf {
        let archives = self.directory.join(format!("{name}.archive"));
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--dest",
        ]);
        pip.arg(&archives).arg(requirement);
        run(pip, Duration::from_secs(180)).ok();
        let tree = self.directory.join(name);
        shell(&format!(
            "mkdir '{tree}'
             tar -xf '{archives}'/*.tar.gz -C '{tree}' --strip-components=1
             rm -r '{archives}'
             cd '{tree}'
             git init --quiet
             git add --all
             git -c user.name=test -c user.email=test@example.org commit --quiet -m import
             chown -R {OWNER}:{OWNER} .
             chmod 0700 .",
            tree = tree.display(),
            archives = archives.display()
        ));
        tree
    }

    /// Another copy of a checkout.
    pub fn copy(&self, of: &Path, name: &str) -> PathBuf {
        let tree = self.directory.join(name);
        shell(&format!("cp -a '{}' '{}'", of.display(), tree.display()));
        tree
    }

    /// Removes all of them.
    pub fn remove(self) {
        std::fs::remove_dir_all(self.directory).unwrap();
    }
}

/// Every path of a tree with owner, mode, size and time: what an untouched checkout keeps.
pub fn listing(tree: &Path) -> String {
    shell(&format!("cd '{}' && find . -printf '%P %U %G %m %s %T@\\n' | sort", tree.display()))
}

/// Puts a line after the first line of a file that contains `after`, keeping the owner.
pub fn insert_line(file: &Path, after: &str, line: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    let at = text.find(after).unwrap_or_else(|| panic!("{}: no `{after}`", file.display()));
    let end = at + text[at..].find('\n').unwrap() + 1;
    std::fs::write(file, format!("{}{line}\n{}", &text[..end], &text[end..])).unwrap();
}
