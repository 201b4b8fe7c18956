//! From what a user asks to a swap that can be carried out. Reads checkouts and configuration,
//! changes nothing but clones of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Mutex;

use super::asked::{Asked, Debug, Mode};
use super::data::{Fate, RestorePoint};
use super::entry::Entry;
use super::holder;
use super::python::inspect::Migrations;
use super::python::{Project as Requirements, Request, SITECUSTOMIZE, debug};
use super::source::checkout::Checkout as Tree;
use super::source::clone;
use super::source::clone::Wanted;
use super::source::git::Watch;
use super::source::project::Project;
use super::source::reader::CheckoutReader;
use super::steps::{BalancerFile, Schema, SwapIn, Work, is_published};
use super::target::{self, Target};
use crate::cloud::{Session, opened};
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;
use crate::model::swap::{Checkout, Generated, Stage, Swap};
use crate::plan::bootstrap::setup_command;
use crate::render::Renderer;
use crate::state::swaps;
use crate::ui;

/// A checkout with what its project says about itself.
pub struct Source {
    reader: CheckoutReader,
    tree: Tree,
    project: Project,
}

impl Source {
    fn read(path: &Path) -> Result<Self> {
        let tree = CheckoutReader::find(path)?.state()?;
        // The project is at the root, wherever in it the user stands.
        let reader = CheckoutReader::find(&tree.root)?;
        let project = reader.project()?;
        Ok(Self { reader, tree, project })
    }
}

/// The work trees that are asked for, the service's own first. May clone.
pub fn sources(session: &Session, asked: &Asked, target: &Target) -> Result<Vec<Source>> {
    let wanted = Wanted {
        from: asked.from.clone(),
        reference: asked.reference.clone(),
        change: asked.change,
        naming: "--ref REF",
    };
    let mut progress = |line: &str| ui::out::note(line);
    let mut watch = Watch { progress: &mut progress, cancelled: &|| false };
    let provided = clone::provide(&wanted, &session.paths.clones_dir(), &mut watch)?;
    let own = Source::read(&provided.path)?;
    let names = &target.dev.projects;
    if !names.contains(&own.project.normalized_name) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("run {} from this checkout", target.label()),
        )
        .because(format!(
            "{} holds the project {}, and {} is {}",
            own.tree.root.display(),
            own.project.name,
            target.label(),
            names.join(" or ")
        ))
        .hint("`--lib PATH` adds the checkout of a library to that of the service."));
    }
    let mut sources = vec![own];
    for path in &asked.libraries {
        let library = Source::read(path)?;
        let name = &library.project.normalized_name;
        if sources.iter().any(|source| source.project.normalized_name == *name) {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("add the library {}", path.display()),
            )
            .because(format!("there is another checkout of {name} already")));
        }
        sources.push(library);
    }
    Ok(sources)
}

/// What the unit starts in the service's own checkout.
///
/// # Errors
/// When the checkout does not declare it.
pub fn entry(session: &Session, target: &Target, sources: &[Source]) -> Result<Entry> {
    let Some(own) = sources.first() else { return Ok(Entry::default()) };
    Entry::find(&session.site.cloud, target, &own.reader, &own.project)
}

/// The swap that is asked for, not yet begun.
pub fn into(
    session: &Session,
    asked: &Asked,
    target: &Target,
    sources: &[Source],
    entry: Entry,
) -> Result<SwapIn> {
    let cloud = &session.site.cloud;
    let siblings = cloud.members(&target.container.kind);
    let siblings = siblings.filter(|it| it.name != target.container.name);
    let balanced = cloud.is_balanced(&target.container.kind);
    let standby = siblings.filter(|_| balanced).map(|it| it.name.clone()).collect();
    let own = sources.first().map(|source| source.tree.root.clone()).unwrap_or_default();
    let swap = Swap {
        id: format!("{:08x}", rand::random::<u32>()),
        checkouts: sources.iter().map(checkout).collect(),
        keep: asked.keep,
        began: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
        holder: (asked.mode != Mode::Detached).then(holder::own).transpose()?,
        standby,
        byte_code: Work::byte_code(&session.paths, &own, &target.container.name, &target.dev.user),
        environment: entry.environment(debug_environment(asked.debug, target)),
        in_terminal: asked.mode == Mode::Terminal,
        command: entry.command.clone(),
        ..packaged(target)
    };
    let mut standby = swaps::standby(&session.paths)?;
    standby.extend(swap.standby.iter().cloned());
    let renderer = renderer(session, standby)?;
    let schema = if asked.schema { schema(target, &renderer)? } else { None };
    let met_by_packages = cloud.releases().of(&target.container.kind).met_by_packages.clone();
    Ok(SwapIn {
        request: request(met_by_packages, asked, target, sources)?,
        user: target.dev.user.clone(),
        generated: generated(sources, entry),
        schema,
        add_packages: asked.packages,
        waits_at: asked.debug.filter(|debug| debug.wait).map(debug_address),
        migrated: AtomicBool::new(false),
        inspection: Mutex::new(None),
        delta: Mutex::new(None),
        work: Arc::new(Work {
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
        }),
    })
}

fn checkout(source: &Source) -> Checkout {
    Checkout {
        path: source.tree.root.clone(),
        project: source.project.normalized_name.clone(),
        version: source.project.version.clone(),
        import_roots: source.project.import_roots.clone(),
        owner: source.tree.owner_uid,
        branch: source.tree.branch.clone(),
        commit: source.tree.commit.as_ref().map(|commit| commit.id.clone()),
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

/// What the container's Python is asked.
fn request(
    met_by_packages: Vec<String>,
    asked: &Asked,
    target: &Target,
    sources: &[Source],
) -> Result<Request> {
    let projects = sources.iter().map(|source| Requirements {
        name: source.project.normalized_name.clone(),
        version: Some(source.project.version.clone()),
        requirements: source.project.requirements.clone(),
        extras: source.project.extras.clone().into_iter().collect(),
        wanted_extras: Vec::new(),
        requires_python: source.project.requires_python.clone(),
    });
    let mut changed = BTreeMap::new();
    let mut files = BTreeMap::new();
    let directories = migration_directories(asked, target, sources);
    for (index, source) in sources.iter().enumerate() {
        let below = if index == 0 { directories.clone() } else { Vec::new() };
        let python = source.reader.python(below)?;
        let root = &source.tree.root;
        let whole = |(file, text)| (root.join(file).display().to_string(), text);
        changed.extend(python.changed.into_iter().map(whole));
        files.extend(python.below);
    }
    Ok(Request {
        projects: projects.collect(),
        wanted: asked.debug.map(|_| debug::requirement()).transpose()?.into_iter().collect(),
        met_by_packages,
        delta: Vec::new(),
        sources: changed,
        migrations: migrations(asked, target, sources, files),
    })
}

/// The directories of migrations in the service's own checkout, one for each import root.
fn migration_directories(asked: &Asked, target: &Target, sources: &[Source]) -> Vec<PathBuf> {
    let (Some(schema), Some(own), true) = (&target.dev.schema, sources.first(), asked.schema)
    else {
        return Vec::new();
    };
    let roots = own.project.import_roots.iter().map(Path::new);
    roots.flat_map(|root| schema.migrations.iter().map(move |below| root.join(below))).collect()
}

/// The checkout's migrations, as text, by their paths below where Python imports from.
fn migrations(
    asked: &Asked,
    target: &Target,
    sources: &[Source],
    files: BTreeMap<String, String>,
) -> Migrations {
    let (Some(schema), Some(own), true) = (&target.dev.schema, sources.first(), asked.schema)
    else {
        return Migrations::default();
    };
    let mut by_import = BTreeMap::new();
    for (path, text) in files {
        let below = |root: &String| Some(Path::new(&path).strip_prefix(root).ok()?.to_owned());
        let longest =
            own.project.import_roots.iter().filter_map(below).min_by_key(|it| it.as_os_str().len());
        let name = longest.map_or_else(|| path.clone(), |it| it.display().to_string());
        by_import.insert(name, text);
    }
    Migrations { directories: schema.migrations.clone(), files: by_import }
}

/// What is made of the checkouts.
fn generated(sources: &[Source], entry: Entry) -> Generated {
    let metadata = sources.iter().flat_map(|source| source.project.dist_info());
    let metadata = metadata.map(|(path, content)| (path.display().to_string(), content));
    let hook = ("sitecustomize.py".to_owned(), SITECUSTOMIZE.as_bytes().to_vec());
    let python = metadata.chain(std::iter::once(hook)).collect();
    Generated { python, programs: entry.programs }
}

/// Makes anew what follows from what the checkouts of a swap declare. Requirements that they have not had
/// before are not looked at.
///
/// # Errors
/// When they no longer are what they were, or declare nothing for the unit: then nothing changes.
pub async fn renew(session: &Session, work: &Work) -> Result<()> {
    let swap = work.swap().await;
    let target = target::find(&session.site.cloud, &swap.full_name(), Some(swap.member))?;
    let read = |checkout: &Checkout| {
        let source = Source::read(&checkout.path)?;
        if source.project.normalized_name == checkout.project {
            return Ok(source);
        }
        let doing = format!("go on running {} from {}", swap.label(), checkout.path.display());
        Err(Error::new(ErrorKind::Usage, doing).because(format!(
            "it held the project {} before, and holds {} now",
            checkout.project, source.project.name
        )))
    };
    let sources: Vec<Source> = swap.checkouts.iter().map(read).collect::<Result<_>>()?;
    let generated = generated(&sources, entry(session, &target, &sources)?);
    let checkouts = sources.iter().map(checkout).collect();
    work.renew(&session.context(), &target.dev.user, checkouts, generated).await
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

/// Returns each checkout's directory with its branch and commit, for a message.
pub fn described(sources: &[Source]) -> Vec<(PathBuf, String)> {
    let describe = |source: &Source| {
        let tree = &source.tree;
        let commit = tree.commit.as_ref().map_or("no commit yet", |it| &it.id[..9]);
        let branch = tree.branch.as_deref().unwrap_or("detached");
        let dirty = if tree.dirty { ", with uncommitted changes" } else { "" };
        (tree.root.clone(), format!("{branch} at {commit}{dirty}"))
    };
    sources.iter().map(describe).collect()
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
