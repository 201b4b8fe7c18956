//! Commands of a profile that prepare a service: schemas, first accounts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::dumps;
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

/// What a command makes of empty databases, kept beside an image layer.
pub struct Keepsake {
    /// The id of the topmost layer of the container in which it runs.
    pub layer: String,
    /// Its name there, in which everything is that tells one from another.
    pub name: String,
    /// Tables whose rows are a cloud's own.
    pub without_rows_of: Vec<String>,
}

/// One command.
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
    /// Where what it makes of empty databases is kept.
    pub keepsake: Option<Keepsake>,
    /// Whether other software, or another script, makes it run though its result is there.
    pub upgrades: bool,
    /// See [`Action::attempts`].
    pub attempts: u32,
    pub site: Arc<Site>,
}

impl Setup {
    /// The software with which it last ran: other layers may bring another schema.
    fn fingerprint(&self) -> String {
        sha256_hex(format!(
            "{}\n{}",
            self.container.software().join("\n"),
            self.command.argv.join(" ")
        ))
    }

    /// Sees to it that databases that no run ever filled whole are empty, and returns whether they are.
    ///
    /// Nothing but this command has written into them: whatever uses them waits for it. That it
    /// succeeded is written over the mark, so a mark never outlives the first success.
    async fn begin(&self, context: &StepContext) -> Result<bool> {
        if self.fills.is_empty() {
            return Ok(false);
        }
        if context.host.records.get(&self.record).await?.as_deref() == Some(FILLING) {
            context.output("it was cut off the last time: its databases are emptied");
            self.empty(context).await?;
            return Ok(true);
        }
        let names = self.fills.join("', '");
        let tables = format!(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('{names}')"
        );
        let rows = self.site.sql(context, &tables).await?;
        let empty = rows.into_iter().flatten().next().flatten().as_deref() == Some("0");
        if empty {
            context.host.records.set(&self.record, FILLING).await?;
        }
        Ok(empty)
    }

    async fn empty(&self, context: &StepContext) -> Result<()> {
        let remake = |name: &String| {
            [format!("DROP DATABASE IF EXISTS `{name}`"), format!("CREATE DATABASE `{name}`")]
        };
        let statements: Vec<String> = self.fills.iter().flat_map(remake).collect();
        self.site.execute(context, &statements).await
    }

    /// Loads what an earlier cloud kept into the empty databases, and returns whether there was any.
    /// What cannot be loaded is as if it were not there.
    async fn load(&self, context: &StepContext, keepsake: &Keepsake) -> Result<bool> {
        let Ok(Some(sql)) = context.host.keepsakes.get(&keepsake.layer, &keepsake.name).await
        else {
            return Ok(false);
        };
        match dumps::load(context, &self.site, &self.title, sql).await {
            Ok(()) => Ok(true),
            Err(error) => {
                context.output(format!("what is kept of it is of no use: {error}"));
                self.empty(context).await?;
                Ok(false)
            }
        }
    }

    /// Keeps what the command made of empty databases for the next cloud.
    async fn keep(&self, context: &StepContext, keepsake: &Keepsake) -> Result<()> {
        let mut sql = Vec::new();
        for database in &self.fills {
            sql.extend(format!("USE `{database}`;\n").into_bytes());
            sql.extend(dumps::dump(context, &self.site, database).await?);
        }
        for table in &keepsake.without_rows_of {
            sql.extend(format!("DELETE FROM {table};\n").into_bytes());
        }
        context.host.keepsakes.put(&keepsake.layer, &keepsake.name, &sql).await
    }

    /// Runs the command, or loads what it made in an earlier cloud.
    async fn make(&self, context: &StepContext) -> Result<()> {
        let empty = self.begin(context).await?;
        let run = || run_script(context, &self.container.name, &self.title, self.command.clone());
        let Some(keepsake) = self.keepsake.as_ref().filter(|_| empty) else {
            return run().await.map(drop);
        };
        let loaded = self.load(context, keepsake).await?;
        if loaded && keepsake.without_rows_of.is_empty() {
            return Ok(());
        }
        run().await?;
        if !loaded && let Err(error) = self.keep(context, keepsake).await {
            context.output(format!("what it made is not kept for the next cloud: {error}"));
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
            Done::AdminToken => Session::check(context, &self.site).await.is_err(),
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
        self.make(context).await?;
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
    use std::sync::Mutex;

    use super::*;
    use crate::host::fake::containers::FakeContainers;
    use crate::host::fake::empty;
    use crate::host::fake::keepsakes::FakeKeepsakes;
    use crate::host::fake::records::FakeRecords;
    use crate::host::fake::sql::FakeSql;
    use crate::host::{Containers, Host, Keepsakes};
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
        let host = Host { containers: containers as Arc<_>, ..empty() };
        let cloud = testing::cloud(&testing::profiles(&[]));
        let environment = BTreeMap::from([("WORD".to_owned(), "x".to_owned())]);
        let setup = Setup {
            title: "x".to_owned(),
            record: "setup/c/x".to_owned(),
            container,
            command: Command { environment, ..Command::shell("make") },
            done: Done::Run { script: "look".to_owned() },
            fills: Vec::new(),
            keepsake: None,
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
                ..empty()
            }),
            ..context.clone()
        };
        let cut_off = on(Arc::new(FakeContainers::default()));
        let whole = on(Arc::clone(&context.host.containers));
        for containers in [&cut_off, &whole].map(|it| &it.host.containers) {
            for member in setup.site.cloud.members(&setup.site.sql_definition().unwrap().kind) {
                containers.define(member).await.unwrap();
                containers.start(&member.name).await.unwrap();
            }
        }
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

    /// What was done in the containers of a cloud, in order: `make`, or the SQL that was loaded.
    type Deeds = Arc<Mutex<Vec<String>>>;

    /// A new cloud with empty databases beside the layers of the one before. `useless` is what its
    /// database does not read.
    async fn next_cloud(
        keepsakes: &Arc<FakeKeepsakes>,
        without_rows_of: &[&str],
        useless: &'static str,
    ) -> (Setup, StepContext, Deeds) {
        let (setup, context) = setup(true).await;
        let containers = Arc::new(FakeContainers::default());
        for container in setup.site.cloud.containers.iter().chain([&setup.container]) {
            containers.define(container).await.unwrap();
            containers.start(&container.name).await.unwrap();
        }
        let done = Deeds::default();
        let heard = Arc::clone(&done);
        containers.answer(move |_, command| {
            let said = |text: &str| Some(Output { stdout: text.into(), ..Output::default() });
            match command.argv.last().map(String::as_str) {
                Some("make") => heard.lock().unwrap().push("make".to_owned()),
                Some("dump c") => return said("CREATE TABLE t;\n"),
                Some("client") => {
                    let sql = String::from_utf8(command.stdin.clone()).unwrap();
                    if sql.starts_with(useless) {
                        return Some(Output { status: 1, ..Output::default() });
                    }
                    heard.lock().unwrap().push(sql);
                }
                _ => {}
            }
            None
        });
        let sql = FakeSql::default();
        sql.answer("information_schema.TABLES", &[&["0"]]);
        let host = Host {
            containers,
            keepsakes: Arc::clone(keepsakes) as Arc<_>,
            records: Arc::new(FakeRecords::default()),
            sql: Arc::new(sql),
            ..empty()
        };
        let mut cloud = setup.site.cloud.clone();
        let server = cloud.services.iter_mut().find_map(|it| it.sql_server.as_mut()).unwrap();
        (server.local_client, server.local_dump) = ("client".to_owned(), "dump".to_owned());
        let keepsake = Keepsake {
            layer: "c-1".to_owned(),
            name: "c-x.sql".to_owned(),
            without_rows_of: without_rows_of.iter().map(|&table| table.to_owned()).collect(),
        };
        let setup = Setup {
            fills: vec!["c".to_owned()],
            keepsake: Some(keepsake),
            site: Arc::new(Site::new(cloud, testing::secrets())),
            ..setup
        };
        (setup, StepContext { host: Arc::new(host), ..context }, done)
    }

    #[tokio::test]
    async fn what_it_made_of_empty_databases_is_loaded_in_the_next_cloud() {
        for (rows, first, next) in [
            (&[][..], "USE `c`;\nCREATE TABLE t;\n", &["USE `c`;\nCREATE TABLE t;\n"][..]),
            (
                &["c.hosts"][..],
                "USE `c`;\nCREATE TABLE t;\nDELETE FROM c.hosts;\n",
                &["USE `c`;\nCREATE TABLE t;\nDELETE FROM c.hosts;\n", "make"][..],
            ),
        ] {
            let keepsakes = Arc::new(FakeKeepsakes::default());
            let (setup, context, done) = next_cloud(&keepsakes, rows, "-").await;
            setup.act(&context).await.unwrap();
            assert_eq!(*done.lock().unwrap(), ["make"]);
            let kept: Vec<Vec<u8>> = keepsakes.kept.lock().unwrap().values().cloned().collect();
            assert_eq!(kept, [first.as_bytes()]);

            let (setup, context, done) = next_cloud(&keepsakes, rows, "-").await;
            setup.act(&context).await.unwrap();
            assert_eq!(*done.lock().unwrap(), next);
            assert_eq!(setup.observe(&context).await.unwrap(), Observation::Right);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_loaded_is_made_and_kept_anew() {
        let keepsakes = Arc::new(FakeKeepsakes::default());
        keepsakes.put("c-1", "c-x.sql", b"half").await.unwrap();
        let (setup, context, done) = next_cloud(&keepsakes, &[], "half").await;
        setup.act(&context).await.unwrap();
        assert_eq!(*done.lock().unwrap(), ["make"]);
        let kept: Vec<Vec<u8>> = keepsakes.kept.lock().unwrap().values().cloned().collect();
        assert_eq!(kept, [b"USE `c`;\nCREATE TABLE t;\n"]);
    }
}
