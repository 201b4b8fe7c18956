//! What a user asks of `aio dev`.

use std::path::PathBuf;
use std::str::FromStr;

use super::data::Fate;
use super::source::change::Change;

/// Units to be swapped, and how.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// A unit or a service; what the checkouts are without one.
    pub unit: Option<String>,
    /// Which member of the unit's kind; the first without one.
    pub member: Option<u32>,
    /// Work trees or URLs of repositories, of services.
    pub from: Vec<String>,
    /// A branch, tag or commit.
    pub reference: Option<String>,
    /// A change of the repository's review.
    pub change: Option<Change>,
    /// Whether what the change depends on comes with it.
    pub with_depends: bool,
    /// Whether nobody need be asked before code of other projects comes along.
    pub yes: bool,
    /// Work trees of libraries that run together with the services.
    pub libraries: Vec<PathBuf>,
    /// The units or services that libraries alone are put in front of; all that use them without any.
    pub inside: Vec<String>,
    /// Whether it outlives a restart of the container.
    pub keep: bool,
    /// How long it stays, and what happens meanwhile.
    pub mode: Mode,
    pub debug: Option<Debug>,
    /// The unit that the debugger or the terminal is for, where several are swapped.
    pub hands_on: Option<String>,
    /// Whether packages that the checkout needs and the container lacks may be added.
    pub packages: bool,
    /// Whether the database's schema is brought up to the checkout's.
    pub schema: bool,
    /// Whether swaps of the same units are replaced.
    pub take_over: bool,
}

/// Swaps to be undone, and how.
#[derive(Clone, Debug)]
pub struct Undone {
    /// A unit or a service; all that are swapped without one.
    pub unit: Option<String>,
    /// Which member of its kind; all of them without one.
    pub member: Option<u32>,
    pub fate: Fate,
    /// Whether nobody need be asked before data are lost.
    pub yes: bool,
}

/// How long a swap stays, and what happens meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Until the command ends; the unit's log is shown.
    #[default]
    Foreground,
    /// As [`Mode::Foreground`], and the unit is restarted when a file of a checkout is saved.
    Watch,
    /// Until it is undone; the command returns when the unit is healthy.
    Detached,
    /// The process of one unit runs in this terminal until it ends.
    Terminal,
}

/// A debugger in the process.
#[derive(Clone, Copy, Debug)]
pub struct Debug {
    /// The port on which it listens.
    pub port: u16,
    /// Whether the process waits for it before it serves.
    pub wait: bool,
}

/// What `--debug` says: `PORT`, `UNIT` or `UNIT:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugAt {
    pub unit: Option<String>,
    pub port: Option<u16>,
}

impl FromStr for DebugAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| {
            let port = text.parse().ok().filter(|port| *port > 0);
            port.ok_or_else(|| format!("`{text}` is no port between 1 and 65535"))
        };
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self { unit: None, port: Some(port(text)?) });
        }
        let (unit, port) = match text.rsplit_once(':') {
            Some((unit, digits)) => (unit, Some(port(digits)?)),
            None => (text, None),
        };
        Ok(Self { unit: Some(unit.to_owned()), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debugger_is_for_a_unit_at_a_port_or_both() {
        let at = |text: &str| text.parse::<DebugAt>().map(|it| (it.unit, it.port));
        let unit = || Some("nova_compute/nova-compute".to_owned());
        assert_eq!(at("5679"), Ok((None, Some(5679))));
        assert_eq!(at("nova_compute/nova-compute"), Ok((unit(), None)));
        assert_eq!(at("nova_compute/nova-compute:5679"), Ok((unit(), Some(5679))));
        for wrong in ["", "0", "65536", "nova-api:", "nova-api:x"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
