//! From the package to the checkout.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;

use super::Schema;
use super::python::{ContainerPython, described, refuse};
use super::work::{DeedFuture, Work};
use crate::commands::dev::python::{Cache, Delta, Inspect, Inspection, Request, Whose};
use crate::engine::step::StepContext;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::python::Pip;
use crate::lxc::accounts::Accounts;
use crate::model::swap::{Generated, Stage};
use crate::state::swaps;
use crate::steps::swapped_files::SwappedFiles;

/// What the way into a checkout knows beside what both ways do.
pub struct SwapIn {
    pub work: Arc<Work>,
    /// What is asked of the container's Python.
    pub request: Request,
    /// The user that the unit runs as, in the container.
    pub user: String,
    pub generated: Generated,
    /// The service's schema, unless the user wants it left alone or there is none.
    pub schema: Option<Schema>,
    /// Whether it is the first of its service: the databases are its to keep.
    pub is_first: bool,
    pub add_packages: bool,
    /// Where the process waits for a debugger before it serves, if it does.
    pub waits_at: Option<SocketAddrV4>,
    /// Whether the checkout brought a schema of its own.
    pub migrated: AtomicBool,
    pub inspection: Mutex<Option<Inspection>>,
    pub delta: Mutex<Option<Delta>>,
}

impl SwapIn {
    /// Asks the container's Python whether it could run the checkout; changes nothing.
    pub fn check<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            let inspection = self.python(context).inspect(&self.request).await?;
            refuse(&inspection, self.work.swap().await.label())?;
            // Of wheels and packages: a checkout's own were read before.
            for wrong in &inspection.unreadable_requirements {
                let (text, reason) = (&wrong.text, &wrong.reason);
                context.warn(format!("`{text}` of {} is ignored: {reason}", wrong.required_by));
            }
            *self.inspection.lock().await = Some(inspection);
            Ok(())
        })
    }

    /// Finds, or gets, the packages that the checkout needs beside the packaged ones.
    pub fn packages<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            let inspection = self.inspection().await?;
            if inspection.missing.is_empty() {
                return Ok(());
            }
            let label = self.work.swap().await.label().to_owned();
            if !self.add_packages {
                let missing: Vec<String> = inspection.missing.iter().map(described).collect();
                context
                    .warn(format!("{label} lacks {}: not added, as you said.", missing.join(", ")));
                return Ok(());
            }
            let paths = &self.work.paths;
            let whose =
                Whose { cloud: paths.cloud.clone(), container: self.work.container.name.clone() };
            let directory = paths.dev_cache_dir().join("packages");
            let cache = Cache::new(directory, paths.wheels_dir(), whose);
            let python = self.python(context);
            let delta =
                cache.provide(&self.request, &inspection, &Pip::of_host(), &python).await.map_err(
                    |error| error.context(format!("get the packages that {label} needs")),
                )?;
            if let Some(delta) = delta {
                // No part of what is published is a link.
                let site = std::fs::canonicalize(&delta.site)
                    .doing(|| format!("look at {}", delta.site.display()))?;
                self.work.swap.lock().await.packages = Some(site);
                *self.delta.lock().await = Some(delta);
            }
            Ok(())
        })
    }

    /// Writes down what is going to be done, before the first change.
    pub fn record<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            let swap = self.work.swap().await;
            let files = SwappedFiles::load(context, &swap.container).await?;
            files.remember(context, &swap.unit, &self.work.files).await?;
            // What leads back from another swap of the service, leads back from this one too.
            if swaps::of_service(&self.work.paths, &swap.service)?.is_empty() {
                self.work.point.remove()?;
            }
            swaps::save(&self.work.paths, &swap)
        })
    }

    /// Keeps the databases as they are: what runs from now on is the checkout's.
    pub fn keep<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            let point = &self.work.point;
            if point.file().is_some() { Ok(()) } else { point.take(context, &self.work.site).await }
        })
    }

    /// Makes the checkout appear in the container; nothing uses it yet.
    pub fn publish<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            self.work.update(|swap| swap.stage = Stage::Begun).await?;
            let swap = self.work.swap().await;
            let reader = reader(context, &swap.container, &self.user).await?;
            prepare_byte_code(&swap.byte_code, reader)?;
            let publication = swap.publication(reader, self.generated.clone());
            context.host.containers.publish(&swap.container, &publication, swap.keep).await
        })
    }

    /// Brings the schema up to the checkout's.
    pub fn schema<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            let Some(schema) = &self.schema else { return Ok(()) };
            let inspection = self.inspection().await?;
            // An older checkout, or one with the packaged schema, brings nothing to be run.
            if inspection.migrations.iter().all(|it| it.added.is_empty()) {
                return Ok(());
            }
            let present = schema.present_heads(context, &self.work).await?;
            let wanted: BTreeSet<String> =
                inspection.migrations.into_iter().flat_map(|it| it.checkout_heads).collect();
            if wanted == present {
                return Ok(());
            }
            self.migrated.store(true, Ordering::Relaxed);
            schema.sync(context, &self.work).await
        })
    }

    /// Starts the checkout, while siblings, if there are any, take what comes.
    pub fn start<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            let balancer = &self.work.site.balancer;
            balancer.take_out(context, &self.work.container).await?;
            let started = self.work.start_unit(context, "restart").await;
            if started.is_err() {
                self.work.hopeless.cancel();
            }
            started
        })
    }

    /// Waits until it works, not just runs.
    pub fn healthy<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            if self.work.swap().await.in_terminal {
                return Ok(());
            }
            let waited = match self.waits_at {
                Some(address) => self.work.wait_listening(context, address).await,
                None => self.work.wait_healthy(context).await,
            };
            if waited.is_err() {
                self.work.hopeless.cancel();
            }
            waited
        })
    }

    /// Lets it serve alone: its siblings become backups.
    pub fn serve<'a>(&'a self, context: &'a StepContext) -> DeedFuture<'a> {
        Box::pin(async move {
            let work = &self.work;
            let balancer = &work.site.balancer;
            balancer.put_back(context, &work.container).await?;
            let swap = work.swap().await;
            // Those that stand by or are swapped next leave all to it.
            let has_siblings = work.site.cloud.members(&work.container.kind).nth(1).is_some();
            if has_siblings && !swap.in_terminal && self.waits_at.is_none() {
                balancer.wait_up(context, &work.container).await?;
            }
            if !swap.standby.is_empty() {
                for sibling in work.siblings(&swap.standby) {
                    balancer.set_standby(context, sibling, true).await?;
                }
                work.write_balancer_files(context).await?;
            }
            work.update(|swap| swap.stage = Stage::Serving).await
        })
    }

    fn python<'a>(&'a self, context: &'a StepContext) -> ContainerPython<'a> {
        ContainerPython { context, container: &self.work.container.name }
    }

    async fn inspection(&self) -> Result<Inspection> {
        let inspection = self.inspection.lock().await.clone();
        inspection.ok_or_else(|| Error::failed("the container's Python was not asked"))
    }
}

/// The number of a unit's user in its container.
pub(super) async fn reader(context: &StepContext, container: &str, user: &str) -> Result<u32> {
    let passwd = context.host.containers.read_file(container, "/etc/passwd").await?;
    let text = passwd.map(|file| file.content).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    // Only the user matters.
    let owner = Accounts::new(text, String::new()).resolve(&format!("{user}:0"));
    owner.map(|(user, _)| user).map_err(|reason| {
        Error::new(ErrorKind::Config, format!("find the user `{user}` of `{container}`"))
            .because(reason)
    })
}

/// Owned by the unit's user: ids stand on the disk as they are in the container.
fn prepare_byte_code(directory: &std::path::Path, reader: u32) -> Result<()> {
    let doing = || format!("make `{}`", directory.display());
    std::fs::create_dir_all(directory).doing(doing)?;
    std::os::unix::fs::chown(directory, Some(reader), Some(reader)).doing(doing)
}
