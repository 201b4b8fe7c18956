//! One order, carried out by a process without rights ([`crate::lxc::sandbox`]): `aio __confined`.
//!
//! The order comes on standard input, never in argv. A program's output is its own. Whoever asks bounds
//! it, in time and in size: what answers works on a stranger's files.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::process;
use crate::lxc::sandbox::{Program, Sandbox};

/// The hidden command.
pub const COMMAND: &str = "__confined";

/// The exit status when the place could not be made.
pub const NOT_STARTED: u8 = 125;
/// How much a program may print before the rest is thrown away.
const LONGEST_OUTPUT: u64 = 1 << 20;

/// What is to be done, and where.
#[derive(Debug, Deserialize, Serialize)]
pub struct Order {
    pub sandbox: Sandbox,
    pub job: Job,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// A program is run.
    Run(Program),
    /// A question is answered, which only who asks and who answers know.
    Answer(Value),
}

/// How a program ended, and at most the first megabyte of what it said on standard error.
#[derive(Debug)]
pub struct Finished {
    /// The exit status; none when a signal or the time limit ended it.
    pub status: Option<i32>,
    pub stderr: String,
}

/// The process that carries out an order.
pub fn command(home: Option<&Path>) -> Command {
    let mut command = process::own(COMMAND);
    command.env("LC_ALL", "C.UTF-8").current_dir("/");
    command.envs(home.map(|home| ("HOME", home)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a program. Dropping the future ends it.
pub async fn run(sandbox: Sandbox, program: Program, limit: Duration) -> Result<Finished> {
    let name = program.argv.first().cloned().unwrap_or_default();
    let doing = || format!("run `{name}` without rights");
    let text = serde_json::to_vec(&Order { sandbox, job: Job::Run(program) }).doing(doing)?;
    let mut command = tokio::process::Command::from(command(None));
    let mut child = command.kill_on_drop(true).spawn().doing(doing)?;
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(&text).await;
    }
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = async {
        let (_, stderr, status) = tokio::join!(first_of(stdout), first_of(stderr), child.wait());
        (status, stderr)
    };
    let Ok((status, stderr)) = tokio::time::timeout(limit, ended).await else {
        return Ok(Finished {
            status: None,
            stderr: format!("it took more than {} s", limit.as_secs()),
        });
    };
    let status = status.doing(doing)?.code();
    if status == Some(i32::from(NOT_STARTED)) {
        return Err(Error::new(ErrorKind::Host, doing()).because(stderr.trim_end()));
    }
    Ok(Finished { status, stderr })
}

/// The beginning of what comes out of a pipe; the rest is read, so that nobody waits, and dropped.
async fn first_of(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut kept = Vec::new();
    let _ = (&mut pipe).take(LONGEST_OUTPUT).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}
