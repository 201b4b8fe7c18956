//! `aio verify --before` and `--after`: what users made before something was done to the cloud, and
//! whether it is there afterwards.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::check::{ASKED, Check, GRACE, LeftOut, failed};
use super::checks::{Verdict, Verified};
use super::plan::{command, place};
use super::run::{Described, checked, select};
use crate::cloud::open::Access;
use crate::cloud::run::{Options, Run};
use crate::cloud::{Session, opened, require_root};
use crate::config::load::Profiles;
use crate::config::profile::Lasting;
use crate::engine::event::{Phase, Resource};
use crate::engine::key::StepKey;
use crate::engine::step::{Action, Observation, Step, StepContext};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::{Listen, Stream};
use crate::model::command::Command;
use crate::render::Renderer;
use crate::state::files;

/// What it takes before one was measured, in milliseconds.
const ESTIMATE_MS: u64 = 10_000;

/// What was made, as the file has it.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Kept {
    cloud: String,
    /// The release in which it was made.
    release: String,
    /// What is in all names.
    id: String,
    made: Vec<Made>,
}

impl Kept {
    fn read(file: &Path) -> Result<Self> {
        let doing = || format!("read {}", file.display());
        let text = std::fs::read(file).doing(doing)?;
        serde_json::from_slice(&text).doing(doing).map_err(|error| {
            error.hint(
                "Name the file that `aio verify --before` wrote; what is in it cannot be guessed.",
            )
        })
    }

    fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).doing(|| format!("write {}", file.display()))?;
        files::replace(file, 0o600, &text)
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Made {
    service: String,
    name: String,
    /// What its script printed; none where it did not come to its end.
    text: Option<String>,
}

/// Makes what is to last, and writes down in `file` what that is.
///
/// # Errors
/// When the file is there, or there is no such cloud or service. What could not be made is part of the
/// answer.
pub async fn before(options: &Options, file: &Path, names: &[String]) -> Result<Verified> {
    require_root("verify")?;
    refuse_there(file)?;
    Opened::new(options).await?.before(options, file, names).await
}

/// Proves that what `file` names is there, and with `remove` takes it away then, the file too unless
/// something could not be removed.
///
/// # Errors
/// When the file cannot be read, or is of another cloud; when something could not be removed. What is not
/// there is part of the answer.
pub async fn after(options: &Options, file: &Path, remove: bool) -> Result<Verified> {
    require_root("verify")?;
    let kept = Kept::read(file)?;
    Opened::new(options).await?.after(options, file, &kept, remove).await
}

/// Refuses to write over what names something that was made.
fn refuse_there(file: &Path) -> Result<()> {
    if !file.exists() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Refused, format!("write {}", file.display()))
        .because("it is there, and what it names would be forgotten")
        .hint(format!("Remove that: aio verify --after {} --remove", file.display())))
}

/// Refuses to forget what nobody could remove: its profile has it no more, or its container is gone.
fn refuse_left(removed: &Verified, file: &Path, id: &str) -> Result<()> {
    let left = removed.checks.iter().filter(|it| it.result == Verdict::LeftOut);
    let mut left = left.peekable();
    if left.peek().is_none() {
        return Ok(());
    }
    let error = Error::failed(format!("remove what {} names", file.display()));
    let error = left.fold(error, |error, one| {
        let reason = one.reason.as_deref().unwrap_or_default();
        error.because(format!("{} {}: {reason}", one.service, one.check))
    });
    let file = file.display();
    Err(error
        .hint(format!("Mend that and run again: aio verify --after {file} --remove"))
        .hint(format!("Or remove what has `{id}` in its name yourself, and then: rm {file}")))
}

/// A cloud with what its profiles say now.
struct Opened {
    session: Session,
    profiles: Profiles,
    renderer: Renderer,
}

impl Opened {
    async fn new(options: &Options) -> Result<Self> {
        let session = Session::recorded(&options.paths, Access::Look).await?;
        let (profiles, renderer) = opened::renderer(&session, &session.site.cloud)?;
        Ok(Self { session, profiles, renderer })
    }

    async fn before(&self, options: &Options, file: &Path, names: &[String]) -> Result<Verified> {
        let Self { session, profiles, renderer } = self;
        let services = select(profiles, &session.site.cloud, names)?;
        let id = format!("{:08x}", rand::random::<u32>());
        let printed = Arc::new(Mutex::new(BTreeMap::new()));
        let mut work = Work::new(session, renderer, &id);
        let mut made = Vec::new();
        let all = services.iter().flat_map(|it| it.lasting.iter().map(|one| (&it.service, one)));
        for (service, lasting) in all {
            let here = work.add(service, lasting, "make", None, |timeout_secs, parts| {
                let (container, command) = parts;
                let key = (service.clone(), lasting.name.clone());
                let printed = Arc::clone(&printed);
                Arc::new(Make { timeout_secs, container, command, key, printed })
            })?;
            if here {
                let name = lasting.name.clone();
                made.push(Made { service: service.clone(), name, text: None });
            }
        }
        let cloud = &session.site.cloud;
        let (name, release) = (cloud.name.clone(), cloud.release.release.clone());
        let mut kept = Kept { cloud: name, release, id: id.clone(), made };
        // Before anything is made: whatever comes between, it can be removed.
        kept.write(file)?;
        let verified = work.run(options).await?;
        let mut printed = printed.lock().await;
        for one in &mut kept.made {
            one.text = printed.remove(&(one.service.clone(), one.name.clone()));
        }
        kept.write(file)?;
        Ok(verified)
    }

    async fn after(
        &self,
        options: &Options,
        file: &Path,
        kept: &Kept,
        remove: bool,
    ) -> Result<Verified> {
        let cloud = &self.session.site.cloud.name;
        if kept.cloud != *cloud {
            return Err(Error::new(ErrorKind::Usage, format!("read {}", file.display()))
                .because(format!("it is of the cloud `{}`, not of `{cloud}`", kept.cloud))
                .hint(format!("aio --name {} verify --after {}", kept.cloud, file.display())));
        }
        let proven = self.all(kept, "prove")?.run(options).await?;
        if remove {
            let removed = self.all(kept, "remove")?.run(options).await?;
            if let Some(error) = removed.error() {
                return Err(error.context(format!("remove what {} names", file.display())));
            }
            refuse_left(&removed, file, &kept.id)?;
            files::remove(file)?;
        }
        Ok(proven)
    }

    /// That action on all that a file names.
    fn all<'a>(&'a self, kept: &'a Kept, action: &str) -> Result<Work<'a>> {
        let mut work = Work::new(&self.session, &self.renderer, &kept.id);
        for one in &kept.made {
            let service = self.profiles.services.get(&one.service);
            let lasting = service.and_then(|it| it.lasting.iter().find(|it| it.name == one.name));
            let Some(lasting) = lasting else {
                let reason = "its profile has nothing of that name any more";
                work.push((&one.service, &one.name, ""), Arc::new(LeftOut(reason.to_owned())));
                continue;
            };
            match (&one.text, action) {
                (None, "prove") => work.leave_out(&one.service, lasting, "it was not made"),
                _ => {
                    let text = one.text.as_deref();
                    work.add(&one.service, lasting, action, text, |timeout_secs, part| {
                        Arc::new(Check { timeout_secs, parts: vec![part] })
                    })?;
                }
            }
        }
        Ok(work)
    }
}

/// Steps of one kind on what lasts.
struct Work<'a> {
    session: &'a Session,
    renderer: &'a Renderer,
    id: &'a str,
    described: Vec<Described>,
    steps: Vec<Step>,
}

/// A script with the container in which it runs.
type Part = (String, Command);

impl<'a> Work<'a> {
    fn new(session: &'a Session, renderer: &'a Renderer, id: &'a str) -> Self {
        Self { session, renderer, id, described: Vec::new(), steps: Vec::new() }
    }

    /// Adds a step; returns whether this cloud can do it.
    fn add(
        &mut self,
        service: &str,
        lasting: &Lasting,
        action: &str,
        made: Option<&str>,
        make: impl FnOnce(u64, Part) -> Arc<dyn Action>,
    ) -> Result<bool> {
        let cloud = &self.session.site.cloud;
        let container = match place(cloud, &lasting.container, &lasting.needs) {
            Ok(container) => container,
            Err(reason) => {
                self.leave_out(service, lasting, &reason);
                return Ok(false);
            }
        };
        let Lasting { environment, script, timeout_secs, .. } = lasting;
        let mut command = command(self.renderer, container, environment, script)?;
        let told = [("ACTION", action), ("VERIFY_ID", self.id)];
        let told = told.into_iter().chain(made.map(|made| ("MADE", made)));
        command.environment.extend(told.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let action = make(*timeout_secs, (container.name.clone(), command));
        self.push((service, &lasting.name, &lasting.title), action);
        Ok(true)
    }

    fn leave_out(&mut self, service: &str, lasting: &Lasting, reason: &str) {
        let of = (service, lasting.name.as_str(), lasting.title.as_str());
        self.push(of, Arc::new(LeftOut(reason.to_owned())));
    }

    fn push(&mut self, (service, name, title): (&str, &str, &str), action: Arc<dyn Action>) {
        let key = StepKey::new(format!("lasting/{service}/{name}"));
        let described = (service.to_owned(), name.to_owned(), title.to_owned(), key.clone());
        self.described.push(described);
        self.steps.push(Step {
            key,
            title: format!("{service} {name}: {title}"),
            phase: Phase::Verify,
            resource: Resource::Load,
            needs: Vec::new(),
            estimate_ms: ESTIMATE_MS,
            action,
        });
    }

    async fn run(self, options: &Options) -> Result<Verified> {
        let cloud = &self.session.site.cloud;
        let report = Run::new(options, self.session, "verify").check(self.steps, None).await?;
        Ok(Verified {
            cloud: cloud.name.clone(),
            release: cloud.release.release.clone(),
            seconds: report.summary.elapsed,
            checks: checked(self.described, &report),
        })
    }
}

/// What scripts printed, by service and name.
type Printed = Arc<Mutex<BTreeMap<(String, String), String>>>;

/// Makes something that lasts, and keeps what its script printed.
struct Make {
    timeout_secs: u64,
    container: String,
    command: Command,
    key: (String, String),
    printed: Printed,
}

#[async_trait]
impl Action for Make {
    async fn observe(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Wrong(ASKED.to_owned()))
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let command = Command {
            timeout: Some(Duration::from_secs(self.timeout_secs)),
            grace: Some(GRACE),
            ..self.command.clone()
        };
        // What it prints may be a password: it goes into the file and nowhere else.
        let told = context.clone();
        let heard = move |stream: Stream, line: &str| {
            if stream == Stream::Err {
                told.output(line);
            }
        };
        let listen = Listen { heard: Arc::new(heard), cancel: context.cancel.clone() };
        let output = context.host.containers.follow(&self.container, command, &listen).await?;
        if !output.success() {
            return Err(failed(&self.container, &output));
        }
        let text = output.text().trim_end().to_owned();
        self.printed.lock().await.insert(self.key.clone(), text);
        Ok(())
    }

    async fn verify(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }
}

#[cfg(test)]
mod tests;
