//! `aio __view DIRECTORY PROGRAM ARGUMENTS…`: a program of the host that reads what containers write.
//!
//! It has an id that no account has, no capability and no network, and sees the directory at
//! [`PLACE`]: read-only, ids mapped so that what root in the container owns is its own to read, and
//! no symbolic link in there leads anywhere. What a container's root puts into its journal can at
//! worst mislead this process.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Gid, Resource, Rlimit, Signal, Uid};
use rustix::thread::UnshareFlags;

use super::process::inheriting;
use super::{rooted, syscall};
use crate::error::{Error, Result, ResultExt};

/// The word on the command line.
pub const COMMAND: &str = "__view";
/// Where the program finds the directory. What is there otherwise it does not see.
pub const PLACE: &str = "/tmp";

/// User and group of the program. Debian keeps it free, and what runs as `nobody` on the host could
/// look into the memory of what runs as `nobody` here.
const ID: u32 = 65_533;
/// What is said when the program is missing, as a shell does.
const NOT_FOUND: u8 = 127;

/// Becomes the program.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(directory), Some(program)) = (arguments.next(), arguments.next()) else {
        return ExitCode::FAILURE;
    };
    let (message, status) = match enter(Path::new(&directory)) {
        Ok(()) => {
            let error = inheriting(&program).args(arguments).exec();
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            (format!("run `{}`: {error}", program.display()), if missing { NOT_FOUND } else { 1 })
        }
        Err(error) => (error.to_string(), 1),
    };
    let _ = writeln!(std::io::stderr(), "{message}");
    ExitCode::from(status)
}

fn enter(directory: &Path) -> Result<()> {
    let doing = || format!("look into `{}`", directory.display());
    let mount = syscall::clone_mount(directory).doing(doing)?;
    let map = syscall::user_namespace(0, ID, 1).doing(doing)?;
    let attributes = syscall::ATTRIBUTE_READ_ONLY
        | syscall::ATTRIBUTE_NO_SUID
        | syscall::ATTRIBUTE_NO_DEVICES
        | syscall::ATTRIBUTE_NO_PROGRAMS
        | syscall::ATTRIBUTE_NO_LINKS;
    syscall::set_mount_attributes(mount.as_fd(), attributes, Some(map.as_fd())).map_err(|error| {
        Error::failed(doing()).because(error).hint(
            "Its file system must allow ID-mapped mounts, as for containers: ext4, xfs and btrfs do.",
        )
    })?;
    syscall::leave_mount_namespace().doing(doing)?;
    syscall::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWIPC).doing(doing)?;
    let place = rooted::open_root(Path::new(PLACE)).doing(doing)?;
    syscall::attach_mount(mount.as_fd(), place.as_fd()).doing(doing)?;
    std::env::set_current_dir("/").doing(doing)?;
    drop_rights().doing(doing)
}

fn drop_rights() -> std::io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)?;
    rustix::thread::set_thread_groups(&[])?;
    let group = Gid::from_raw(ID);
    rustix::thread::set_thread_res_gid(group, group, group)?;
    let user = Uid::from_raw(ID);
    // Takes every capability away, too.
    rustix::thread::set_thread_res_uid(user, user, user)?;
    rustix::thread::set_no_new_privs(true)?;
    // After the change of user, which forgets it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}
