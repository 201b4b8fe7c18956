//! Where on this host the tests of containers stand.

pub const CLOUD: &str = "aiotc";
pub const STATE: &str = "/var/lib/aio-test-containers";
pub const BRIDGE: &str = "aiotc0";
pub const NETWORK: &str = "198.18.7";
