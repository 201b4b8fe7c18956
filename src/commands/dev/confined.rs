//! `aio __confined`: one order, carried out by a process without rights ([`crate::lxc::sandbox`]).
//!
//! The order comes on standard input, never in argv. A program's output is its own; a look at a
//! checkout answers with one JSON document on standard output. Whoever asks bounds both, in time and
//! in size: what answers works on a stranger's files.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::source::look::{self, Question};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::process;
use crate::lxc::sandbox::{self, Program, Sandbox};

/// The hidden command.
pub const COMMAND: &str = "__confined";

/// The exit status when the place could not be made.
const NOT_STARTED: u8 = 125;
/// How long a look at a checkout may take: a large tree on a slow disk takes a few seconds.
const LOOK: Duration = Duration::from_secs(90);
/// How long an answer may be: Python files that differ from the commit are part of it.
const LONGEST_ANSWER: u64 = 64 << 20;
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
    /// A question about a checkout is answered.
    Look { path: PathBuf, question: Question },
}

/// How a program ended, and what it printed, at most the first megabyte of each.
#[derive(Debug)]
pub struct Finished {
    /// The exit status; none when a signal or the time limit ended it.
    pub status: Option<i32>,
    pub stderr: String,
}

/// An error on its way out of there.
#[derive(Deserialize, Serialize)]
struct Told {
    usage: bool,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

/// Carries out the order on standard input.
pub fn main() -> ExitCode {
    let order = read_order().and_then(|order| sandbox::enter(&order.sandbox).map(|()| order.job));
    match order {
        Ok(Job::Run(program)) => match sandbox::run(&program) {
            Ok(status) => exit_code(status.code().unwrap_or(1)),
            Err(error) => not_started(&format!("run it: {error}")),
        },
        Ok(Job::Look { path, question }) => match sandbox::go_on_alone() {
            Ok(None) => {
                super::source::allow_foreign_owners();
                answer(look::answer(&path, &question))
            }
            Ok(Some(status)) => exit_code(status),
            Err(error) => answer(Err(error)),
        },
        Err(error) => {
            let _ = answer(Err(error.clone()));
            not_started(&error.to_string())
        }
    }
}

fn exit_code(status: i32) -> ExitCode {
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}

fn read_order() -> Result<Order> {
    let mut text = Vec::new();
    let doing = || "read the order".to_owned();
    std::io::stdin().read_to_end(&mut text).doing(doing)?;
    serde_json::from_slice(&text).doing(doing)
}

fn not_started(reason: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{reason}");
    ExitCode::from(NOT_STARTED)
}

fn answer(answer: Result<Value>) -> ExitCode {
    let answer = answer.map_err(|error| Told {
        usage: error.kind == ErrorKind::Usage,
        message: error.message,
        causes: error.causes,
        hints: error.hints,
    });
    let mut output = std::io::stdout().lock();
    let written = serde_json::to_writer(&mut output, &answer).is_ok() && output.flush().is_ok();
    if written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn command(home: Option<&std::path::Path>) -> Command {
    let mut command = process::own(COMMAND);
    command.env("LC_ALL", "C.UTF-8").current_dir("/");
    command.envs(home.map(|home| ("HOME", home)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Asks a question about a checkout. Blocks.
pub fn look(sandbox: Sandbox, path: PathBuf, question: Question, home: PathBuf) -> Result<Value> {
    let doing = || format!("look at {}", path.display());
    let order = Order { sandbox, job: Job::Look { path: path.clone(), question } };
    let text = serde_json::to_vec(&order).doing(doing)?;
    let mut command = command(Some(&home));
    let mut child = command.stderr(Stdio::null()).spawn().doing(doing)?;
    if let Some(mut input) = child.stdin.take() {
        // One that ended before it read all says why.
        let _ = input.write_all(&text);
    }
    let output = child.stdout.take();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(output.map(read_answer)));
    let answered = receiver.recv_timeout(LOOK);
    // It has nothing left to do, or does it for too long.
    let _ = child.kill();
    let _ = child.wait();
    let failed = |reason: &str| Err(Error::failed(doing()).because(reason));
    match answered {
        Err(_) => {
            failed(&format!("it took more than {} s: does a file of it hang?", LOOK.as_secs()))
        }
        Ok(None | Some(Err(_))) => failed("nothing answered"),
        Ok(Some(Ok(text))) if text.len() as u64 > LONGEST_ANSWER => failed("it is too large"),
        Ok(Some(Ok(text))) => match serde_json::from_slice::<Result<Value, Told>>(&text) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(told)) => Err(told.into()),
            Err(_) => failed("what looked at it ended without an answer"),
        },
    }
}

fn read_answer(output: ChildStdout) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    output.take(LONGEST_ANSWER + 1).read_to_end(&mut text)?;
    Ok(text)
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

impl From<Told> for Error {
    /// It goes to a terminal, and comes from where strangers' files were read.
    fn from(told: Told) -> Self {
        let plain = |text: String| -> String {
            let shown = text.chars().take(2000);
            shown
                .map(|letter| if letter.is_control() && letter != '\n' { '?' } else { letter })
                .collect()
        };
        let kind = if told.usage { ErrorKind::Usage } else { ErrorKind::Failed };
        let mut error = Self::new(kind, plain(told.message));
        error.causes = told.causes.into_iter().take(20).map(plain).collect();
        error.hints = told.hints.into_iter().take(20).map(plain).collect();
        error
    }
}
