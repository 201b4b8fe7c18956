//! Databases and queues, and the server that holds the databases.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the engine administers databases.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
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
    /// output as SQL that makes the tables anew: `mariadb-dump --single-transaction`. For several
    /// databases `--add-drop-database --databases` and their names are appended.
    pub local_dump: String,
    /// SQL that makes that account, and the account of the load balancer's check, what they should
    /// be (*template*). Safe to run again.
    pub access: String,
}

/// A database with the one user that owns it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
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

/// A virtual host with the one user that may do everything in it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// The virtual host's name, with its leading slash.
    pub vhost: String,
    /// The user's name.
    pub user: String,
    /// The secret with its password.
    pub secret: String,
    /// Users that may do a part of that, for whoever is trusted less than the service.
    #[serde(default)]
    pub limited: Vec<LimitedUser>,
    /// What passes from one exchange of the virtual host to another. Both are made, durable topic
    /// exchanges, before any service is there.
    #[serde(default)]
    pub bindings: Vec<Binding>,
}

/// A user that may not do everything in a virtual host. What it may is said in RabbitMQ's own words.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LimitedUser {
    /// The user's name.
    pub user: String,
    /// The secret with its password.
    pub secret: String,
    /// Which exchanges and queues it may make and remove: a regular expression, anchored.
    pub configure: String,
    /// To which it may send.
    pub write: String,
    /// From which it may receive.
    pub read: String,
    /// On topic exchanges, what it may send and receive by routing key.
    #[serde(default)]
    pub topics: Vec<TopicLimit>,
}

/// What a user may do on one topic exchange.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TopicLimit {
    /// The exchange.
    pub exchange: String,
    /// Routing keys with which it may send: a regular expression, anchored.
    pub write: String,
    /// Routing keys by which it may receive.
    pub read: String,
}

/// What passes from one exchange to another.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The exchange from which.
    pub from: String,
    /// The exchange to which.
    pub to: String,
    /// Its routing keys, as topic exchanges know them: `guestagent.#`.
    pub key: String,
}
