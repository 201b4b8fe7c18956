//! The cloud as a value. No I/O here: profiles and facts in, a [`cloud::Cloud`] out.

pub mod addresses;
pub mod build;
pub mod cloud;
pub mod command;
pub mod decide;
pub mod departed;
pub mod duration;
pub mod facts;
pub mod file;
pub mod firewall;
pub mod hash;
pub mod health;
pub mod host_network;
pub mod journal;
pub mod layer;
pub mod layers;
pub mod lock;
pub mod paths;
pub mod publication;
pub mod ranges;
pub mod renew;
pub mod requirement;
pub mod sizing;
pub mod startup;
pub mod swap;
pub mod topology;
