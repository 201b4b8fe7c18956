//! System calls that neither the standard library nor rustix wraps, made safe to call.
#![allow(unsafe_code)] // fork, mount_setattr and setfsuid exist only as raw calls.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// `struct mount_attr` of `linux/mount.h`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Nothing can be written through a mount.
pub const ATTRIBUTE_READ_ONLY: u64 = 0x1;
/// Ignore set-user-ID bits on a mount.
pub const ATTRIBUTE_NO_SUID: u64 = 0x2;
/// Ignore device nodes on a mount.
pub const ATTRIBUTE_NO_DEVICES: u64 = 0x4;
/// Run no program of a mount.
pub const ATTRIBUTE_NO_PROGRAMS: u64 = 0x8;
/// Follow no symbolic link of a mount.
pub const ATTRIBUTE_NO_LINKS: u64 = 0x0020_0000;
const ATTRIBUTE_ID_MAPPED: u64 = 0x0010_0000;

/// How a detached clone of a mount is made.
const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

/// A detached clone of the mount and directory at `path`.
pub fn clone_mount(path: &std::path::Path) -> io::Result<OwnedFd> {
    Ok(open_tree(rustix::fs::CWD, path, CLONE)?)
}

/// A detached clone of the mount and directory that is open.
pub fn clone_opened_mount(directory: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(open_tree(directory, c"", CLONE | OpenTreeFlags::AT_EMPTY_PATH)?)
}

/// A detached clone of the mount and directory, or file, at `path`, and of all mounts below it.
pub fn clone_mount_tree(path: &std::path::Path) -> io::Result<OwnedFd> {
    Ok(open_tree(rustix::fs::CWD, path, CLONE | OpenTreeFlags::AT_RECURSIVE)?)
}

/// Sets attributes of a detached mount; with a user namespace, maps its ids through it.
pub fn set_mount_attributes(
    mount: BorrowedFd<'_>,
    attributes: u64,
    user_namespace: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut wanted =
        MountAttributes { set: attributes, clear: 0, propagation: 0, user_namespace: 0 };
    if let Some(namespace) = user_namespace {
        wanted.set |= ATTRIBUTE_ID_MAPPED;
        wanted.user_namespace = u64::try_from(namespace.as_raw_fd()).map_err(io::Error::other)?;
    }
    change_mount(mount, libc::AT_EMPTY_PATH, &wanted)
}

/// Sets attributes of a detached mount and of all mounts below it.
pub fn set_tree_attributes(mount: BorrowedFd<'_>, attributes: u64) -> io::Result<()> {
    let wanted = MountAttributes { set: attributes, clear: 0, propagation: 0, user_namespace: 0 };
    change_mount(mount, libc::AT_EMPTY_PATH | libc::AT_RECURSIVE, &wanted)
}

fn change_mount(
    mount: BorrowedFd<'_>,
    flags: libc::c_int,
    wanted: &MountAttributes,
) -> io::Result<()> {
    // SAFETY: the path is a NUL-terminated literal, the structure is laid out as the kernel's and
    // its size is passed; both outlive the call. The descriptors are borrowed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(wanted),
            size_of::<MountAttributes>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Attaches a detached mount on an open directory.
pub fn attach_mount(mount: BorrowedFd<'_>, directory: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, c"", directory, c"", flags)?)
}

/// Gives this process a mount namespace of its own, from which nothing propagates, and returns the
/// one it leaves. Only for a process with a single thread.
pub fn leave_mount_namespace() -> io::Result<OwnedFd> {
    let before = OwnedFd::from(File::open("/proc/self/ns/mnt")?);
    // SAFETY: file descriptors are not unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS)? };
    let flags =
        rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags)?;
    Ok(before)
}

/// Gives this process namespaces of its own, none of which concerns file descriptors. Only for a
/// process with a single thread.
pub fn unshare(what: UnshareFlags) -> io::Result<()> {
    // SAFETY: file descriptors are not unshared.
    unsafe { rustix::thread::unshare_unsafe(what.difference(UnshareFlags::FILES))? };
    Ok(())
}

/// Goes (back) to a mount namespace.
pub fn enter_mount_namespace(namespace: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::thread::move_into_link_name_space(namespace, Some(LinkNameSpaceType::Mount))?)
}

/// Runs `action` with the file-system user and group `id`, and with the capabilities that giving up
/// user 0 takes away. Only for a process with a single thread.
pub fn with_filesystem_id<T>(id: u32, action: impl FnOnce() -> T) -> io::Result<T> {
    let before = rustix::thread::capabilities(None)?;
    set_filesystem_id(id)?;
    rustix::thread::set_capabilities(None, before)?;
    let result = action();
    set_filesystem_id(0)?;
    rustix::thread::set_capabilities(None, before)?;
    Ok(result)
}

fn set_filesystem_id(id: u32) -> io::Result<()> {
    // SAFETY: both calls take plain numbers and cannot fail; a second call with an invalid id
    // changes nothing and returns the id that is in force.
    let in_force = unsafe {
        libc::setfsgid(id);
        libc::setfsuid(id);
        (libc::setfsuid(u32::MAX), libc::setfsgid(u32::MAX))
    };
    let wanted = i32::try_from(id).map_err(io::Error::other)?;
    if in_force == (wanted, wanted) {
        Ok(())
    } else {
        Err(io::Error::other(format!("the file-system user cannot be set to {id}")))
    }
}

/// Goes on as a child, which dies with its parent: `None` in there, and in the parent, when it has
/// ended, its exit status (none when a signal ended it). Only for a process with a single thread.
pub fn go_on_as_child() -> io::Result<Option<Option<i32>>> {
    // SAFETY: the process has one thread, so the child may do whatever the parent might have done.
    let child = unsafe { libc::fork() };
    match child {
        -1 => return Err(io::Error::last_os_error()),
        0 => {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            return Ok(None);
        }
        _ => {}
    }
    let pid = Pid::from_raw(child);
    let ended = rustix::io::retry_on_intr(|| rustix::process::waitpid(pid, WaitOptions::empty()))?;
    Ok(Some(ended.and_then(|(_, status)| status.exit_status())))
}

/// A user namespace that maps `count` ids from `inside` on to those from `outside` on, and no other.
/// Only for a process with a single thread.
pub fn user_namespace(inside: u32, outside: u32, count: u32) -> io::Result<OwnedFd> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: the process has one thread, so the child may call anything; it makes two system
    // calls, waits to be killed and never returns into the caller's code.
    let child = unsafe { libc::fork() };
    match child {
        -1 => return Err(io::Error::last_os_error()),
        0 => hold_user_namespace(&write),
        _ => {}
    }
    drop(write);
    let pid = Pid::from_raw(child).ok_or_else(|| io::Error::other("fork returned no process"))?;
    let namespace = map_ids(&read, pid, &format!("{inside} {outside} {count}\n"));
    rustix::process::kill_process(pid, Signal::KILL)?;
    rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(pid), WaitOptions::empty()))?;
    namespace
}

fn hold_user_namespace(ready: &OwnedFd) -> ! {
    // Dies with its parent, so that a parent killed right here leaves no process behind.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // SAFETY: file descriptors are not unshared.
    let unshared = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) };
    if unshared.is_ok() {
        let _ = rustix::io::write(ready, b"1");
        loop {
            rustix::event::pause();
        }
    }
    // SAFETY: `_exit` runs no handlers of the copied parent.
    unsafe { libc::_exit(1) }
}

#[allow(clippy::disallowed_methods, reason = "files of the kernel")]
fn map_ids(ready: &OwnedFd, pid: Pid, ids: &str) -> io::Result<OwnedFd> {
    let mut byte = [0_u8; 1];
    if rustix::io::retry_on_intr(|| rustix::io::read(ready, &mut byte))? != 1 {
        return Err(io::Error::other("the kernel refuses a user namespace"));
    }
    let process = format!("/proc/{}", pid.as_raw_nonzero());
    for map in ["uid_map", "gid_map"] {
        std::fs::write(format!("{process}/{map}"), ids)?;
    }
    Ok(OwnedFd::from(File::open(format!("{process}/ns/user"))?))
}

/// The default action for SIGPIPE (Rust ignores it, and commands would inherit that).
pub fn default_broken_pipe() {
    // SAFETY: sets a disposition; no handler is involved.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// The default action for the signals with which people and terminals end a process: whoever started
/// this one may have ignored them, and commands would inherit that.
pub fn default_signals() {
    let signals = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGPIPE];
    for signal in signals.into_iter().chain([libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU]) {
        // SAFETY: sets a disposition; no handler is involved.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Whether this process is in the terminal's foreground group: whether what is typed is for it. By
/// number: seen from a process namespace, a group whose leader is outside has none but 0.
pub fn in_foreground(terminal: BorrowedFd<'_>) -> bool {
    // SAFETY: both take and give plain numbers.
    unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) == libc::getpgrp() }
}

/// Has a program lead a session of its own: it never gets this process's terminal. Its process group
/// has its own number.
pub fn in_own_session(command: &mut std::process::Command) -> &mut std::process::Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only one system call is made, which allocates nothing.
    unsafe { command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from)) }
}

/// The process group that [`forward`] signals; 0 for none.
static FORWARDED_TO: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(0);

/// Signals with which people and terminals end a process.
const ENDING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

extern "C" fn forward(signal: libc::c_int) {
    let group = FORWARDED_TO.load(std::sync::atomic::Ordering::Relaxed);
    if group > 0 {
        // SAFETY: `kill` may be called in a handler; it takes plain numbers.
        unsafe { libc::kill(-group, signal) };
    }
}

/// Holds the signals back that end a process, or lets them come again.
pub fn hold_ending_signals(hold: bool) {
    let how = if hold { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    // SAFETY: the set is initialised by `sigemptyset` and lives here; nobody keeps a pointer.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in ENDING {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::sigprocmask(how, &raw const set, std::ptr::null_mut());
    }
}

/// Passes the signals that end a process on to another group, from now on. One that is ignored, as
/// below `nohup`, stays so.
pub fn forward_ending_signals(group: Pid) {
    FORWARDED_TO.store(group.as_raw_nonzero().get(), std::sync::atomic::Ordering::Relaxed);
    let handler = forward as extern "C" fn(libc::c_int);
    for signal in ENDING {
        // SAFETY: the handler calls nothing but `kill`.
        unsafe {
            if libc::signal(signal, handler as libc::sighandler_t) == libc::SIG_IGN {
                libc::signal(signal, libc::SIG_IGN);
            }
        }
    }
}

/// No core dump of this process, and no look into its memory but by root, until it runs another
/// program. Its limit for core dumps would be every container's, too.
pub fn keep_memory_private() {
    // A kernel that refuses has no such thing.
    let never = rustix::process::DumpableBehavior::NotDumpable;
    let _ = rustix::process::set_dumpable_behavior(never);
}

/// Ignores SIGPIPE: writing to a closed pipe is an error again.
pub fn ignore_broken_pipe() {
    // SAFETY: sets a disposition; no handler is involved.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Makes a command end when the process that starts it does.
pub fn die_with_parent(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;

    // SAFETY: the closure makes one system call and touches no memory of the parent's.
    unsafe {
        command
            .pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?))
    };
}

/// Marks every descriptor from 3 on close-on-exec.
pub fn close_descriptors_on_exec() -> io::Result<()> {
    // SAFETY: only sets a flag on this process's own descriptors.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Duplicates `from` onto standard input.
pub fn replace_stdin(from: impl AsFd) -> io::Result<()> {
    Ok(rustix::stdio::dup2_stdin(from)?)
}

/// Ignores SIGTERM from now on.
pub fn ignore_termination() {
    // SAFETY: sets a disposition; no handler is involved.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
}
