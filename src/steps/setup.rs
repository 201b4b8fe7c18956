//! Commands of a profile that prepare a service: schemas, first accounts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::identity::Session;
use super::site::{Site, run_script};
use crate::config::profile::Done;
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::Result;
use crate::model::command::Command;
use crate::model::hash::sha256_hex;
use crate::model::topology::Container;

/// How long a look from inside the container may take.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// The record of a command that began with empty databases and has not succeeded since.
const FILLING: &str = "filling empty databases";

pub struct Setup {
    pub title: String,
    /// The record's name: `setup/heat/schema`.
    pub record: String,
    pub container: Container,
    /// The script with its rendered environment.
    pub command: Command,
    /// How it is observed, rendered.
    pub done: Done,
    /// See [`SetupCommand::fills`](crate::config::profile::SetupCommand::fills).
    pub fills: Vec<String>,
    /// Whether other software, or another script, makes it run though its result is there.
    pub upgrades: bool,
    /// See [`Action::attempts`].
    pub attempts: u32,
    pub site: Arc<Site>,
}

impl Setup {
    /// The software with which it last ran: other layers may bring another schema.
    fn fingerprint(&self) -> String {
        sha256_hex(format!("{}\n{}", self.container.layers.join("\n"), self.command.argv.join(" ")))
    }

    /// Sees to it that databases that no run ever filled whole are empty.
    ///
    /// Nothing but this command has written into them: whatever uses them waits for it. That it
    /// succeeded is written over the mark, so a mark never outlives the first success.
    async fn begin(&self, context: &StepContext) -> Result<()> {
        if self.fills.is_empty() {
            return Ok(());
        }
        if context.host.records.get(&self.record).await?.as_deref() == Some(FILLING) {
            context.output("it was cut off the last time: its databases are emptied");
            let remake = |name: &String| {
                [format!("DROP DATABASE IF EXISTS `{name}`"), format!("CREATE DATABASE `{name}`")]
            };
            let statements: Vec<String> = self.fills.iter().flat_map(remake).collect();
            return self.site.execute(context, &statements).await;
        }
        let names = self.fills.join("', '");
        let tables = format!(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('{names}')"
        );
        let rows = self.site.sql(context, &tables).await?;
        if rows.into_iter().flatten().next().flatten().as_deref() == Some("0") {
            context.host.records.set(&self.record, FILLING).await?;
        }
        Ok(())
    }

    /// Whether a look from inside the container finds the result.
    async fn holds(&self, context: &StepContext, script: &str) -> bool {
        let command = Command {
            environment: self.command.environment.clone(),
            timeout: Some(LOOK_LIMIT),
            ..Command::shell(script)
        };
        let output = context.host.containers.run(&self.container.name, command).await;
        output.is_ok_and(|output| output.success())
    }
}

#[async_trait]
impl Action for Setup {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        let known = !self.upgrades
            || context.host.records.get(&self.record).await? == Some(self.fingerprint());
        let missing = match &self.done {
            // What is going to run anyhow need not be asked.
            Done::Run { .. } if !known => false,
            Done::Sql { query } => match self.site.sql(context, query).await {
                Ok(rows) => {
                    let first = rows.into_iter().flatten().next().flatten();
                    matches!(first.as_deref(), None | Some("0"))
                }
                Err(_) => true,
            },
            Done::AdminToken => Session::open(context, &self.site).await.is_err(),
            Done::Run { script } => !self.holds(context, script).await,
        };
        if missing {
            return Ok(Observation::Wrong("its result is not there".to_owned()));
        }
        if !known {
            return Ok(Observation::Wrong("it did not run with this software yet".to_owned()));
        }
        Ok(Observation::Right)
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        self.begin(context).await?;
        run_script(context, &self.container.name, &self.title, self.command.clone()).await?;
        // A password that was set anew has ended every token of its user.
        *self.site.admin_token.lock().await = None;
        if !self.upgrades && self.fills.is_empty() {
            return Ok(());
        }
        context.host.records.set(&self.record, &self.fingerprint()).await
    }

    fn looks_early(&self) -> bool {
        matches!(self.done, Done::Run { .. })
    }

    fn attempts(&self) -> u32 {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::host::fake::absent;
    use crate::host::fake::containers::FakeContainers;
    use crate::host::fake::records::FakeRecords;
    use crate::host::fake::sql::FakeSql;
    use crate::host::{Containers, Host};
    use crate::model::command::Output;
    use crate::model::topology::tests::container;
    use crate::render::testing;

    /// `make` in the container c/1, done when `look` says so. `there` tells whether it does.
    async fn setup(there: bool) -> (Setup, StepContext) {
        let containers = Arc::new(FakeContainers::default());
        let container = container("c/1");
        containers.define(&container).await.unwrap();
        containers.start(&container.name).await.unwrap();
        containers.answer(move |_, command| {
            let look = command.argv.last().is_some_and(|script| script == "look");
            let knows = command.environment.get("WORD").is_some_and(|word| word == "x");
            Some(Output { status: i32::from(look && !(there && knows)), ..Output::default() })
        });
        let host = Host {
            containers: containers as Arc<_>,
            records: Arc::new(FakeRecords::default()),
            ..absent()
        };
        let cloud = testing::cloud(&testing::profiles(&[]));
        let environment = BTreeMap::from([("WORD".to_owned(), "x".to_owned())]);
        let setup = Setup {
            title: "x".to_owned(),
            record: "setup/c/x".to_owned(),
            container,
            command: Command { environment, ..Command::shell("make") },
            done: Done::Run { script: "look".to_owned() },
            fills: Vec::new(),
            upgrades: true,
            attempts: 1,
            site: Arc::new(Site::new(cloud, testing::secrets())),
        };
        (setup, StepContext::silent(Arc::new(host)))
    }

    #[tokio::test]
    async fn a_script_is_done_when_it_ran_and_its_result_is_found() {
        let (setup, context) = setup(true).await;
        let first = setup.observe(&context).await.unwrap();
        let reason = "it did not run with this software yet".to_owned();
        assert_eq!(first, Observation::Wrong(reason), "though the result is found");
        setup.act(&context).await.unwrap();
        assert_eq!(setup.observe(&context).await.unwrap(), Observation::Right);
        let other = Setup { command: Command::shell("make anew"), ..setup };
        assert_ne!(other.observe(&context).await.unwrap(), Observation::Right);
    }

    #[tokio::test]
    async fn what_upgrades_nothing_is_done_when_its_result_is_found() {
        for (there, expected) in [
            (true, Observation::Right),
            (false, Observation::Wrong("its result is not there".to_owned())),
        ] {
            let (setup, context) = setup(there).await;
            let setup = Setup { upgrades: false, ..setup };
            assert_eq!(setup.observe(&context).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_script_whose_result_is_lost_runs_again() {
        let (setup, context) = setup(false).await;
        setup.act(&context).await.unwrap();
        let reason = "its result is not there".to_owned();
        assert_eq!(setup.observe(&context).await.unwrap(), Observation::Wrong(reason.clone()));
        // A container that is not there cannot be asked.
        let gone = Setup { container: container("gone/1"), ..setup };
        context.host.records.set("setup/c/x", &gone.fingerprint()).await.unwrap();
        assert_eq!(gone.observe(&context).await.unwrap(), Observation::Wrong(reason));
    }

    #[tokio::test]
    async fn databases_are_emptied_only_when_no_run_ever_filled_them() {
        let (setup, context) = setup(true).await;
        let sql = Arc::new(FakeSql::default());
        sql.answer("information_schema.TABLES", &[&["0"]]);
        let emptied = || {
            let mut statements = sql.statements.lock().unwrap();
            let dropped = statements.iter().any(|(_, text)| text.starts_with("DROP DATABASE"));
            statements.clear();
            dropped
        };
        let on = |containers: Arc<dyn Containers>| StepContext {
            host: Arc::new(Host {
                containers,
                records: Arc::clone(&context.host.records),
                sql: Arc::clone(&sql) as Arc<_>,
                ..absent()
            }),
            ..context.clone()
        };
        let cut_off = on(Arc::new(FakeContainers::default()));
        let whole = on(Arc::clone(&context.host.containers));
        let setup = Setup { fills: vec!["c".to_owned()], ..setup };

        setup.act(&cut_off).await.unwrap_err();
        assert!(!emptied(), "they were empty");
        sql.answer("information_schema.TABLES", &[&["7"]]);
        setup.act(&cut_off).await.unwrap_err();
        assert!(emptied(), "half a schema");
        setup.act(&whole).await.unwrap();
        assert!(emptied(), "half a schema again");
        let upgrade = Setup { command: Command::shell("make anew"), ..setup };
        upgrade.act(&cut_off).await.unwrap_err();
        upgrade.act(&whole).await.unwrap();
        assert!(!emptied(), "what was filled whole has a user's data");
    }
}
