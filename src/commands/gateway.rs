//! `aio gateway`: an SSH server in front of all containers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use super::global::Global;
use super::runtime::block_on;
use crate::cloud::require_root;
use crate::error::{Error, ErrorKind, Result};
use crate::gateway::keys::Source;
use crate::gateway::server::Server;
use crate::gateway::{Options, daemon, host_key, records, ssh_config};
use crate::state::topology::Topology;
use crate::ui;

/// Arguments of `aio gateway`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  sudo aio gateway --detach                       in the background; says where it listens
  ssh -p 2222 heat_engine@127.0.0.1               a login shell in that container
  ssh -p 2222 galera-2@127.0.0.1 journalctl -n 5  a command in the second member of a kind
  scp -P 2222 patch.py heat_engine@127.0.0.1:     files; sftp works too
  ssh -p 2222 -L 8004:localhost:8004 heat_apis@127.0.0.1
                                                  a port of the container, here
  sudo aio gateway --print-ssh-config >> ~/.ssh/config
                                                  from then on: ssh aio-heat_engine
  sudo aio gateway --stop                         ends it, and what runs through it

The user name is the container: its kind, KIND-MEMBER, its full name, or the eight digits that end
it. Everybody is root there. Only public keys open it: without --authorized-keys, those in
~/.ssh/id_*.pub of the user who called sudo, else of root. They are read again for every connection.")]
pub struct Args {
    /// Where to listen: ADDRESS:PORT, or a port of the loopback
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:2222", value_parser = address)]
    pub listen: SocketAddr,
    /// Run in the background, and return when it listens
    #[arg(long)]
    pub detach: bool,
    /// A file with public keys that may come in; may be given several times
    #[arg(long, value_name = "FILE")]
    pub authorized_keys: Vec<PathBuf>,
    /// Print what makes `ssh aio-heat_engine` work, for ~/.ssh/config
    #[arg(long, conflicts_with_all = ["detach", "authorized_keys"])]
    pub print_ssh_config: bool,
    /// Say whether one runs, and where
    #[arg(long, conflicts_with_all = ["detach", "authorized_keys", "print_ssh_config", "stop"])]
    pub status: bool,
    /// End the gateways of this cloud, with all that runs through them
    #[arg(long, conflicts_with_all = ["detach", "authorized_keys", "print_ssh_config"])]
    pub stop: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    let whole = text.replace("localhost", "127.0.0.1").parse::<SocketAddr>();
    whole
        .or_else(|_| port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
        .map_err(|_| "write ADDRESS:PORT, for example 127.0.0.1:2222".to_owned())
}

pub fn run(global: &Global, args: &Args) -> Result<ExitCode> {
    require_root("gateway")?;
    let paths = global.paths();
    if args.stop {
        let stopped = records::stop(&paths)?;
        note(global, if stopped { "The gateway has ended." } else { "No gateway was running." });
        return Ok(ExitCode::SUCCESS);
    }
    if args.status {
        return status(global);
    }
    let topology = Topology::load(&paths)?;
    if args.print_ssh_config {
        host_key::load(&paths)?;
        let running = records::running(&paths);
        let listen = running.first().map_or(args.listen, |record| record.address);
        ui::out::text(&ssh_config::render(&paths, &topology, listen))?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options {
        keys: keys(global, &args.authorized_keys)?,
        config_dir: paths.config_dir,
        state_dir: paths.state_dir,
        cloud: paths.cloud,
        listen: args.listen,
        echo: !args.detach && !global.quiet,
    };
    if args.detach {
        let (pid, address) = daemon::start(&options)?;
        return listening(global, pid, address).map(|()| ExitCode::SUCCESS);
    }
    block_on(async {
        let server = Server::listen(&options).await?;
        listening(global, std::process::id(), server.address())?;
        daemon::run(server).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Says which keys open it, and which cannot.
fn keys(global: &Global, named: &[PathBuf]) -> Result<Source> {
    let absolute = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
    let source = Source::new(&named.iter().map(absolute).collect::<Vec<_>>());
    let keys = source.load()?;
    for key in &keys.usable {
        let text = format!("key {} {} ({})", key.fingerprint, key.comment, key.file.display());
        note(global, &text);
    }
    for refused in &keys.refused {
        ui::out::note(&format!("warning: not used: {refused}"));
    }
    Ok(source)
}

fn note(global: &Global, text: &str) {
    if !global.quiet {
        ui::out::note(text);
    }
}

fn listening(global: &Global, pid: u32, address: SocketAddr) -> Result<()> {
    let data = serde_json::json!({ "pid": pid, "address": address.to_string() });
    global.print(&data, |_| format!("listening on {address} (process {pid})\n"))
}

fn status(global: &Global) -> Result<ExitCode> {
    let running = records::running(&global.paths());
    for record in &running {
        listening(global, record.pid, record.address)?;
    }
    if running.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "find the gateway")
            .because("none of this cloud runs")
            .hint("`sudo aio gateway --detach` starts one."));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn a_port_alone_is_one_of_the_loopback() {
        for text in ["2200", ":2200", "localhost:2200", "127.0.0.1:2200"] {
            assert_eq!(address(text).unwrap().to_string(), "127.0.0.1:2200");
        }
        assert_eq!(address("[::]:22").unwrap().to_string(), "[::]:22");
        for text in ["", "host", "1.2.3.4", "70000"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
