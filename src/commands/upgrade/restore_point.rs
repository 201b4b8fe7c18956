//! What leads back from an upgrade: all databases as of one moment, the cloud as it was, and what was
//! recorded of its set-up commands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Error, Result};
use crate::host::Records;
use crate::model::cloud::Cloud;
use crate::model::paths::Paths;
use crate::state::files;
use crate::state::upgrade::{self, Progress, Upgrade};
use crate::steps::dumps;
use crate::steps::site::Site;

/// Takes it.
pub struct Take {
    pub paths: Paths,
    pub site: Arc<Site>,
    /// The cloud as it is.
    pub former: Cloud,
    pub from: String,
    pub to: String,
    pub leave: BTreeSet<String>,
}

/// Names of all databases of a cloud's services.
fn databases(cloud: &Cloud) -> Vec<String> {
    let all = cloud.services.iter().flat_map(|service| &service.databases);
    all.map(|database| database.name.clone()).collect()
}

/// Under which names set-up commands are recorded.
fn setup_records(cloud: &Cloud) -> impl Iterator<Item = String> + '_ {
    cloud.services.iter().flat_map(|service| {
        let commands = service.setup.iter();
        commands.map(move |command| format!("setup/{}/{}", service.service, command.name))
    })
}

async fn recorded(records: &dyn Records, cloud: &Cloud) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for name in setup_records(cloud) {
        if let Some(text) = records.get(&name).await? {
            found.insert(name, text);
        }
    }
    Ok(found)
}

#[async_trait]
impl Action for Take {
    async fn observe(&self, _: &StepContext) -> Result<Observation> {
        Ok(match upgrade::find(&self.paths)? {
            Some(_) => Observation::Right,
            None => Observation::Wrong("nothing leads back yet".to_owned()),
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        // What an earlier one left: what it migrated, say.
        context.host.records.remove("upgrade").await?;
        let databases = databases(&self.former);
        let sql = dumps::dump_all(context, &self.site, &databases).await?;
        files::write_atomic(&self.paths.upgrade_dump_file(), 0o600, &sql)?;
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let record = Upgrade {
            from: self.from.clone(),
            to: self.to.clone(),
            progress: Progress::Going,
            leave: self.leave.clone(),
            began,
            former: self.former.clone(),
            setup: recorded(&*context.host.records, &self.former).await?,
        };
        upgrade::save(&self.paths, &record)
    }
}

/// Puts databases and records back. Nothing uses the databases meanwhile.
pub struct PutBack {
    pub paths: Paths,
    pub site: Arc<Site>,
    pub upgrade: Upgrade,
}

/// Recorded when databases are those of before, until the cloud has come back.
const RECORD: &str = "upgrade/databases are back";

/// # Errors
/// When the databases of before are not there any more.
pub fn refuse_lost(paths: &Paths) -> Result<()> {
    let file = paths.upgrade_dump_file();
    if file.exists() {
        return Ok(());
    }
    Err(Error::failed("bring the databases back")
        .because(format!("{} is missing: nothing leads back", file.display())))
}

/// Whether the databases are those of before an upgrade.
pub async fn is_back(records: &dyn Records, upgrade: &Upgrade) -> Result<bool> {
    let done = records.get(RECORD).await?;
    Ok(done.is_some_and(|began| began == upgrade.began.to_string()))
}

#[async_trait]
impl Action for PutBack {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(if is_back(&*context.host.records, &self.upgrade).await? {
            Observation::Right
        } else {
            Observation::Wrong(format!("they are those of {}", self.upgrade.to))
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let file = self.paths.upgrade_dump_file();
        let sql = files::read(&file)?.ok_or_else(|| {
            Error::failed("bring the databases back")
                .because(format!("{} is missing", file.display()))
        })?;
        dumps::load(context, &self.site, "bring the databases back", sql).await?;
        let records = &context.host.records;
        for name in setup_records(&self.upgrade.former) {
            match self.upgrade.setup.get(&name) {
                Some(text) => records.set(&name, text).await?,
                None => records.remove(&name).await?,
            }
        }
        records.set(RECORD, &self.upgrade.began.to_string()).await
    }
}
