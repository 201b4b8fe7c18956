//! What is done to the upper directory of a layer after its packages are installed.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::layer::{LayerFile, LayerSpec};
use crate::state::files;

use super::acquire;
use super::index::Index;
use super::units;

/// Paths that packages fill in every layer and that no container should share or need: they are
/// emptied (directories) or removed (files) in the merged root.
pub const DROPPED: [&str; 13] = [
    "/etc/dpkg/dpkg.cfg.d/aio-build",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/usr/sbin/policy-rc.d",
    "/usr/share/doc",
    "/usr/share/man",
    "/var/cache/apt",
    "/var/cache/debconf",
    "/var/cache/ldconfig",
    "/var/lib/apt/lists",
    "/var/lib/dbus",
    "/var/lib/systemd/random-seed",
];

/// Documentation, translations and locales but C's, which no container needs; also for packages that
/// a user installs in a container later. One package that comes by a dependency has 230 MB of them.
const EXCLUDED: &str = "path-exclude=/usr/share/doc/*\n\
                        path-exclude=/usr/share/man/*\n\
                        path-exclude=/usr/share/locale/*\n\
                        path-exclude=/usr/lib/locale/*\n\
                        path-include=/usr/lib/locale/C.*\n";

/// What dpkg is told while a layer is built.
pub fn dpkg_configuration() -> String {
    format!("force-unsafe-io\n{EXCLUDED}")
}

/// Puts the host's own settings for packages into the base, before anything is installed there: the
/// certificate package picks up what it finds.
///
/// # Errors
/// When a file cannot be copied.
pub fn host_settings(upper: &Path, index: &Index) -> Result<()> {
    for (file, content) in index.acquire.for_every_container(Path::new("/"))? {
        let inside = upper.join(file.strip_prefix("/").unwrap_or(&file));
        make_parent(&inside)?;
        files::write(&inside, content)?;
        fs::set_permissions(&inside, Permissions::from_mode(0o644))
            .doing(|| format!("set the mode of {}", inside.display()))?;
    }
    Ok(())
}

/// Makes the upper directory what the layer should be.
///
/// # Errors
/// When a file cannot be written.
pub fn finish(upper: &Path, spec: &LayerSpec, index: &Index) -> Result<()> {
    if spec.parent.is_none() {
        base_settings(upper, index)?;
    }
    remove_ssh_host_keys(upper)?;
    units::quieten(upper, spec)?;
    for file in &spec.files {
        write_layer_file(upper, file)?;
    }
    // An empty machine id is no first boot; each container has its own, written before it starts.
    if upper.join("etc/machine-id").exists() || spec.parent.is_none() {
        write(&upper.join("etc/machine-id"), "", 0o444)?;
    }
    up_to_date(upper)
}

/// How the base's own APT works, once it runs in a container.
fn base_settings(upper: &Path, index: &Index) -> Result<()> {
    let apt = upper.join("etc/apt");
    let lists = fs::read_dir(apt.join("sources.list.d")).into_iter().flatten().flatten();
    for stale in lists.map(|entry| entry.path()).chain([apt.join("sources.list")]) {
        files::remove(&stale)?;
    }
    let _ = fs::remove_file(apt.join("apt.conf.d/99mmdebstrap"));
    let sources = acquire::without_userinfo(&index.sources);
    write(&apt.join("sources.list.d/debian.sources"), &sources, 0o644)?;
    let fetching = index.acquire.for_containers();
    if !fetching.is_empty() {
        write(&apt.join("apt.conf.d/90host"), &fetching, 0o644)?;
    }
    write(&upper.join("etc/dpkg/dpkg.cfg.d/excluded"), EXCLUDED, 0o644)
}

/// Keys that a package made for one machine must not be every container's.
fn remove_ssh_host_keys(upper: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(upper.join("etc/ssh")) else { return Ok(()) };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            let path = entry.path();
            fs::remove_file(&path).doing(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn write_layer_file(upper: &Path, file: &LayerFile) -> Result<()> {
    let path = upper.join(file.path.trim_start_matches('/'));
    make_parent(&path)?;
    if file.mode == "link" {
        let _ = fs::remove_file(&path);
        return symlink(&file.text, &path).doing(|| format!("link {}", path.display()));
    }
    let mode = u32::from_str_radix(&file.mode, 8).map_err(|_| {
        Error::new(ErrorKind::Config, format!("write {} in a layer", file.path))
            .because(format!("`{}` is not an octal mode", file.mode))
    })?;
    write(&path, &file.text, mode)
}

fn make_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::create_dir_all(parent).doing(|| format!("make {}", parent.display()))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    make_parent(path)?;
    files::remove(path)?;
    files::write(path, text)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
        .doing(|| format!("set the mode of {}", path.display()))
}

/// Tells systemd that `/etc` and `/var` are not older than `/usr`: else every container would run
/// ldconfig, systemd-sysusers and the journal's catalog at its first boot.
fn up_to_date(upper: &Path) -> Result<()> {
    let now = SystemTime::now();
    for directory in ["etc", "var"] {
        let path = upper.join(directory).join(".updated");
        write(&path, "", 0o644)?;
        let file = File::options().write(true).open(&path);
        file.and_then(|file| file.set_modified(now))
            .doing(|| format!("set the time of {}", path.display()))?;
    }
    Ok(())
}

/// Packages that the status file `now` has and `before` has not, with their versions.
pub fn added_packages(before: &str, now: &str) -> BTreeMap<String, String> {
    let before = installed(before);
    let mut now = installed(now);
    now.retain(|name, version| before.get(name) != Some(version));
    now
}

/// Installed packages of a dpkg status file.
fn installed(status: &str) -> BTreeMap<String, String> {
    let mut packages = BTreeMap::new();
    for paragraph in status.split("\n\n") {
        let field = |name: &str| {
            paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        if let (Some(name), Some(version)) = (field("Package"), field("Version"))
            && field("Status").is_some_and(|status| status.ends_with(" installed"))
        {
            packages.insert(name.to_owned(), version.to_owned());
        }
    }
    packages
}

/// Bytes that a tree takes on the disk.
pub fn disk_usage(path: &Path) -> u64 {
    let mut total = 0;
    let mut directories = vec![PathBuf::from(path)];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            // A file with several names counts once, as near as makes no difference; a directory
            // has as many as it has directories in it.
            let names = if metadata.is_dir() { 1 } else { metadata.nlink().max(1) };
            total += metadata.blocks() * 512 / names;
            if metadata.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: a\nStatus: install ok installed\nVersion: 1\n\n\
                          Package: b\nStatus: deinstall ok config-files\nVersion: 2\n\n\
                          Package: c\nStatus: install ok installed\nArchitecture: all\nVersion: 3\n";

    #[test]
    fn only_what_the_layer_itself_added_is_listed() {
        let before = "Package: a\nStatus: install ok installed\nVersion: 1\n";
        let expected = BTreeMap::from([("c".to_owned(), "3".to_owned())]);
        assert_eq!(added_packages(before, STATUS), expected);
        assert_eq!(added_packages("", STATUS).len(), 2);
    }

    #[test]
    fn files_and_links_of_the_specification() {
        let dir = tempfile::tempdir().unwrap();
        let file = |path: &str, mode: &str, text: &str| LayerFile {
            path: path.to_owned(),
            mode: mode.to_owned(),
            text: text.to_owned(),
        };
        write_layer_file(dir.path(), &file("/etc/a/b", "0640", "text")).unwrap();
        write_layer_file(dir.path(), &file("/etc/c", "link", "/dev/null")).unwrap();
        let written = dir.path().join("etc/a/b");
        assert_eq!(fs::read_to_string(&written).unwrap(), "text");
        assert_eq!(written.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_link(dir.path().join("etc/c")).unwrap(), Path::new("/dev/null"));
        assert!(write_layer_file(dir.path(), &file("/x", "rw", "")).is_err());
    }

    #[test]
    fn nothing_needs_an_update_at_boot() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("usr")).unwrap();
        up_to_date(dir.path()).unwrap();
        let time = |name: &str| dir.path().join(name).metadata().unwrap().modified().unwrap();
        assert!(time("etc/.updated") >= time("usr"));
        assert!(time("var/.updated") >= time("usr"));
    }

    #[test]
    fn usage_counts_every_directory() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/c"), vec![1; 100_000]).unwrap();
        assert!(disk_usage(dir.path()) >= 100_000);
    }
}
