//! `aio destroy`: everything that `aio` made on this host goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cloud::open::Access;
use crate::cloud::run;
use crate::cloud::run::{Options, Run};
use crate::cloud::{Session, recorded, require_root};
use crate::commands::dev::source::clone;
use crate::commands::dev::source::reader::CheckoutReader;
use crate::error::{Error, ErrorKind, Result};
use crate::model::paths::Paths;
use crate::plan::change;
use crate::secrets::tls::store::own_files;
use crate::state::files;
use crate::steps::site::Site;
use crate::{gateway, ui};

/// What stays although the cloud goes.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Image layers and downloaded packages.
    pub images: bool,
    /// `cloud.yml`, `user_secrets.yml` and what `aio` wrote in `tls/`.
    pub config: bool,
}

/// # Errors
/// When there is no cloud, the user says no, or something could not be removed: running it again
/// goes on.
pub async fn destroy(options: &Options, keep: Keep, yes: bool) -> Result<()> {
    require_root("destroy")?;
    let paths = &options.paths;
    let cloud = recorded::load(paths)?;
    refuse_unsaved_work(paths)?;
    let question = format!(
        "Destroy the cloud `{}` with its {} containers and all their data?",
        cloud.name,
        cloud.containers.len()
    );
    ui::prompt::confirm(&question, yes)?;
    // Removing needs no secret, and the file that holds them may be gone already.
    let site = Arc::new(Site::new(cloud, BTreeMap::new()));
    let _lock = run::lock(options, "destroy")?;
    // It may run all the same: it never holds the lock.
    if gateway::stop(paths)? {
        ui::out::note("The gateway has ended.");
    }
    let session = Session::open(paths, site, Access::Change).await?;
    let strays = session.host.containers.list().await?;
    let (trees, empty) = left(paths, keep);
    let steps = change::destroy(&session.site, &strays, trees, empty);
    Run::new(options, &session, "destroy").without_trace().go(steps).await?;
    let kept = users_files(paths);
    if !kept.is_empty() {
        let names: Vec<String> = kept.iter().map(|path| path.display().to_string()).collect();
        ui::out::note(&format!("Kept, because you wrote it: {}", names.join(", ")));
    }
    Ok(())
}

/// Clones that `aio` made, for `dev` and `release lock`, go with the cloud, and what only stands there would
/// be lost.
fn refuse_unsaved_work(paths: &Paths) -> Result<()> {
    let mut clones = clone::all(&paths.clones_dir())?;
    clones.extend(clone::all(&paths.release_clones_dir())?);
    for clone in clones {
        let unsaved = CheckoutReader::find(&clone)?.unsaved()?;
        if !unsaved.is_empty() {
            return Err(Error::new(ErrorKind::Refused, format!("destroy `{}`", paths.cloud))
                .because(format!("the clone {} has work that is nowhere else", clone.display()))
                .because(unsaved.join("; "))
                .hint("Push it, or move the directory elsewhere."));
        }
    }
    Ok(())
}

/// Trees to remove, with what killed writes left, and directories to remove if nothing is left in them.
fn left(paths: &Paths, keep: Keep) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let clouds = paths.private_dir().join("clouds");
    let others = std::fs::read_dir(&clouds).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_str() != Some(paths.cloud.as_str()))
    });
    let mut trees = vec![paths.cloud_dir(), paths.clones_dir(), paths.release_clones_dir()];
    if !keep.config {
        trees.extend([paths.cloud_file(), paths.secrets_file()]);
        trees.extend(own_files(&paths.tls_dir()));
    }
    if !others {
        trees.extend([paths.state_dir.join("bin"), paths.dev_cache_dir()]);
        if !keep.images {
            trees.extend([paths.layers_dir(), paths.downloads_dir(), paths.durations_file()]);
        }
    }
    let unfinished: Vec<PathBuf> = trees.iter().map(|path| files::unfinished(path)).collect();
    trees.extend(unfinished);
    let mut empty = vec![
        clouds,
        paths.private_dir(),
        paths.state_dir.join("roots"),
        paths.state_dir.join("shared"),
        paths.state_dir.join("clones"),
        paths.state_dir.clone(),
        paths.tls_dir(),
    ];
    empty.extend(paths.config_dirs());
    (trees, empty)
}

/// What the user wrote into the configuration directory.
fn users_files(paths: &Paths) -> Vec<PathBuf> {
    ["user_variables.yml", "overrides", "profiles", "secrets", "wheels"]
        .into_iter()
        .map(|name| paths.config_dir.join(name))
        .filter(|path| Path::new(path).exists())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::source::testing::{git, open_directory, repository, write};

    #[test]
    fn work_in_a_clone_of_either_kind_is_not_thrown_away() {
        let directory = open_directory();
        let paths = Paths::below(directory.path());
        let remote = directory.path().join("nova");
        repository(&remote, &[("a.py", "")]);
        for clones in [paths.clones_dir(), paths.release_clones_dir()] {
            std::fs::create_dir_all(&clones).unwrap();
            git(&clones, &["clone", "--quiet", remote.to_str().unwrap(), "nova"]);
            refuse_unsaved_work(&paths).unwrap();
            let clone = clones.join("nova");
            write(&clone, &[("a.py", "changed")]);
            let error = refuse_unsaved_work(&paths).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused);
            let why = format!("the clone {} has work that is nowhere else", clone.display());
            assert_eq!(error.causes[0], why);
            git(&clone, &["checkout", "--quiet", "a.py"]);
        }
    }
}
