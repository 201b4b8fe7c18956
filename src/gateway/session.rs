//! A session channel: a shell, a command or SFTP in the container.
//!
//! One task does it all: it gathers what the client asks for, starts the process, carries input, and
//! ends it when the client goes away. Two small ones carry output, each no faster than the client
//! reads.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Pty, Sig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::input::Input;
use super::inside::NOT_STARTED;
use super::inside::wire::{Job, Request};
use super::process::Process;
use super::terminal::{Master, Size, Terminal};
use crate::error::{Result, ResultExt};

/// The name of the one subsystem.
pub const SFTP: &str = "sftp";
/// After the command has ended, a daemon that it left may hold its output open for ever.
const LINGER: Duration = Duration::from_millis(300);
/// More than any client sets.
const MAX_VARIABLES: usize = 256;
/// The number by which clients know standard error.
const STDERR: u32 = 1;

/// What a client has asked for so far.
#[derive(Default)]
struct Wishes {
    environment: BTreeMap<String, String>,
    terminal: Option<Terminal>,
}

impl Wishes {
    fn set(&mut self, name: String, value: String) {
        let sound = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
        if sound && self.environment.len() < MAX_VARIABLES {
            self.environment.insert(name, value);
        }
    }
}

/// Serves a channel to its end.
pub async fn serve(channel: Channel<Msg>, handle: Handle, client: Arc<Client>) {
    let (mut reader, writer) = channel.split();
    let mut input = Input::new(client.spool_dir());
    let mut wishes = Wishes::default();
    let Some(job) = gather(&mut reader, &mut wishes, &mut input).await else { return };
    let what = describe(&job, wishes.terminal.is_some());
    client.log(&format!("started: {what}"));
    let begun = Instant::now();
    let outcome = match start(&client, job, wishes).await {
        Ok(running) => running.run(&client, reader, &writer, &handle, input).await,
        Err(error) => {
            let text = format!("aio: {error}\r\n");
            let _ = writer.make_writer_ext(Some(STDERR)).write_all(text.as_bytes()).await;
            client.log(&format!("not started: {what}: {error}"));
            Outcome::Ended(u32::from(NOT_STARTED))
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    match outcome {
        Outcome::Ended(status) => {
            client.log(&format!("ended with {status} after {seconds:.1} s: {what}"));
            let id = writer.id();
            // Clients expect this order. One that has gone already needs none of it.
            let _ = handle.exit_status_request(id, status).await;
            let _ = handle.eof(id).await;
            let _ = handle.close(id).await;
        }
        Outcome::Abandoned(status) => {
            client.log(&format!("abandoned, ended with {status} after {seconds:.1} s: {what}"));
        }
    }
}

fn describe(job: &Job, terminal: bool) -> String {
    let what = match job {
        Job::Shell => "shell".to_owned(),
        Job::Files => "sftp".to_owned(),
        Job::Command(command) => format!("command {}", String::from_utf8_lossy(command)),
        Job::Connect(destination) => format!("connection to {destination:?}"),
    };
    if terminal { format!("{what} (on a terminal)") } else { what }
}

/// Takes requests until one says what to run; `None` when the client closed the channel.
async fn gather(
    reader: &mut ChannelReadHalf,
    wishes: &mut Wishes,
    input: &mut Input,
) -> Option<Job> {
    loop {
        match reader.wait().await? {
            ChannelMsg::SetEnv { variable_name, variable_value, .. } => {
                wishes.set(variable_name, variable_value);
            }
            ChannelMsg::RequestPty {
                term,
                col_width,
                row_height,
                pix_width,
                pix_height,
                terminal_modes,
                ..
            } => {
                let modes = terminal_modes
                    .into_iter()
                    .filter(|(mode, _)| *mode != Pty::TTY_OP_END)
                    .map(|(mode, value)| (mode as u8, value));
                wishes.terminal = Some(Terminal {
                    kind: term,
                    size: size(col_width, row_height, pix_width, pix_height),
                    modes: modes.collect(),
                });
            }
            ChannelMsg::WindowChange { col_width, row_height, pix_width, pix_height } => {
                if let Some(terminal) = &mut wishes.terminal {
                    terminal.size = size(col_width, row_height, pix_width, pix_height);
                }
            }
            ChannelMsg::RequestShell { .. } => return Some(Job::Shell),
            ChannelMsg::Exec { command, .. } => return Some(Job::Command(command)),
            ChannelMsg::RequestSubsystem { name, .. } if name == SFTP => return Some(Job::Files),
            ChannelMsg::Data { data } => input.take(data).await.ok()?,
            ChannelMsg::Eof => input.end(),
            ChannelMsg::Close => return None,
            _ => {}
        }
    }
}

fn size(columns: u32, rows: u32, width_pixels: u32, height_pixels: u32) -> Size {
    Size { columns, rows, width_pixels, height_pixels }
}

/// How a session ended.
enum Outcome {
    /// The command ended.
    Ended(u32),
    /// The client went away, and the command was ended.
    Abandoned(u32),
}

type Source = Box<dyn AsyncRead + Unpin + Send>;
type Sink = Box<dyn AsyncWrite + Unpin + Send>;

/// A process with the gateway's ends of its streams.
struct Running {
    process: Process,
    sink: Sink,
    /// Each with the number under which clients know it.
    sources: Vec<(Source, Option<u32>)>,
    terminal: Option<Master>,
}

async fn start(client: &Client, job: Job, wishes: Wishes) -> Result<Running> {
    let doing = || "set up the standard streams".to_owned();
    let terminal = wishes.terminal.filter(|_| job != Job::Files);
    let request = client.request(job, wishes.environment, terminal);
    if request.terminal.is_some() {
        return start_on_terminal(&request).await;
    }
    // The command's ends block, as programs expect.
    let (sink, input) = pipe::pipe().doing(doing)?;
    let input = input.into_blocking_fd().doing(doing)?;
    let (output, stdout) = pipe::pipe().doing(doing)?;
    let output = output.into_blocking_fd().doing(doing)?;
    let (error, stderr) = pipe::pipe().doing(doing)?;
    let error = error.into_blocking_fd().doing(doing)?;
    let process = Process::spawn(&request, &[input.as_fd(), output.as_fd(), error.as_fd()])?;
    drop((input, output, error));
    process.started().await?;
    let sources: Vec<(Source, Option<u32>)> =
        vec![(Box::new(stdout), None), (Box::new(stderr), Some(STDERR))];
    Ok(Running { process, sink: Box::new(sink), sources, terminal: None })
}

async fn start_on_terminal(request: &Request) -> Result<Running> {
    let process = Process::spawn(request, &[])?;
    let master = process.started().await?;
    let doing = || "hold the terminal".to_owned();
    let master = master.ok_or_else(|| std::io::Error::other("none came along")).doing(doing)?;
    let master = Master::new(master);
    let (source, sink) = master.streams().doing(doing)?;
    let sources: Vec<(Source, Option<u32>)> = vec![(Box::new(source), None)];
    Ok(Running { process, sink: Box::new(sink), sources, terminal: Some(master) })
}

impl Running {
    async fn run(
        mut self,
        client: &Client,
        mut reader: ChannelReadHalf,
        writer: &ChannelWriteHalf<Msg>,
        handle: &Handle,
        mut input: Input,
    ) -> Outcome {
        input.lead_to(self.sink);
        let ended = CancellationToken::new();
        let mut outputs = JoinSet::new();
        for (source, number) in self.sources {
            outputs.spawn(carry(source, writer.make_writer_ext(number), ended.clone()));
        }
        let mut status = None;
        let gone = loop {
            tokio::select! {
                message = reader.wait(), if input.has_room() => match message {
                    Some(ChannelMsg::Data { data }) => {
                        if let Err(error) = input.take(data).await {
                            client.log(&format!("input cannot be kept: {error}"));
                            break true;
                        }
                    }
                    Some(ChannelMsg::Eof) => input.end(),
                    Some(ChannelMsg::Signal { signal }) => {
                        if let Some(number) = number_of(&signal) {
                            self.process.signal(number);
                        }
                    }
                    Some(ChannelMsg::WindowChange { col_width, row_height, pix_width, pix_height }) => {
                        if let Some(terminal) = &self.terminal {
                            let _ = terminal.resize(size(col_width, row_height, pix_width, pix_height));
                        }
                    }
                    Some(ChannelMsg::Close) | None => break true,
                    Some(_) => {}
                },
                () = input.pass_on() => {}
                code = self.process.ended(), if status.is_none() => {
                    status = Some(code);
                    input.close();
                    ended.cancel();
                }
                _ = outputs.join_next(), if !outputs.is_empty() => {}
                () = std::future::ready(()), if status.is_some() && outputs.is_empty() => break false,
            }
        };
        // What the client does not read any more goes nowhere; a terminal is held until the end.
        outputs.abort_all();
        drop(input);
        match status {
            Some(status) if gone => Outcome::Abandoned(status),
            Some(status) => Outcome::Ended(status),
            None => {
                let _ = handle.close(writer.id()).await;
                Outcome::Abandoned(self.process.hang_up().await)
            }
        }
    }
}

/// Carries output until it ends or, after the end of the command, until it is silent for a while.
async fn carry(mut source: Source, mut client: impl AsyncWrite + Unpin, ended: CancellationToken) {
    let mut buffer = vec![0; 32 << 10];
    loop {
        let silent = async {
            ended.cancelled().await;
            tokio::time::sleep(LINGER).await;
        };
        let length = tokio::select! {
            biased;
            read = source.read(&mut buffer) => read.unwrap_or(0),
            () = silent => 0,
        };
        if length == 0 || client.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// The number of a signal on this system.
fn number_of(signal: &Sig) -> Option<u8> {
    let number = match signal {
        Sig::ABRT => libc::SIGABRT,
        Sig::ALRM => libc::SIGALRM,
        Sig::FPE => libc::SIGFPE,
        Sig::HUP => libc::SIGHUP,
        Sig::ILL => libc::SIGILL,
        Sig::INT => libc::SIGINT,
        Sig::KILL => libc::SIGKILL,
        Sig::PIPE => libc::SIGPIPE,
        Sig::QUIT => libc::SIGQUIT,
        Sig::SEGV => libc::SIGSEGV,
        Sig::TERM => libc::SIGTERM,
        Sig::USR1 => libc::SIGUSR1,
        Sig::Custom(name) if name == "USR2" => libc::SIGUSR2,
        Sig::Custom(_) => return None,
    };
    u8::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[tokio::test]
    async fn output_is_carried_until_it_is_silent_after_the_end() {
        let (mut command, source) = tokio::io::duplex(64);
        let (client, mut seen) = tokio::io::duplex(1 << 20);
        let ended = CancellationToken::new();
        let carrying = tokio::spawn(carry(Box::new(source), client, ended.clone()));
        command.write_all(b"before ").await.unwrap();
        ended.cancel();
        tokio::time::sleep(LINGER / 3).await;
        command.write_all(b"after").await.unwrap();
        let mut all = String::new();
        // The daemon still holds `command` open.
        seen.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "before after");
        carrying.await.unwrap();
    }

    #[test]
    fn only_sound_variables_are_set() {
        let mut wishes = Wishes::default();
        for (name, value) in [("LANG", "C"), ("", "x"), ("A=B", "x"), ("C", "x\0y")] {
            wishes.set(name.to_owned(), value.to_owned());
        }
        assert_eq!(wishes.environment.len(), 1);
        for number in 0..2 * MAX_VARIABLES {
            wishes.set(format!("V{number}"), String::new());
        }
        assert_eq!(wishes.environment.len(), MAX_VARIABLES);
    }

    #[test]
    fn signals_have_their_numbers() {
        assert_eq!(number_of(&Sig::TERM), Some(15));
        assert_eq!(number_of(&Sig::Custom("USR2".to_owned())), Some(12));
        assert_eq!(number_of(&Sig::Custom("x".to_owned())), None);
    }

    #[tokio::test]
    async fn what_comes_before_the_command_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let mut input = Input::new(directory.path().to_owned());
        input.take(Bytes::from_static(b"early")).await.unwrap();
        input.end();
        let (sink, mut reader) = tokio::io::duplex(64);
        input.lead_to(sink);
        input.pass_on().await;
        input.pass_on().await;
        let mut all = String::new();
        reader.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "early");
    }
}
