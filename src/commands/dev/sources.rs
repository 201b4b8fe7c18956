//! The checkouts that are asked for, and which units run from them. Reads checkouts, changes nothing but
//! clones of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::asked::Asked;
use super::depends;
use super::entry::Entry;
use super::python::inspect::Migrations;
use super::python::{Project as Requirements, SITECUSTOMIZE};
use super::source::checkout::Checkout as Tree;
use super::source::clone::{self, Provided, Wanted};
use super::source::git::Watch;
use super::source::look::Python;
use super::source::project::Project;
use super::source::reader::CheckoutReader;
use super::target::{self, Target};
use crate::cloud::Session;
use crate::config::profile::SchemaDev;
use crate::error::{Error, ErrorKind, Result};
use crate::model::cloud::Cloud;
use crate::model::swap::{Checkout, Generated, Swap};
use crate::state::swaps;
use crate::ui;

/// A checkout with what its project says about itself.
pub struct Source {
    reader: CheckoutReader,
    tree: Tree,
    project: Project,
}

/// A unit with the checkouts that it will run from.
pub struct Chosen {
    pub target: Target,
    /// The service's own checkout.
    pub own: Option<Arc<Source>>,
    /// Those of libraries.
    pub libraries: Vec<Arc<Source>>,
    /// How it comes to start what its service's checkout declares.
    pub entry: Entry,
}

/// All checkouts that are asked for.
pub struct Sources {
    /// Of services, in the order in which they were named.
    pub services: Vec<Arc<Source>>,
    pub libraries: Vec<Arc<Source>>,
}

impl Source {
    fn read(path: &Path) -> Result<Arc<Self>> {
        let tree = CheckoutReader::find(path)?.state()?;
        // The project is at the root, wherever in it the user stands.
        let reader = CheckoutReader::find(&tree.root)?;
        let project = reader.project()?;
        Ok(Arc::new(Self { reader, tree, project }))
    }

    /// The distribution's name, normalised.
    pub fn distribution(&self) -> &str {
        &self.project.normalized_name
    }

    pub fn root(&self) -> &Path {
        &self.tree.root
    }

    /// As a record has it.
    pub fn checkout(&self) -> Checkout {
        Checkout {
            path: self.tree.root.clone(),
            project: self.project.normalized_name.clone(),
            version: self.project.version.clone(),
            import_roots: self.project.import_roots.clone(),
            owner: self.tree.owner_uid,
            branch: self.tree.branch.clone(),
            commit: self.tree.commit.as_ref().map(|commit| commit.id.clone()),
        }
    }

    /// What Python is told of it.
    pub fn requirements(&self) -> Requirements {
        Requirements {
            name: self.project.normalized_name.clone(),
            version: Some(self.project.version.clone()),
            requirements: self.project.requirements.clone(),
            extras: self.project.extras.clone().into_iter().collect(),
            wanted_extras: Vec::new(),
            requires_python: self.project.requires_python.clone(),
        }
    }

    /// Its branch and commit, for a message.
    pub fn state(&self) -> String {
        let commit = self.tree.commit.as_ref().map_or("no commit yet", |it| &it.id[..9]);
        let branch = self.tree.branch.as_deref().unwrap_or("detached");
        let dirty = if self.tree.dirty { ", with uncommitted changes" } else { "" };
        format!("{branch} at {commit}{dirty}")
    }

    /// Its Python files that differ from the commit, by their whole paths; and its migrations, as texts,
    /// by their paths below where Python imports from.
    pub fn python(
        &self,
        schema: Option<&SchemaDev>,
    ) -> Result<(BTreeMap<String, String>, Migrations)> {
        let directories = schema.map(|schema| schema.migrations.clone()).unwrap_or_default();
        let roots = self.project.import_roots.iter().map(Path::new);
        let below: Vec<PathBuf> =
            roots.flat_map(|root| directories.iter().map(move |below| root.join(below))).collect();
        let Python { changed, below } = self.reader.python(below)?;
        let whole = |(file, text)| (self.tree.root.join(file).display().to_string(), text);
        let files = below.into_iter().map(|(path, text)| (self.imported(&path), text)).collect();
        Ok((changed.into_iter().map(whole).collect(), Migrations { directories, files }))
    }

    /// A file's path below the import root that it is in.
    fn imported(&self, path: &str) -> String {
        let below = |root: &String| Some(Path::new(path).strip_prefix(root).ok()?.to_owned());
        let roots = self.project.import_roots.iter().filter_map(below);
        let shortest = roots.min_by_key(|it| it.as_os_str().len());
        shortest.map_or_else(|| path.to_owned(), |it| it.display().to_string())
    }
}

impl Sources {
    /// May clone.
    ///
    /// # Errors
    /// When one is no checkout of a project, or there are two of one.
    pub fn read(session: &Session, asked: &Asked) -> Result<Self> {
        let mut progress = |line: &str| ui::out::note(line);
        let mut watch = Watch { progress: &mut progress, cancelled: &|| false };
        let mut sources = Self { services: Vec::new(), libraries: Vec::new() };
        match (&asked.from[..], asked.change.filter(|_| asked.with_depends)) {
            ([from], Some(change)) => {
                for (index, wanted) in
                    depends::wanted(from, change, asked.yes, &mut watch)?.iter().enumerate()
                {
                    let provided = provide(session, asked, wanted, &mut watch)?;
                    match Source::read(&provided.path) {
                        // Some have no code that a cloud runs: DevStack's, say.
                        Err(error) if index > 0 && error.kind == ErrorKind::Usage => {
                            ui::out::note(&format!("{} is left out: {error}", wanted.from));
                        }
                        read => sources.sort_in(&session.site.cloud, read?)?,
                    }
                }
            }
            (all, _) => {
                for from in all {
                    let wanted = Wanted {
                        from: from.clone(),
                        reference: asked.reference.clone(),
                        change: asked.change,
                        naming: "--ref REF",
                    };
                    let provided = provide(session, asked, &wanted, &mut watch)?;
                    let source = Source::read(&provided.path)?;
                    sources.refuse_second(&source)?;
                    sources.services.push(source);
                }
            }
        }
        for path in &asked.libraries {
            let source = Source::read(path)?;
            sources.refuse_second(&source)?;
            sources.libraries.push(source);
        }
        Ok(sources)
    }

    /// Adds one to the services or to the libraries, by what it holds.
    fn sort_in(&mut self, cloud: &Cloud, source: Arc<Source>) -> Result<()> {
        self.refuse_second(&source)?;
        match service_of(cloud, &source) {
            Ok(_) => self.services.push(source),
            Err(_) => self.libraries.push(source),
        }
        Ok(())
    }

    fn refuse_second(&self, source: &Source) -> Result<()> {
        if self.all().all(|other| other.distribution() != source.distribution()) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Usage, format!("add the checkout {}", source.root().display()))
            .because(format!("there is another checkout of {} already", source.distribution())))
    }

    /// Services' first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.services.iter().chain(&self.libraries)
    }

    /// The units that run from them, in the order in which they start.
    ///
    /// # Errors
    /// When a checkout is none of its unit's, or of no service.
    pub fn choose(&self, cloud: &Cloud, asked: &Asked) -> Result<Vec<Chosen>> {
        let mut chosen = Vec::new();
        if let Some(name) = &asked.unit {
            for target in target::named(cloud, name, asked.member)? {
                let own = self.services.first().cloned();
                if let Some(own) = &own {
                    fits(own, &target)?;
                }
                chosen.push(self.with_libraries(target, own));
            }
        } else if self.services.is_empty() {
            let targets = if asked.inside.is_empty() {
                target::all(cloud)
            } else {
                target::among(cloud, &asked.inside)?
            };
            chosen.extend(targets.into_iter().map(|target| self.with_libraries(target, None)));
        } else {
            for own in &self.services {
                let service = service_of(cloud, own)?;
                let targets = target::of_service(cloud, &service).into_iter();
                chosen.extend(
                    targets.map(|target| self.with_libraries(target, Some(Arc::clone(own)))),
                );
            }
        }
        chosen.sort_by_key(|it| it.target.place(cloud));
        self.find_entries(cloud, chosen)
    }

    /// Finds what each unit starts, and leaves out those that its checkout does not declare: a project need
    /// not have all that the cloud's release has.
    ///
    /// # Errors
    /// When that leaves nothing of a checkout, or a single unit was chosen.
    fn find_entries(&self, cloud: &Cloud, chosen: Vec<Chosen>) -> Result<Vec<Chosen>> {
        let is_one = chosen.len() == 1;
        let (mut there, mut left_out) = (Vec::new(), Vec::new());
        for mut one in chosen {
            match one.find_entry(cloud) {
                Err(error) if !is_one && error.kind == ErrorKind::Usage => left_out.push(error),
                found => {
                    found?;
                    there.push(one);
                }
            }
        }
        let all_gone = |own: &Arc<Source>| {
            let is_own = |it: &Chosen| it.own.as_ref().is_some_and(|it| Arc::ptr_eq(it, own));
            !there.iter().any(is_own)
        };
        let gone = self.services.iter().any(all_gone);
        if let Some(error) = left_out.first().filter(|_| there.is_empty() || gone) {
            return Err(error.clone());
        }
        let mut said: Vec<String> = left_out.iter().map(ToString::to_string).collect();
        said.dedup();
        said.iter().for_each(|error| ui::out::note(&format!("Left out: {error}")));
        Ok(there)
    }

    fn with_libraries(&self, target: Target, own: Option<Arc<Source>>) -> Chosen {
        Chosen { target, own, libraries: self.libraries.clone(), entry: Entry::default() }
    }
}

impl Chosen {
    /// The service's own checkout first.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.own.iter().chain(&self.libraries)
    }

    /// Those of a swap as they are by now.
    ///
    /// # Errors
    /// When they no longer are what they were.
    pub fn again(cloud: &Cloud, swap: &Swap) -> Result<Self> {
        let target = target::find(cloud, &swap.full_name(), Some(swap.member))?;
        let mut again = Self { target, own: None, libraries: Vec::new(), entry: Entry::default() };
        for checkout in &swap.checkouts {
            let source = Source::read(&checkout.path)?;
            if source.distribution() != checkout.project {
                let doing =
                    format!("go on running {} from {}", swap.label(), checkout.path.display());
                return Err(Error::new(ErrorKind::Usage, doing).because(format!(
                    "it held the project {} before, and holds {} now",
                    checkout.project, source.project.name
                )));
            }
            if fits(&source, &again.target).is_ok() {
                again.own = Some(source);
            } else {
                again.libraries.push(source);
            }
        }
        again.find_entry(cloud)?;
        Ok(again)
    }

    /// Finds what the unit starts in its service's checkout.
    fn find_entry(&mut self, cloud: &Cloud) -> Result<()> {
        let Some(own) = &self.own else { return Ok(()) };
        self.entry = Entry::find(cloud, &self.target, &own.reader, &own.project)?;
        Ok(())
    }

    /// What is made of the checkouts.
    pub fn generated(&self) -> Generated {
        let metadata = self.sources().flat_map(|source| source.project.dist_info());
        let metadata = metadata.map(|(path, content)| (path.display().to_string(), content));
        let hook = ("sitecustomize.py".to_owned(), SITECUSTOMIZE.as_bytes().to_vec());
        let python = metadata.chain(std::iter::once(hook)).collect();
        Generated { python, programs: self.entry.programs.clone() }
    }
}

/// Finds or makes a work tree. A clone from which something runs stays as it is: its code would change
/// below processes that run.
fn provide(
    session: &Session,
    asked: &Asked,
    wanted: &Wanted,
    watch: &mut Watch,
) -> Result<Provided> {
    let clones = session.paths.clones_dir();
    let standing = clone::standing(wanted, &clones)?;
    let clone = standing.as_ref().and_then(|path| std::fs::canonicalize(path).ok());
    let swaps = swaps::load(&session.paths)?;
    let runs = swaps
        .iter()
        .find(|swap| swap.checkouts.iter().any(|checkout| Some(&checkout.path) == clone.as_ref()));
    if let (Some(swap), Some(clone), false) = (runs, &clone, asked.take_over) {
        let (label, clone) = (swap.label(), clone.display());
        return Err(Error::new(ErrorKind::Busy, format!("bring {} up to date", wanted.from))
            .because(format!("{label} runs from its clone {clone}"))
            .hint(format!(
                "`--from {clone}` takes the clone as it is; `aio dev {} --restore` ends what runs from \
                 it; `--take-over` puts other code in its place.",
                swap.full_name()
            )));
    }
    clone::provide(wanted, &clones, watch)
}

/// Whether a checkout is of the project that a unit runs.
fn fits(own: &Source, target: &Target) -> Result<()> {
    let names = &target.dev.projects;
    if names.contains(&own.project.normalized_name) {
        return Ok(());
    }
    let (root, held) = (own.root().display(), &own.project.name);
    Err(Error::new(ErrorKind::Usage, format!("run {} from this checkout", target.label()))
        .because(format!(
            "{root} holds the project {held}, and {} is {}",
            target.label(),
            names.join(" or ")
        ))
        .hint("`--lib PATH` adds the checkout of a library to that of the service."))
}

/// The service of the cloud that a checkout is.
fn service_of(cloud: &Cloud, own: &Source) -> Result<String> {
    let is = |projects: &[String]| projects.iter().any(|project| project == own.distribution());
    let mut services = cloud.services.iter();
    let found = services.find(|it| it.dev.as_ref().is_some_and(|dev| is(&dev.projects)));
    found.map(|service| service.service.clone()).ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("run the checkout {}", own.root().display()))
            .because(format!(
                "it holds the project {}, which no service of this cloud is",
                own.project.name
            ))
            .hint("`--lib PATH` puts a library in front of the services that use it.")
    })
}
