//! From the host's loopback to a debugger on a container's loopback, as long as `aio dev` runs.
//!
//! A debugger has no password: whoever reaches it runs code as the service. In the container it
//! listens where nothing but the container is; here, only root and the user who called come through.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::source::user::User;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::gateway::forward;
use crate::gateway::inside::wire::{Destination, Job, Request};
use crate::model::paths::Paths;
use crate::model::topology::Container;
use crate::ui;
use crate::ui::repeats::Repeats;

/// Connections at once: an editor makes one, and a few more while it looks whether one is there.
const MOST: usize = 16;
/// The column of a connection that stands, in `/proc/net/tcp`. Later its user is not told any more.
const ESTABLISHED: &str = "01";

/// A port of the host's loopback that is taken.
pub struct Entrance {
    listener: TcpListener,
    port: u16,
}

/// Ends with this value.
pub struct Tunnel {
    task: JoinHandle<()>,
    refused: Arc<Refused>,
}

/// Who did not come through. Any user of the host can knock as often as he likes.
#[derive(Default)]
struct Refused(Mutex<Repeats>);

impl Entrance {
    /// Takes the port; nothing is led on yet.
    pub async fn open(port: u16) -> Result<Self> {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Error::new(ErrorKind::Usage, format!("listen on {address} for the debugger"))
                .because(error)
                .hint("`--debug PORT` takes another port, here and in the container.")
        })?;
        Ok(Self { listener, port })
    }

    /// Leads what comes to the same port of the container's loopback.
    pub fn lead_to(self, container: &Container) -> Result<Tunnel> {
        let user = User::invoking()?.uid;
        let destination =
            Destination::Port { host: "127.0.0.1".to_owned(), port: self.port, own: Vec::new() };
        let request = Arc::new(Request {
            container: container.name.clone(),
            log: Paths::lxc_dir(&container.name).join("lxc.log"),
            environment: container.environment.clone(),
            job: Job::Connect(destination),
            terminal: None,
            open_files: None,
        });
        let slots = Arc::new(Semaphore::new(MOST));
        let refused = Arc::new(Refused::default());
        let told = Arc::clone(&refused);
        let task = tokio::spawn(async move {
            while let Ok((stream, peer)) = self.listener.accept().await {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
                let request = Arc::clone(&request);
                let refused = Arc::clone(&told);
                tokio::spawn(async move {
                    if let Err(error) = carry(stream, peer, user, &request).await {
                        refused.tell(&format!("A debugger did not come through: {error}"));
                    }
                    drop(slot);
                });
            }
        });
        Ok(Tunnel { task, refused })
    }
}

impl Refused {
    fn tell(&self, text: &str) {
        let said = self.repeats().say(text, text, Instant::now());
        if let Some(text) = said {
            ui::out::note(&text);
        }
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
        for text in self.refused.repeats().rest() {
            ui::out::note(&text);
        }
    }
}

async fn carry(mut here: TcpStream, peer: SocketAddr, user: u32, request: &Request) -> Result<()> {
    let doing = || "lead a debugger into the container".to_owned();
    let own = here.local_addr().doing(doing)?;
    match owner(peer, own).doing(doing)? {
        Some(who) if who == 0 || who == user => {}
        Some(who) => {
            return Err(Error::failed(doing()).because(format!(
                "user {who} wanted in, and only root and the user who called `sudo aio` may"
            )));
        }
        None => return Err(Error::failed(doing()).because("nobody knows whose it is")),
    }
    let mut there = forward::tcp(request).await?;
    // Debuggers talk in small messages.
    here.set_nodelay(true).doing(doing)?;
    // However either side ends: the other learns of it by the end of its stream.
    let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
    Ok(())
}

/// Returns who has the other end of a connection on this host.
fn owner(peer: SocketAddr, own: SocketAddr) -> io::Result<Option<u32>> {
    let (SocketAddr::V4(peer), SocketAddr::V4(own)) = (peer, own) else { return Ok(None) };
    Ok(owner_in(&std::fs::read_to_string("/proc/net/tcp")?, peer, own))
}

/// See proc(5): local address, remote address, state, and later the user id.
fn owner_in(table: &str, peer: SocketAddrV4, own: SocketAddrV4) -> Option<u32> {
    let written = |address: SocketAddrV4| {
        let number = u32::from_ne_bytes(address.ip().octets());
        format!("{number:08X}:{:04X}", address.port())
    };
    let (peer, own) = (written(peer), written(own));
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is = fields.get(1..4)? == [peer.as_str(), own.as_str(), ESTABLISHED];
        is.then(|| fields.get(7)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_owner_of_a_connection_is_known_while_it_stands() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, peer) = listener.accept().await.unwrap();
        let own = accepted.local_addr().unwrap();
        assert_eq!(owner(peer, own).unwrap(), Some(rustix::process::getuid().as_raw()));
        drop(client);
        // What was sent before may be read; by whom it was is not told any more, or wrongly.
        assert_eq!(owner(peer, own).unwrap(), None);
    }

    #[test]
    fn a_connection_that_ends_is_nobodys() {
        let (peer, own) = ("127.0.0.1:40000".parse().unwrap(), "127.0.0.1:5678".parse().unwrap());
        let line = |state: &str| {
            format!(
                "   1: 0100007F:9C40 0100007F:162E {state} 00000000:00000000 00:00000000 0 1000 0 7\n"
            )
        };
        let columns = |state: &str| line(state).replace(" 0 1000", " 00000000 1000");
        assert_eq!(owner_in(&columns("01"), peer, own), Some(1000));
        for state in ["04", "05", "06"] {
            assert_eq!(owner_in(&columns(state), peer, own), None);
        }
    }
}
