//! Runs the host's own tools (`ip`, `nft`, …) and turns their failures into errors that can be read.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::lxc::process::tool;
use crate::model::command::Output;
use crate::model::facts::package_of;

/// Runs a program with `input` on its standard input and returns what it printed. `doing` says
/// what for.
pub async fn run(doing: &str, program: &str, args: &[&str], input: &str) -> Result<String> {
    let mut child = start(doing, program, args, Stdio::piped(), false)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that does not read its input to the end says why on its own.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.doing(|| doing.to_owned())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    let error = Error::failed(doing).because(format!("`{program}` failed: {}", first.trim()));
    Err(error.output(said.trim_end()))
}

/// Runs a program that only looks, with nothing to read; any exit status is an answer.
///
/// # Errors
/// When it cannot be started, or is not done within `limit`: then it is killed.
pub async fn look(program: &str, arguments: &[&str], limit: Duration) -> Result<Output> {
    let doing = || format!("run `{program}`");
    let child = start(&doing(), program, arguments, Stdio::null(), true)?;
    let ended = tokio::time::timeout(limit, child.wait_with_output()).await;
    let output = ended.map_err(|_| {
        Error::failed(doing()).because(format!("it took more than {} s", limit.as_secs()))
    })?;
    let output = output.doing(doing)?;
    let status = output.status;
    let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(Output { status, stdout: output.stdout, stderr: output.stderr })
}

/// One that changes something is not killed on drop: half a change would be worse.
fn start(
    doing: &str,
    program: &str,
    args: &[&str],
    stdin: Stdio,
    kill_on_drop: bool,
) -> Result<Child> {
    Command::from(tool(program))
        .args(args)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(kill_on_drop)
        .spawn()
        .map_err(|error| missing(doing, program, &error))
}

fn missing(doing: &str, program: &str, error: &std::io::Error) -> Error {
    let failed = Error::new(ErrorKind::Host, doing).because(format!("run `{program}`: {error}"));
    if error.kind() == std::io::ErrorKind::NotFound {
        return failed.hint(format!("Install it: apt install {}", package_of(program)));
    }
    failed
}
