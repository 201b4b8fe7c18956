//! A cloud on its host: the real one behind the traits.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{recorded, secrets};
use crate::engine::step::StepContext;
use crate::error::{Error, ErrorKind, Result};
use crate::host::containers::{HostFeatures, RealContainers, limits};
use crate::host::diagnostics::RealDiagnostics;
use crate::host::http::RealHttp;
use crate::host::installation::RealInstallation;
use crate::host::keepsakes::RealKeepsakes;
use crate::host::layers::RealLayers;
use crate::host::network::RealNetwork;
use crate::host::records::RealRecords;
use crate::host::settings::RealSettings;
use crate::host::sql::RealSql;
use crate::host::subids::IdRanges;
use crate::host::{Host, Records, Settings};
use crate::model::cloud::Cloud;
use crate::model::paths::{Paths, RUN_DIR};
use crate::model::topology::Container;
use crate::secrets::tls::store::authority_file;
use crate::state::topology::Topology;
use crate::steps::site::Site;

/// What the host will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only to look: nothing is reserved, root is not needed.
    Look,
    /// To change: the cloud's subordinate ids are reserved.
    Change,
}

/// A cloud and the host on which it stands.
pub struct Session {
    pub paths: Paths,
    /// The cloud, its secrets, its load balancer.
    pub site: Arc<Site>,
    pub host: Arc<Host>,
}

impl Session {
    /// The cloud as the last `bootstrap` wanted it.
    pub async fn recorded(paths: &Paths, access: Access) -> Result<Self> {
        let cloud = recorded::load(paths)?;
        let secrets::Recorded { values, unapplied } = secrets::recorded(paths, &cloud).await?;
        let site = Site { unapplied, ..Site::new(cloud, values) };
        Self::open(paths, Arc::new(site), access).await
    }

    pub async fn open(paths: &Paths, site: Arc<Site>, access: Access) -> Result<Self> {
        let host = Arc::new(host(paths, &site.cloud, access).await?);
        Ok(Self { paths: paths.clone(), site, host })
    }

    /// Returns a context for looks outside a run.
    pub fn context(&self) -> StepContext {
        StepContext::silent(Arc::clone(&self.host))
    }

    /// The containers that selectors name; all of them when there are no selectors.
    pub fn select(&self, selectors: &[String]) -> Result<Vec<Container>> {
        let containers = &self.site.cloud.containers;
        if selectors.is_empty() {
            return Ok(containers.clone());
        }
        let topology = Topology::new(containers.clone());
        let mut selected: Vec<Container> = Vec::new();
        for selector in selectors {
            for container in topology.select_many(selector)? {
                if !selected.iter().any(|it| it.name == container.name) {
                    selected.push(container.clone());
                }
            }
        }
        Ok(selected)
    }
}

/// Everything that changes something needs root.
///
/// # Errors
/// [`ErrorKind::Refused`] for anybody else.
pub fn require_root(command: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Refused, format!("run `aio {command}`"))
        .because("it changes the host: only root may")
        .hint(format!("Run `sudo aio {command}`.")))
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

/// Returns what about the host decides how a cloud's containers are defined and waited for.
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
        keepsakes: Arc::new(RealKeepsakes::new(paths.clone())),
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
