//! Directories and files of the host that appear in a running container, and go again.
//!
//! Every container has a tmpfs of the host mounted at [`IN_CONTAINER`], from which mounts propagate
//! into the container and never back. What the host mounts and writes there is seen inside at once,
//! without entering the container; nothing of it is in the container's root; and the flags of a
//! propagated mount cannot be changed from inside: measured, remounting it writable is refused even
//! to the container's root.
//!
//! systemd in the container also reads units and drop-ins from `units/` there. The tmpfs is made anew
//! before each start ([`Place::reset`]), so a container always starts as it was made, except for what
//! is asked to be kept.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use serde::{Deserialize, Serialize};

use super::root::is_mount_point;
use super::{descent, rooted, syscall};
use crate::error::{Error, Result, ResultExt};
use crate::model::publication::{Access, Directory, Publication};

/// The directory below, in which systemd looks for units and drop-ins.
pub const UNITS: &str = "units";

/// The directory below, in which a container's own devices stand by their paths.
const DEVICES: &str = "devices";

/// The place of one container's publications on the host.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Holds the mount point; only root and the container's root may look into it.
    pub directory: PathBuf,
    /// First id and count of the container's range; none for a privileged container.
    pub id_range: Option<(u32, u32)>,
    /// Holds, as JSON, the publications that are made again at every start of the container.
    pub kept: PathBuf,
    /// Devices of the host, of which the container gets its own nodes where the host has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
}

impl Place {
    /// The mount point: what appears in the container.
    pub fn shared(&self) -> PathBuf {
        self.directory.join("shared")
    }

    /// Makes the place empty, and makes it if it is not there.
    pub fn reset(&self) -> Result<()> {
        self.remove()?;
        let doing = || format!("make `{}`", self.directory.display());
        if let Some(parent) = self.directory.parent() {
            make_directory(parent, 0o711).doing(doing)?;
        }
        make_directory(&self.directory, 0o750).doing(doing)?;
        let group = self.id_range.map_or(0, |(first, _)| first);
        std::os::unix::fs::chown(&self.directory, Some(0), Some(group)).doing(doing)?;
        let shared = self.shared();
        make_directory(&shared, 0o755).doing(doing)?;
        let mut flags = MountFlags::NOSUID;
        flags.set(MountFlags::NODEV, self.devices.is_empty());
        rustix::mount::mount(c"aio", &shared, c"tmpfs", flags, c"mode=0755,size=64m")
            .and_then(|()| rustix::mount::mount_change(&shared, MountPropagationFlags::SHARED))
            .doing(doing)?;
        make_directory(&shared.join(UNITS), 0o755).doing(doing)?;
        self.devices.iter().try_for_each(|device| self.make_device(Path::new(device)))
    }

    /// Where the container's own node of a device stands.
    pub fn device(shared: &Path, device: &Path) -> PathBuf {
        shared.join(DEVICES).join(device.strip_prefix("/").unwrap_or(device))
    }

    /// A node that everybody in the container may open, and nobody else can reach: the host's own is
    /// often for a group of the host, which no user namespace maps. Nothing where the host has none.
    fn make_device(&self, device: &Path) -> Result<()> {
        let doing = || format!("make a node of `{}`", device.display());
        let Ok(found) = std::fs::metadata(device) else { return Ok(()) };
        let kind = rustix::fs::FileType::from_raw_mode(found.mode());
        if !matches!(
            kind,
            rustix::fs::FileType::CharacterDevice | rustix::fs::FileType::BlockDevice
        ) {
            return Ok(());
        }
        let node = Self::device(&self.shared(), device);
        if let Some(parent) = node.parent() {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o755).create(parent).doing(doing)?;
        }
        let everybody = rustix::fs::Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(rustix::fs::CWD, &node, kind, everybody, found.rdev()).doing(doing)?;
        // Whatever the umask is.
        std::fs::set_permissions(&node, std::fs::Permissions::from_mode(0o666)).doing(doing)
    }

    /// Publishes again what is kept. What cannot be (a checkout that is gone) must not keep the
    /// container from starting: it is returned, and the container runs what it was made with.
    pub fn publish_kept(&self) -> Vec<Error> {
        let Ok(entries) = std::fs::read_dir(&self.kept) else { return Vec::new() };
        let publish = |file: &Path| {
            let doing = || format!("publish again what `{}` says", file.display());
            let text = std::fs::read(file).doing(doing)?;
            let publication: Publication = serde_json::from_slice(&text).doing(doing)?;
            self.publish(&publication)
        };
        let files = entries.flatten().map(|entry| entry.path());
        let whole = files.filter(|file| file.extension().is_some_and(|it| it == "json"));
        whole.filter_map(|file| publish(&file).err()).collect()
    }

    /// Unmounts and removes all of it.
    pub fn remove(&self) -> Result<()> {
        let shared = self.shared();
        while is_mount_point(&shared) {
            unmount_below(&shared)?;
            unmount(&shared)?;
        }
        for directory in [&shared, &self.directory] {
            // Whatever is in it is not of this module's making, and stays.
            let _ = std::fs::remove_dir(directory);
        }
        Ok(())
    }

    /// Makes a publication appear. What was published for the same unit goes first. Only for a
    /// process with a single thread.
    pub fn publish(&self, publication: &Publication) -> Result<()> {
        self.withdraw(&publication.unit)?;
        let published = self.appear(publication);
        if published.is_err() {
            // The cause is what matters; the next reset clears what this one could not.
            let _ = self.withdraw(&publication.unit);
        }
        published
    }

    fn appear(&self, publication: &Publication) -> Result<()> {
        let unit = &publication.unit;
        let doing = || format!("publish what is for `{unit}`");
        let names = std::iter::once(unit).chain(publication.directories.keys());
        let mut names = names.chain(publication.files.keys()).chain(publication.programs.keys());
        if let Some(wrong) = names.find(|name| !stays_below(name)) {
            return Err(Error::failed(doing()).because(format!("`{wrong}` leads elsewhere")));
        }
        if let Some(wrong) = into_a_directory(publication) {
            return Err(Error::failed(doing())
                .because(format!("`{wrong}` would be written into what others own")));
        }
        let shared = self.shared();
        if !is_mount_point(&shared) {
            return Err(Error::failed(doing()).because(format!(
                "`{}` is not mounted: the container does not run",
                shared.display()
            )));
        }
        let own = shared.join(unit);
        make_directory(&own, 0o755).doing(doing)?;
        // Before anything of others is there.
        for (path, content) in &publication.files {
            write(&own.join(path), content, 0o644).doing(doing)?;
        }
        for (path, content) in &publication.programs {
            write(&own.join(path), content, 0o755).doing(doing)?;
        }
        for (name, directory) in &publication.directories {
            let target = own.join(name);
            make_directory(&target, 0o755).doing(doing)?;
            let mount = self.clone(directory)?;
            let target = rooted::open_root(&target).doing(doing)?;
            syscall::attach_mount(mount.as_fd(), target.as_fd())
                .doing(|| format!("attach `{}`", directory.source.display()))?;
        }
        write(&self.drop_in(unit), publication.drop_in.as_bytes(), 0o644).doing(doing)
    }

    fn clone(&self, directory: &Directory) -> Result<OwnedFd> {
        let source = &directory.source;
        let doing = || format!("clone the mount of `{}`", source.display());
        let opened = match directory.access {
            Access::Read { .. } => rooted::open_without_links(source).doing(doing)?,
            // One of `aio`'s own; the path to it is the administrator's.
            Access::Write => rooted::open_root(source).doing(doing)?,
        };
        refuse_other_owner(directory, opened.as_fd())?;
        let mount = syscall::clone_opened_mount(opened.as_fd()).doing(doing)?;
        let safe = syscall::ATTRIBUTE_NO_SUID | syscall::ATTRIBUTE_NO_DEVICES;
        let (inside, outside, count, attributes) = match (&directory.access, self.id_range) {
            (Access::Write, None) => {
                syscall::set_mount_attributes(mount.as_fd(), safe, None).doing(doing)?;
                return Ok(mount);
            }
            (Access::Write, Some((first, count))) => (0, first, count, safe),
            (Access::Read { owner, reader }, range) => (
                *owner,
                outside_id(range, *reader).doing(doing)?,
                1,
                safe | syscall::ATTRIBUTE_READ_ONLY,
            ),
        };
        let map = syscall::user_namespace(inside, outside, count).doing(doing)?;
        syscall::set_mount_attributes(mount.as_fd(), attributes, Some(map.as_fd())).map_err(
            |error| {
                Error::failed(format!("map the owner of `{}`", source.display()))
                    .because(error)
                    .hint(
                        "Its file system must allow ID-mapped mounts: ext4, xfs, btrfs, tmpfs do; \
                           network file systems mostly do not. Move the checkout to one that does.",
                    )
            },
        )?;
        Ok(mount)
    }

    /// Takes away what was published for a unit; no error when nothing was.
    pub fn withdraw(&self, unit: &str) -> Result<()> {
        let doing = || format!("withdraw what is for `{unit}`");
        let own = self.shared().join(unit);
        unmount_below(&own)?;
        let drop_in = self.drop_in(unit);
        let settings = drop_in.parent().unwrap_or(&drop_in);
        for directory in [settings, &own] {
            descent::remove(directory).doing(doing)?;
        }
        Ok(())
    }

    fn drop_in(&self, unit: &str) -> PathBuf {
        self.shared().join(UNITS).join(format!("{unit}.d/zz-aio-dev.conf"))
    }
}

/// The host's id of one in the container, which is a number out of the container's own files.
fn outside_id(range: Option<(u32, u32)>, inside: u32) -> io::Result<u32> {
    let Some((first, count)) = range else { return Ok(inside) };
    let outside = first.checked_add(inside).filter(|_| inside < count);
    outside.ok_or_else(|| io::Error::other(format!("the container has no id {inside}")))
}

/// Whether a relative path leads to something below where it begins, whoever made it up.
fn stays_below(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// A file that would stand in a directory which comes from elsewhere: its owner decides by links where
/// root writes.
fn into_a_directory(publication: &Publication) -> Option<&String> {
    let directories = || publication.directories.keys();
    let mut files = publication.files.keys().chain(publication.programs.keys());
    files.find(|file| directories().any(|it| Path::new(file).starts_with(it)))
}

/// Between the look at a checkout and its mount, or until a later start of the container, its owner
/// may have put another directory there: only one of the owner's own takes its place.
fn refuse_other_owner(directory: &Directory, opened: BorrowedFd<'_>) -> Result<()> {
    let Access::Read { owner, .. } = directory.access else { return Ok(()) };
    let doing = || format!("publish `{}`", directory.source.display());
    let found = rustix::fs::fstat(opened).doing(doing)?.st_uid;
    if found == owner {
        return Ok(());
    }
    Err(Error::failed(doing())
        .because(format!("it belonged to user {owner} when it was looked at, and now to {found}")))
}

/// Makes a directory with exactly these permission bits; one that is there gets them.
fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[allow(clippy::disallowed_methods, reason = "the directory is mounted when all of it is there")]
fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        make_directory(parent, 0o755)?;
    }
    std::fs::write(path, content)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

fn unmount(path: &Path) -> Result<()> {
    // Detached: a process that still stands in it does not hold anybody up, and keeps what it has.
    rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
        .doing(|| format!("unmount `{}`", path.display()))
}

/// Unmounts every mount below a directory, the last one first.
fn unmount_below(directory: &Path) -> Result<()> {
    for mount in mounts_below(directory)?.into_iter().rev() {
        unmount(&mount)?;
    }
    Ok(())
}

/// Mount points below a directory in this process's mount namespace, in the order of mounting.
fn mounts_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let file = "/proc/self/mountinfo";
    let table = std::fs::read(file).doing(|| format!("read `{file}`"))?;
    Ok(points_below(&table, directory))
}

/// The fifth fields of `mountinfo` that are below a directory.
fn points_below(table: &[u8], directory: &Path) -> Vec<PathBuf> {
    let mut prefix = directory.as_os_str().as_encoded_bytes().to_vec();
    prefix.push(b'/');
    let points = table.split(|byte| *byte == b'\n').filter_map(|line| {
        let point = unescape(line.split(|byte| *byte == b' ').nth(4)?);
        point.starts_with(&prefix).then(|| path(point))
    });
    points.collect()
}

fn path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

/// `\040` is a space (see proc(5)).
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_id_that_the_container_does_not_have_is_refused() {
        let range = Some((100_000, 65_536));
        assert_eq!(outside_id(range, 0).unwrap(), 100_000);
        assert_eq!(outside_id(range, 65_535).unwrap(), 165_535);
        for wrong in [65_536, u32::MAX - 100_000 + 1, u32::MAX] {
            outside_id(range, wrong).unwrap_err();
        }
        assert_eq!(outside_id(None, 7).unwrap(), 7);
    }

    #[test]
    fn escaped_mount_points_are_read() {
        assert_eq!(unescape(br"/a\040b\134c"), b"/a b\\c");
        assert_eq!(unescape(br"/a\9"), br"/a\9");
    }

    #[test]
    fn mounts_below_a_directory_are_neither_itself_nor_its_siblings() {
        let table =
            b"1 0 0:1 / /s/shared rw - tmpfs a rw\n2 1 0:1 / /s/shared/u/a\\040b rw - ext4 b rw\n\
                      3 0 0:1 / /s/shared-too rw - tmpfs c rw\n";
        assert_eq!(points_below(table, Path::new("/s/shared")), [Path::new("/s/shared/u/a b")]);
    }

    #[test]
    fn root_writes_into_no_directory_of_others() {
        let of_a_stranger = Directory { source: "/home/me/lib".into(), access: Access::Write };
        let publication = |directory: &str| Publication {
            unit: "heat-engine.service".to_owned(),
            drop_in: String::new(),
            directories: BTreeMap::from([(directory.to_owned(), of_a_stranger.clone())]),
            files: BTreeMap::from([("python/a-1.dist-info/METADATA".to_owned(), Vec::new())]),
            programs: BTreeMap::from([("programs/heat-engine".to_owned(), Vec::new())]),
        };
        assert!(into_a_directory(&publication("programs")).is_some());
        assert!(into_a_directory(&publication("python")).is_some());
        assert!(into_a_directory(&publication("python/a-1.dist-info")).is_some());
        assert_eq!(into_a_directory(&publication("pytho")), None);
    }

    #[test]
    fn what_a_checkout_is_called_leads_nowhere_else() {
        for name in ["openstack-heat", "python/a-1.dist-info/METADATA"] {
            assert!(stays_below(name), "{name}");
        }
        for name in ["", "/etc", "../x", "a/../../x", "a/../b", "./a", "/-/x"] {
            assert!(!stays_below(name), "{name}");
        }
    }
}
