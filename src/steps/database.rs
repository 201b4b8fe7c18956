//! Databases, their users and grants, over MariaDB's wire protocol.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::site::{Site, run_script};
use crate::config::profile::Database as Definition;
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Result, ResultExt};
use crate::model::command::Command;
use crate::model::hash::native_password;
use crate::model::topology::Container;

/// The engine's own account, and whatever else the profile grants before any service.
pub struct Access {
    /// Members; any of them takes the statements for all.
    pub members: Vec<Container>,
    /// The rendered SQL.
    pub sql: String,
    pub site: Arc<Site>,
}

impl Access {
    /// What was last applied is recorded as a hash, so that a changed profile is noticed.
    fn fingerprint(&self) -> String {
        crate::model::hash::sha256_hex(&self.sql)
    }
}

const ACCESS_RECORD: &str = "database/access";

#[async_trait]
impl Action for Access {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        for member in &self.members {
            if self.site.rows_of(context, member, "SELECT 1").await.is_err() {
                return Ok(Observation::Wrong(format!("no login on {}", member.name)));
            }
        }
        if context.host.records.get(ACCESS_RECORD).await? != Some(self.fingerprint()) {
            return Ok(Observation::Wrong("its accounts changed".to_owned()));
        }
        Ok(Observation::Right)
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let Some(member) = self.members.first() else { return Ok(()) };
        let command = Command {
            stdin: self.sql.clone().into_bytes(),
            ..Command::shell(self.site.sql_definition()?.local_client.clone())
        };
        run_script(context, &member.name, "give the engine access to the databases", command)
            .await?;
        context.host.records.set(ACCESS_RECORD, &self.fingerprint()).await
    }
}

pub struct Database {
    pub definition: Definition,
    /// Addresses from which the user may log in.
    pub hosts: BTreeSet<String>,
    pub site: Arc<Site>,
}

impl Database {
    fn needs_tls(&self) -> bool {
        self.site.cloud.inside.is_some()
    }

    /// MariaDB's own hash of the password, as `mysql.global_priv` holds it.
    fn password_hash(&self) -> Result<String> {
        let password = self.site.secret(&self.definition.secret)?.expose_secret();
        Ok(native_password(password))
    }

    async fn rows(&self, context: &StepContext) -> Result<Vec<Account>> {
        let Definition { name, user, .. } = &self.definition;
        let query = format!(
            "SELECT p.Host, JSON_VALUE(p.Priv, '$.authentication_string'), d.Db IS NOT NULL, \
             COALESCE(JSON_VALUE(p.Priv, '$.ssl_type'), 0) > 0 \
             FROM mysql.global_priv p LEFT JOIN mysql.db d \
             ON d.User = p.User AND d.Host = p.Host AND d.Db = '{name}' \
             AND d.Create_priv = 'Y' AND d.Drop_priv = 'Y' WHERE p.User = '{user}'"
        );
        let rows = self.site.sql(context, &query).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                let mut columns = row.into_iter();
                let host = columns.next()??;
                let hash = columns.next()?.unwrap_or_default();
                let mut is_set = || Some(columns.next()?.as_deref() == Some("1"));
                Some(Account { host, hash, owns: is_set()?, needs_tls: is_set()? })
            })
            .collect())
    }
}

/// A user from one address, as the server has it.
struct Account {
    host: String,
    hash: String,
    owns: bool,
    needs_tls: bool,
}

#[async_trait]
impl Action for Database {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        let Definition { name, user, .. } = &self.definition;
        let schema =
            format!("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{name}'");
        match self.site.sql(context, &schema).await {
            Err(_) => return Ok(Observation::Wrong("no database member answers".to_owned())),
            Ok(rows) if rows.is_empty() => {
                return Ok(Observation::Wrong("the database does not exist".to_owned()));
            }
            Ok(_) => {}
        }
        let rows = self.rows(context).await?;
        let hash = self.password_hash()?;
        let found: BTreeSet<String> = rows.iter().map(|account| account.host.clone()).collect();
        if found != self.hosts {
            return Ok(Observation::Wrong(format!("user {user} may log in from other addresses")));
        }
        if rows.iter().any(|account| account.hash != hash) {
            return Ok(Observation::Wrong(format!("user {user} has another password")));
        }
        if rows.iter().any(|account| !account.owns) {
            return Ok(Observation::Wrong(format!("user {user} lacks its grants")));
        }
        if rows.iter().any(|account| account.needs_tls != self.needs_tls()) {
            let how = if self.needs_tls() { "in clear" } else { "by TLS alone" };
            return Ok(Observation::Wrong(format!("user {user} may log in {how}")));
        }
        Ok(Observation::Right)
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let Definition { name, user, .. } = &self.definition;
        let hash = self.password_hash()?;
        let mut statements = vec![format!("CREATE DATABASE IF NOT EXISTS `{name}`")];
        let require = if self.needs_tls() { "SSL" } else { "NONE" };
        for Account { host, .. } in self.rows(context).await? {
            if !self.hosts.contains(&host) {
                statements.push(format!("DROP USER IF EXISTS '{user}'@'{host}'"));
            }
        }
        for host in &self.hosts {
            let account = format!("'{user}'@'{host}'");
            statements.push(format!(
                "CREATE USER IF NOT EXISTS {account} IDENTIFIED BY PASSWORD '{hash}'"
            ));
            statements.push(format!(
                "ALTER USER {account} IDENTIFIED BY PASSWORD '{hash}' REQUIRE {require}"
            ));
            statements.push(format!("GRANT ALL PRIVILEGES ON `{name}`.* TO {account}"));
        }
        let making = || format!("make the database `{name}`");
        self.site.execute(context, &statements).await.doing(making)
    }
}
