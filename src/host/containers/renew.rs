//! Another release's Python in the place of a running container's own.
//!
//! It is mounted over the container's own in the container's mount namespace, and bound there at every
//! later start. A mount that a start made cannot be taken away from inside, so the next one lies on top.

use super::inner::Inner;
use super::real::RealContainers;
use crate::error::{Error, Result};
use crate::host::Containers as _;
use crate::model::command::Command;
use crate::model::publication::Publication;
use crate::model::topology::Container;

/// What is published meanwhile is called so, and the directory in it.
const UNIT: &str = "renewal";
const NAME: &str = "python";

pub(super) async fn renew(containers: &RealContainers, container: &Container) -> Result<bool> {
    let Some(renewed) = container.renewed.clone() else { return Ok(false) };
    let wanted = container.clone();
    if !containers.blocking(move |inner| inner.differs_by_renewal(&wanted)).await? {
        return Ok(false);
    }
    let name = &container.name;
    // The administrator may have moved the state directory and left a link.
    let source = containers.inner.python(&renewed);
    let source = source.canonicalize().unwrap_or(source);
    let publication = Publication::of_root(UNIT, NAME, source);
    containers.publish(name, &publication, false).await?;
    let place = format!("{}/{NAME}", Publication::path_in_container(UNIT));
    let argv = ["mount", "--bind", &place, &renewed.home].map(str::to_owned).to_vec();
    let mounted = containers.run(name, Command { argv, ..Command::default() }).await;
    containers.withdraw(name, UNIT).await?;
    let output = mounted?;
    if !output.success() {
        return Err(Error::failed(format!("renew container `{name}`"))
            .because(output.tail(3))
            .hint(format!("`aio rebuild {name}` makes it anew.")));
    }
    let wanted = container.clone();
    containers.blocking(move |inner: &Inner| inner.finish_definition(&wanted)).await?;
    Ok(true)
}
