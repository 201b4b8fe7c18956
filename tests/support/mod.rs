//! What the tests and the figures on a real host share.
#![allow(dead_code, reason = "each binary uses a part of it")]

pub mod checks;
pub mod cloud;
pub mod faults;
pub mod host;
pub mod load;
pub mod openstack;
pub mod process;
pub mod sources;
