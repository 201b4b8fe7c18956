//! One connection: who it is, which container it is for, and its channels.
//!
//! Requests are answered here, at once and in order, since the library remembers only for the last
//! one whether an answer is wanted; what they ask for is done by the channel's own task.

use std::net::SocketAddr;
use std::sync::Arc;

use russh::server::{
    Auth, ChannelOpenHandle, Handle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, Pty};
use tokio::sync::{Semaphore, watch};

use super::client::{Client, Shared};
use super::inside::wire::Destination;
use super::keys::{Key, Keys};
use super::{forward, names, session};
use crate::error::Result;
use crate::state::topology::Topology;

/// Channels of one connection at once.
const MAX_CHANNELS: usize = 64;

/// The library's view of a connection.
pub struct Connection {
    shared: Arc<Shared>,
    peer: SocketAddr,
    number: u64,
    keys: Option<Keys>,
    user: Option<(String, Key)>,
    client: Option<Arc<Client>>,
    admitted: watch::Sender<bool>,
}

impl Connection {
    /// A new one; `admitted` is told when somebody has come in.
    pub fn new(
        shared: Arc<Shared>,
        peer: SocketAddr,
        number: u64,
        admitted: watch::Sender<bool>,
    ) -> Self {
        Self { shared, peer, number, keys: None, user: None, client: None, admitted }
    }

    /// Whether a key may come in. Keys are read once for a connection.
    fn find(&mut self, user: &str, key: &russh::keys::PublicKey) -> Option<Key> {
        let keys = self.keys.get_or_insert_with(|| {
            // Without a key nobody comes in; whoever runs the gateway was told at its start.
            self.shared.keys.load().unwrap_or_default()
        });
        let found = keys.find(key).cloned();
        if found.is_none() {
            let fingerprint = key.fingerprint(russh::keys::HashAlg::Sha256);
            let refused = format!("refused {user:?} with {fingerprint}");
            let kind = format!("{} {refused}", self.peer.ip());
            let text = format!("#{} from {}: {refused}", self.number, self.peer);
            self.shared.log.stranger(&kind, &text);
        }
        found
    }

    fn log(&self, text: &str) {
        self.shared.log.line(&format!("#{} from {}: {text}", self.number, self.peer));
    }

    fn enter(&self, user: &str, key: &Key) -> Result<Client> {
        let topology = Topology::load(&self.shared.paths)?;
        let container = names::select(&topology, user)?.clone();
        let label = format!("#{} {}", self.number, container.name);
        let (fingerprint, comment) = (&key.fingerprint, &key.comment);
        self.log(&format!("admitted {fingerprint} ({comment}) to {}", container.name));
        Ok(Client {
            shared: Arc::clone(&self.shared),
            container,
            label,
            peer: self.peer,
            channels: Arc::new(Semaphore::new(MAX_CHANNELS)),
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.client.is_some() {
            self.log("disconnected");
        }
    }
}

fn judged(key: Option<Key>) -> Auth {
    if key.is_some() { Auth::Accept } else { Auth::reject() }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(judged(self.find(user, offer.public_key)))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let key = self.find(user, key.public_key);
        self.user = key.clone().map(|key| (user.to_owned(), key));
        Ok(judged(key))
    }

    /// Only who holds a key learns which containers there are.
    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Self::Error> {
        let Some((user, key)) = self.user.take() else {
            return Err(russh::Error::NotAuthenticated);
        };
        match self.enter(&user, &key) {
            Ok(client) => {
                self.client = Some(Arc::new(client));
                self.admitted.send_replace(true);
                Ok(())
            }
            Err(error) => {
                self.log(&format!("no container for {user:?}: {error}"));
                let text = format!("{error}. {}", error.hints.join(" "));
                session.disconnect(Disconnect::ByApplication, text.trim(), "")
            }
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(client) = self.client.clone() else { return Ok(()) };
        let Ok(permit) = Arc::clone(&client.channels).try_acquire_owned() else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        reply.accept().await;
        let handle = session.handle();
        tokio::spawn(async move {
            session::serve(channel, handle, client).await;
            drop(permit);
        });
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let destination = self.client.as_ref().and_then(|client| client.destination(host, port));
        self.forward(channel, destination, reply, session.handle()).await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let destination = Destination::Path(path.to_owned());
        self.forward(channel, Some(destination), reply, session.handle()).await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name == session::SFTP {
            session.channel_success(channel)
        } else {
            session.channel_failure(channel)
        }
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}

impl Connection {
    async fn forward(
        &self,
        channel: Channel<Msg>,
        destination: Option<Destination>,
        reply: ChannelOpenHandle,
        handle: Handle,
    ) {
        let (Some(client), Some(destination)) = (self.client.clone(), destination) else {
            return reply.reject(ChannelOpenFailure::ConnectFailed).await;
        };
        let Ok(permit) = Arc::clone(&client.channels).try_acquire_owned() else {
            return reply.reject(ChannelOpenFailure::ResourceShortage).await;
        };
        // Connecting takes its time, and others of this connection shall not wait for it.
        tokio::spawn(async move {
            forward::serve(channel, reply, handle, client, destination).await;
            drop(permit);
        });
    }
}
