//! What the tests in `tests/` and `fuzz/` use of the rooms. Everything else is seen by this crate
//! alone, so that the compiler knows what nothing uses.

pub use crate::commands::dev::confined::Look;
pub use crate::commands::dev::source::look::Question;
pub use crate::commands::dev::source::project::Project;
pub use crate::config::cloud::CloudFile;
pub use crate::config::load::Profiles;
pub use crate::config::network::NetworkRole;
pub use crate::config::oslo::Ini;
pub use crate::config::variables::UserVariables;
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::gateway::server::log_file as gateway_log;
pub use crate::gateway::stop as stop_gateway;
pub use crate::host::confined::{self, Job, Order};
pub use crate::host::containers::{HostFeatures, RealContainers, limits};
pub use crate::host::facts::{self, Depth};
pub use crate::host::journal::parse as parse_journal;
pub use crate::host::layers::RealLayers;
pub use crate::host::layers::sources::{self, fingerprint};
pub use crate::host::network::RealNetwork;
pub use crate::host::records::RealRecords;
pub use crate::host::settings::RealSettings;
pub use crate::host::subids::{self, IdRanges};
pub use crate::host::{
    BuildProgress, ContainerState, Containers, HostNetwork, Layers, Listen, Records, Settings, Stop,
};
pub use crate::lxc::protocol::{Reply, Request, encode, receive};
pub use crate::lxc::sandbox::{Lent, Sandbox};
pub use crate::model::command::{Command, Output};
pub use crate::model::facts::{Ability, HostAddress, NetworkFacts, Presence};
pub use crate::model::file::ContainerFile;
pub use crate::model::host_network::{Exposed, HostNetworkSpec, Port};
pub use crate::model::layer::{LayerFile, LayerSpec};
pub use crate::model::paths::{Paths, RUN_DIR};
pub use crate::model::publication::{Access, Directory, Publication};
pub use crate::model::ranges::{self, bridge_name};
pub use crate::model::requirement::{Conditional, Requirement};
pub use crate::model::topology::{Container, Data, Interface, Renewed};
pub use crate::model::{addresses, sizing};
pub use crate::secrets::file::SecretsFile;
pub use crate::secrets::spec::SecretSpec;
pub use crate::state::files::prepare;
pub use crate::state::topology::Topology;
pub use crate::ui::harmless::harmless;
