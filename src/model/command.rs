//! A command in a container, and what it left.

use std::collections::BTreeMap;
use std::time::Duration;

/// A command run in a container. Its argv never holds a secret; its standard input may.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// Program and arguments. A shell script is `["sh", "-euc", SCRIPT]`.
    pub argv: Vec<String>,
    /// Environment beside `PATH` and `HOME`; may hold secrets.
    pub environment: BTreeMap<String, String>,
    pub stdin: Vec<u8>,
    /// Killed after this; none: when the step is cancelled.
    pub timeout: Option<Duration>,
    /// How long it may take to clean up when it is told to end; none: two seconds.
    pub grace: Option<Duration>,
    /// How much it may print; none: as much as anybody may. It is ended when it prints more.
    pub largest_output_bytes: Option<u64>,
}

impl Command {
    /// `sh -euc SCRIPT`.
    pub fn shell(script: impl Into<String>) -> Self {
        Self { argv: vec!["sh".to_owned(), "-euc".to_owned(), script.into()], ..Self::default() }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Exit status; 128 + n when signal n killed it.
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.status == 0
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last `lines` lines of both streams, for an error.
    pub fn tail(&self, lines: usize) -> String {
        let mut text = String::from_utf8_lossy(&self.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&self.stderr));
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}
