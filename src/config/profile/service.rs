//! A service: one file of `profiles/services/`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Identity;
use crate::config::profile::{
    Check, ContainerKind, Database, Frontend, IdentityServer, Lasting, Leave, LoadBalancer, Queue,
    ServiceDev, ServiceUpgrade, SetupCommand, SqlServer, Suite,
};

/// One file of `profiles/services/`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceProfile {
    /// The service's name, equal to the file's stem: `heat`.
    pub service: String,
    /// One line for tables.
    pub summary: String,
    /// Services that must be in a cloud that has this one.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What a user may set in `user_variables.yml` or with `--set`.
    #[serde(default)]
    pub variables: IndexMap<String, Variable>,
    /// The container kinds, in the order in which they are shown.
    pub containers: IndexMap<String, ContainerKind>,
    /// Databases in the cloud's MariaDB.
    #[serde(default)]
    pub databases: Vec<Database>,
    /// Virtual hosts in the cloud's RabbitMQ.
    #[serde(default)]
    pub queues: Vec<Queue>,
    /// What the identity service must know.
    #[serde(default)]
    pub identity: Identity,
    /// What HAProxy serves on the virtual address.
    #[serde(default)]
    pub frontends: Vec<Frontend>,
    /// Names of frontends, of any service, that the servers which this service makes for users must
    /// reach at the virtual address. Those that are exposed all servers reach, no others any.
    #[serde(default)]
    pub guests_reach: Vec<String>,
    /// Commands that prepare the service before its units start, in order.
    #[serde(default)]
    pub setup: Vec<SetupCommand>,
    /// What is done when members go for good.
    #[serde(default)]
    pub leave: Leave,
    /// Set by the one service that holds the databases of all others.
    #[serde(default)]
    pub sql_server: Option<SqlServer>,
    /// Set by the one service that balances the frontends of all others.
    #[serde(default)]
    pub load_balancer: Option<LoadBalancer>,
    /// Set by the one service that issues tokens and holds the catalog.
    #[serde(default)]
    pub identity_server: Option<IdentityServer>,
    /// How a checkout runs in place of the packaged code; absent where none can.
    #[serde(default)]
    pub dev: Option<ServiceDev>,
    /// How it comes from one release to the next.
    #[serde(default)]
    pub upgrade: Option<ServiceUpgrade>,
    /// Its functional round: what `aio verify` does.
    #[serde(default)]
    pub verify: Vec<Check>,
    /// What `aio verify --before` makes and `--after` finds again.
    #[serde(default)]
    pub lasting: Vec<Lasting>,
    /// Test suites that come with the software.
    #[serde(default)]
    pub suites: Vec<Suite>,
}

/// A value that a user may set.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// One line: what it does, with the unit.
    pub description: String,
    /// The value when nobody sets one. Its YAML type is the type of the variable.
    pub default: serde_json::Value,
    /// The allowed values, if they are few.
    #[serde(default)]
    pub choices: Vec<serde_json::Value>,
}
