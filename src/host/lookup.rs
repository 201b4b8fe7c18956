//! Where a path of a stopped container, or of layers alone, stands on the host: the upper directory, then
//! the layers, as overlayfs would look, and the directories that are bound over them. Nothing is mounted,
//! so this costs a few `lstat`s.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use crate::lxc::root::{Bind, Root};
use crate::lxc::rooted::is_missing;
use crate::state::files;

/// As in the kernel.
const MAX_LINKS: usize = 40;

/// One directory of the merged tree: its path inside, and the directories on the host that make it,
/// topmost first.
struct Directory {
    inside: PathBuf,
    parts: Vec<PathBuf>,
}

enum Found {
    Directory(Vec<PathBuf>),
    Other(PathBuf),
    Missing,
}

impl Found {
    /// The path on the host of what shows.
    fn topmost(self) -> Option<PathBuf> {
        match self {
            Self::Directory(parts) => parts.into_iter().next(),
            Self::Other(place) => Some(place),
            Self::Missing => None,
        }
    }
}

/// The path on the host of the topmost thing at `path`; with `follow`, of what a symbolic link there
/// leads to. `None` when there is nothing.
pub(super) fn find(root: &Root, path: &Path, follow: bool) -> io::Result<Option<PathBuf>> {
    let parts = std::iter::once(root.upper()).chain(root.layers.iter().cloned());
    Ok(walk(&root.binds, parts.collect(), path, follow)?.topmost())
}

/// The same in layers alone, topmost first, whatever a container made of them.
pub(super) fn find_in_layers(
    layers: &[PathBuf],
    path: &Path,
    follow: bool,
) -> io::Result<Option<PathBuf>> {
    Ok(walk(&[], layers.to_vec(), path, follow)?.topmost())
}

/// Names of what a directory of layers holds; none where there is no such directory.
pub(super) fn list_in_layers(layers: &[PathBuf], path: &Path) -> io::Result<BTreeSet<String>> {
    let Found::Directory(parts) = walk(&[], layers.to_vec(), path, true)? else {
        return Ok(BTreeSet::new());
    };
    let (mut names, mut hidden) = (BTreeSet::new(), BTreeSet::new());
    for part in parts {
        let entries = files::entries(&part).map_err(|error| io::Error::other(error.to_string()))?;
        for place in entries {
            let Some(name) = place.file_name().and_then(|name| name.to_str()) else { continue };
            if is_whiteout(&place.symlink_metadata()?) {
                hidden.insert(name.to_owned());
            } else if !hidden.contains(name) {
                names.insert(name.to_owned());
            }
        }
    }
    Ok(names)
}

fn walk(binds: &[Bind], parts: Vec<PathBuf>, path: &Path, follow: bool) -> io::Result<Found> {
    let mut above = vec![Directory { inside: PathBuf::from("/"), parts }];
    let mut ahead = names(path);
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            if above.len() > 1 {
                above.pop();
            }
            continue;
        }
        let Some(directory) = above.last() else { return Ok(Found::Missing) };
        let inside = directory.inside.join(&name);
        match look_up(binds, directory, &name, &inside)? {
            Found::Missing => return Ok(Found::Missing),
            Found::Directory(parts) => above.push(Directory { inside, parts }),
            Found::Other(place) => {
                let is_link = place.symlink_metadata()?.is_symlink();
                if !is_link || (ahead.is_empty() && !follow) {
                    return Ok(if ahead.is_empty() { Found::Other(place) } else { Found::Missing });
                }
                links += 1;
                if links > MAX_LINKS {
                    return Err(rustix::io::Errno::LOOP.into());
                }
                let target = place.read_link()?;
                if target.is_absolute() {
                    above.truncate(1);
                }
                let mut next = names(&target);
                next.append(&mut ahead);
                ahead = next;
            }
        }
    }
    Ok(above.pop().map_or(Found::Missing, |directory| Found::Directory(directory.parts)))
}

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

fn look_up(
    binds: &[Bind],
    directory: &Directory,
    name: &OsString,
    inside: &Path,
) -> io::Result<Found> {
    if let Some(bind) = binds.iter().rev().find(|bind| bind.target == inside) {
        return Ok(Found::Directory(vec![bind.source.clone()]));
    }
    let mut merged = Vec::new();
    for part in &directory.parts {
        let place = part.join(name);
        let metadata = match place.symlink_metadata() {
            Err(error) if is_missing(&error) => continue,
            other => other?,
        };
        if is_whiteout(&metadata) || (!metadata.is_dir() && !merged.is_empty()) {
            break;
        }
        if !metadata.is_dir() {
            return Ok(Found::Other(place));
        }
        let opaque = is_opaque(&place);
        merged.push(place);
        if opaque {
            break;
        }
    }
    Ok(if merged.is_empty() { Found::Missing } else { Found::Directory(merged) })
}

fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

fn is_opaque(place: &Path) -> bool {
    let mut value = [0_u8; 1];
    rustix::fs::lgetxattr(place, c"trusted.overlay.opaque", &mut value)
        .is_ok_and(|length| length == 1 && value[0] == b'y')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lxc::root::Bind;
    use std::fs::{create_dir_all, read_to_string, write};
    use std::os::unix::fs::symlink;

    struct Tree {
        directory: tempfile::TempDir,
        root: Root,
    }

    fn tree() -> Tree {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for path in ["upper/etc/app", "top/root/etc/app", "base/root/etc/app", "data"] {
            create_dir_all(at(path)).unwrap();
        }
        let root = Root {
            layers: vec![at("top/root"), at("base/root")],
            writable: directory.path().to_owned(),
            merged: at("merged"),
            id_range: None,
            binds: vec![Bind {
                source: at("data"),
                target: "/var/lib/app".into(),
                read_only: false,
            }],
        };
        Tree { directory, root }
    }

    impl Tree {
        fn put(&self, path: &str, text: &str) {
            write(self.directory.path().join(path), text).unwrap();
        }

        fn link(&self, target: &str, path: &str) {
            symlink(target, self.directory.path().join(path)).unwrap();
        }

        fn whiteout(&self, path: &str) {
            use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
            let path = self.directory.path().join(path);
            mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).unwrap();
        }

        fn read(&self, path: &str) -> Option<String> {
            find(&self.root, Path::new(path), true)
                .unwrap()
                .map(|place| read_to_string(place).unwrap())
        }
    }

    #[test]
    fn the_topmost_wins_and_what_only_the_base_has_shows() {
        let tree = tree();
        tree.put("base/root/etc/one", "base");
        tree.put("top/root/etc/one", "top");
        tree.put("base/root/etc/two", "base");
        assert_eq!(tree.read("/etc/one").unwrap(), "top");
        assert_eq!(tree.read("/etc/two").unwrap(), "base");
        assert_eq!(tree.read("/etc/three"), None);
        assert_eq!(tree.read("/etc/two/three"), None);
    }

    #[test]
    fn whiteouts_and_opaque_directories_hide() {
        let tree = tree();
        tree.put("base/root/etc/gone", "base");
        tree.whiteout("upper/etc/gone");
        tree.put("base/root/etc/app/hidden", "base");
        let opaque = tree.directory.path().join("top/root/etc/app");
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&opaque, "trusted.overlay.opaque", b"y", flags).unwrap();
        assert_eq!(tree.read("/etc/gone"), None);
        assert_eq!(tree.read("/etc/app/hidden"), None);
    }

    #[test]
    fn a_directory_lists_what_shows_of_all_layers() {
        let tree = tree();
        tree.put("base/root/etc/gone", "base");
        tree.put("base/root/etc/two", "base");
        tree.whiteout("top/root/etc/gone");
        tree.put("top/root/etc/one", "top");
        tree.put("upper/etc/own", "the container's");
        let names = list_in_layers(&tree.root.layers, Path::new("/etc")).unwrap();
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), ["app", "one", "two"]);
        assert!(list_in_layers(&tree.root.layers, Path::new("/etc/one")).unwrap().is_empty());
        assert!(list_in_layers(&tree.root.layers, Path::new("/none")).unwrap().is_empty());
    }

    #[test]
    fn links_stay_inside_and_circles_end() {
        let tree = tree();
        tree.put("base/root/etc/passwd", "inside");
        tree.link("/etc/passwd", "upper/etc/absolute");
        tree.link("../../../../etc/passwd", "upper/etc/relative");
        tree.link("circle", "upper/etc/circle");
        assert_eq!(tree.read("/etc/absolute").unwrap(), "inside");
        assert_eq!(tree.read("/etc/relative").unwrap(), "inside");
        assert!(find(&tree.root, Path::new("/etc/circle"), true).is_err());
        let unfollowed = find(&tree.root, Path::new("/etc/circle"), false).unwrap().unwrap();
        assert!(unfollowed.ends_with("upper/etc/circle"));
    }

    #[test]
    fn bound_directories_cover_what_is_below() {
        let tree = tree();
        create_dir_all(tree.directory.path().join("base/root/var/lib/app")).unwrap();
        tree.put("base/root/var/lib/app/x", "image");
        tree.put("data/x", "data");
        assert_eq!(tree.read("/var/lib/app/x").unwrap(), "data");
    }
}
