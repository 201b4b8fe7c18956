//! `aio status`, `aio ls`.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use time::{Date, Duration, OffsetDateTime};

use super::words;
use crate::cloud::open::Access;
use crate::cloud::{Session, require_root, secrets};
use crate::commands::global::Global;
use crate::commands::runtime::block_on;
use crate::commands::upgrade::Standing;
use crate::error::Result;
use crate::host::facts::shortage;
use crate::model::health::CloudHealth;
use crate::steps::health::{self};
use crate::ui;

/// Certificates that end sooner are spoken of.
const SOON: Duration = Duration::days(30);

/// Arguments of `aio status`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  aio status                       containers, units, clusters and backends, as observed
  aio status --output json         the same for programs")]
pub struct StatusArgs {}

/// Arguments of `aio ls`.
#[derive(clap::Args, Clone, Debug)]
pub struct ListArgs {}

/// What `aio status` says, for programs.
#[derive(Debug, Serialize)]
pub struct Status {
    #[serde(flatten)]
    pub cloud: CloudHealth,
    /// How far its upgrade is; nothing where there is none, or it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Standing>,
}

fn observe(global: &Global, command: &str) -> Result<CloudHealth> {
    require_root(command)?;
    block_on(async {
        let session = Session::recorded(&global.paths(), Access::Look).await?;
        health::observe(&session.context(), &session.site).await
    })
}

pub fn status(global: &Global, _: StatusArgs) -> Result<ExitCode> {
    let cloud = observe(global, "status")?;
    let upgrade = Standing::find(&global.paths())?;
    if let Some(note) = secrets::note(&cloud.unapplied_secrets) {
        ui::out::note(&note);
    }
    if let Some(note) = certificates_note(&cloud, OffsetDateTime::now_utc().date()) {
        ui::out::note(&note);
    }
    if let Some(upgrade) = &upgrade {
        ui::out::note(&upgrade.describe());
    }
    if let Some(note) = disk_note(&global.paths().state_dir) {
        ui::out::note(&note);
    }
    let status = Status { cloud, upgrade };
    global.print(&status, |status| words::status(&status.cloud))?;
    Ok(ExitCode::SUCCESS)
}

/// What to do about certificates that end soon.
fn certificates_note(cloud: &CloudHealth, today: Date) -> Option<String> {
    let end = cloud.certificates_end.filter(|end| *end < today + SOON)?;
    Some(format!(
        "warning: a certificate of the cloud ends on {end}. `aio bootstrap` renews its own; one of \
         yours is in the file that `tls_certificate` in cloud.yml names."
    ))
}

/// What to do about a disk that is nearly full.
fn disk_note(state_dir: &Path) -> Option<String> {
    shortage(state_dir).map(|short| format!("warning: {}", short.sentence(state_dir)))
}

pub fn list(global: &Global, _: ListArgs) -> Result<ExitCode> {
    let cloud = observe(global, "ls")?;
    global.print(&cloud.containers, |_| words::list(&cloud))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::model::health::Health;
    use crate::state::upgrade::Progress;

    fn cloud() -> CloudHealth {
        CloudHealth {
            cloud: "aio1".to_owned(),
            release: "2025.1".to_owned(),
            behind: Default::default(),
            built: Vec::new(),
            state: Health::Healthy,
            containers: Vec::new(),
            clusters: Default::default(),
            backends: Vec::new(),
            outside: None,
            certificates_end: Some(date!(2027 - 12 - 31)),
            unapplied_secrets: Default::default(),
        }
    }

    #[test]
    fn certificates_are_spoken_of_thirty_days_before_they_end() {
        let cloud = cloud();
        assert_eq!(certificates_note(&cloud, date!(2027 - 12 - 01)), None);
        let note = certificates_note(&cloud, date!(2027 - 12 - 02)).unwrap();
        assert!(note.contains("ends on 2027-12-31. `aio bootstrap` renews"), "{note}");
        let none = CloudHealth { certificates_end: None, ..cloud };
        assert_eq!(certificates_note(&none, date!(2027 - 12 - 31)), None);
    }

    #[test]
    fn programs_read_how_far_an_upgrade_is() {
        let upgrade = Standing {
            from: "2025.1".to_owned(),
            to: "2026.1".to_owned(),
            progress: Progress::Going,
            left: ["agents".to_owned()].into(),
        };
        let status = Status { cloud: cloud(), upgrade: Some(upgrade) };
        insta::assert_snapshot!(serde_json::to_string_pretty(&status).unwrap(), @r#"
        {
          "cloud": "aio1",
          "release": "2025.1",
          "state": "healthy",
          "containers": [],
          "clusters": {},
          "backends": [],
          "certificates_end": "2027-12-31",
          "unapplied_secrets": [],
          "upgrade": {
            "from": "2025.1",
            "to": "2026.1",
            "progress": "going",
            "left": [
              "agents"
            ]
          }
        }
        "#);
        let none = serde_json::to_value(Status { upgrade: None, ..status }).unwrap();
        assert_eq!(none.get("upgrade"), None);
        assert_eq!(none["cloud"], "aio1");
    }
}
