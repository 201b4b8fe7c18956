//! Reading files of containers: running ones through `/proc/PID/root`, stopped ones from their
//! directories. Symbolic links are followed inside the container only.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::inner::Inner;
use crate::error::{Result, ResultExt};
use crate::host::{ContainerState, lookup};
use crate::lxc::accounts::Accounts;
use crate::lxc::root::Root;
use crate::lxc::{bounded, rooted};
use crate::model::file::ContainerFile;

/// How files of one container are opened.
enum View {
    Running { root: std::os::fd::OwnedFd, id_range: Option<(u32, u32)> },
    Stopped(Box<Root>),
}

impl View {
    fn open(&self, path: &Path) -> std::io::Result<Option<File>> {
        // Not blocking, so that a pipe put there cannot hang the reader.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = match self {
            Self::Running { root, .. } => rooted::open(root.as_fd(), path, flags),
            Self::Stopped(root) => match lookup::find(root, path, true)? {
                None => return Ok(None),
                Some(place) => rustix::fs::open(place, flags, rustix::fs::Mode::empty())
                    .map_err(std::io::Error::from),
            },
        };
        match opened {
            Err(error) if rooted::is_missing(&error) => Ok(None),
            opened => {
                let descriptor = opened?;
                rooted::require_stored(descriptor.as_fd())?;
                Ok(Some(File::from(descriptor)))
            }
        }
    }

    fn text(&self, path: &str) -> std::io::Result<String> {
        let bytes = match self.open(Path::new(path))? {
            Some(file) if file.metadata()?.is_file() => {
                bounded::read_file(&file, bounded::LARGEST_BYTES)?
            }
            _ => Vec::new(),
        };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// An id as the container sees it. On disk, and in a privileged container, it is that already.
    fn id_inside(&self, id: u32) -> u32 {
        match self {
            Self::Running { id_range: Some((first, count)), .. } => {
                id.checked_sub(*first).filter(|inside| inside < count).unwrap_or(id)
            }
            _ => id,
        }
    }

    fn read(&self, path: &str) -> std::io::Result<Option<ContainerFile>> {
        let Some(file) = self.open(Path::new(path))? else { return Ok(None) };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("it is not a file"));
        }
        // Of a longer file its beginning, which is no content that a file should have: it differs.
        let content = bounded::beginning(&file, bounded::LARGEST_BYTES)?;
        let owner = match (self.id_inside(metadata.uid()), self.id_inside(metadata.gid())) {
            // Most files, whose owner needs no look into two others.
            (0, 0) => "root:root".to_owned(),
            (uid, gid) => {
                Accounts::new(self.text("/etc/passwd")?, self.text("/etc/group")?).name(uid, gid)
            }
        };
        let mode = metadata.mode() & 0o7777;
        Ok(Some(ContainerFile { path: path.to_owned(), owner, mode, content }))
    }
}

impl Inner {
    pub(super) fn read_file(&self, name: &str, path: &str) -> Result<Option<ContainerFile>> {
        let doing = || format!("read `{path}` of container `{name}`");
        let view = match self.state(name)? {
            ContainerState::Absent => return Ok(None),
            ContainerState::Stopped => View::Stopped(Box::new(self.known(name)?.root)),
            ContainerState::Running { init_pid } => View::Running {
                root: open_root(init_pid).doing(doing)?,
                id_range: self.known(name)?.root.id_range,
            },
        };
        view.read(path).doing(doing)
    }

    pub(super) fn image_file(&self, name: &str, path: &str) -> Result<Vec<u8>> {
        let doing = || format!("read `{path}` of the image of container `{name}`");
        let root = self.known(name)?.root;
        match lookup::find_in_layers(&root.layers, Path::new(path), true).doing(doing)? {
            Some(place) => std::fs::read(place).doing(doing),
            None => Ok(Vec::new()),
        }
    }
}

fn open_root(init_pid: u32) -> std::io::Result<std::os::fd::OwnedFd> {
    rooted::open_root(Path::new(&format!("/proc/{init_pid}/root")))
}

/// A socket of a running container. What stands there is held: a link in its place, or on the way to
/// it, could lead to a socket of the host.
pub(super) fn socket(init_pid: u32, path: &Path) -> Result<std::os::fd::OwnedFd> {
    let doing = || format!("find `{}` in the container", path.display());
    let root = open_root(init_pid).doing(doing)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    let found = rooted::open(root.as_fd(), path, flags).doing(doing)?;
    let mode = rustix::fs::fstat(&found).doing(doing)?.st_mode;
    if rustix::fs::FileType::from_raw_mode(mode) == rustix::fs::FileType::Socket {
        return Ok(found);
    }
    Err(crate::error::Error::failed(doing()).because("it is not a socket"))
}

/// `/proc/PID/root/…` with every symbolic link on the way to its directory resolved inside the
/// container: a link to `/run` must not lead to the host's. `None` when there is no such directory.
pub(super) fn host_path(init_pid: u32, path: &Path) -> Result<Option<PathBuf>> {
    let doing = || format!("find `{}` in the container", path.display());
    let top = PathBuf::from(format!("/proc/{init_pid}/root"));
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Some(top));
    };
    let root = open_root(init_pid).doing(doing)?;
    let directory = match rooted::open(root.as_fd(), parent, OFlags::PATH | OFlags::DIRECTORY) {
        Err(error) if rooted::is_missing(&error) => return Ok(None),
        other => other.doing(doing)?,
    };
    // The kernel names it from the container's own root.
    let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let inside = std::fs::read_link(link).doing(doing)?;
    Ok(Some(top.join(inside.strip_prefix("/").unwrap_or(&inside)).join(name)))
}
