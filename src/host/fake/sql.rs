//! A database that answers as it was told.

use std::net::Ipv4Addr;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::error::Result;
use crate::host::{Sql, SqlServer};

type Rows = Vec<Vec<Option<String>>>;

/// Answers by what a statement contains; the answer that was programmed last wins. What nobody
/// programmed has no rows.
#[derive(Debug, Default)]
pub struct FakeSql {
    answers: Mutex<Vec<(String, Rows)>>,
    /// Every statement in order, with the address it went to.
    pub statements: Mutex<Vec<(Ipv4Addr, String)>>,
}

impl FakeSql {
    /// Statements that contain `part` have these rows from now on.
    pub fn answer(&self, part: &str, rows: &[&[&str]]) {
        let rows = rows
            .iter()
            .map(|row| row.iter().map(|value| Some((*value).to_owned())).collect())
            .collect();
        self.answers.lock().unwrap().push((part.to_owned(), rows));
    }

    fn take(&self, server: &SqlServer, statement: &str) -> Rows {
        self.statements.lock().unwrap().push((server.address, statement.to_owned()));
        let answers = self.answers.lock().unwrap();
        let answer = answers.iter().rev().find(|(part, _)| statement.contains(part.as_str()));
        answer.map_or(Rows::new(), |(_, rows)| rows.clone())
    }
}

#[async_trait]
impl Sql for FakeSql {
    async fn query(&self, server: &SqlServer, statement: &str) -> Result<Rows> {
        Ok(self.take(server, statement))
    }

    async fn execute(&self, server: &SqlServer, statements: &[String]) -> Result<()> {
        statements.iter().for_each(|statement| drop(self.take(server, statement)));
        Ok(())
    }
}
