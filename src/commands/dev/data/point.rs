//! All databases of a service as of one moment: taken, compared with, put back.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Changes;
use super::picture::Picture;
use crate::config::profile::{Database, ServiceProfile};
use crate::engine::step::StepContext;
use crate::error::{Error, Result, ResultExt};
use crate::model::paths::Paths;
use crate::state::files::{read, remove, write_atomic};
use crate::steps::dumps;
use crate::steps::site::Site;

/// How often they are put back.
const TRIES: u32 = 3;

/// Of one service.
#[derive(Clone, Debug)]
pub struct RestorePoint {
    paths: Paths,
    service: String,
    databases: Vec<Database>,
    records: Vec<String>,
}

/// What stands beside the databases' text, and is written after it.
#[derive(Deserialize, Serialize)]
struct Taken {
    picture: Picture,
    /// Whether they are being put back: until that is done, there is nothing to be looked at.
    #[serde(default)]
    going_back: bool,
}

impl RestorePoint {
    pub fn new(paths: &Paths, service: &ServiceProfile) -> Self {
        let schema = service.dev.as_ref().and_then(|dev| dev.schema.as_ref());
        Self {
            paths: paths.clone(),
            service: service.service.clone(),
            databases: service.databases.clone(),
            records: schema.map(|schema| schema.records.clone()).unwrap_or_default(),
        }
    }

    /// Whether the service has databases.
    pub fn has_databases(&self) -> bool {
        !self.databases.is_empty()
    }

    /// The text that makes them anew, if it was taken.
    pub fn file(&self) -> Option<PathBuf> {
        let file = self.paths.dump_file(&self.service);
        (self.paths.dump_record_file(&self.service).exists() && file.exists()).then_some(file)
    }

    fn taken(&self) -> Result<Option<Taken>> {
        let file = self.paths.dump_record_file(&self.service);
        let Some(text) = read(&file)? else { return Ok(None) };
        serde_json::from_slice(&text).doing(|| format!("read {}", file.display())).map(Some)
    }

    fn write(&self, taken: &Taken) -> Result<()> {
        let text = serde_json::to_vec(taken)
            .doing(|| format!("write down what the databases of {} look like", self.service))?;
        write_atomic(&self.paths.dump_record_file(&self.service), 0o600, &text)
    }

    /// Keeps them as they are.
    pub async fn take(&self, context: &StepContext, site: &Site) -> Result<()> {
        let picture = Picture::take(context, site, &self.databases, self.records.iter()).await?;
        let names: Vec<String> = self.databases.iter().map(|it| it.name.clone()).collect();
        let sql = dumps::dump_all(context, site, &names).await?;
        write_atomic(&self.paths.dump_file(&self.service), 0o600, &sql)?;
        self.write(&Taken { picture, going_back: false })
    }

    /// What became of them since; nothing where none were kept.
    ///
    /// # Errors
    /// When no member of the databases answers.
    pub async fn changes(&self, context: &StepContext, site: &Site) -> Result<Option<Changes>> {
        let Some(Taken { picture, going_back }) = self.taken()? else { return Ok(None) };
        if going_back {
            return Ok(Some(Changes::unreadable("they were on their way back already")));
        }
        let queries = picture.queries();
        let changes = match Picture::take(context, site, &self.databases, queries).await {
            Ok(now) => Changes::between(&picture, &now),
            // A checkout can make what cannot be read. Where nobody answers, that is another matter.
            Err(error) => {
                site.sql(context, "SELECT 1").await?;
                Changes::unreadable(&format!("they cannot be read: {error}"))
            }
        };
        Ok(Some(changes))
    }

    /// Makes them what they were. The text begins with their removal: what goes wrong in the middle, for
    /// somebody wrote at the same moment, goes well from the beginning.
    pub async fn put_back(&self, context: &StepContext, site: &Site) -> Result<()> {
        let doing = || format!("bring back the databases of {}", self.service);
        let Some(Taken { picture, .. }) = self.taken()? else {
            return Err(Error::failed(doing()).because("those of before were not kept"));
        };
        let file = self.paths.dump_file(&self.service);
        let sql = std::fs::read(&file).doing(|| format!("read {}", file.display()))?;
        let mut taken = Taken { picture, going_back: true };
        self.write(&taken)?;
        let mut tries = 0;
        while let Err(error) = dumps::load(context, site, &doing(), sql.clone()).await {
            tries += 1;
            if tries == TRIES {
                return Err(error);
            }
        }
        taken.going_back = false;
        self.write(&taken)
    }

    /// Throws them away: nothing leads back any more.
    pub fn remove(&self) -> Result<()> {
        remove(&self.paths.dump_record_file(&self.service))?;
        remove(&self.paths.dump_file(&self.service)).map(drop)
    }
}
