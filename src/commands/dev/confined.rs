//! What a process without rights does ([`crate::host::confined`]): it runs a program, or looks at a
//! checkout, and answers with one JSON document on standard output.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{ChildStdout, ExitCode, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::source::look::{self, Question};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::confined::{Job, NOT_STARTED, Order, command};
use crate::lxc::sandbox::{self, Sandbox};

/// How long a look at a checkout may take: a large tree on a slow disk takes a few seconds.
const LOOK: Duration = Duration::from_secs(90);
/// How long an answer may be: Python files that differ from the commit are part of it.
const LONGEST_ANSWER: u64 = 64 << 20;

/// A question about a checkout.
#[derive(Debug, Deserialize, Serialize)]
pub struct Look {
    pub path: PathBuf,
    pub question: Question,
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
        Ok(Job::Answer(question)) => match sandbox::go_on_alone() {
            Ok(None) => {
                super::source::allow_foreign_owners();
                answer(answered(question))
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

fn answered(question: Value) -> Result<Value> {
    let look: Look = serde_json::from_value(question).doing(|| "read the question".to_owned())?;
    look::answer(&look.path, &look.question)
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

/// Asks a question about a checkout. Blocks.
pub fn look(sandbox: Sandbox, path: PathBuf, question: Question, home: PathBuf) -> Result<Value> {
    let doing = || format!("look at {}", path.display());
    let question = Look { path: path.clone(), question };
    let question = serde_json::to_value(question).doing(doing)?;
    let order = Order { sandbox, job: Job::Answer(question) };
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
