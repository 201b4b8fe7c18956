//! What users and contributors write: profiles, scenarios, releases and the configuration
//! directory's files, with the place each value came from.

pub mod check;
pub mod cloud;
pub mod embedded;
pub mod examples;
pub mod load;
pub mod nearest;
pub mod network;
pub mod origin;
pub mod oslo;
pub mod overrides;
pub mod profile;
pub mod reference;
pub mod release;
pub mod scenario;
pub mod schema;
pub mod variables;
pub mod yaml;
