//! Which units of a layer may start: none, but those that a container later names.
//!
//! Some units start though nothing enables them: 27 of Debian's OpenStack units want
//! `keystone.service` or `mysql.service`, and a socket or a timer starts what it belongs to. So
//! every unit that a layer's packages bring is masked in that layer, and a container unmasks its
//! own with a whiteout. Names that are mere aliases (`mysql.service`, a link to `mariadb.service`)
//! stay: an alias of a masked unit is masked, and works as soon as the unit does.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::error::{Result, ResultExt};
use crate::model::layer::LayerSpec;
use crate::state::files;

/// Where packages put units.
const PACKAGED: [&str; 2] = ["usr/lib/systemd/system", "lib/systemd/system"];

/// Where links enable and mask them.
const CONFIGURED: &str = "etc/systemd/system";

/// Kinds of units that run something.
const RUNNING: [&str; 4] = [".service", ".socket", ".timer", ".path"];

/// Masks and disables the units in the upper directory of a layer that was just installed.
///
/// # Errors
/// When the directory cannot be read or changed.
pub fn quieten(upper: &Path, spec: &LayerSpec) -> Result<()> {
    let kept = |unit: &str| spec.keep_units.iter().any(|pattern| matches(pattern, unit));
    let mut masked: BTreeSet<String> = spec.mask_units.iter().cloned().collect();
    // The base is the system itself: only what the specification names is masked there.
    if spec.parent.is_some() {
        masked.extend(packaged_units(upper)?.into_iter().filter(|unit| !kept(unit)));
    }
    disable(upper, &kept)?;
    let directory = upper.join(CONFIGURED);
    fs::create_dir_all(&directory).doing(|| format!("make {}", directory.display()))?;
    for unit in &masked {
        let path = directory.join(unit);
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).doing(|| format!("remove {}", path.display()))?;
        }
        symlink("/dev/null", &path).doing(|| format!("mask {unit}"))?;
    }
    Ok(())
}

/// Units that packages of this layer brought, those of System V scripts included.
fn packaged_units(upper: &Path) -> Result<BTreeSet<String>> {
    let mut units = BTreeSet::new();
    for directory in PACKAGED {
        for (name, path) in entries(&upper.join(directory))? {
            // A link to a unit is an alias; one to nothing masks already.
            let real = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
            if real && RUNNING.iter().any(|suffix| name.ends_with(suffix)) {
                units.insert(name);
            }
        }
    }
    for (name, path) in entries(&upper.join("etc/init.d"))? {
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            units.insert(format!("{name}.service"));
        }
    }
    Ok(units)
}

/// Removes the links with which packages enabled their units.
fn disable(upper: &Path, kept: &dyn Fn(&str) -> bool) -> Result<()> {
    for (name, path) in entries(&upper.join(CONFIGURED))? {
        // One of a layer below from which a package took the last link is only a whiteout here.
        let real = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        if real && (name.ends_with(".wants") || name.ends_with(".requires")) {
            remove_links(&path, kept)?;
        }
    }
    for level in ["0", "1", "2", "3", "4", "5", "6", "S"] {
        remove_links(&upper.join(format!("etc/rc{level}.d")), &|link| {
            // `S01rsync` starts `rsync.service`.
            let script = link.get(3..).unwrap_or_default();
            kept(&format!("{script}.service"))
        })?;
    }
    Ok(())
}

fn remove_links(directory: &Path, kept: &dyn Fn(&str) -> bool) -> Result<()> {
    for (name, path) in entries(directory)? {
        let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        if is_link && !kept(&name) {
            fs::remove_file(&path).doing(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Names and paths in a directory that may be missing.
fn entries(directory: &Path) -> Result<Vec<(String, std::path::PathBuf)>> {
    let named = |path: std::path::PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some((name, path))
    };
    Ok(files::entries(directory)?.into_iter().filter_map(named).collect())
}

/// Whether `name` fits `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices()
                .map(|(index, _)| index)
                .chain([tail.len()])
                .any(|index| tail.get(index..).is_some_and(|tail| matches(rest, tail)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn spec(parent: Option<&str>, keep: &[&str], mask: &[&str]) -> LayerSpec {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        LayerSpec {
            name: "test".to_owned(),
            parent: parent.map(str::to_owned),
            suite: "trixie".to_owned(),
            packages: Vec::new(),
            keep_units: own(keep),
            mask_units: own(mask),
            files: Vec::new(),
            python: None,
            users: BTreeMap::new(),
            script: String::new(),
            drop: Vec::new(),
        }
    }

    /// What a package leaves: units, an alias, enablement, a System V script.
    fn installed() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let upper = dir.path();
        for directory in [
            "usr/lib/systemd/system/x.service.d",
            "etc/systemd/system/multi-user.target.wants",
            "etc/init.d",
            "etc/rc2.d",
        ] {
            fs::create_dir_all(upper.join(directory)).unwrap();
        }
        for unit in ["mariadb.service", "mariadb@.service", "a.socket", "b.timer", "c.target"] {
            fs::write(upper.join("usr/lib/systemd/system").join(unit), "").unwrap();
        }
        let configured = upper.join("etc/systemd/system");
        symlink("/usr/lib/systemd/system/mariadb.service", configured.join("mysql.service"))
            .unwrap();
        for unit in ["mariadb.service", "a.socket"] {
            let link = configured.join("multi-user.target.wants").join(unit);
            symlink(format!("/usr/lib/systemd/system/{unit}"), link).unwrap();
        }
        fs::write(upper.join("etc/init.d/old"), "").unwrap();
        symlink("../init.d/old", upper.join("etc/rc2.d/S01old")).unwrap();
        dir
    }

    fn masked(upper: &Path) -> Vec<String> {
        let is_mask =
            |path: &Path| fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"));
        entries(&upper.join(CONFIGURED))
            .unwrap()
            .into_iter()
            .filter(|(_, path)| is_mask(path))
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn every_packaged_unit_is_masked_and_disabled() {
        let dir = installed();
        // Stands for the whiteout of a directory of the base, which only root can make.
        fs::write(dir.path().join(CONFIGURED).join("getty.target.wants"), "").unwrap();
        quieten(dir.path(), &spec(Some("base-0"), &[], &[])).unwrap();
        assert_eq!(
            masked(dir.path()),
            ["a.socket", "b.timer", "mariadb.service", "mariadb@.service", "old.service"]
        );
        let wants = dir.path().join("etc/systemd/system/multi-user.target.wants");
        assert!(entries(&wants).unwrap().is_empty());
        assert!(entries(&dir.path().join("etc/rc2.d")).unwrap().is_empty());
        let alias = dir.path().join("etc/systemd/system/mysql.service");
        assert!(fs::read_link(alias).unwrap().ends_with("mariadb.service"));
    }

    #[test]
    fn kept_units_stay_as_the_packages_left_them() {
        let dir = installed();
        quieten(dir.path(), &spec(Some("base-0"), &["mariadb*", "old.service"], &[])).unwrap();
        assert_eq!(masked(dir.path()), ["a.socket", "b.timer"]);
        let wants = dir.path().join("etc/systemd/system/multi-user.target.wants");
        assert_eq!(entries(&wants).unwrap().len(), 1);
        assert_eq!(entries(&dir.path().join("etc/rc2.d")).unwrap().len(), 1);
    }

    #[test]
    fn the_base_is_disabled_and_masked_only_by_name() {
        let dir = installed();
        quieten(dir.path(), &spec(None, &[], &["getty.target", "a.socket"])).unwrap();
        assert_eq!(masked(dir.path()), ["a.socket", "getty.target"]);
        let wants = dir.path().join("etc/systemd/system/multi-user.target.wants");
        assert!(entries(&wants).unwrap().is_empty());
    }

    #[test]
    fn patterns() {
        assert!(matches("systemd-*", "systemd-udevd.service"));
        assert!(matches("*.timer", "a.timer"));
        assert!(matches("a*c*e", "abcde"));
        assert!(!matches("a*c", "abcd"));
        assert!(!matches("a", "ab"));
    }
}
