//! The real host behind the traits.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::host::Host;
use crate::host::containers::{HostFeatures, RealContainers, limits};
use crate::host::diagnostics::RealDiagnostics;
use crate::host::http::RealHttp;
use crate::host::installation::RealInstallation;
use crate::host::layers::RealLayers;
use crate::host::network::RealNetwork;
use crate::host::records::RealRecords;
use crate::host::settings::RealSettings;
use crate::host::sql::RealSql;
use crate::host::subids::IdRanges;
use crate::host::{Records, Settings};
use crate::model::cloud::Cloud;
use crate::model::paths::{Paths, RUN_DIR};
use crate::secrets::tls::store::authority_file;

/// What the host will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only to look: nothing is reserved, root is not needed.
    Look,
    /// To change: the cloud's subordinate ids are reserved.
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

/// What of the host decides how a cloud's containers are defined and waited for.
fn features(cloud: &Cloud) -> HostFeatures {
    HostFeatures {
        patience: cloud.patience,
        unified_cgroups: cloud.unified_cgroups,
        tasks_limit: limits::tasks(cloud.unified_cgroups),
        swap_limit: limits::swap(cloud.unified_cgroups),
        apparmor: apparmor(),
        legacy_cgroup_environment: cloud.release.legacy_cgroup_environment.clone(),
    }
}

/// Opens the host of a cloud.
///
/// # Errors
/// When there are not enough subordinate ids, or they cannot be reserved.
pub async fn host(paths: &Paths, cloud: &Cloud, access: Access) -> Result<Host> {
    let settings = settings(paths);
    let ids = match access {
        Access::Change => settings.id_ranges(cloud.id_slots()).await?,
        Access::Look => settings.known_ranges().await?,
    };
    assemble(paths, features(cloud), settings, ids)
}

/// Opens the host for looks at what may be broken: what is not known of the cloud, or that there is
/// none, is no error.
///
/// # Errors
/// When the running binary cannot be found.
pub async fn broken_host(paths: &Paths, cloud: Option<&Cloud>) -> Result<Host> {
    let unknown = || HostFeatures {
        patience: 1,
        unified_cgroups: true,
        tasks_limit: false,
        swap_limit: false,
        apparmor: apparmor(),
        legacy_cgroup_environment: BTreeMap::new(),
    };
    let settings = settings(paths);
    let ids = settings.known_ranges().await.unwrap_or_default();
    assemble(paths, cloud.map_or_else(unknown, features), settings, ids)
}

fn records(paths: &Paths) -> Arc<dyn Records> {
    Arc::new(RealRecords::new(paths.records_dir()))
}

fn settings(paths: &Paths) -> RealSettings {
    RealSettings::new(&paths.cloud, Path::new(RUN_DIR), records(paths))
}

fn assemble(
    paths: &Paths,
    features: HostFeatures,
    settings: RealSettings,
    ids: IdRanges,
) -> Result<Host> {
    let installation = RealInstallation::new(paths.clone(), systemd())?;
    let helper = installation.source().to_owned();
    let patience = features.patience;
    let authority = authority_file(&paths.tls_dir());
    Ok(Host {
        containers: Arc::new(RealContainers::new(paths.clone(), ids, features, helper)),
        layers: Arc::new(RealLayers::new(paths.clone())),
        network: Arc::new(RealNetwork::new(Path::new(RUN_DIR))),
        settings: Arc::new(settings),
        sql: Arc::new(RealSql::new(patience, authority.clone())),
        http: Arc::new(RealHttp::new(patience, authority)),
        records: records(paths),
        installation: Arc::new(installation),
        patience,
        diagnostics: Arc::new(RealDiagnostics::new(paths.clone())),
    })
}
