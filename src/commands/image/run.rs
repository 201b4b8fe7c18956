//! `aio image`: the image layers that are there, who uses them, and removing those that nobody does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::cloud::require_root;
use crate::cloud::run::Options;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Layers;
use crate::host::layers::{RealLayers, downloads_size, remove_downloads, users};
use crate::model::layer::LayerInfo;
use crate::ui;
use crate::ui::format::{bytes, duration};
use crate::ui::table::Table;

/// An image layer for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Image {
    pub id: String,
    pub parent: Option<String>,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// How long ago it was built, in seconds.
    pub age_secs: u64,
    /// How many packages it adds.
    pub packages: usize,
    /// Containers that are made of it.
    pub users: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Pruned {
    /// Ids of removed layers.
    pub removed: Vec<String>,
    /// Bytes that are free again.
    pub freed_bytes: u64,
    /// Bytes of downloaded packages that stay.
    pub downloads_bytes: u64,
}

pub async fn list(options: &Options) -> Result<Vec<Image>> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::new(ErrorKind::Refused, "list the image layers")
            .because("only root may look into their directory")
            .hint("Run `sudo aio image ls`."));
    }
    let infos = RealLayers::new(options.paths.clone()).list().await?;
    Ok(images(infos, &users(&options.paths)?, now()))
}

/// Removes the layers that no container and no other layer uses, after asking, and with `downloads`
/// the downloaded packages.
pub async fn prune(options: &Options, downloads: bool, yes: bool) -> Result<Pruned> {
    require_root("image prune")?;
    let layers = RealLayers::new(options.paths.clone());
    let all = images(layers.list().await?, &users(&options.paths)?, now());
    let unused = unused(&all);
    let downloaded = downloads_size(&options.paths);
    let mut freed_bytes: u64 = unused.iter().map(|image| image.size_bytes).sum();
    if downloads {
        freed_bytes += downloaded;
    }
    let mut pruned = Pruned { downloads_bytes: downloaded, ..Pruned::default() };
    if unused.is_empty() && (!downloads || downloaded == 0) {
        return Ok(pruned);
    }
    ui::prompt::confirm(&question(&unused, downloads.then_some(downloaded)), yes)?;
    for image in unused {
        layers.remove(&image.id).await?;
        pruned.removed.push(image.id.clone());
    }
    if downloads {
        remove_downloads(&options.paths)?;
        pruned.downloads_bytes = 0;
    }
    pruned.freed_bytes = freed_bytes;
    Ok(pruned)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

fn images(
    infos: Vec<LayerInfo>,
    users: &BTreeMap<String, BTreeSet<String>>,
    now: u64,
) -> Vec<Image> {
    let image = |info: LayerInfo| Image {
        users: users.get(&info.id).into_iter().flatten().cloned().collect(),
        id: info.id,
        parent: info.parent,
        size_bytes: info.size_bytes,
        age_secs: now.saturating_sub(info.created),
        packages: info.packages.len(),
    };
    infos.into_iter().map(image).collect()
}

/// Layers that nobody uses, a child before its parent. A layer below a used one is used, even if no
/// record names it.
fn unused(all: &[Image]) -> Vec<&Image> {
    let mut kept: BTreeSet<&str> = BTreeSet::new();
    for image in all.iter().filter(|image| !image.users.is_empty()) {
        let mut next = Some(image);
        while let Some(image) = next {
            kept.insert(&image.id);
            next = all.iter().find(|below| Some(&below.id) == image.parent.as_ref());
        }
    }
    let mut unused: Vec<&Image> =
        all.iter().filter(|image| !kept.contains(image.id.as_str())).collect();
    unused.sort_by_key(|image| std::cmp::Reverse(depth(image, all)));
    unused
}

/// Returns how many layers lie below.
fn depth(image: &Image, all: &[Image]) -> usize {
    let parent = all.iter().find(|below| Some(&below.id) == image.parent.as_ref());
    parent.map_or(0, |parent| depth(parent, all) + 1)
}

fn question(unused: &[&Image], downloaded: Option<u64>) -> String {
    let mut parts: Vec<String> = Vec::new();
    if !unused.is_empty() {
        let size = unused.iter().map(|image| image.size_bytes).sum();
        let ids: Vec<&str> = unused.iter().map(|image| image.id.as_str()).collect();
        parts.push(format!("{} ({})", ids.join(", "), bytes(size)));
    }
    if let Some(downloaded) = downloaded {
        parts.push(format!("all downloaded packages ({})", bytes(downloaded)));
    }
    format!("Remove {}?", parts.join(" and "))
}

pub fn table(images: &[Image]) -> String {
    let mut table = Table::new(["layer", "size", "age", "packages", "users"]).right(1).right(3);
    for image in images {
        let users = match image.users.len() {
            0..=2 => image.users.join(", "),
            many => format!("{} and {} more", image.users[0], many - 1),
        };
        let age = duration(Duration::from_secs(image.age_secs));
        let packages = image.packages.to_string();
        table.row([image.id.clone(), bytes(image.size_bytes), age, packages, users]);
    }
    table.render()
}

/// What was freed, as a sentence or two.
pub fn sentence(pruned: &Pruned) -> String {
    let kept = match pruned.downloads_bytes {
        0 => String::new(),
        size => format!(
            " Downloaded packages ({}) stay: `aio image prune --downloads` removes them.",
            bytes(size)
        ),
    };
    match pruned.removed.len() {
        0 if pruned.freed_bytes == 0 => format!("Nothing is unused.{kept}"),
        0 => format!("Freed {}.", bytes(pruned.freed_bytes)),
        1 => format!("Removed 1 layer, freed {}.{kept}", bytes(pruned.freed_bytes)),
        many => format!("Removed {many} layers, freed {}.{kept}", bytes(pruned.freed_bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, parent: Option<&str>, users: &[&str]) -> Image {
        Image {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            size_bytes: 10 << 20,
            age_secs: 7200,
            packages: 3,
            users: users.iter().map(|&user| user.to_owned()).collect(),
        }
    }

    #[test]
    fn what_is_used_and_what_lies_below_it_stays() {
        let all = [
            image("base-0", None, &[]),
            image("engine-2", Some("shared-1"), &["a"]),
            image("old-1", Some("base-0"), &[]),
            image("older-3", Some("old-1"), &[]),
            image("shared-1", Some("base-0"), &[]),
        ];
        let ids: Vec<&str> = unused(&all).iter().map(|image| image.id.as_str()).collect();
        assert_eq!(ids, ["older-3", "old-1"]);
    }

    #[test]
    fn the_table_counts_many_users() {
        let text = console::strip_ansi_codes(&table(&[
            image("base-0", None, &["a", "b", "c"]),
            image("old-1", Some("base-0"), &[]),
        ]))
        .into_owned();
        insta::assert_snapshot!(text, @r"
        LAYER     SIZE  AGE        PACKAGES  USERS
        base-0  10 MiB  2 h 0 min         3  a and 2 more
        old-1   10 MiB  2 h 0 min         3  -
        ");
    }

    #[test]
    fn the_question_and_the_answer_name_what_goes() {
        let old = image("old-1", None, &[]);
        assert_eq!(question(&[&old], None), "Remove old-1 (10 MiB)?");
        assert_eq!(
            question(&[&old], Some(2 << 20)),
            "Remove old-1 (10 MiB) and all downloaded packages (2.0 MiB)?"
        );
        let pruned =
            Pruned { removed: vec!["old-1".to_owned()], freed_bytes: 10 << 20, downloads_bytes: 0 };
        assert_eq!(sentence(&pruned), "Removed 1 layer, freed 10 MiB.");
        assert_eq!(sentence(&Pruned::default()), "Nothing is unused.");
    }
}
