//! The schema of a service's database: what it is, what a checkout wants, and the way back.

use std::collections::BTreeSet;

use super::work::Work;
use crate::engine::step::StepContext;
use crate::error::{Result, ResultExt};
use crate::model::command::Command;
use crate::state::files::{remove, write_atomic};
use crate::steps::dumps;
use crate::steps::site::run_script;

/// How the schema of a service is changed.
pub struct Schema {
    pub database: String,
    /// For people: "schema of heat".
    pub title: String,
    /// The command that brings it up to date, with its environment; run with the checkout's code.
    pub command: Command,
}

impl Schema {
    /// The Alembic revisions that the database is at.
    pub(super) async fn present_heads(
        &self,
        context: &StepContext,
        work: &Work,
    ) -> Result<BTreeSet<String>> {
        let query = format!("SELECT version_num FROM {}.alembic_version", self.database);
        let rows = work.site.sql(context, &query).await?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// Writes the database as it is into a file of the host, unless one is there: that is of an
    /// earlier swap and has the packaged schema.
    pub(super) async fn dump(&self, context: &StepContext, work: &Work) -> Result<()> {
        let file = work.paths.dump_file(&self.database);
        if file.exists() {
            return Ok(());
        }
        let dump = dumps::dump(context, &work.site, &self.database).await?;
        write_atomic(&file, 0o600, &dump)
    }

    /// Runs the service's own upgrade with the checkout's code.
    pub(super) async fn sync(&self, context: &StepContext, work: &Work) -> Result<()> {
        let swap = work.swap().await;
        let mut command = self.command.clone();
        command.environment.extend(swap.python_environment());
        let doing = format!("bring the database `{}` up to the checkout", self.database);
        run_script(context, &swap.container, &doing, command).await.map(drop)
    }
}

/// Makes a database anew from its dump, which is not needed any more then.
pub(super) async fn load_dump(context: &StepContext, work: &Work, name: &str) -> Result<()> {
    let doing = || format!("bring back the database `{name}`");
    let file = work.paths.dump_file(name);
    let dump = std::fs::read(&file).doing(doing)?;
    let mut sql =
        format!("DROP DATABASE IF EXISTS `{name}`; CREATE DATABASE `{name}`; USE `{name}`;\n")
            .into_bytes();
    sql.extend(dump);
    dumps::load(context, &work.site, &doing(), sql).await?;
    remove(&file).map(drop)
}
