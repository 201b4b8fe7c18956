//! What the identity service must know, and the service that is it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the engine talks to the identity service (API version 3).
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityServer {
    /// The frontend that serves it.
    pub frontend: String,
    /// The administrator's user name (domain `Default`).
    pub user: String,
    /// The administrator's project (domain `Default`).
    pub project: String,
    /// The secret with the administrator's password.
    pub secret: String,
    /// The roles that it makes itself.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// What the identity service must know of a service.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Domains beside `Default`.
    #[serde(default)]
    pub domains: Vec<Domain>,
    /// Projects.
    #[serde(default)]
    pub projects: Vec<Project>,
    /// Roles beside those that the identity service makes itself.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Users.
    #[serde(default)]
    pub users: Vec<User>,
    /// Entries of the catalog.
    #[serde(default)]
    pub services: Vec<CatalogService>,
}

/// A domain.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// One line.
    #[serde(default)]
    pub description: String,
}

/// A project.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// The domain's name.
    #[serde(default = "default_domain")]
    pub domain: String,
    /// One line.
    #[serde(default)]
    pub description: String,
}

fn default_domain() -> String {
    "Default".to_owned()
}

/// A user with its roles.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name.
    pub name: String,
    /// The domain's name.
    #[serde(default = "default_domain")]
    pub domain: String,
    /// The secret with its password.
    pub secret: String,
    /// What it may do.
    #[serde(default)]
    pub roles: Vec<RoleAssignment>,
}

/// A role on a project or on a domain; exactly one of the two is set.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RoleAssignment {
    /// The role's name.
    pub role: String,
    /// The project's name (in the user's domain).
    #[serde(default)]
    pub project: Option<String>,
    /// The domain's name.
    #[serde(default)]
    pub domain: Option<String>,
}

/// An entry of the catalog: public, internal and admin endpoints of one frontend.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogService {
    /// Its name: `heat`.
    pub name: String,
    /// Its type: `orchestration`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line.
    #[serde(default)]
    pub description: String,
    /// The frontend that serves it.
    pub frontend: String,
    /// What follows the port: `/v1/%(project_id)s`.
    #[serde(default)]
    pub path: String,
}
