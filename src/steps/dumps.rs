//! Databases as text: what the database's own tools print of one, and read again.

use crate::engine::step::StepContext;
use crate::error::{Error, Result};
use crate::host::ContainerState;
use crate::model::command::Command;
use crate::model::topology::Container;
use crate::steps::site::{Site, run_script};

/// A larger database is not one of a cloud in which code is tried.
const LARGEST_DUMP_BYTES: u64 = 1 << 30;

/// The text that makes the tables of a database, with their rows.
pub async fn dump(context: &StepContext, site: &Site, database: &str) -> Result<Vec<u8>> {
    let doing = format!("dump the database `{database}`");
    dumped(context, site, database, &doing).await
}

/// The text that makes databases anew, all as of one moment.
pub async fn dump_all(context: &StepContext, site: &Site, databases: &[String]) -> Result<Vec<u8>> {
    let arguments = format!("--add-drop-database --databases {}", databases.join(" "));
    dumped(context, site, &arguments, "dump the databases").await
}

async fn dumped(
    context: &StepContext,
    site: &Site,
    arguments: &str,
    doing: &str,
) -> Result<Vec<u8>> {
    let member = member(context, site).await?;
    let tool = &site.sql_definition()?.local_dump;
    let script = Command {
        largest_output_bytes: Some(LARGEST_DUMP_BYTES),
        ..Command::shell(format!("{tool} {arguments}"))
    };
    let output = context.host.containers.run(&member.name, script).await?;
    if !output.success() {
        return Err(Error::failed(doing)
            .because(format!("it exited with {} in `{}`", output.status, member.name))
            .output(output.tail(5)));
    }
    Ok(output.stdout)
}

/// Runs statements as the local administrator of the databases.
pub async fn load(context: &StepContext, site: &Site, doing: &str, sql: Vec<u8>) -> Result<()> {
    let member = member(context, site).await?;
    let client = site.sql_definition()?.local_client.clone();
    let command = Command { stdin: sql, ..Command::shell(client) };
    run_script(context, &member.name, doing, command).await.map(drop)
}

/// The first database member that runs: the one that serves.
async fn member<'a>(context: &StepContext, site: &'a Site) -> Result<&'a Container> {
    let kind = &site.sql_definition()?.kind;
    for member in site.cloud.members(kind) {
        if let ContainerState::Running { .. } = context.host.containers.state(&member.name).await? {
            return Ok(member);
        }
    }
    Err(Error::failed("find a database member").because("none runs"))
}
