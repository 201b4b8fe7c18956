//! A connection from inside a container: made by the attached child, in the container's network and
//! with its name resolution, and handed to the gateway as a socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::wire::{self, Destination, Reply};

/// How long one address may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects and answers. The child's exit status.
pub fn connect(destination: &Destination, control: BorrowedFd<'_>) -> i32 {
    let connected = match destination {
        Destination::Port { host, port, own } => to_port(host, *port, own),
        Destination::Path(path) => UnixStream::connect(path)
            .map(OwnedFd::from)
            .map_err(|error| format!("connect to `{path}` in the container: {error}")),
    };
    let answered = match &connected {
        Ok(socket) => wire::send_reply(control, &Reply::Connected, Some(socket.as_fd())),
        Err(message) => wire::send_reply(control, &Reply::Failed(message.clone()), None),
    };
    i32::from(connected.is_err() || answered.is_err())
}

fn to_port(host: &str, port: u16, own: &[Ipv4Addr]) -> Result<OwnedFd, String> {
    let mut last = io::Error::other("the name has no address");
    for address in addresses(host, port, own).map_err(|error| format!("find {host}: {error}"))? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream.into()),
            Err(error) => last = error,
        }
    }
    Err(format!("connect to {host}:{port} in the container: {last}"))
}

/// What a client means by a host: the container itself listens on the loopback or, as most daemons
/// of a cloud do, on an address of its own.
fn addresses(host: &str, port: u16, own: &[Ipv4Addr]) -> io::Result<Vec<SocketAddr>> {
    let mut all: Vec<SocketAddr> = match host {
        "localhost" => vec![([127, 0, 0, 1], port).into(), ([0, 0, 0, 0, 0, 0, 0, 1], port).into()],
        _ => (host, port).to_socket_addrs()?.collect(),
    };
    let itself = |address: &SocketAddr| match address {
        SocketAddr::V4(address) => address.ip().is_loopback() || own.contains(address.ip()),
        SocketAddr::V6(address) => address.ip().is_loopback(),
    };
    if all.iter().any(itself) {
        all.extend(own.iter().map(|address| SocketAddr::from((*address, port))));
        all.push(([127, 0, 0, 1], port).into());
    }
    let mut seen = Vec::new();
    all.retain(|address| {
        let new = !seen.contains(address);
        seen.push(*address);
        new
    });
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(host: &str) -> Vec<String> {
        let own = [Ipv4Addr::new(172, 29, 236, 7)];
        addresses(host, 80, &own).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn localhost_means_the_loopback_first_and_then_the_containers_own_addresses() {
        assert_eq!(texts("localhost"), ["127.0.0.1:80", "[::1]:80", "172.29.236.7:80"]);
        assert_eq!(texts("127.0.0.1"), ["127.0.0.1:80", "172.29.236.7:80"]);
    }

    #[test]
    fn the_containers_own_address_may_mean_its_loopback() {
        assert_eq!(texts("172.29.236.7"), ["172.29.236.7:80", "127.0.0.1:80"]);
    }

    #[test]
    fn another_host_means_only_that() {
        assert_eq!(texts("172.29.236.8"), ["172.29.236.8:80"]);
    }

    #[test]
    fn a_refusal_says_what_was_tried() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(to_port("localhost", port, &[]).is_ok());
        drop(listener);
        let error = to_port("localhost", port, &[]).unwrap_err();
        assert!(error.contains(&format!("localhost:{port} in the container")), "{error}");
    }
}
