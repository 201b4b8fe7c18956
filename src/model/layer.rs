//! Image layers as values: what each is made of, and the name that follows from it.
//!
//! A layer's id is the hash of its parent's id, the suite, the sorted package names, the host's
//! package sources and the files it carries. The versions that were installed are recorded in the
//! layer's manifest and not in its id: else a warm run would have to ask the package index, and a
//! host that is offline could not start a cloud that it has already built.

use serde::{Deserialize, Serialize};

/// What one layer is made of.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct LayerSpec {
    /// For people: `base`, `openstack`, `heat_engine`.
    pub name: String,
    /// Id of the layer below; absent for the base.
    pub parent: Option<String>,
    /// Debian suite: `trixie`.
    pub suite: String,
    /// Packages, sorted.
    pub packages: Vec<String>,
    /// Units of packages that stay unmasked because the system itself needs them.
    pub keep_units: Vec<String>,
    /// Files that are written after the packages are installed: path, octal mode, text. A text that
    /// is empty with mode "link:TARGET" is a symbolic link.
    pub files: Vec<LayerFile>,
    /// Directories that are emptied at the end (`/var/lib/mysql` of a fresh installation is kept
    /// when a profile starts its data from the image).
    pub drop: Vec<String>,
}

/// A file of a layer.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct LayerFile {
    /// Absolute path.
    pub path: String,
    /// Octal mode, or `link` for a symbolic link to `text`.
    pub mode: String,
    /// The content.
    pub text: String,
}
