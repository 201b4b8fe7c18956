//! The schema of a service's databases: at which revisions they are, and how a checkout brings its own.

use std::collections::BTreeSet;

use super::work::Work;
use crate::commands::dev::data::revisions;
use crate::config::profile::Database;
use crate::engine::step::StepContext;
use crate::error::Result;
use crate::lxc::process::TOOL_PATH;
use crate::model::command::Command;
use crate::steps::site::run_script;

/// How the schema of a service is changed.
pub struct Schema {
    pub databases: Vec<Database>,
    /// For people: "schema of heat".
    pub title: String,
    /// The command that brings it up to date, with its environment; run with the checkout's code.
    pub command: Command,
}

impl Schema {
    /// The Alembic revisions that the databases are at.
    pub(super) async fn present_heads(
        &self,
        context: &StepContext,
        work: &Work,
    ) -> Result<BTreeSet<String>> {
        let mut heads = BTreeSet::new();
        for database in &self.databases {
            heads.extend(revisions(context, &work.site, database).await?);
        }
        Ok(heads)
    }

    /// Runs the service's own upgrade with the checkout's code.
    pub(super) async fn sync(&self, context: &StepContext, work: &Work) -> Result<()> {
        let swap = work.swap().await;
        let mut command = self.command.clone();
        command.environment.extend(swap.python_environment());
        // With the checkout's own program, as its units run.
        let path = format!("{}:{TOOL_PATH}", swap.programs_path());
        command.environment.insert("PATH".to_owned(), path);
        let names: Vec<&str> = self.databases.iter().map(|it| it.name.as_str()).collect();
        let doing = format!("bring the databases {} up to the checkout", names.join(", "));
        run_script(context, &swap.container, &doing, command).await.map(drop)
    }
}
