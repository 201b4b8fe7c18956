//! Steps on the host: kernel limits, the binary's copy, the network, packages and image layers.

use super::builder::Builder;
use super::inbound;
use super::network::network_spec;
use crate::engine::event::{Phase, Resource};
use crate::engine::key::{HostStep, StepKey};
use crate::steps::host::{Binary, BootUnit, Filters, KernelSettings, Network};
use crate::steps::layer::{BuildLayer, DownloadPackages, FindPackages};

impl Builder<'_> {
    pub(super) fn host(&mut self) {
        let sysctls = self.site.cloud.kernel_settings();
        self.add(
            StepKey::Host(HostStep::Settings),
            "kernel limits".to_owned(),
            (Phase::Host, Resource::Light, 20),
            Vec::new(),
            KernelSettings { sysctls },
        );
        self.add(
            StepKey::Host(HostStep::Binary),
            "copy of the binary for hooks".to_owned(),
            (Phase::Host, Resource::Light, 50),
            Vec::new(),
            Binary,
        );
        self.add(
            StepKey::Host(HostStep::BootUnit),
            "unit that starts the cloud at boot".to_owned(),
            (Phase::Host, Resource::Light, 50),
            vec![StepKey::Host(HostStep::Binary)],
            BootUnit,
        );
        let spec = network_spec(&self.site);
        self.add(
            StepKey::Host(HostStep::Network),
            "bridges, routes and firewall".to_owned(),
            (Phase::Host, Resource::Light, 200),
            vec![StepKey::Host(HostStep::Settings)],
            Network { spec },
        );
        let filters = inbound::filters(&self.site.cloud);
        self.add(
            StepKey::Host(HostStep::Filters),
            "what containers let in".to_owned(),
            (Phase::Host, Resource::Light, 200),
            Vec::new(),
            Filters { filters },
        );
    }

    /// After the containers, which say what starts in them.
    pub(super) fn layers(&mut self) {
        let layers = self.site.cloud.layers.clone();
        let index = StepKey::PackageIndex;
        self.add(
            index.clone(),
            "package index".to_owned(),
            (Phase::Images, Resource::Package, 5_000),
            Vec::new(),
            FindPackages { layers: layers.clone() },
        );
        self.add(
            StepKey::PackageDownload,
            "package downloads".to_owned(),
            (Phase::Images, Resource::Download, 20_000),
            vec![index.clone()],
            DownloadPackages { layers: layers.clone() },
        );
        for (id, spec) in layers.clone() {
            let parents = layers
                .iter()
                .filter(|(parent, _)| Some(parent) == spec.parent.as_ref())
                .map(|(_, parent)| StepKey::Layer(parent.name.clone()));
            let needs = std::iter::once(index.clone()).chain(parents).collect();
            let startups = self.startups.remove(&id).unwrap_or_default();
            self.add(
                StepKey::Layer(spec.name.clone()),
                format!("image layer {}", spec.name),
                (Phase::Images, Resource::Package, 5_000 + 150 * spec.packages.len() as u64),
                needs,
                BuildLayer { id, spec, startups },
            );
        }
    }
}
