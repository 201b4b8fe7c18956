//! Databases and queues, and the server that holds the databases.

use serde::{Deserialize, Serialize};

/// How the engine administers databases.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SqlServer {
    /// The container kind.
    pub kind: String,
    /// Port on the members.
    pub port: u16,
    /// The account with which the engine logs in from the host's management address.
    pub user: String,
    /// The secret with its password.
    pub secret: String,
    /// Shell command in a member that runs SQL from its standard input as the local administrator:
    /// `mariadb --batch`.
    pub local_client: String,
    /// Shell command in a member that writes a database, whose name is appended, to its standard
    /// output as SQL that makes the tables anew: `mariadb-dump --single-transaction`.
    pub local_dump: String,
    /// SQL that makes that account, and the account of the load balancer's check, what they should
    /// be (*template*). Safe to run again.
    pub access: String,
}

/// A database with the one user that owns it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The schema's name.
    pub name: String,
    /// The user's name.
    pub user: String,
    /// The secret with its password.
    pub secret: String,
    /// Container kinds from whose addresses it may log in. HAProxy is always among them: that is
    /// where connections come from.
    #[serde(default)]
    pub direct_from: Vec<String>,
}

/// A virtual host with the one user that may use it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// The virtual host's name, with its leading slash.
    pub vhost: String,
    /// The user's name.
    pub user: String,
    /// The secret with its password.
    pub secret: String,
}
