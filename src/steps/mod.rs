//! What steps do: observe, act, look again. They never print and never see the command line.

pub mod balancer;
pub mod catalog;
pub mod cluster;
pub mod container;
pub mod database;
pub mod departed;
pub mod dropped_data;
pub mod dumps;
pub mod health;
pub mod host;
pub mod identity;
pub mod layer;
pub mod pending;
pub mod probe;
pub mod records;
pub mod rejoin;
pub mod remove;
pub mod service;
pub mod setup;
pub mod site;
pub mod swapped_files;
pub mod unfinished;
pub mod units;
