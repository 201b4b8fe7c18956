//! MariaDB over its wire protocol: one connection for each call, closed in order.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, SslOpts, Value};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::host::{Sql, SqlServer};
use crate::lxc::bounded;

/// A server on this host that does not answer by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A statement that takes longer hangs: a cluster without a quorum, a frozen container.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);

/// The server's default; told to the client so that it does not ask (a member that is not ready
/// refuses every `SELECT`, and must still answer `SHOW STATUS`).
const LARGEST_PACKET_BYTES: usize = 16 << 20;

/// MariaDB's code of a syntax error, whose text quotes the statement.
const SYNTAX_ERROR: u16 = 1064;

/// The real thing.
#[derive(Clone, Debug)]
pub struct RealSql {
    authority: PathBuf,
    patience: u32,
}

impl RealSql {
    /// One for all servers. Time limits are multiplied by `patience`; those that speak TLS are trusted
    /// by the certificate of the cloud's authority.
    pub fn new(patience: u32, authority: PathBuf) -> Self {
        Self { authority, patience }
    }

    async fn connect(&self, server: &SqlServer) -> Result<Conn> {
        let doing = || {
            let SqlServer { address, port, user, .. } = server;
            format!("connect to the database at {address}:{port} as {user}")
        };
        let trust = server.tls.then(|| {
            SslOpts::default()
                .with_root_certs(vec![self.authority.clone().into()])
                .with_disable_built_in_roots(true)
        });
        let options = OptsBuilder::default()
            .ip_or_hostname(server.address.to_string())
            .tcp_port(server.port)
            .user(Some(server.user.clone()))
            .pass(Some(server.password.expose_secret()))
            .prefer_socket(false)
            .ssl_opts(trust)
            .max_allowed_packet(Some(LARGEST_PACKET_BYTES))
            .wait_timeout(Some(28_800));
        self.limited(CONNECT_TIMEOUT, doing, Conn::new(options)).await
    }

    async fn statement<T>(
        &self,
        server: &SqlServer,
        statement: &str,
        work: impl Future<Output = mysql_async::Result<T>>,
    ) -> Result<T> {
        let doing = || format!("run `{}` on the database at {}", verb(statement), server.address);
        self.limited(STATEMENT_TIMEOUT, doing, work).await
    }

    /// The work is done: a goodbye that fails changes nothing.
    async fn close(&self, connection: Conn) {
        let _ = timeout(CONNECT_TIMEOUT * self.patience, connection.disconnect()).await;
    }

    async fn limited<T>(
        &self,
        limit: Duration,
        doing: impl Fn() -> String,
        work: impl Future<Output = mysql_async::Result<T>>,
    ) -> Result<T> {
        let limit = limit * self.patience;
        match timeout(limit, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(Error::failed(doing()).because(reason(&error))),
            Err(_) => {
                Err(Error::failed(doing())
                    .because(format!("no answer within {} s", limit.as_secs())))
            }
        }
    }
}

#[async_trait]
impl Sql for RealSql {
    async fn query(&self, server: &SqlServer, statement: &str) -> Result<Vec<Vec<Option<String>>>> {
        let mut connection = self.connect(server).await?;
        let rows = self.statement(server, statement, rows(&mut connection, statement)).await?;
        self.close(connection).await;
        Ok(rows)
    }

    async fn execute(&self, server: &SqlServer, statements: &[String]) -> Result<()> {
        let mut connection = self.connect(server).await?;
        for statement in statements {
            self.statement(server, statement, connection.query_drop(statement)).await?;
        }
        self.close(connection).await;
        Ok(())
    }
}

/// The rows of an answer, as far as there is a place for them.
async fn rows(
    connection: &mut Conn,
    statement: &str,
) -> mysql_async::Result<Vec<Vec<Option<String>>>> {
    let mut answer = connection.query_iter(statement).await?;
    let (mut rows, mut length_bytes) = (Vec::new(), 0);
    while let Some(row) = answer.next().await? {
        let row: Vec<Option<String>> = Row::unwrap(row).into_iter().map(text).collect();
        length_bytes += row.iter().flatten().map(|value| value.len() as u64 + 1).sum::<u64>() + 1;
        if length_bytes > bounded::LARGEST_BYTES {
            let error = bounded::too_much(bounded::LARGEST_BYTES);
            return Err(mysql_async::Error::Io(error.into()));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The leading capital words of a statement: what it does, without names or passwords.
fn verb(statement: &str) -> String {
    let is_keyword = |word: &&str| word.chars().all(|letter| letter.is_ascii_uppercase());
    let words: Vec<&str> =
        statement.split_ascii_whitespace().take_while(is_keyword).take(3).collect();
    if words.is_empty() { "…".to_owned() } else { format!("{} …", words.join(" ")) }
}

/// The server's words, but for the one message that repeats the statement.
fn reason(error: &mysql_async::Error) -> String {
    match error {
        mysql_async::Error::Server(server) if server.code == SYNTAX_ERROR => {
            "the statement is not valid SQL (error 1064)".to_owned()
        }
        mysql_async::Error::Server(server) => format!("{} (error {})", server.message, server.code),
        other => other.to_string(),
    }
}

/// The text protocol sends every value as bytes; the rest is for completeness.
fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn server(port: u16) -> SqlServer {
        SqlServer {
            address: Ipv4Addr::LOCALHOST,
            port,
            user: "root".to_owned(),
            password: "hunter2".to_owned().into(),
            tls: false,
        }
    }

    #[test]
    fn an_error_names_the_verb_and_nothing_secret() {
        assert_eq!(verb("CREATE USER heat IDENTIFIED BY 'x'"), "CREATE USER …");
        assert_eq!(verb("SHOW GLOBAL STATUS LIKE 'wsrep%'"), "SHOW GLOBAL STATUS …");
        assert_eq!(verb("'hunter2'"), "…");
        let error = mysql_async::Error::Server(mysql_async::ServerError {
            code: SYNTAX_ERROR,
            message: "error near 'IDENTIFED BY 'hunter2''".to_owned(),
            state: "42000".to_owned(),
        });
        assert!(!reason(&error).contains("hunter2"));
    }

    #[tokio::test]
    async fn a_port_that_nobody_serves_is_refused_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error =
            RealSql::new(1, PathBuf::new()).query(&server(port), "SELECT 1").await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("127.0.0.1:{port} as root")), "{text}");
        assert!(text.contains("refused") && !text.contains("hunter2"), "{text}");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_given_up() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let start = std::time::Instant::now();
        let error =
            RealSql::new(1, PathBuf::new()).query(&server(port), "SELECT 1").await.unwrap_err();
        assert!(error.to_string().ends_with("no answer within 2 s"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(4));
    }
}
