//! MariaDB over its wire protocol.

use std::time::Duration;

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::{Sql, SqlServer};
use crate::error::{Error, Result, ResultExt};

/// A member that is up answers in a millisecond; one that was lost never does.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// No statement of ours takes longer, a schema's first grant on a busy machine included.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);

/// The real one. Connections are short: a kept one would outlive the member behind it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealSql;

impl RealSql {
    /// One for all servers.
    pub fn new() -> Self {
        Self
    }
}

fn options(server: &SqlServer) -> Opts {
    let builder = OptsBuilder::default()
        .ip_or_hostname(server.address.to_string())
        .tcp_port(server.port)
        .user(Some(server.user.clone()))
        .pass(Some(server.password.expose_secret().to_owned()))
        .prefer_socket(false);
    builder.into()
}

async fn connect(server: &SqlServer) -> Result<Conn> {
    let doing = || {
        format!("log in to the database on {}:{} as `{}`", server.address, server.port, server.user)
    };
    // Its own errors never hold the password; its `Debug` of the options would.
    timeout(CONNECT_TIMEOUT, Conn::new(options(server)))
        .await
        .map_err(|_| Error::failed(doing()).because("it does not answer"))?
        .doing(doing)
}

/// A value as text; NULL is `None`.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

#[async_trait]
impl Sql for RealSql {
    async fn query(&self, server: &SqlServer, statement: &str) -> Result<Vec<Vec<Option<String>>>> {
        let doing = || format!("query the database on {}", server.address);
        let mut connection = connect(server).await?;
        let rows: Vec<Row> = timeout(STATEMENT_TIMEOUT, connection.query(statement))
            .await
            .map_err(|_| Error::failed(doing()).because("it does not answer"))?
            .doing(doing)?;
        let _ = timeout(CONNECT_TIMEOUT, connection.disconnect()).await;
        Ok(rows.into_iter().map(|row| row.unwrap().iter().map(text).collect()).collect())
    }

    async fn execute(&self, server: &SqlServer, statements: &[String]) -> Result<()> {
        let mut connection = connect(server).await?;
        for statement in statements {
            // The statement may hold a password's hash: only its first words are shown.
            let doing = || {
                let words: Vec<&str> = statement.split_whitespace().take(3).collect();
                format!("run `{} …` on the database on {}", words.join(" "), server.address)
            };
            timeout(STATEMENT_TIMEOUT, connection.query_drop(statement))
                .await
                .map_err(|_| Error::failed(doing()).because("it does not answer"))?
                .doing(doing)?;
        }
        let _ = timeout(CONNECT_TIMEOUT, connection.disconnect()).await;
        Ok(())
    }
}
