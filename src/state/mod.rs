//! What `aio` keeps on the host: directories, lock, records.

pub mod files;
pub mod lock;
pub mod swaps;
pub mod topology;
pub mod upgrade;
