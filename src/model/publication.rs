//! Directories and files of the host that a container sees for a while.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where publications appear in a container. `/dev` is LXC's own tmpfs: nothing of it is in the
/// container's root.
pub const IN_CONTAINER: &str = "/dev/.aio";

/// What is published together, and withdrawn together.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Publication {
    /// The unit that it is for; its directory below the place is called so.
    pub unit: String,
    /// The drop-in of that unit.
    pub drop_in: String,
    pub directories: BTreeMap<String, Directory>,
    /// Files by their path below the publication's directory, readable for all.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The same, of what can be run.
    #[serde(default)]
    pub programs: BTreeMap<String, Vec<u8>>,
}

/// A directory of the host as it appears in a container: never with set-user-ID programs or devices.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Directory {
    /// On the host. For [`Access::Read`], no part of it is a symbolic link.
    pub source: PathBuf,
    /// How its owners appear, and whether it can be written to.
    pub access: Access,
}

/// How a directory of the host appears.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Read-only; what user `owner` of the host owns appears as the container's user `reader`, what
    /// others own as nobody's. So the reader can read what only the owner may, and nobody could
    /// write even if the mount were writable: no other id has a meaning on the disk.
    Read {
        /// User id on the host's disk.
        owner: u32,
        /// User id in the container.
        reader: u32,
    },
    /// Writable; ids on the disk are those of the container.
    Write,
}

impl Publication {
    /// A directory of root's, seen under a name by root in the container and by whom it lets.
    pub fn of_root(unit: impl Into<String>, name: &str, source: PathBuf) -> Self {
        let directory = Directory { source, access: Access::Read { owner: 0, reader: 0 } };
        Self {
            unit: unit.into(),
            drop_in: String::new(),
            directories: BTreeMap::from([(name.to_owned(), directory)]),
            files: BTreeMap::new(),
            programs: BTreeMap::new(),
        }
    }

    pub fn path_in_container(unit: &str) -> String {
        format!("{IN_CONTAINER}/{unit}")
    }
}
