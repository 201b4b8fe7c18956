//! What databases look like: enough to tell whether other code has changed them, and what it wrote.
//!
//! All that is in them is a stranger's: a checkout makes tables, views and functions, and reading a view
//! runs a function. They are therefore read as the service's own users, never as the administrator.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::profile::Database;
use crate::engine::step::StepContext;
use crate::error::{Error, Result};
use crate::model::hash::sha256_hex;
use crate::steps::site::Site;

/// The table in which Alembic keeps at which revision a database is.
const REVISIONS: &str = "alembic_version";

/// A table's rows.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Rows {
    pub count: u64,
    pub checksum: String,
}

/// What tells what a database consists of: each row is a kind, a name, and what describes it. Beside each
/// stands the column that names the database.
const SHAPES: [(&str, &str); 8] = [
    (
        "SELECT 'table', table_name, CONCAT_WS(' ', engine, table_collation, table_type) \
     FROM information_schema.tables",
        "table_schema",
    ),
    (
        "SELECT 'table', table_name, CONCAT_WS(' ', column_name, column_type, is_nullable, \
     COALESCE(column_default, '-'), extra, COALESCE(generation_expression, '-')) \
     FROM information_schema.columns",
        "table_schema",
    ),
    (
        "SELECT 'table', table_name, CONCAT_WS(' ', index_name, non_unique, seq_in_index, column_name) \
     FROM information_schema.statistics",
        "table_schema",
    ),
    (
        "SELECT 'table', table_name, CONCAT_WS(' ', constraint_name, referenced_table_name, update_rule, \
     delete_rule) FROM information_schema.referential_constraints",
        "constraint_schema",
    ),
    (
        "SELECT 'trigger', trigger_name, CONCAT_WS(' ', event_object_table, event_manipulation, \
     action_timing, action_statement) FROM information_schema.triggers",
        "trigger_schema",
    ),
    (
        "SELECT 'routine', routine_name, CONCAT_WS(' ', routine_type, COALESCE(routine_definition, '-')) \
     FROM information_schema.routines",
        "routine_schema",
    ),
    ("SELECT 'event', event_name, event_definition FROM information_schema.events", "event_schema"),
    ("SELECT 'view', table_name, view_definition FROM information_schema.views", "table_schema"),
];

type Answer = Vec<Vec<Option<String>>>;

/// Databases at one moment. Names are `DATABASE.NAME`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// A hash of what each table, view, trigger, routine and event is, by its kind and name.
    pub shapes: BTreeMap<String, String>,
    /// Revisions of Alembic, by database.
    pub revisions: BTreeMap<String, Vec<String>>,
    /// What each of the profile's queries answers.
    pub records: BTreeMap<String, Answer>,
    /// Of tables.
    pub rows: BTreeMap<String, Rows>,
}

/// Who asks, and of which database.
struct Eyes<'a> {
    context: &'a StepContext,
    site: &'a Site,
    database: &'a Database,
}

impl Eyes<'_> {
    async fn ask(&self, statement: &str) -> Result<Answer> {
        self.site.sql_as(self.context, self.database, statement).await
    }

    /// Adds what the database is and has.
    async fn look(&self, picture: &mut Picture) -> Result<()> {
        let name = &self.database.name;
        let mut described: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut tables: BTreeSet<String> = BTreeSet::new();
        for (query, schema) in SHAPES {
            for row in self.ask(&format!("{query} WHERE {schema} = '{name}'")).await? {
                let mut cells = row.into_iter().map(Option::unwrap_or_default);
                let (kind, named) =
                    (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
                let text = cells.next().unwrap_or_default();
                if kind == "table" && text.ends_with("BASE TABLE") {
                    tables.insert(named.clone());
                }
                described.entry(format!("{kind} {name}.{named}")).or_default().insert(text);
            }
        }
        for (what, texts) in described {
            let texts: Vec<String> = texts.into_iter().collect();
            picture.shapes.insert(what, sha256_hex(texts.join("\n")));
        }
        if tables.remove(REVISIONS) {
            let revisions = revisions(self.context, self.site, self.database).await?;
            picture.revisions.insert(name.clone(), revisions);
        }
        self.count(&tables.into_iter().collect::<Vec<_>>(), picture).await
    }

    async fn count(&self, tables: &[String], picture: &mut Picture) -> Result<()> {
        if tables.is_empty() {
            return Ok(());
        }
        let name = &self.database.name;
        let quoted: Vec<String> = tables.iter().map(|table| quoted(name, table)).collect();
        let counts: Vec<String> = quoted
            .iter()
            .enumerate()
            .map(|(index, table)| format!("SELECT {index}, COUNT(*) FROM {table}"))
            .collect();
        let counts = self.ask(&counts.join(" UNION ALL ")).await?;
        // In the order in which they were named.
        let checksums = self.ask(&format!("CHECKSUM TABLE {}", quoted.join(", "))).await?;
        for row in counts {
            let number = |cell: usize| row.get(cell)?.as_deref()?.parse::<usize>().ok();
            let table = number(0).and_then(|index| Some((index, tables.get(index)?)));
            let (Some((index, table)), Some(count)) = (table, number(1)) else {
                return Err(Error::failed("count the rows of the databases"));
            };
            let checksum = checksums.get(index).and_then(|row| row.get(1).cloned()?);
            let rows = Rows { count: count as u64, checksum: checksum.unwrap_or_default() };
            picture.rows.insert(format!("{name}.{table}"), rows);
        }
        Ok(())
    }
}

impl Picture {
    /// Looks at databases of a service. Records are asked for as the user of the first.
    ///
    /// # Errors
    /// When they do not answer, or cannot be read.
    pub async fn take<'a>(
        context: &StepContext,
        site: &Site,
        databases: &[Database],
        records: impl Iterator<Item = &'a String>,
    ) -> Result<Self> {
        let mut picture = Self::default();
        if let Some(database) = databases.first() {
            let eyes = Eyes { context, site, database };
            for query in records {
                picture.records.insert(query.clone(), eyes.ask(query).await?);
            }
        }
        for database in databases {
            Eyes { context, site, database }.look(&mut picture).await?;
        }
        Ok(picture)
    }

    /// The queries whose answers it has.
    pub fn queries(&self) -> impl Iterator<Item = &String> {
        self.records.keys()
    }
}

/// The Alembic revisions that a database is at, read as its own user; none where Alembic was never there.
pub async fn revisions(
    context: &StepContext,
    site: &Site,
    database: &Database,
) -> Result<Vec<String>> {
    let name = &database.name;
    let holds = format!(
        "SELECT 1 FROM information_schema.tables \
         WHERE table_name = '{REVISIONS}' AND table_schema = '{name}'"
    );
    if site.sql_as(context, database, &holds).await?.is_empty() {
        return Ok(Vec::new());
    }
    let query = format!("SELECT version_num FROM {} ORDER BY 1", quoted(name, REVISIONS));
    let rows = site.sql_as(context, database, &query).await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// A table's name in a statement.
fn quoted(database: &str, table: &str) -> String {
    let quote = |name: &str| format!("`{}`", name.replace('`', "``"));
    format!("{}.{}", quote(database), quote(table))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::host::Host;
    use crate::host::fake::empty;
    use crate::host::fake::sql::FakeSql;
    use crate::render::testing;

    #[tokio::test]
    async fn tables_revisions_records_and_rows_are_seen_by_the_services_own_user() {
        let sql = Arc::new(FakeSql::default());
        sql.answer(
            "information_schema.tables",
            &[
                &["table", "alembic_version", "InnoDB utf8 BASE TABLE"],
                &["table", "st`ack", "InnoDB utf8 BASE TABLE"],
                &["table", "seen", "VIEW"],
            ],
        );
        sql.answer("information_schema.columns", &[&["table", "st`ack", "id varchar(36)"]]);
        sql.answer("SELECT version_num FROM `c`.`alembic_version`", &[&["c0ffee"]]);
        sql.answer("SELECT 0, COUNT(*) FROM `c`.`st``ack`", &[&["0", "3"]]);
        sql.answer("CHECKSUM TABLE `c`.`st``ack`", &[&["c.st`ack", "17"]]);
        sql.answer("SELECT MIN(version)", &[&["66"]]);
        let site = Site::new(testing::cloud(&testing::profiles(&[])), testing::secrets());
        let host = Host { sql: Arc::clone(&sql) as Arc<_>, ..empty() };
        let context = StepContext::silent(Arc::new(host));
        let records = ["SELECT MIN(version) FROM c.service".to_owned()];
        let secret = site.secrets.keys().next().unwrap().clone();
        let (name, user) = ("c".to_owned(), "c".to_owned());
        let database = Database { name, user, secret, direct_from: Vec::new() };
        let picture = Picture::take(&context, &site, &[database], records.iter()).await.unwrap();
        let names: Vec<&String> = picture.shapes.keys().collect();
        assert_eq!(names, ["table c.alembic_version", "table c.seen", "table c.st`ack"]);
        assert_eq!(picture.revisions["c"], ["c0ffee"]);
        assert_eq!(picture.records[&records[0]], [[Some("66".to_owned())]]);
        let rows = Rows { count: 3, checksum: "17".to_owned() };
        assert_eq!(picture.rows, BTreeMap::from([("c.st`ack".to_owned(), rows)]));
        let address = site.cloud.networks.virtual_address;
        let asked = sql.statements.lock().unwrap();
        assert!(asked.iter().all(|(server, _)| *server == address), "through the load balancer");
    }
}
