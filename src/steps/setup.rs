//! Commands of a profile that prepare a service: schemas, first accounts.

use std::sync::Arc;

use async_trait::async_trait;

use super::identity::Session;
use super::shared::{Shared, run_script};
use crate::config::profile::Done;
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::Result;
use crate::host::Command;
use crate::model::hash::sha256_hex;
use crate::model::topology::Container;

/// One command.
pub struct Setup {
    /// For people.
    pub title: String,
    /// The record's name: `setup/heat/schema`.
    pub record: String,
    /// Where it runs.
    pub container: Container,
    /// The script with its rendered environment.
    pub command: Command,
    /// How it is observed.
    pub done: Done,
    /// What several steps share.
    pub shared: Arc<Shared>,
}

impl Setup {
    /// The software with which it last ran: other layers may bring another schema.
    fn fingerprint(&self) -> String {
        sha256_hex(&format!(
            "{}\n{}",
            self.container.layers.join("\n"),
            self.command.argv.join(" ")
        ))
    }
}

#[async_trait]
impl Action for Setup {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        let missing = match &self.done {
            Done::Sql { query } => match self.shared.sql(context, query).await {
                Ok(rows) => {
                    let first = rows.into_iter().next().and_then(|row| row.into_iter().next());
                    matches!(first.flatten().as_deref(), None | Some("0"))
                }
                Err(_) => true,
            },
            Done::AdminToken => Session::open(context, &self.shared).await.is_err(),
        };
        if missing {
            return Ok(Observation::Wrong("its result is not there".to_owned()));
        }
        if context.host.records.get(&self.record).await? != Some(self.fingerprint()) {
            return Ok(Observation::Wrong("it last ran with other software".to_owned()));
        }
        Ok(Observation::Right)
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        run_script(context, &self.container.name, &self.title, self.command.clone()).await?;
        // A password that was set anew has ended every token of its user.
        *self.shared.admin_token.lock().await = None;
        context.host.records.set(&self.record, &self.fingerprint()).await
    }
}
