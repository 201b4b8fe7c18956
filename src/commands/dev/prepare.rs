//! From what a user asks to swaps that can be carried out. Reads checkouts and configuration, changes
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::asked::{Asked, Debug, Mode};
use super::data::{Fate, RestorePoint};
use super::holder;
use super::python::inspect::Migrations;
use super::python::{Request, debug};
use super::sources::Chosen;
use super::steps::{BalancerFile, Schema, SwapIn, Work, is_published};
use super::target::{self, Target};
use crate::cloud::{Session, opened};
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;
use crate::model::swap::{Holder, Stage, Swap};
use crate::model::topology::Container;
use crate::plan::bootstrap::setup_command;
use crate::render::Renderer;
use crate::state::swaps;

/// What is the same for all that are swapped together.
struct Together<'a> {
    session: &'a Session,
    asked: &'a Asked,
    transaction: String,
    holder: Option<Holder>,
    began: u64,
    hopeless: CancellationToken,
}

/// The swaps that are asked for, none of them begun, in the order in which they start. `hands_on` is the
/// place of the one that a debugger or a terminal is for.
pub fn into(
    session: &Session,
    asked: &Asked,
    chosen: &[Chosen],
    hands_on: Option<usize>,
) -> Result<Vec<Arc<SwapIn>>> {
    let together = Together {
        session,
        asked,
        transaction: id(),
        holder: (asked.mode != Mode::Detached).then(holder::own).transpose()?,
        began: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
        hopeless: CancellationToken::new(),
    };
    let mut swaps = Vec::new();
    for of_service in chosen.chunk_by(|one, next| one.target.is_of_service(&next.target)) {
        let first = swaps.len();
        let request = request(asked, &of_service[0])?;
        for (index, one) in of_service.iter().enumerate() {
            let has_hands_on = hands_on == Some(first + index);
            let mut swap = together.swap(chosen, one, request.clone(), has_hands_on)?;
            // What is of the service and not of a unit is done once.
            swap.is_first = index == 0;
            if index > 0 {
                swap.schema = None;
                swap.request.migrations = Migrations::default();
            }
            swaps.push(Arc::new(swap));
        }
    }
    Ok(swaps)
}

/// What people call a unit: by its container too, where several of its name are among `all`.
fn label<'a>(unit: &str, container: &Container, all: impl Iterator<Item = &'a String>) -> String {
    let label = target::label(unit);
    if all.filter(|other| *other == unit).count() > 1 {
        return format!("{label} of {}", container.label());
    }
    label.to_owned()
}

fn id() -> String {
    format!("{:08x}", rand::random::<u32>())
}

impl Together<'_> {
    fn swap(
        &self,
        chosen: &[Chosen],
        one: &Chosen,
        mut request: Request,
        has_hands_on: bool,
    ) -> Result<SwapIn> {
        let Self { session, asked, .. } = self;
        let target = &one.target;
        let cloud = &session.site.cloud;
        let siblings = cloud
            .members(&target.container.kind)
            .filter(|it| chosen.iter().all(|other| !other.target.is_unit_in(&target.unit, it)));
        let balanced = cloud.is_balanced(&target.container.kind);
        let standby = siblings.filter(|_| balanced).map(|it| it.name.clone()).collect();
        let first = one.sources().next().map(|source| source.root().to_owned()).unwrap_or_default();
        let debug = asked.debug.filter(|_| has_hands_on);
        let swap = Swap {
            id: id(),
            transaction: self.transaction.clone(),
            checkouts: one.sources().map(|source| source.checkout()).collect(),
            keep: asked.keep,
            began: self.began,
            holder: self.holder,
            standby,
            byte_code: Work::byte_code(
                &session.paths,
                &first,
                &target.container.name,
                &target.dev.user,
            ),
            environment: one.entry.environment(debug_environment(debug, target)),
            command: one.entry.command.clone(),
            in_terminal: asked.mode == Mode::Terminal && has_hands_on,
            ..packaged(target)
        };
        let mut standby = swaps::standby(&session.paths)?;
        standby.extend(swap.standby.iter().cloned());
        let renderer = renderer(session, standby)?;
        let with_schema = asked.schema && one.own.is_some();
        let schema = if with_schema { schema(target, &renderer)? } else { None };
        request.met_by_packages =
            cloud.releases().of(&target.container.kind).met_by_packages.clone();
        request.wanted = debug.map(|_| debug::requirement()).transpose()?.into_iter().collect();
        let label = label(&target.unit, &target.container, chosen.iter().map(|it| &it.target.unit));
        Ok(SwapIn {
            request,
            user: target.dev.user.clone(),
            generated: one.generated(),
            schema,
            is_first: true,
            add_packages: asked.packages,
            waits_at: debug.filter(|debug| debug.wait).map(debug_address),
            migrated: AtomicBool::new(false),
            inspection: Mutex::new(None),
            delta: Mutex::new(None),
            work: Arc::new(Work {
                label,
                service: target.service.service.clone(),
                unit: target.unit.clone(),
                paths: session.paths.clone(),
                site: Arc::clone(&session.site),
                container: target.container.clone(),
                swap: Mutex::new(swap),
                balancer_files: balancer_files(session, &renderer)?,
                files: unit_files(cloud, target, &renderer)?,
                restarts: true,
                point: RestorePoint::new(&session.paths, &target.service),
                seen_well: true,
                fate: Fate::Stay,
                hopeless: self.hopeless.clone(),
            }),
        })
    }
}

/// Where a debugger of the unit listens: on the container's loopback, and here on the host's, from
/// which a tunnel leads there. It asks nobody for a password: no other address is safe.
pub fn debug_address(debug: Debug) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, debug.port)
}

fn debug_environment(debug: Option<Debug>, target: &Target) -> BTreeMap<String, String> {
    let Some(debug) = debug else { return BTreeMap::new() };
    let mut environment = target.unit_dev.debug_environment.clone();
    let address = debug_address(debug).to_string();
    environment.insert("AIO_DEV_DEBUG".to_owned(), address);
    environment.insert("AIO_DEV_DEBUG_AT".to_owned(), target.unit_dev.debug_at.clone());
    if debug.wait {
        environment.insert("AIO_DEV_DEBUG_WAIT".to_owned(), "1".to_owned());
    }
    environment
}

/// A unit that runs as packaged, for an undoing of what is left of earlier swaps.
pub fn packaged(target: &Target) -> Swap {
    Swap {
        id: String::new(),
        transaction: String::new(),
        service: target.service.service.clone(),
        container: target.container.name.clone(),
        kind: target.container.kind.clone(),
        member: target.container.member,
        unit: target.unit.clone(),
        checkouts: Vec::new(),
        keep: false,
        began: 0,
        holder: None,
        standby: Vec::new(),
        packages: None,
        byte_code: PathBuf::new(),
        environment: BTreeMap::new(),
        in_terminal: false,
        command: None,
        stage: Stage::Recorded,
    }
}

/// What a service's containers are asked of its checkouts.
fn request(asked: &Asked, one: &Chosen) -> Result<Request> {
    let mut request = Request::default();
    for source in one.sources() {
        let is_own = one.own.as_ref().is_some_and(|own| Arc::ptr_eq(own, source));
        let schema = one.target.dev.schema.as_ref().filter(|_| asked.schema && is_own);
        let (changed, migrations) = source.python(schema)?;
        request.projects.push(source.requirements());
        request.sources.extend(changed);
        if is_own {
            request.migrations = migrations;
        }
    }
    Ok(request)
}

/// Makes anew what follows from what the checkouts of a swap declare. Requirements that they have not had
/// before are not looked at.
///
/// # Errors
/// When they no longer are what they were, or declare nothing for the unit: then nothing changes.
pub async fn renew(session: &Session, work: &Work) -> Result<()> {
    let chosen = Chosen::again(&session.site.cloud, &work.swap().await)?;
    let checkouts = chosen.sources().map(|source| source.checkout()).collect();
    let user = &chosen.target.dev.user;
    work.renew(&session.context(), user, checkouts, chosen.generated()).await
}

fn schema(target: &Target, renderer: &Renderer) -> Result<Option<Schema>> {
    let Some(schema) = &target.dev.schema else { return Ok(None) };
    let Some(setup) = target.service.setup.iter().find(|it| it.name == schema.setup) else {
        return Ok(None);
    };
    Ok(Some(Schema {
        databases: target.service.databases.clone(),
        title: setup.title.clone(),
        command: setup_command(renderer, &target.container, setup)?,
    }))
}

/// The undoing of one of these swaps of a service.
pub fn back(
    session: &Session,
    swap: &Swap,
    swaps: &[Swap],
    fate: Fate,
    seen_well: bool,
) -> Result<Work> {
    let point = restore_point(session, &swap.service)?;
    let others = swaps::load(&session.paths)?.into_iter();
    let others = others.filter(|other| swaps.iter().all(|swap| swap.id != other.id));
    let renderer = renderer(session, others.flat_map(|other| other.standby).collect())?;
    let container = session.site.cloud.container(&swap.container).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("undo the swap of {}", swap.label()))
            .because(format!("the cloud no longer has the container {}", swap.container))
    })?;
    let shared = session.paths.shared_dir(&swap.container);
    Ok(Work {
        label: label(&swap.unit, container, swaps.iter().map(|it| &it.unit)),
        service: swap.service.clone(),
        unit: swap.unit.clone(),
        paths: session.paths.clone(),
        site: Arc::clone(&session.site),
        container: container.clone(),
        swap: Mutex::new(swap.clone()),
        balancer_files: balancer_files(session, &renderer)?,
        files: Vec::new(),
        restarts: is_published(&shared, swap) || (fate != Fate::Stay && point.file().is_some()),
        point,
        seen_well,
        fate,
        hopeless: CancellationToken::new(),
    })
}

/// The load balancer's files that change with who stands by: as the records want them now, and as
/// `renderer` makes them.
fn balancer_files(session: &Session, renderer: &Renderer) -> Result<Vec<BalancerFile>> {
    let cloud = &session.site.cloud;
    // Not those of the session: it may be older than the swap.
    let present = self::renderer(session, swaps::standby(&session.paths)?)?;
    let mut files = Vec::new();
    for member in cloud.balancers() {
        let Some((_, definition)) = cloud.kind(&member.kind) else { continue };
        for file in &definition.files {
            let before = present.render_file(member, file)?;
            let after = renderer.render_file(member, file)?;
            if before != after {
                files.push(BalancerFile { container: member.name.clone(), before, after });
            }
        }
    }
    Ok(files)
}

/// Paths of the files that restart the unit.
fn unit_files(cloud: &Cloud, target: &Target, renderer: &Renderer) -> Result<Vec<String>> {
    let Some((_, definition)) = cloud.kind(&target.container.kind) else {
        return Ok(Vec::new());
    };
    let of_unit = definition
        .files
        .iter()
        .filter(|file| file.restarts.as_ref().is_none_or(|units| units.contains(&target.unit)));
    of_unit.map(|file| renderer.render_text(&target.container, &file.path)).collect()
}

/// A renderer of the cloud in which these members stand by.
pub fn renderer(session: &Session, standby: BTreeSet<String>) -> Result<Renderer> {
    let cloud = Cloud { standby, ..session.site.cloud.clone() };
    opened::renderer(session, &cloud).map(|(_, renderer)| renderer)
}

/// The databases of a service as they were before it ran from a checkout.
pub fn restore_point(session: &Session, service: &str) -> Result<RestorePoint> {
    let services = &session.site.cloud.services;
    let profile = services.iter().find(|profile| profile.service == service).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("find the service {service}"))
            .because("the cloud has none of that name")
    })?;
    Ok(RestorePoint::new(&session.paths, profile))
}

/// The command that brings the schema of a swap's service up to date, with the packaged code.
pub fn packaged_schema(session: &Session, swap: &Swap) -> Result<Option<Schema>> {
    let target = target::find(&session.site.cloud, &swap.full_name(), Some(swap.member))?;
    schema(&target, &renderer(session, swaps::standby(&session.paths)?)?)
}
