//! Where everything stands on the host.
//!
//! ```text
//! STATE/                      0711
//!   bin/aio                   the copy that LXC hooks and the boot unit call
//!   private/                  0700 from its first mkdir: ids on disk are unshifted
//!     layers/ID/root          a published layer
//!     layers/ID/manifest.json
//!     layers/ID/kept/         what its software made of empty databases
//!     downloads/              packages, shared by all builds
//!     durations.json          how long steps took
//!     clouds/NAME/
//!       containers/CONTAINER/ upper, work and the ID-mapped clones of one container
//!       data/CONTAINER/SLUG/  what outlives a rebuild
//!       journal/MACHINE-ID/   every container's journal
//!       records/              small records
//!       specs/CONTAINER.json  the specification with which a container was made
//!       topology.json         names and addresses, for quick commands
//!       gateway/              the SSH server: host key, log of sessions, who runs
//!       log/                  one file a run
//!       steps.jsonl           what runs did, step by step
//!       lock
//!       swaps/CONTAINER/      what runs from a checkout: a record for each unit
//!       kept/CONTAINER/       what is published again when the container starts
//!       dumps/                databases as they were before a checkout changed their schema
//!       upgrade/              what leads back from an upgrade that is not accepted yet
//!   roots/CONTAINER/root      merged roots (mount points), each in a directory that only root and the
//!                             container's root may enter
//!   shared/CONTAINER/         directories of the host that appear in a running container
//!   clones/NAME/              repositories cloned for `aio dev`
//!   clones/NAME-release/      repositories cloned for `aio release lock`
//!   known_hosts/NAME          the gateway's public host key, for everybody's ssh
//! ```

use std::path::{Path, PathBuf};

/// What all clouds of this host share until its next boot, whatever their state directory: counted
/// kernel settings and notes about the firewall.
pub const RUN_DIR: &str = "/run/aio";

/// Where LXC and its stock tools keep definitions.
pub const LXC_PATH: &str = "/var/lib/lxc";

/// What the mount point of a merged root is called, in a directory of the container's own.
pub const ROOT_NAME: &str = "root";

/// The cloud that is meant when none is named.
pub const FIRST_CLOUD: &str = "aio1";

/// What users write about clouds stands here unless they say otherwise.
const CONFIG_DIR: &str = "/etc/aio";

/// The directories of one cloud.
#[derive(Clone, Debug)]
pub struct Paths {
    /// `/etc/aio`, or `/etc/aio/clouds/NAME`.
    pub config_dir: PathBuf,
    /// `/var/lib/aio`.
    pub state_dir: PathBuf,
    pub cloud: String,
}

impl Paths {
    /// Of a cloud `aio1` that has all below one directory, as tests have it.
    #[cfg(test)]
    pub fn below(directory: &Path) -> Self {
        let (config_dir, state_dir) = (directory.join("etc"), directory.join("state"));
        Self { config_dir, state_dir, cloud: "aio1".to_owned() }
    }

    /// Where the user's files about a cloud stand unless told otherwise: two clouds never share them.
    pub fn usual_config_dir(cloud: &str) -> PathBuf {
        match cloud {
            FIRST_CLOUD => PathBuf::from(CONFIG_DIR),
            other => Path::new(CONFIG_DIR).join("clouds").join(other),
        }
    }

    /// The configuration directory, and those above it that are `aio`'s own; innermost first.
    pub fn config_dirs(&self) -> impl Iterator<Item = PathBuf> {
        let above = self.config_dir.ancestors().skip(1);
        let own = above.take_while(|path| path.starts_with(CONFIG_DIR));
        std::iter::once(self.config_dir.as_path()).chain(own).map(Path::to_owned)
    }

    pub fn cloud_file(&self) -> PathBuf {
        self.config_dir.join("cloud.yml")
    }

    pub fn secrets_file(&self) -> PathBuf {
        self.config_dir.join("user_secrets.yml")
    }

    pub fn tls_dir(&self) -> PathBuf {
        self.config_dir.join("tls")
    }

    pub fn variables_file(&self) -> PathBuf {
        self.config_dir.join("user_variables.yml")
    }

    pub fn overrides_dir(&self) -> PathBuf {
        self.config_dir.join("overrides")
    }

    /// Everything that must not be traversable.
    pub fn private_dir(&self) -> PathBuf {
        self.state_dir.join("private")
    }

    /// Published layers, shared by all clouds of this state directory.
    pub fn layers_dir(&self) -> PathBuf {
        self.private_dir().join("layers")
    }

    /// What is kept beside a layer.
    pub fn keepsakes_dir(&self, layer: &str) -> PathBuf {
        self.layers_dir().join(layer).join("kept")
    }

    /// Downloaded packages, shared by all builds.
    pub fn downloads_dir(&self) -> PathBuf {
        self.private_dir().join("downloads")
    }

    /// The archives among the downloads.
    pub fn packages_dir(&self) -> PathBuf {
        self.downloads_dir().join("pool")
    }

    /// Wheels that were built for locks of releases: `SHA256/NAME-VERSION-….whl`. They stand where the locks
    /// do, for these are of no use without.
    pub fn built_wheels_dir(&self) -> PathBuf {
        self.config_dir.join("wheels")
    }

    /// What installs Python distributions in layers, and where it does so.
    pub fn python_dir(&self) -> PathBuf {
        self.downloads_dir().join("python")
    }

    /// What makes locks of releases, and what it fetched for one that failed.
    pub fn locking_dir(&self) -> PathBuf {
        self.python_dir().join("locking")
    }

    pub fn cloud_dir(&self) -> PathBuf {
        self.private_dir().join("clouds").join(&self.cloud)
    }

    /// `upper`, `work` and `clones` of one container.
    pub fn container_dir(&self, container: &str) -> PathBuf {
        self.cloud_dir().join("containers").join(container)
    }

    pub fn data_dir(&self, container: &str, path: &str) -> PathBuf {
        let slug = path.trim_matches('/').replace('/', "-");
        self.cloud_dir().join("data").join(container).join(slug)
    }

    /// All journals; `journalctl -D` reads and merges them.
    pub fn journal_dir(&self) -> PathBuf {
        self.cloud_dir().join("journal")
    }

    /// The specification with which a container was made.
    pub fn spec_file(&self, container: &str) -> PathBuf {
        self.cloud_dir().join("specs").join(format!("{container}.json"))
    }

    /// Names and addresses, for quick commands.
    pub fn topology_file(&self) -> PathBuf {
        self.cloud_dir().join("topology.json")
    }

    /// The cloud as the last `bootstrap` wanted it.
    pub fn recorded_cloud_file(&self) -> PathBuf {
        self.cloud_dir().join("cloud.json")
    }

    pub fn records_dir(&self) -> PathBuf {
        self.cloud_dir().join("records")
    }

    /// The gateway's host key, its log of sessions, and what runs of it.
    pub fn gateway_dir(&self) -> PathBuf {
        self.cloud_dir().join("gateway")
    }

    /// The gateway's public host key, where users who are not root can read it.
    pub fn known_hosts_file(&self) -> PathBuf {
        self.state_dir.join("known_hosts").join(&self.cloud)
    }

    pub fn log_dir(&self) -> PathBuf {
        self.cloud_dir().join("log")
    }

    /// What runs did, step by step, as it was begun.
    pub fn steps_file(&self) -> PathBuf {
        self.cloud_dir().join("steps.jsonl")
    }

    /// The durations of steps, on this host.
    pub fn durations_file(&self) -> PathBuf {
        self.private_dir().join("durations.json")
    }

    pub fn check_durations_file(&self) -> PathBuf {
        self.cloud_dir().join("check-durations.json")
    }

    pub fn lock_file(&self) -> PathBuf {
        self.cloud_dir().join("lock")
    }

    /// The merged root of one container: see [`ROOT_NAME`].
    pub fn root_dir(&self, container: &str) -> PathBuf {
        self.state_dir.join("roots").join(container).join(ROOT_NAME)
    }

    /// Returns where directories of the host are made to appear in a running container.
    pub fn shared_dir(&self, container: &str) -> PathBuf {
        self.state_dir.join("shared").join(container)
    }

    /// Records of what runs from a checkout, a directory for each container.
    pub fn swaps_dir(&self) -> PathBuf {
        self.cloud_dir().join("swaps")
    }

    /// What is published again at every start of a container.
    pub fn kept_dir(&self, container: &str) -> PathBuf {
        self.cloud_dir().join("kept").join(container)
    }

    /// The databases of a service as they were before it ran from a checkout; there while it does.
    pub fn dump_file(&self, service: &str) -> PathBuf {
        self.cloud_dir().join("dumps").join(format!("{service}.databases.sql"))
    }

    /// What those looked like.
    pub fn dump_record_file(&self, service: &str) -> PathBuf {
        self.cloud_dir().join("dumps").join(format!("{service}.databases.json"))
    }

    /// What an upgrade that is not accepted yet keeps.
    pub fn upgrade_dir(&self) -> PathBuf {
        self.cloud_dir().join("upgrade")
    }

    pub fn upgrade_file(&self) -> PathBuf {
        self.upgrade_dir().join("upgrade.json")
    }

    /// All databases as they were before it.
    pub fn upgrade_dump_file(&self) -> PathBuf {
        self.upgrade_dir().join("databases.sql")
    }

    /// Python packages that checkouts need beside the packaged ones, and their byte code: both can
    /// be made again.
    pub fn dev_cache_dir(&self) -> PathBuf {
        self.private_dir().join("dev")
    }

    /// Wheels that were fetched for checkouts.
    pub fn wheels_dir(&self) -> PathBuf {
        self.dev_cache_dir().join("wheels")
    }

    /// Clones of repositories, made for `aio dev`: the user's work, so not under the private
    /// directory.
    pub fn clones_dir(&self) -> PathBuf {
        self.state_dir.join("clones").join(&self.cloud)
    }

    /// Clones of repositories, made for `aio release lock`. No service runs from them, so that another
    /// commit there is nobody's. No cloud has such a name.
    pub fn release_clones_dir(&self) -> PathBuf {
        self.state_dir.join("clones").join(format!("{}-release", self.cloud))
    }

    /// The copy of the binary that hooks call.
    pub fn binary(&self) -> PathBuf {
        self.state_dir.join("bin/aio")
    }

    /// LXC's own directory of one container: stock tools find it there.
    pub fn lxc_dir(container: &str) -> PathBuf {
        Path::new(LXC_PATH).join(container)
    }
}
