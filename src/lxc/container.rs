//! liblxc's container handle, safe to use.
#![allow(unsafe_code)] // liblxc is C.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use rustix::process::Pid;

use crate::error::{Error, ErrorKind, Result};
use crate::model::paths::LXC_PATH;

/// What liblxc says about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no definition.
    Absent,
    /// Defined, nothing runs.
    Stopped,
    /// On its way up or down; the init process, if there is one.
    Changing(Option<u32>),
    /// Running, with the process id of its init.
    Running(u32),
}

/// A handle of one container, for one thread at a time.
pub struct Handle {
    raw: *mut lxc_sys::lxc_container,
    name: String,
}

// SAFETY: nothing in a handle belongs to the thread that opened it.
unsafe impl Send for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `lxc_container_new` and is given back once.
        unsafe { lxc_sys::lxc_container_put(self.raw) };
    }
}

/// Calls a function of the handle. Every one is there in liblxc 4 and later, yet an `Option`.
macro_rules! call {
    ($handle:expr, $function:ident $(, $argument:expr)*) => {{
        let raw = $handle.raw;
        // SAFETY: `raw` is a live handle of liblxc and the function is its own; arguments that are
        // pointers outlive the call.
        unsafe { (*raw).$function.map(|function| function(raw $(, $argument)*)) }
    }};
}

impl Handle {
    /// Opens the handle of `name`, whether it is defined or not.
    pub fn open(name: &str) -> Result<Self> {
        let doing = || format!("open container `{name}`");
        let c_name = c_string(name)?;
        let path = c_string(LXC_PATH)?;
        // SAFETY: both strings are NUL-terminated; liblxc copies them.
        let raw = unsafe { lxc_sys::lxc_container_new(c_name.as_ptr(), path.as_ptr()) };
        if raw.is_null() {
            let config = Path::new(LXC_PATH).join(name).join("config");
            return Err(Error::failed(doing())
                .because("liblxc gives no handle")
                .hint(format!("Look whether `{}` can be read.", config.display())));
        }
        Ok(Self { raw, name: name.to_owned() })
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        if call!(self, is_defined) != Some(true) {
            return State::Absent;
        }
        let Some(state) = call!(self, state).filter(|state| !state.is_null()) else {
            return State::Stopped;
        };
        // SAFETY: liblxc returns a static NUL-terminated string.
        let state = unsafe { CStr::from_ptr(state) };
        match state.to_bytes() {
            b"STOPPED" => State::Stopped,
            b"RUNNING" | b"FROZEN" => self.init_pid().map_or(State::Stopped, State::Running),
            _ => State::Changing(self.init_pid()),
        }
    }

    /// Process id of its init on the host.
    pub fn init_pid(&self) -> Option<u32> {
        call!(self, init_pid).and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0)
    }

    /// Starts it as a daemon. Forks: only for a process with a single thread.
    pub fn start(&self) -> Result<()> {
        self.succeeded("start", call!(self, start, 0, ptr::null()))
    }

    /// Kills it and waits until it is stopped.
    pub fn stop(&self) -> Result<()> {
        self.succeeded("stop", call!(self, stop))
    }

    /// Asks its init to shut down; whether it did within the time.
    pub fn shutdown(&self, timeout_secs: u32) -> bool {
        let timeout = c_int::try_from(timeout_secs).unwrap_or(c_int::MAX);
        call!(self, shutdown, timeout) == Some(true)
    }

    fn succeeded(&self, verb: &str, result: Option<bool>) -> Result<()> {
        match result {
            Some(true) => Ok(()),
            _ => Err(Error::failed(format!("{verb} container `{}`", self.name))),
        }
    }

    /// Attaches a process that runs `function(payload)` and returns its id; it is a child of this
    /// one. Forks: only for a process with a single thread.
    ///
    /// # Safety
    /// `payload` must be what `function` expects, and live for the call; `options` must hold
    /// pointers that live for the call.
    pub(super) unsafe fn attach(
        &self,
        function: unsafe extern "C" fn(*mut c_void) -> c_int,
        payload: *mut c_void,
        options: &mut lxc_sys::lxc_attach_options_t,
    ) -> Result<Pid> {
        let mut pid: lxc_sys::pid_t = -1;
        let options: *mut lxc_sys::lxc_attach_options_t = options;
        let result = call!(self, attach, Some(function), payload, options, &raw mut pid);
        // liblxc leaves -1 there when it fails, which is no process id.
        let attached = (result == Some(0) && pid > 0).then(|| Pid::from_raw(pid)).flatten();
        attached.ok_or_else(|| not_running(&self.name))
    }
}

/// What containers are doing. To open a handle liblxc reads the container's whole configuration, a
/// millisecond that a question asked hundreds of times cannot spend: the first one's handle is kept.
#[derive(Default)]
pub struct States {
    handles: Mutex<HashMap<String, Handle>>,
}

impl States {
    /// What a container is doing now, whether it was there when it was first asked about or not.
    pub fn of(&self, name: &str) -> Result<State> {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = handles.get(name) {
            return Ok(handle.state());
        }
        let handle = Handle::open(name)?;
        Ok(handles.entry(name.to_owned()).or_insert(handle).state())
    }
}

/// The error of an attach that liblxc refuses.
fn not_running(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("attach to container `{name}`"))
        .because("it is not running, or its namespaces cannot be entered")
        .hint(format!("`lxc-info -n {name}` shows its state."))
}

/// Sends liblxc's messages of this process to a container's log file, and nothing to the terminal.
pub fn log_to(name: &str, file: &Path) -> Result<()> {
    super::log::rotate(file);
    let name = c_string(name)?;
    let path = c_string(LXC_PATH)?;
    let file = c_string(&file.to_string_lossy())?;
    let mut log = lxc_sys::lxc_log {
        name: name.as_ptr(),
        lxcpath: path.as_ptr(),
        file: file.as_ptr(),
        level: c"WARN".as_ptr(),
        prefix: c"aio".as_ptr(),
        quiet: true,
    };
    // SAFETY: all strings are NUL-terminated and outlive the call; liblxc copies what it keeps.
    let result = unsafe { lxc_sys::lxc_log_init(&raw mut log) };
    if result == 0 { Ok(()) } else { Err(Error::failed("open the log of liblxc")) }
}

/// A string for C.
pub(super) fn c_string(text: &str) -> Result<CString> {
    CString::new(text)
        .map_err(|_| Error::new(ErrorKind::Usage, format!("`{text:?}` holds a NUL byte")))
}

/// A NULL-terminated array of C strings, with its owner.
pub(super) struct CStrings {
    _owned: Vec<CString>,
    pointers: Vec<*mut c_char>,
}

impl CStrings {
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let owned = texts.into_iter().map(c_string).collect::<Result<Vec<_>>>()?;
        let mut pointers: Vec<*mut c_char> =
            owned.iter().map(|text| text.as_ptr().cast_mut()).collect();
        pointers.push(ptr::null_mut());
        Ok(Self { _owned: owned, pointers })
    }

    /// For C, which changes nothing; valid as long as `self`.
    pub(super) fn as_mut_ptr(&mut self) -> *mut *mut c_char {
        self.pointers.as_mut_ptr()
    }
}
