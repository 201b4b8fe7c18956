//! A function of this program as a process in a running container: the only way to do something
//! there that no program of the container does. It forks: only for a process with a single thread.
#![allow(unsafe_code)] // liblxc calls back.

use std::ffi::{c_int, c_void};
use std::panic::AssertUnwindSafe;

use rustix::process::Pid;

use super::attach;
use super::container::Handle;
use crate::error::Result;

/// The exit status of a body that panicked.
const PANICKED: c_int = 255;

/// Starts a process in the container that runs `body` and ends with the status which that returns.
/// It is a child of this process, has its standard streams and a copy of its memory, and an
/// environment without anything of the host's.
///
/// # Errors
/// When liblxc cannot attach.
pub fn spawn(handle: &Handle, mut body: &mut dyn FnMut() -> i32) -> Result<Pid> {
    let mut options = attach::options();
    options.initial_cwd = c"/".as_ptr().cast_mut();
    options.env_policy = lxc_sys::lxc_attach_env_policy_t_LXC_ATTACH_CLEAR_ENV;
    let payload = (&raw mut body).cast::<c_void>();
    // SAFETY: `call` expects a pointer to this reference, which outlives the call; the child has
    // its own copy of it and of what it refers to.
    unsafe { handle.attach(call, payload, &mut options) }
}

unsafe extern "C" fn call(payload: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes a pointer to a reference of its caller, of which this forked child has
    // a copy that nobody else uses.
    let body = unsafe { &mut *payload.cast::<&mut dyn FnMut() -> i32>() };
    // No panic may unwind into C.
    std::panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or(PANICKED)
}
