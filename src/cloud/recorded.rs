//! The cloud as the last `bootstrap` wanted it, for every command that changes no choice: they need
//! no look at the host's facts, and a profile edited since then does not confuse them.

use std::collections::BTreeMap;

use crate::error::{Result, ResultExt};
use crate::model::addresses::Recorded;
use crate::model::cloud::Cloud;
use crate::model::paths::Paths;
use crate::state::files::{self, write_atomic};
use crate::state::swaps;
use crate::state::topology::{Topology, no_cloud};

/// # Errors
/// [`ErrorKind::NotFound`] when there is no such cloud.
pub fn load(paths: &Paths) -> Result<Cloud> {
    find(paths)?.ok_or_else(|| no_cloud(paths))
}

/// Reads it; `None` when there is no such cloud.
pub fn find(paths: &Paths) -> Result<Option<Cloud>> {
    let file = paths.recorded_cloud_file();
    let Some(text) = files::read(&file)? else { return Ok(None) };
    let doing = || format!("read {}", file.display());
    let mut cloud: Cloud = serde_json::from_slice(&text).doing(doing)?;
    cloud.standby = swaps::standby(paths)?;
    Ok(Some(cloud))
}

/// Writes it, and the names and addresses that quick commands read.
pub fn save(paths: &Paths, cloud: &Cloud) -> Result<()> {
    Topology::new(cloud.containers.clone()).save(paths)?;
    let file = paths.recorded_cloud_file();
    let text = serde_json::to_vec(cloud).doing(|| "write down the cloud".to_owned())?;
    write_atomic(&file, 0o600, &text)
}

/// Addresses and ids that its containers have, so that a changed choice moves nobody.
pub fn identities(cloud: &Cloud) -> BTreeMap<String, Recorded> {
    let of = |container: &crate::model::topology::Container| {
        let addresses = container.interfaces.iter().filter_map(|interface| {
            interface.addresses.first().map(|(address, _)| (interface.role, *address))
        });
        let recorded =
            Recorded { addresses: addresses.collect(), id_slot: Some(container.id_slot) };
        (container.name.clone(), recorded)
    };
    cloud.containers.iter().map(of).collect()
}
