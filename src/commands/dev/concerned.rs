//! Which units a saved file concerns: those whose processes have loaded it, as they write down
//! (`bootstrap/dev/sitecustomize.py`). What a container says can only keep its own unit from a restart.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::source::project::declares;
use super::source::tree::Tree;
use crate::model::swap::{Checkout, Swap};

/// A file of a checkout that was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The work tree.
    pub root: PathBuf,
    /// Below it.
    pub file: PathBuf,
    /// Whether git does not know it.
    pub is_new: bool,
}

/// The Python files that a unit's processes have loaded, by their paths in the container.
pub struct Loaded(BTreeSet<String>);

impl Loaded {
    /// Reads what they wrote down; nothing where that is not there or too long.
    pub fn read(swap: &Swap) -> Option<Self> {
        let text =
            Tree::open(&swap.byte_code).ok()?.read(Path::new(&swap.loaded_file())).ok()??;
        Some(Self(text.lines().map(str::to_owned).collect()))
    }

    fn has_below(&self, directory: &str) -> bool {
        let first = self.0.range(format!("{directory}/")..).next();
        first.is_some_and(|path| path.starts_with(&format!("{directory}/")))
    }

    fn has_beside(&self, directory: &str) -> bool {
        let prefix = format!("{directory}/");
        let beside = |path: &String| path[prefix.len()..].contains('/');
        let mut inside =
            self.0.range(prefix.clone()..).take_while(|path| path.starts_with(&prefix));
        inside.any(|path| !beside(path))
    }
}

/// Whether a saved file can change what a unit does. Python files do where they are loaded; new ones
/// where another of their directory is; others where something of the same package is.
pub fn concerns(swap: &Swap, loaded: Option<&Loaded>, saved: &Saved) -> bool {
    let Some(checkout) = swap.checkouts.iter().find(|it| it.path == saved.root) else {
        return false;
    };
    // Of what cannot be told anything may be true.
    let Some(loaded) = loaded else { return true };
    let is_python = saved.file.extension().is_some_and(|it| it == "py");
    let base = swap.checkout_path(checkout);
    let at = |path: &Path| format!("{base}/{}", path.display());
    let Some(directory) = saved.file.parent().filter(|it| !it.as_os_str().is_empty()) else {
        // Beside the packages.
        return is_python || declares(&saved.file);
    };
    if is_python {
        return loaded.0.contains(&at(&saved.file))
            || (saved.is_new && loaded.has_beside(&at(directory)));
    }
    package(checkout, &saved.file).is_some_and(|package| loaded.has_below(&at(&package)))
}

/// The directory, right below where Python imports from, that a file is in.
fn package(checkout: &Checkout, file: &Path) -> Option<PathBuf> {
    let roots = checkout.import_roots.iter().map(Path::new);
    let inside = roots.filter_map(|root| Some((root, file.strip_prefix(root).ok()?)));
    let (root, below) = inside.min_by_key(|(_, below)| below.as_os_str().len())?;
    Some(root.join(below.components().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::swap::tests::swap;

    fn concerned(file: &str, is_new: bool) -> bool {
        let base = "/dev/.aio/heat-engine.service";
        let loaded = ["openstack-heat/heat/engine/service.py", "a-lib/src/lib/core.py"];
        let loaded = Loaded(loaded.iter().map(|path| format!("{base}/{path}")).collect());
        let (root, file) = file.split_once(':').unwrap();
        let saved = Saved { root: format!("/home/me/{root}").into(), file: file.into(), is_new };
        concerns(&swap(), Some(&loaded), &saved)
    }

    #[test]
    fn a_python_file_concerns_who_has_loaded_it() {
        assert!(concerned("heat:heat/engine/service.py", false));
        assert!(!concerned("heat:heat/tests/test_service.py", false));
        assert!(
            !concerned("heat:heat/engine/other.py", false),
            "it was there and nobody needed it"
        );
        assert!(!concerned("heat:heat/engine/sub/service.py", true));
        assert!(concerned("heat:heat/engine/other.py", true), "some look into directories");
        assert!(concerned("lib:src/lib/core.py", false));
        assert!(!concerned("elsewhere:heat/engine/service.py", false));
    }

    #[test]
    fn another_file_concerns_who_has_loaded_its_package() {
        assert!(concerned("heat:heat/locale/de/heat.mo", false));
        assert!(concerned("heat:setup.cfg", false));
        assert!(!concerned("heat:README.rst", false));
        assert!(!concerned("heat:releasenotes/notes/a.yaml", false));
        assert!(concerned("lib:src/lib/data.json", false));
        assert!(!concerned("lib:src/other/data.json", false));
        assert!(!concerned("lib:doc/index.rst", false));
    }

    #[test]
    fn what_cannot_be_told_concerns_everybody() {
        let saved = Saved { root: "/home/me/heat".into(), file: "doc/x.rst".into(), is_new: false };
        assert!(concerns(&swap(), None, &saved));
    }
}
