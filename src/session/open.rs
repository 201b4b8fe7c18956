//! The real host behind the traits.

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::host::Host;
use crate::host::containers::{HostFeatures, RealContainers};
use crate::host::http::RealHttp;
use crate::host::installation::RealInstallation;
use crate::host::layers::RealLayers;
use crate::host::network::RealNetwork;
use crate::host::settings::RealSettings;
use crate::host::sql::RealSql;
use crate::host::{Records, Settings};
use crate::model::cloud::Cloud;
use crate::state::paths::{Paths, RUN_DIR};
use crate::state::records::RealRecords;

/// What the host will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only to look: nothing is reserved, root is not needed.
    Look,
    /// To change: the cloud's range of subordinate ids is reserved.
    Change,
}

/// Whether the kernel confines programs by AppArmor.
fn apparmor() -> bool {
    std::fs::read_to_string("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|enabled| enabled.trim() == "Y")
}

/// Whether PID 1 is systemd (as `sd_booted` tells it).
fn systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Opens the host of a cloud.
///
/// # Errors
/// When the range of subordinate ids cannot be reserved.
pub async fn host(paths: &Paths, cloud: &Cloud, access: Access) -> Result<Host> {
    let installation = RealInstallation::new(paths.clone(), systemd())?;
    let records: Arc<dyn Records> = Arc::new(RealRecords::new(paths.records_dir()));
    let run_dir = Path::new(RUN_DIR);
    let settings = RealSettings::new(&paths.cloud, run_dir, Arc::clone(&records));
    let id_range = match access {
        Access::Change => settings.id_range().await?,
        Access::Look => settings.known_range().await?.unwrap_or_default(),
    };
    let features = HostFeatures {
        unified_cgroups: cloud.unified_cgroups,
        apparmor: apparmor(),
        legacy_cgroup_environment: cloud.release.legacy_cgroup_environment.clone(),
    };
    let helper = installation.source().to_owned();
    let containers = RealContainers::new(paths.clone(), id_range, features, helper);
    Ok(Host {
        containers: Arc::new(containers),
        layers: Arc::new(RealLayers::new(paths.clone())),
        network: Arc::new(RealNetwork::new(run_dir)),
        settings: Arc::new(settings),
        sql: Arc::new(RealSql::new()),
        http: Arc::new(RealHttp::new()),
        records,
        installation: Arc::new(installation),
    })
}
