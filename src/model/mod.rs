//! The cloud as a value. No I/O here: profiles and facts in, a [`cloud::Cloud`] out.

pub mod addresses;
pub mod build;
pub mod cloud;
pub mod departed;
pub mod facts;
pub mod hash;
pub mod journal;
pub mod layer;
pub mod layers;
pub mod network;
pub mod ranges;
pub mod sizing;
pub mod survey;
pub mod swap;
pub mod tap;
pub mod topology;
