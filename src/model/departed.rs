//! Members that were taken out of the cloud for good.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::topology::{Container, label};

/// What services may have recorded of one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Departed {
    pub name: String,
    pub hostname: String,
    /// The address that its daemons bound.
    pub address: Option<Ipv4Addr>,
    pub kind: String,
    pub member: u32,
}

impl From<&Container> for Departed {
    fn from(container: &Container) -> Self {
        Self {
            name: container.name.clone(),
            hostname: container.hostname.clone(),
            address: container.management_address(),
            kind: container.kind.clone(),
            member: container.member,
        }
    }
}

impl Departed {
    /// `nova_compute/2`, for people.
    pub fn label(&self) -> String {
        label(&self.kind, self.member)
    }
}

/// Their labels in a row.
pub fn labels(departed: &[Departed]) -> String {
    let labels: Vec<String> = departed.iter().map(Departed::label).collect();
    labels.join(", ")
}
