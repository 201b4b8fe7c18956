//! Members that were taken out of the cloud, until nothing is recorded of them any more.
//!
//! Who goes is written down before the first container does. Whatever run comes next carries on, and
//! a cloud that is broken when they go is first made whole.

use async_trait::async_trait;

use super::site::{Site, run_script};
use crate::config::profile::Ask;
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::Result;
use crate::host::Records;
use crate::model::cloud::Cloud;
use crate::model::command::Command;
use crate::model::departed::{Departed, labels};

const RECORD: &str = "departed";

/// Returns the members that are not forgotten yet.
pub async fn load(records: &dyn Records) -> Result<Vec<Departed>> {
    Ok(super::records::load(records, RECORD).await?.unwrap_or_default())
}

pub async fn add(records: &dyn Records, departing: Vec<Departed>) -> Result<()> {
    let mut all = load(records).await?;
    all.extend(departing);
    all.sort();
    all.dedup();
    super::records::save(records, RECORD, &all).await
}

/// Leaves out those that the cloud has again: what is recorded of them is theirs.
pub fn still_gone(departed: Vec<Departed>, cloud: &Cloud) -> Vec<Departed> {
    departed.into_iter().filter(|it| cloud.container(&it.name).is_none()).collect()
}

/// What stands in the way of members that are to go.
pub async fn needed(
    context: &StepContext,
    site: &Site,
    departing: &[Departed],
    ask: &Ask,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    match ask {
        Ask::Sql { query } => {
            let rows = site.sql(context, query).await?;
            found.extend(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()));
        }
        Ask::Run { script } => {
            for member in departing {
                let script = Command::shell(script.as_str());
                let printed = run_script(context, &member.name, "ask it", script).await?;
                found.extend(printed.lines().map(|line| format!("{}: {line}", member.label())));
            }
        }
    }
    Ok(found)
}

/// The end: everything that was recorded of them is cleared.
pub struct Forgotten {
    pub departed: Vec<Departed>,
}

#[async_trait]
impl Action for Forgotten {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(match context.host.records.get(RECORD).await? {
            None => Observation::Right,
            Some(_) => Observation::Wrong(format!("{} went", labels(&self.departed))),
        })
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.records.remove(RECORD).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::records::FakeRecords;
    use crate::render::testing;

    fn departed(name: &str, member: u32) -> Departed {
        Departed {
            name: name.to_owned(),
            hostname: name.replace('_', "-"),
            address: None,
            kind: "k".to_owned(),
            member,
        }
    }

    #[tokio::test]
    async fn who_went_is_known_until_forgotten_and_who_came_back_is_not_gone() {
        let records = FakeRecords::default();
        assert!(load(&records).await.unwrap().is_empty());
        let cloud = testing::cloud(&testing::profiles(&[]));
        let back = cloud.containers.first().unwrap().name.clone();
        add(&records, vec![departed("x_2", 2)]).await.unwrap();
        add(&records, vec![departed("x_2", 2), departed(&back, 1)]).await.unwrap();
        let all = load(&records).await.unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(still_gone(all, &cloud), [departed("x_2", 2)]);
    }
}
