//! A gateway of its own, which outlives the terminal: a new process of this binary, in a session of
//! its own, that says on its standard output when it listens, or why it does not.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::options::Options;
use super::server::{Server, log_file};
use crate::error::{Error, Result, ResultExt};
use crate::lxc::process::inheriting;

/// The word on the command line.
pub const COMMAND: &str = "__gateway";

/// What the new process says first: where it listens, or why it does not.
type Beginning = Result<SocketAddr>;

/// Starts it and returns when it listens: its process id and address.
///
/// # Errors
/// When it cannot listen.
pub fn start(options: &Options) -> Result<(u32, SocketAddr)> {
    let doing = || "start the gateway in the background".to_owned();
    let mut child = inheriting("/proc/self/exe")
        .arg0("aio")
        // For `ps` alone: what counts comes on its standard input.
        .args([COMMAND, &options.cloud, &options.listen.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .doing(doing)?;
    let begun = begin(&mut child, options);
    match begun.doing(doing)? {
        Some(Ok(address)) => Ok((child.id(), address)),
        Some(Err(error)) => {
            let _ = child.wait();
            Err(error)
        }
        None => {
            let status = child.wait().doing(doing)?;
            let log = log_file(&options.paths());
            Err(Error::failed(doing())
                .because(format!("it ended at once ({status})"))
                .hint(format!("Its log is {}.", log.display())))
        }
    }
}

fn begin(child: &mut Child, options: &Options) -> std::io::Result<Option<Beginning>> {
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(options)?)?;
    }
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    Ok(serde_json::from_str(&line).ok())
}

/// The new process.
pub fn main() -> ExitCode {
    // The terminal of whoever started it may go.
    let _ = rustix::process::setsid();
    let options: Options = match serde_json::from_reader(std::io::stdin().lock()) {
        Ok(options) => options,
        Err(_) => return ExitCode::FAILURE,
    };
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let ran: Result<()> = runtime.block_on(async {
        let listening = Server::listen(&options).await;
        say(&listening.as_ref().map(Server::address).map_err(Clone::clone));
        let server = listening?;
        super::inside::leave_streams().doing(|| "leave the terminal".to_owned())?;
        run(server).await
    });
    // A thread that still waits for a killed child must not hold up the exit.
    runtime.shutdown_background();
    ran.map_or_else(|error| ExitCode::from(error.kind.exit_code()), |()| ExitCode::SUCCESS)
}

fn say(beginning: &Beginning) {
    // Whoever waited for it may have been interrupted; the gateway runs all the same.
    if let Ok(text) = serde_json::to_string(beginning) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

/// Serves until SIGTERM, Ctrl-C or the loss of the terminal.
///
/// # Errors
/// When signals cannot be listened for.
pub async fn run(server: Server) -> Result<()> {
    let interrupt = crate::engine::interrupt::Interrupt::on_signals()?;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.serve(stop.clone()));
    interrupt.cancel.cancelled().await;
    stop.cancel();
    tokio::select! {
        _ = serving => {}
        () = interrupt.kill.cancelled() => {}
        () = tokio::time::sleep(Duration::from_secs(10)) => {}
    }
    Ok(())
}
