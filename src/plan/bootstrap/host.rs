//! Steps on the host: kernel limits, the binary's copy, the network, packages and image layers.

use super::builder::Builder;
use super::inbound;
use super::network::network_spec;
use crate::engine::event::{Phase, Resource, StepKey};
use crate::steps::host::{Binary, BootUnit, Filters, KernelSettings, Network};
use crate::steps::layer::{BuildLayer, DownloadPackages, FindPackages};

impl Builder<'_> {
    pub(super) fn host(&mut self) {
        let sysctls = self.site.cloud.kernel_settings();
        self.add(
            StepKey::new("host/settings"),
            "kernel limits".to_owned(),
            (Phase::Host, Resource::Light, 20),
            Vec::new(),
            KernelSettings { sysctls },
        );
        self.add(
            StepKey::new("host/binary"),
            "copy of the binary for hooks".to_owned(),
            (Phase::Host, Resource::Light, 50),
            Vec::new(),
            Binary,
        );
        self.add(
            StepKey::new("host/boot-unit"),
            "unit that starts the cloud at boot".to_owned(),
            (Phase::Host, Resource::Light, 50),
            vec![StepKey::new("host/binary")],
            BootUnit,
        );
        let spec = network_spec(&self.site);
        self.add(
            StepKey::new("host/network"),
            "bridges, routes and firewall".to_owned(),
            (Phase::Host, Resource::Light, 200),
            vec![StepKey::new("host/settings")],
            Network { spec },
        );
        let filters = inbound::filters(&self.site.cloud);
        self.add(
            StepKey::new("host/filters"),
            "what containers let in".to_owned(),
            (Phase::Host, Resource::Light, 200),
            Vec::new(),
            Filters { filters },
        );
    }

    pub(super) fn layers(&mut self) {
        let layers = self.site.cloud.layers.clone();
        let index = StepKey::new("packages/index");
        self.add(
            index.clone(),
            "package index".to_owned(),
            (Phase::Images, Resource::Package, 5_000),
            Vec::new(),
            FindPackages { layers: layers.clone() },
        );
        self.add(
            StepKey::new("packages/download"),
            "package downloads".to_owned(),
            (Phase::Images, Resource::Download, 20_000),
            vec![index.clone()],
            DownloadPackages { layers: layers.clone() },
        );
        for (id, spec) in layers.clone() {
            let parents = layers
                .iter()
                .filter(|(parent, _)| Some(parent) == spec.parent.as_ref())
                .map(|(_, parent)| StepKey::new(format!("layer/{}", parent.name)));
            let needs = std::iter::once(index.clone()).chain(parents).collect();
            self.add(
                StepKey::new(format!("layer/{}", spec.name)),
                format!("image layer {}", spec.name),
                (Phase::Images, Resource::Package, 5_000 + 150 * spec.packages.len() as u64),
                needs,
                BuildLayer { id, spec },
            );
        }
    }
}
