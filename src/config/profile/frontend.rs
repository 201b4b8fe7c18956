//! What is served on the virtual address, and the load balancer that serves it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the engine talks to the load balancer. Servers are named by the member's container name.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    /// The container kind.
    pub kind: String,
    /// Its runtime socket in the container, with level `admin`.
    pub socket: String,
    /// What stands before `server_options` on every server's line.
    pub server_defaults: ServerDefaults,
}

/// Options of every server, by the mode of its frontend.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServerDefaults {
    /// Where requests are balanced.
    pub http: String,
    /// Where bytes are.
    pub tcp: String,
}

impl ServerDefaults {
    /// Those of a mode.
    pub fn of(&self, mode: FrontendMode) -> &str {
        match mode {
            FrontendMode::Http => &self.http,
            FrontendMode::Tcp => &self.tcp,
        }
    }
}

/// A port on the virtual address, and who answers there.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Frontend {
    /// Unique among all services; also the name of HAProxy's section.
    pub name: String,
    /// Port on the virtual address.
    pub port: u16,
    /// What HAProxy understands of the traffic.
    pub mode: FrontendMode,
    /// The container kind that answers.
    pub backend: String,
    /// Port on the members; the frontend's when absent.
    #[serde(default)]
    pub backend_port: Option<u16>,
    /// Whether one member serves and the others are its backups.
    #[serde(default)]
    pub single_active: bool,
    /// Further lines of the section, one directive each (*template*).
    #[serde(default)]
    pub options: String,
    /// What follows `server NAME ADDRESS:PORT` on every server's line, `check` included.
    pub server_options: String,
    /// What follows that where everything speaks TLS, and the members do so themselves.
    #[serde(default)]
    pub tls_server_options: String,
    /// How a member is taken out before its units are touched.
    #[serde(default)]
    pub drain: Drain,
    /// Whether `--expose` also serves it on the host's own address.
    #[serde(default)]
    pub expose: bool,
    /// The port where it speaks TLS, outside or everywhere; the frontend's when absent.
    #[serde(default)]
    pub tls_port: Option<u16>,
}

impl Frontend {
    /// The port at which it is reached, in TLS or in clear.
    pub fn port_by(&self, tls: bool) -> u16 {
        self.tls_port.filter(|_| tls).unwrap_or(self.port)
    }
}

/// What HAProxy understands of the traffic.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FrontendMode {
    /// Requests.
    Http,
    /// Bytes.
    Tcp,
}

/// How a member is taken out.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drain {
    /// `drain`: sessions end by themselves (requests).
    #[default]
    Drain,
    /// `maint`: sessions are ended, clients reconnect elsewhere (long-lived connections).
    Maintenance,
}
