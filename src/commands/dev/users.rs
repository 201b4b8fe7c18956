//! Which services use a library: those whose distribution needs it, by whatever way.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tokio::task::JoinSet;

use super::python::{Inspect, Request};
use super::sources::Chosen;
use super::steps::ContainerPython;
use crate::cloud::Session;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::ui;

/// Leaves those units whose service uses one of the libraries. A container of each kind is asked, about
/// each service of which it runs units: members of a kind are of one image.
///
/// # Errors
/// When none of them uses one. A container that cannot be asked is left out, and said.
pub async fn keep(session: &Session, chosen: &mut Vec<Chosen>) -> Result<()> {
    let libraries = chosen.first().map(|one| one.libraries.clone()).unwrap_or_default();
    let names: Vec<&str> = libraries.iter().map(|source| source.distribution()).collect();
    let names = names.join(" or ");
    ui::out::note(&format!("Asking every service whether it uses {names}."));
    let projects: Vec<_> = libraries.iter().map(|source| source.requirements()).collect();
    let mut asked = BTreeMap::new();
    let mut looks = JoinSet::new();
    for one in chosen.iter() {
        let Entry::Vacant(place) = asked.entry(key(one)) else { continue };
        place.insert(false);
        let request = Request {
            projects: projects.clone(),
            users: one.target.dev.projects.clone(),
            ..Request::default()
        };
        let (context, container) = (session.context(), one.target.container.name.clone());
        let key = key(one);
        looks.spawn(async move {
            let python = ContainerPython { context: &context, container: &container };
            (key, container.clone(), python.inspect(&request).await)
        });
    }
    while let Some(look) = looks.join_next().await {
        let (key, container, look) = look.doing(|| "ask a container".to_owned())?;
        match look {
            Ok(inspection) => drop(asked.insert(key, !inspection.used.is_empty())),
            Err(error) => ui::out::note(&format!("{container} is left out: {error}")),
        }
    }
    chosen.retain(|one| asked.get(&key(one)).copied().unwrap_or(false));
    if chosen.is_empty() {
        return Err(Error::new(ErrorKind::Usage, format!("put {names} in front of its users"))
            .because("no service of this cloud needs it")
            .hint("`--in UNIT|SERVICE` says where it is to be put all the same."));
    }
    Ok(())
}

/// The kind of a unit's container, and its service.
fn key(one: &Chosen) -> (String, String) {
    (one.target.container.kind.clone(), one.target.service.service.clone())
}
