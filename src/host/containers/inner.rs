//! What all methods share: the cloud's places, ids and features, and in which state a container is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::ContainerState;
use crate::host::subids::IdRanges;
use crate::lxc::container::{State, States};
use crate::model::paths::Paths;

/// What of the host decides how containers are defined, and how long they are waited for.
#[derive(Clone, Debug)]
pub struct HostFeatures {
    /// What time limits are multiplied by.
    pub patience: u32,
    /// Control groups of version 2 alone.
    pub unified_cgroups: bool,
    /// Tasks can be limited.
    pub tasks_limit: bool,
    /// Swap can be limited.
    pub swap_limit: bool,
    /// AppArmor is there and confines.
    pub apparmor: bool,
    /// What a container's systemd needs on a host whose control groups are not unified.
    pub legacy_cgroup_environment: BTreeMap<String, String>,
}

/// What all methods share; they run on blocking threads.
pub(super) struct Inner {
    pub(super) paths: Paths,
    pub(super) ids: IdRanges,
    pub(super) features: HostFeatures,
    pub(super) helper: PathBuf,
    pub(super) states: States,
}

impl Inner {
    /// What it is doing; waits for a moment while it is on its way up or down.
    pub(super) fn state(&self, name: &str) -> Result<ContainerState> {
        for _ in 0..500 {
            match self.states.of(name)? {
                State::Absent => return Ok(ContainerState::Absent),
                State::Stopped => return Ok(ContainerState::Stopped),
                State::Running(init_pid) => return Ok(ContainerState::Running { init_pid }),
                State::Changing(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Err(Error::failed(format!("see what container `{name}` is doing"))
            .because("it is neither started nor stopped for 5 s")
            .hint(format!(
                "`lxc-info -n {name}` shows its state, `lxc-stop -k -n {name}` ends it."
            )))
    }

    pub(super) fn init_pid(&self, name: &str) -> Result<u32> {
        match self.state(name)? {
            ContainerState::Running { init_pid } => Ok(init_pid),
            state => Err(not_running(name, state)),
        }
    }

    pub(super) fn log_file(name: &str) -> PathBuf {
        Paths::lxc_dir(name).join("lxc.log")
    }
}

/// The control groups of a container's init, one line each.
pub(super) fn control_groups(container: &str, init_pid: u32) -> Result<String> {
    std::fs::read_to_string(format!("/proc/{init_pid}/cgroup"))
        .doing(|| format!("read the control groups of container `{container}`"))
}

pub(super) fn not_running(name: &str, state: ContainerState) -> Error {
    let error = Error::new(ErrorKind::NotFound, format!("reach container `{name}`"));
    match state {
        ContainerState::Absent => error.because("it is not defined"),
        _ => error.because("it is not running").hint(format!("`aio start {name}` starts it.")),
    }
}
