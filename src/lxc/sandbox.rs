//! A process without rights, with nothing to read but what it is given: for programs and libraries
//! that work on what strangers wrote. Not a container: it lasts as long as one question.
//!
//! It has a mount namespace in which only the given directories and files exist, a process namespace
//! in which it sees and signals none of the host's, ids that no account of the host has or those of
//! the files' owner, if that is not root, no capabilities, no way to get any, and a session of its
//! own, so that no terminal can be reached. Directories of others than that are lent through an
//! ID-mapped mount, as checkouts are to containers: what their owner may read it may read, ids on the
//! disk stay what they are, and what it writes belongs to their owner.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{Gid, Resource, Rlimit, Signal, Uid};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::process::inheriting;
use super::{rooted, syscall};
use crate::error::{Error, Result, ResultExt};

/// User and group in there, unless it is somebody's. No account has it: Debian keeps it free, and what runs as `nobody` on the
/// host could look into the memory of what runs here as `nobody`.
pub const ID: u32 = 65_533;

/// Where the new root is put together; what was there is hidden in this namespace alone.
const WORKSHOP: &str = "/tmp";
/// The longest file that is copied in: settings and certificates.
const LONGEST_COPY: u64 = 4 << 20;
/// How many processes there may be.
const MOST_PROCESSES: u64 = 512;
/// How many files one may have open.
const MOST_FILES: u64 = 1024;

/// What there is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Sandbox {
    /// Whose user and group it has; [`ID`] without. Never root's.
    pub user: Option<(u32, u32)>,
    /// Directories and files of the host, at the same place, read-only, with the rights that they
    /// have. What is a link is the same link in there; what is missing stays missing.
    pub seen: Vec<PathBuf>,
    /// Another system whose directories are seen in place of the host's.
    pub system: Option<System>,
    /// Directories of somebody's.
    pub lent: Vec<Lent>,
    /// Files of somebody's, as copies at the same place.
    pub copied: Vec<Copied>,
    /// Whether it reaches the network.
    pub network: bool,
    /// How long a file that it writes may become, in bytes.
    pub longest_file: u64,
    /// How much memory a process may map, in bytes.
    pub memory: u64,
}

/// A system of several roots, of which the upper hide the lower.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct System {
    /// Where the roots are.
    pub directory: PathBuf,
    /// Their paths below it, the topmost first: two at least, without a colon.
    pub roots: Vec<String>,
    /// What is seen of it, read-only.
    pub seen: Vec<PathBuf>,
}

impl System {
    /// Puts the roots together in the workshop, which is hidden once all is gathered.
    fn merge(&self) -> io::Result<()> {
        // Relative: no character of the directory's path can confuse the kernel.
        std::env::set_current_dir(&self.directory)?;
        let lower = CString::new(format!("lowerdir={}", self.roots.join(":")))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::RDONLY;
        Ok(rustix::mount::mount(c"aio", WORKSHOP, c"overlay", flags, lower.as_c_str())?)
    }
}

/// A directory that it may use as the directory's owner could.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Lent {
    /// On the host; no part of it is a symbolic link.
    pub source: PathBuf,
    /// In there.
    pub target: PathBuf,
    /// Who owns it. One that belongs to somebody else by now is refused.
    pub owner: u32,
    /// Whether it may be written to.
    pub writable: bool,
}

/// A file that it may read.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// On the host and in there.
    pub path: PathBuf,
    /// As whom the host's file is read; what that user cannot read, and what is no file, is left out.
    pub reader: u32,
}

/// A program in there.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Program {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// All of its environment.
    pub environment: Vec<(String, String)>,
    /// Where it runs.
    pub directory: PathBuf,
}

impl Sandbox {
    /// Shows another system in place of the host's.
    pub fn see(&mut self, system: System) {
        self.seen.retain(|path| !system.seen.iter().any(|its| path.starts_with(its)));
        self.system = Some(system);
    }

    fn ids(&self) -> (u32, u32) {
        self.user.filter(|(user, group)| *user != 0 && *group != 0).unwrap_or((ID, ID))
    }
}

/// Turns this process into that one, for good. Only for a process with a single thread.
///
/// # Errors
/// When the kernel refuses, or a lent directory is not what it was.
pub fn enter(sandbox: &Sandbox) -> Result<()> {
    let doing = || "make a place without rights".to_owned();
    // It fails for the leader of a group, which nobody made this process.
    rustix::process::setsid().doing(doing)?;
    syscall::leave_mount_namespace().doing(doing)?;
    syscall::unshare(UnshareFlags::NEWIPC | UnshareFlags::NEWUTS).doing(doing)?;
    if !sandbox.network {
        syscall::unshare(UnshareFlags::NEWNET).doing(doing)?;
    }
    let contents = Contents::gather(sandbox)?;
    contents.put_together().doing(doing)?;
    // Last: the first process that is forked from now on is the namespace's, and its end is the end.
    syscall::unshare(UnshareFlags::NEWPID).doing(doing)?;
    drop_rights(sandbox).doing(doing)
}

/// Runs a program after [`enter`], and waits for it. All that it started ends with it.
///
/// # Errors
/// When there is no such program.
pub fn run(program: &Program) -> io::Result<ExitStatus> {
    let (name, arguments) = program.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = inheriting(name);
    command.args(arguments).env_clear().current_dir(&program.directory);
    command.envs(program.environment.iter().map(|(name, value)| (name, value)));
    // It is the first process of its namespace: the kernel ends all others with it.
    syscall::die_with_parent(&mut command);
    command.status()
}

/// After [`enter`], goes on as the first process of the namespace, which sees no other: `None` in
/// there, and outside, when that has ended, its exit status.
///
/// # Errors
/// When the kernel refuses a process.
pub fn go_on_alone() -> Result<Option<i32>> {
    let doing = || "begin a process of its own".to_owned();
    Ok(syscall::go_on_as_child().doing(doing)?.map(|status| status.unwrap_or(1)))
}

/// What is put into the new root, opened while the old one is there.
#[derive(Default)]
struct Contents {
    links: Vec<(PathBuf, PathBuf)>,
    files: Vec<(PathBuf, Vec<u8>)>,
    mounts: Vec<(PathBuf, OwnedFd, bool)>,
}

impl Contents {
    fn gather(sandbox: &Sandbox) -> Result<Self> {
        let mut all = Self::default();
        for path in &sandbox.seen {
            all.see(path, path).doing(|| format!("show `{}`", path.display()))?;
        }
        if let Some(system) = &sandbox.system {
            system.merge().doing(|| "put a system together".to_owned())?;
            for path in &system.seen {
                let source = Path::new(WORKSHOP).join(path.strip_prefix("/").unwrap_or(path));
                all.see(&source, path).doing(|| format!("show its `{}`", path.display()))?;
            }
        }
        for lent in &sandbox.lent {
            let mount = lend(lent, sandbox.ids().0)?;
            all.mounts.push((lent.target.clone(), mount, true));
        }
        for copied in &sandbox.copied {
            let read = || read_copied(&copied.path);
            let content = syscall::with_filesystem_id(copied.reader, read)
                .doing(|| format!("read as user {}", copied.reader))?;
            all.files.extend(content.ok().map(|content| (copied.path.clone(), content)));
        }
        // A directory comes before what stands in it.
        all.mounts.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(all)
    }

    fn see(&mut self, source: &Path, path: &Path) -> io::Result<()> {
        let Ok(found) = source.symlink_metadata() else { return Ok(()) };
        if found.is_symlink() {
            self.links.push((path.to_owned(), fs::read_link(source)?));
            return Ok(());
        }
        let mount = syscall::clone_mount_tree(source)?;
        let safe = syscall::ATTRIBUTE_NO_SUID | syscall::ATTRIBUTE_READ_ONLY;
        syscall::set_tree_attributes(mount.as_fd(), safe)?;
        self.mounts.push((path.to_owned(), mount, found.is_dir()));
        Ok(())
    }

    fn put_together(&self) -> io::Result<()> {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount(c"aio", WORKSHOP, c"tmpfs", flags, c"mode=0755,size=64m")?;
        std::env::set_current_dir(WORKSHOP)?;
        for (path, target) in &self.links {
            std::os::unix::fs::symlink(target, place(path)?)?;
        }
        for (path, content) in &self.files {
            let mut file = File::create(place(path)?)?;
            file.write_all(content)?;
            file.set_permissions(fs::Permissions::from_mode(0o444))?;
        }
        for (path, mount, is_directory) in &self.mounts {
            let target = place(path)?;
            if *is_directory {
                fs::create_dir_all(&target)?;
            } else {
                File::options().create(true).append(true).open(&target)?;
            }
            let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
            let target = rustix::fs::open(&target, flags, rustix::fs::Mode::empty())?;
            syscall::attach_mount(mount.as_fd(), target.as_fd())?;
        }
        rustix::process::pivot_root(".", ".")?;
        rustix::mount::unmount(".", UnmountFlags::DETACH)?;
        std::env::set_current_dir("/")?;
        rustix::mount::mount_remount("/", flags | MountFlags::RDONLY, c"")?;
        Ok(())
    }
}

/// A path below the working directory, with its parents made.
fn place(path: &Path) -> io::Result<PathBuf> {
    let below = path.strip_prefix("/").map_err(io::Error::other)?;
    if let Some(parent) = below.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(below.to_owned())
}

fn lend(lent: &Lent, user: u32) -> Result<OwnedFd> {
    let doing = || format!("open `{}`", lent.source.display());
    let directory = rooted::open_without_links(&lent.source).doing(doing)?;
    let owner = rustix::fs::fstat(&directory).doing(doing)?.st_uid;
    if owner != lent.owner {
        return Err(Error::failed(doing())
            .because(format!("it belongs to user {owner} by now, not to {}", lent.owner)));
    }
    let mount = syscall::clone_opened_mount(directory.as_fd()).doing(doing)?;
    let mut attributes = syscall::ATTRIBUTE_NO_SUID | syscall::ATTRIBUTE_NO_DEVICES;
    if !lent.writable {
        attributes |= syscall::ATTRIBUTE_READ_ONLY;
    }
    if owner == user {
        syscall::set_mount_attributes(mount.as_fd(), attributes, None).doing(doing)?;
        return Ok(mount);
    }
    let map = syscall::user_namespace(owner, user, 1).doing(doing)?;
    syscall::set_mount_attributes(mount.as_fd(), attributes, Some(map.as_fd())).map_err(
        |error| {
            Error::failed(format!("map the owner of `{}`", lent.source.display()))
                .because(error)
                .hint(
                    "Its file system must allow ID-mapped mounts: ext4, xfs, btrfs, tmpfs do; \
                     network file systems mostly do not. Move it to one that does.",
                )
        },
    )?;
    Ok(mount)
}

fn read_copied(path: &Path) -> io::Result<Vec<u8>> {
    // Not blocking, so that a pipe put there cannot hang the reader.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.size() > LONGEST_COPY {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut content = Vec::new();
    file.take(LONGEST_COPY).read_to_end(&mut content)?;
    Ok(content)
}

fn drop_rights(sandbox: &Sandbox) -> io::Result<()> {
    let limits = [
        (Resource::Core, 0),
        (Resource::Nofile, MOST_FILES),
        (Resource::Fsize, sandbox.longest_file),
        (Resource::As, sandbox.memory),
    ];
    // Those of a user are counted over all that the user runs.
    let processes = sandbox.user.is_none().then_some((Resource::Nproc, MOST_PROCESSES));
    for (resource, most) in limits.into_iter().chain(processes) {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, limit)?;
    }
    rustix::thread::set_thread_groups(&[])?;
    let (user, group) = sandbox.ids();
    let group = Gid::from_raw(group);
    rustix::thread::set_thread_res_gid(group, group, group)?;
    let user = Uid::from_raw(user);
    // Takes every capability away, too.
    rustix::thread::set_thread_res_uid(user, user, user)?;
    rustix::thread::set_no_new_privs(true)?;
    // After the change of user, which forgets it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}
