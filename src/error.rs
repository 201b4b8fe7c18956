//! The one error type that reaches a user.
//!
//! An error says what was being done and to what ([`Error::message`]), why it failed
//! ([`Error::causes`], outermost first) and what to do next ([`Error::hints`]). Its [`ErrorKind`]
//! is the exit code. Modules build one with [`Error::new`] and enrich it on the way up with
//! [`Error::because`] and [`Error::hint`]; nothing is swallowed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an exit code means. The numbers are part of the interface: scripts rely on them.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum ErrorKind {
    /// A step, a command or an observation failed (exit code 1).
    Failed,
    /// The command line is wrong (exit code 2, as clap's own errors).
    Usage,
    /// A profile or a file in the configuration directory is wrong (exit code 3).
    Config,
    /// The host lacks something or is too small (exit code 4).
    Host,
    /// Another `aio` holds the cloud (exit code 5).
    Busy,
    /// There is no such cloud or container, or it is not running (exit code 6).
    NotFound,
    /// The user said no, or a question could not be asked (exit code 7).
    Refused,
    /// Ctrl-C or SIGTERM (exit code 130).
    Interrupted,
}

impl ErrorKind {
    /// The process exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Host => 4,
            Self::Busy => 5,
            Self::NotFound => 6,
            Self::Refused => 7,
            Self::Interrupted => 130,
        }
    }
}

/// What was being done, to what, why it failed, and what to do next.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Error {
    /// Decides the exit code.
    pub kind: ErrorKind,
    /// Lower-case fragment without a final period: "start container `x`".
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// The next commands to try, each a whole sentence.
    pub hints: Vec<String>,
    /// The last lines of what a command printed, if one was run.
    pub output: Option<String>,
}

impl Error {
    /// An error of `kind` that says what was being done.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new(), output: None }
    }

    /// Shorthand for [`ErrorKind::Failed`].
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds what to try next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds several, or one that there may be.
    #[must_use]
    pub fn hints<H: Into<String>>(mut self, hints: impl IntoIterator<Item = H>) -> Self {
        self.hints.extend(hints.into_iter().map(Into::into));
        self
    }

    /// Attaches what the failed command printed.
    #[must_use]
    pub fn output(mut self, output: impl Into<String>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// Whether trying again cannot help: a file, the host or the user says so.
    pub fn is_final(&self) -> bool {
        match self.kind {
            ErrorKind::Failed | ErrorKind::Busy | ErrorKind::NotFound => false,
            ErrorKind::Usage
            | ErrorKind::Config
            | ErrorKind::Host
            | ErrorKind::Refused
            | ErrorKind::Interrupted => true,
        }
    }

    /// Puts this error beneath a wider one: what it said becomes the first cause.
    #[must_use]
    pub fn context(mut self, message: impl Into<String>) -> Self {
        let inner = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, inner);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.message)?;
        for cause in &self.causes {
            write!(formatter, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Turns a foreign error into ours at the place that knows what was being done.
pub trait ResultExt<T> {
    /// Wraps the error with what was being done.
    fn doing(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> ResultExt<T> for std::result::Result<T, E> {
    fn doing(self, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::failed(message()).because(error))
    }
}
