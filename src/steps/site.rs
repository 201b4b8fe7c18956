//! The cloud as steps see it: with its secrets, its load balancer, accounts and members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::balancer::Balancer;
use crate::config::profile::{Database, SqlServer as SqlServerDefinition};
use crate::engine::step::StepContext;
use crate::error::{Error, Result, ResultExt};
use crate::host::{ContainerState, SqlServer};
use crate::model::cloud::Cloud;
use crate::model::command::Command;
use crate::model::topology::Container;

/// How often a step is tried that uses the cloud as its users do: see `Action::attempts`.
pub const ATTEMPTS: u32 = 3;

/// A cloud, desired or there, with what is needed to work on it.
pub struct Site {
    pub cloud: Cloud,
    /// Every secret of the deployed services by name.
    pub secrets: BTreeMap<String, SecretString>,
    /// Names of secrets that the user edited and that the cloud does not use yet: what logs in with
    /// them is refused. Empty where this run applies them.
    pub unapplied: BTreeSet<String>,
    pub balancer: Arc<Balancer>,
    /// The administrator's token, once one was issued in this run.
    pub admin_token: Mutex<Option<String>>,
}

impl Site {
    pub fn new(cloud: Cloud, secrets: BTreeMap<String, SecretString>) -> Self {
        let balancer = Arc::new(Balancer::new(&cloud));
        Self { cloud, secrets, unapplied: BTreeSet::new(), balancer, admin_token: Mutex::new(None) }
    }

    pub fn secret(&self, name: &str) -> Result<&SecretString> {
        self.secrets.get(name).ok_or_else(|| {
            Error::failed(format!("find the secret `{name}`")).because("it is unset")
        })
    }

    /// The definition of the service that holds the databases.
    pub fn sql_definition(&self) -> Result<&SqlServerDefinition> {
        self.cloud.sql_server().ok_or_else(|| {
            Error::failed("find the service that holds the databases")
                .because("no deployed profile has `sql_server`")
        })
    }

    /// The engine's account on one member.
    pub fn sql_account(&self, member: &Container) -> Result<SqlServer> {
        let definition = self.sql_definition()?;
        Ok(SqlServer {
            address: member.daemon_address()?,
            port: definition.port,
            user: definition.user.clone(),
            password: self.secret(&definition.secret)?.clone(),
            tls: self.cloud.inside.is_some(),
        })
    }

    /// Rows of a statement run on the first database member that answers.
    pub async fn sql(
        &self,
        context: &StepContext,
        statement: &str,
    ) -> Result<Vec<Vec<Option<String>>>> {
        let query = |server| async move { context.host.sql.query(&server, statement).await };
        self.on_one_member(context, query).await
    }

    /// Runs statements one after another on the first database member that answers.
    pub async fn execute(&self, context: &StepContext, statements: &[String]) -> Result<()> {
        let execute = |server| async move { context.host.sql.execute(&server, statements).await };
        self.on_one_member(context, execute).await
    }

    /// Rows of a statement run through the load balancer as the user of a service's database, who may do no
    /// more than the service: what it reads may run code that the service's put there.
    pub async fn sql_as(
        &self,
        context: &StepContext,
        database: &Database,
        statement: &str,
    ) -> Result<Vec<Vec<Option<String>>>> {
        let cloud = &self.cloud;
        let frontend = cloud.sql_frontend().ok_or_else(|| {
            Error::failed("ask a database").because("no frontend leads to the databases")
        })?;
        let server = SqlServer {
            address: cloud.networks.virtual_address,
            port: cloud.port(frontend),
            user: database.user.clone(),
            password: self.secret(&database.secret)?.clone(),
            tls: cloud.inside.is_some(),
        };
        context.host.sql.query(&server, statement).await
    }

    /// Rows of a statement run on one member. Of one that does not run nothing is asked: nobody would
    /// refuse, and every look would wait for its answer.
    pub async fn rows_of(
        &self,
        context: &StepContext,
        member: &Container,
        statement: &str,
    ) -> Result<Vec<Vec<Option<String>>>> {
        refuse_stopped(context, member).await?;
        context.host.sql.query(&self.sql_account(member)?, statement).await
    }

    async fn on_one_member<T, F>(
        &self,
        context: &StepContext,
        ask: impl Fn(SqlServer) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut last = Error::failed("ask the databases").because("there is no member");
        for member in self.cloud.members(&self.sql_definition()?.kind) {
            let answer = match refuse_stopped(context, member).await {
                Ok(()) => ask(self.sql_account(member)?).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The first column of the first row of a statement run on one member: over the network with
    /// the engine's account, or (before that account exists) by the member's local administrator.
    pub async fn member_sql(
        &self,
        context: &StepContext,
        member: &Container,
        statement: &str,
    ) -> Result<Option<String>> {
        if let Ok(rows) = self.rows_of(context, member, statement).await {
            return Ok(rows.into_iter().flatten().next().flatten());
        }
        let command = Command {
            stdin: format!("{statement};\n").into_bytes(),
            ..Command::shell(format!("{} --skip-column-names", self.sql_definition()?.local_client))
        };
        let output = context.host.containers.run(&member.name, command).await?;
        if !output.success() {
            return Err(Error::failed(format!("query the database of `{}`", member.name))
                .output(output.tail(5)));
        }
        let text = output.text();
        Ok(text.lines().next().and_then(|line| line.split('\t').next()).map(str::to_owned))
    }

    /// The password behind a secret's name, for a request body.
    pub fn password(&self, name: &str) -> Result<&str> {
        Ok(self.secret(name)?.expose_secret())
    }
}

/// Runs a shell script in a container; a failure carries what it printed.
pub async fn run_script(
    context: &StepContext,
    container: &str,
    doing: &str,
    command: Command,
) -> Result<String> {
    let output = context.host.containers.run(container, command).await?;
    for line in output.text().lines().chain(String::from_utf8_lossy(&output.stderr).lines()) {
        context.output(line);
    }
    if output.success() {
        return Ok(output.text());
    }
    Err(Error::failed(doing.to_owned())
        .because(format!("it exited with {} in container `{container}`", output.status))
        .hint(format!("run `aio logs {container}` to see what its services said"))
        .output(output.tail(20)))
}

pub fn json(body: &str, doing: impl FnOnce() -> String) -> Result<serde_json::Value> {
    serde_json::from_str(body).doing(doing)
}

async fn refuse_stopped(context: &StepContext, member: &Container) -> Result<()> {
    match context.host.containers.state(&member.name).await? {
        ContainerState::Running { .. } => Ok(()),
        _ => Err(Error::failed("ask the databases")
            .because(format!("container `{}` does not run", member.name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::containers::FakeContainers;
    use crate::host::fake::empty;
    use crate::host::fake::sql::FakeSql;
    use crate::host::{Containers, Host};
    use crate::render::testing;

    #[tokio::test]
    async fn a_database_member_that_does_not_run_is_not_asked() {
        let site = Site::new(testing::cloud(&testing::profiles(&[])), testing::secrets());
        let containers = Arc::new(FakeContainers::default());
        let sql = Arc::new(FakeSql::default());
        sql.answer("SELECT 1", &[&["1"]]);
        let (defined, asked) = (Arc::clone(&containers) as Arc<_>, Arc::clone(&sql) as Arc<_>);
        let host = Host { containers: defined, sql: asked, ..empty() };
        let context = StepContext::silent(Arc::new(host));
        let kind = &site.sql_definition().unwrap().kind;
        let member = site.cloud.members(kind).next().unwrap();
        containers.define(member).await.unwrap();
        let error = site.sql(&context, "SELECT 1").await.unwrap_err();
        assert!(error.to_string().contains("does not run"), "{error}");
        assert!(sql.statements.lock().unwrap().is_empty());
        containers.start(&member.name).await.unwrap();
        assert_eq!(site.sql(&context, "SELECT 1").await.unwrap().len(), 1);
    }
}
