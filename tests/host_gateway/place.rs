//! Where on this host the tests of the gateway stand.

pub const CLOUD: &str = "aiotg";
pub const STATE: &str = "/var/lib/aio-test-gateway";
pub const BRIDGE: &str = "aiotg0";
pub const NETWORK: &str = "198.18.8";
