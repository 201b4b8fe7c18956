//! What `aio` keeps on the host: directories, lock, records.

pub mod files;
pub mod paths;
pub mod topology;
