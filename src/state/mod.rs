//! What `aio` keeps on the host: directories, lock, records.

pub mod paths;
