//! Commands with a time limit.

use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What a command left.
#[derive(Debug)]
pub struct Finished {
    /// How it was called.
    pub called: String,
    /// Exit status; 128 + n when signal n ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
}

/// A command that runs beside the test, in a process group of its own.
pub struct Running {
    called: String,
    child: Child,
    readers: [JoinHandle<String>; 2],
    started: Instant,
}

impl Running {
    /// Starts it with nothing to read.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::start_with(command, None)
    }

    fn start_with(mut command: Command, input: Option<&str>) -> Self {
        let called = format!("{command:?}");
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{called}: {error}"));
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        let readers = [collect(stdout), collect(stderr)];
        // Written after the readers have begun: what it echoes would fill the pipe.
        if let (Some(mut stdin), Some(text)) = (child.stdin.take(), input) {
            stdin.write_all(text.as_bytes()).unwrap();
        }
        Self { called, child, readers, started }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to it alone.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", name, &pid]).status().unwrap();
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end, and fails when it takes longer than `limit`.
    pub fn finish(mut self, limit: Duration) -> Finished {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.started.elapsed() > limit {
                let group = format!("-{}", self.child.id());
                Command::new("kill").args(["-s", "KILL", "--", &group]).status().unwrap();
                let _ = self.child.wait();
                let [stdout, stderr] = self.readers.map(|reader| reader.join().unwrap());
                panic!("{} took longer than {limit:?}\n{}", self.called, tail(&(stdout + &stderr)));
            }
            // Short beside what is compared: 5 ms made 8 and 9 ms into 10 and 15.
            thread::sleep(Duration::from_millis(1));
        };
        let elapsed = self.started.elapsed();
        let [stdout, stderr] = self.readers.map(|reader| reader.join().unwrap());
        let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Finished { called: self.called, status, stdout, stderr, elapsed }
    }
}

impl Finished {
    /// Itself if the command succeeded.
    pub fn ok(self) -> Self {
        assert!(
            self.status == 0,
            "{} ended with status {}\n{}{}",
            self.called,
            self.status,
            tail(&self.stdout),
            tail(&self.stderr)
        );
        self
    }

    /// Both streams.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: no JSON ({error}): {}", self.called, self.stdout))
    }
}

/// Runs a command to its end, with nothing to read.
pub fn run(command: Command, limit: Duration) -> Finished {
    Running::start(command).finish(limit)
}

/// Runs a command to its end, with a text as its standard input.
pub fn run_with_input(command: Command, input: &str, limit: Duration) -> Finished {
    Running::start_with(command, Some(input)).finish(limit)
}

/// Runs a shell script on the host; it must succeed.
pub fn shell(script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-euc", script]);
    run(command, Duration::from_secs(60)).ok().stdout
}

/// Tries until it succeeds, or until the time is over: then it is tried a last time for its panic.
pub fn eventually<T>(limit: Duration, mut attempt: impl FnMut() -> Option<T>, what: &str) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(250));
    }
}

/// The last lines of a text.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].iter().map(|line| format!("  {line}\n")).collect()
}

fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
