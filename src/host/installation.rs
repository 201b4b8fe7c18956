//! What `aio` leaves on the host so that the cloud does not depend on the place it was started
//! from: a copy of the binary that LXC hooks call, and a unit that starts the cloud at boot.

use std::fs::File;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::tool;
use crate::error::{Result, ResultExt};
use crate::host::Installation;
use crate::model::paths::Paths;
use crate::state::files;

/// Where systemd keeps the administrator's units.
const UNIT_DIR: &str = "/etc/systemd/system";

/// The real one.
pub struct RealInstallation {
    paths: Paths,
    /// Whether PID 1 is systemd.
    systemd: bool,
    /// The binary that runs now.
    source: PathBuf,
}

impl RealInstallation {
    /// For one cloud; `systemd` is a host fact.
    pub fn new(paths: Paths, systemd: bool) -> Result<Self> {
        let source = std::env::current_exe().doing(|| "find the running binary".to_owned())?;
        Ok(Self { paths, systemd, source })
    }

    /// The binary that runs now.
    pub fn source(&self) -> &Path {
        &self.source
    }

    fn unit_name(&self) -> String {
        format!("aio-{}.service", self.paths.cloud)
    }

    fn unit_file(&self) -> PathBuf {
        Path::new(UNIT_DIR).join(self.unit_name())
    }

    fn wants_link(&self) -> PathBuf {
        Path::new(UNIT_DIR).join("multi-user.target.wants").join(self.unit_name())
    }

    /// Ordered after the network and after the units with which LXC and firewalls set themselves
    /// up, since those flush and rebuild tables.
    fn unit_text(&self) -> String {
        let Paths { config_dir, state_dir, cloud } = &self.paths;
        format!(
            "# Written by aio; removed by `aio destroy`.\n\
             [Unit]\n\
             Description=OpenStack cloud {cloud} in LXC containers\n\
             Wants=network-online.target\n\
             After=network-online.target lxc.service lxc-net.service nftables.service \
             docker.service firewalld.service ufw.service\n\
             \n\
             [Service]\n\
             Type=oneshot\n\
             RemainAfterExit=yes\n\
             ExecStart={binary} --name {cloud} --config-dir {config} --state-dir {state} start\n\
             ExecStop={binary} --name {cloud} --config-dir {config} --state-dir {state} stop\n\
             TimeoutStartSec=600\n\
             TimeoutStopSec=120\n\
             # Containers and their monitors live on when this unit's own processes end.\n\
             KillMode=process\n\
             \n\
             [Install]\n\
             WantedBy=multi-user.target\n",
            binary = self.paths.binary().display(),
            config = config_dir.display(),
            state = state_dir.display(),
        )
    }

    async fn reload_systemd(&self) -> Result<()> {
        let doing = "make systemd read its units again";
        tool::run(doing, "systemctl", &["daemon-reload"], "").await.map(drop)
    }
}

#[async_trait]
impl Installation for RealInstallation {
    async fn binary_differs(&self) -> Result<Option<String>> {
        let copy = self.paths.binary();
        if copy == self.source {
            return Ok(None);
        }
        let Ok(installed) = copy.metadata() else {
            return Ok(Some(format!("{} is missing", copy.display())));
        };
        let running = self.source.metadata().doing(|| "look at the running binary".to_owned())?;
        let same = installed.len() == running.len()
            && installed.modified().ok() == running.modified().ok();
        Ok((!same).then(|| format!("{} is another version", copy.display())))
    }

    async fn install_binary(&self) -> Result<()> {
        let copy = self.paths.binary();
        let doing = || format!("copy the binary to {}", copy.display());
        let directory = self.paths.state_dir.join("bin");
        std::fs::create_dir_all(&directory).doing(doing)?;
        let binary = std::fs::read(&self.source).doing(doing)?;
        files::write_atomic(&copy, 0o755, &binary)?;
        // The time of the original tells versions apart without reading both.
        let modified = self.source.metadata().and_then(|it| it.modified()).doing(doing)?;
        File::open(&copy).and_then(|copy| copy.set_modified(modified)).doing(doing)
    }

    async fn boot_unit_differs(&self) -> Result<Option<String>> {
        if !self.systemd {
            return Ok(None);
        }
        let text = std::fs::read_to_string(self.unit_file()).unwrap_or_default();
        if text != self.unit_text() {
            return Ok(Some(format!("{} differs", self.unit_file().display())));
        }
        let enabled = self.wants_link().symlink_metadata().is_ok();
        Ok((!enabled).then(|| format!("{} is not enabled", self.unit_name())))
    }

    async fn install_boot_unit(&self) -> Result<()> {
        let file = self.unit_file();
        let doing = || format!("write {}", file.display());
        files::write_atomic(&file, 0o644, self.unit_text().as_bytes())?;
        let link = self.wants_link();
        if let Some(directory) = link.parent() {
            std::fs::create_dir_all(directory).doing(doing)?;
        }
        files::remove(&link)?;
        std::os::unix::fs::symlink(&file, &link).doing(doing)?;
        self.reload_systemd().await
    }

    async fn remove_boot_unit(&self) -> Result<()> {
        let mut found = false;
        for path in [self.wants_link(), self.unit_file()] {
            found |= files::remove(&path)?;
        }
        if found && self.systemd { self.reload_systemd().await } else { Ok(()) }
    }
}
