//! What a container's unit said, as a value.

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Microseconds since the epoch.
    pub time_us: u64,
    /// The machine id of the container.
    pub machine_id: String,
    pub hostname: String,
    /// The unit, or what the writer calls itself.
    pub unit: String,
    /// The process in the container.
    pub pid: Option<u32>,
    /// 0 (emergency) to 7 (debug).
    pub priority: u8,
    /// What it says; may have several lines.
    pub message: String,
}
