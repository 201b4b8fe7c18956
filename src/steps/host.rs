//! Steps on the host itself: kernel limits, bridges, routes, firewall.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::engine::step::{Action, Observation, StepContext};
use crate::error::Result;
use crate::model::host_network::HostNetworkSpec;

/// Raises kernel limits that many containers need.
pub struct KernelSettings {
    /// Name and least value.
    pub sysctls: BTreeMap<String, u64>,
}

#[async_trait]
impl Action for KernelSettings {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(context.host.settings.differs(&self.sysctls).await?.into())
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.settings.apply(&self.sysctls).await
    }
}

/// Guard routes, bridges, addresses and the cloud's own firewall table.
pub struct Network {
    pub spec: HostNetworkSpec,
}

#[async_trait]
impl Action for Network {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        for obstacle in context.host.network.obstacles(&self.spec).await? {
            context.warn(obstacle);
        }
        self.verify(context).await
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.network.apply(&self.spec).await
    }

    /// Looks without telling once more what is in the way.
    async fn verify(&self, context: &StepContext) -> Result<Observation> {
        Ok(context.host.network.differs(&self.spec).await?.into())
    }
}

/// What containers let in: before one of them starts, so that those it talks to let it in.
pub struct Filters {
    /// Rules by full name.
    pub filters: BTreeMap<String, String>,
}

#[async_trait]
impl Action for Filters {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(context.host.containers.filters_differ(&self.filters).await?.into())
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.containers.apply_filters(&self.filters).await
    }
}

/// The copy of the binary that LXC's hooks call.
pub struct Binary;

#[async_trait]
impl Action for Binary {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(context.host.installation.binary_differs().await?.into())
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.installation.install_binary().await
    }
}

/// The unit that starts the cloud when the host boots.
pub struct BootUnit;

#[async_trait]
impl Action for BootUnit {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(context.host.installation.boot_unit_differs().await?.into())
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        context.host.installation.install_boot_unit().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::engine::event::Event;
    use crate::error::Error;
    use crate::host::fake::empty;
    use crate::host::fake::network::FakeNetwork;
    use crate::host::fake::settings::FakeSettings;
    use crate::model::facts::NetworkFacts;
    use crate::model::ranges;

    fn spec() -> HostNetworkSpec {
        let choice = ranges::choose("aio1", &BTreeMap::new(), &NetworkFacts::default()).unwrap();
        HostNetworkSpec::closed("aio1", &choice.networks)
    }

    #[tokio::test]
    async fn the_network_is_made_once_and_obstacles_are_told_each_time() {
        let network = Arc::new(FakeNetwork::default());
        network.obstacles.lock().unwrap().push("Docker is in the way.".to_owned());
        network.failures.lock().unwrap().push(Error::failed("make bridges"));
        let mut host = empty();
        host.network = Arc::clone(&network) as Arc<_>;
        let (events, mut told) = unbounded_channel();
        let context = StepContext { events, ..StepContext::silent(Arc::new(host)) };
        let step = Network { spec: spec() };
        let wrong = "the guard route of 10.0.3.0/24 is missing";
        assert_eq!(step.observe(&context).await.unwrap(), Observation::Wrong(wrong.to_owned()));
        assert!(
            matches!(told.try_recv(), Ok(Event::Warning { message }) if message.contains("Docker"))
        );
        assert!(step.act(&context).await.is_err());
        step.act(&context).await.unwrap();
        assert_eq!(step.verify(&context).await.unwrap(), Observation::Right);
    }

    #[tokio::test]
    async fn limits_are_raised_and_never_lowered() {
        let settings = Arc::new(FakeSettings::default());
        let set =
            |name: &str, value| settings.kernel.lock().unwrap().insert(name.to_owned(), value);
        set("fs.inotify.max_user_instances", 128);
        set("fs.inotify.max_user_watches", 1_000_000);
        let mut host = empty();
        host.settings = Arc::clone(&settings) as Arc<_>;
        let context = StepContext::silent(Arc::new(host));
        let needed = [("fs.inotify.max_user_instances", 8192), ("fs.inotify.max_user_watches", 9)];
        let sysctls = needed.map(|(name, value)| (name.to_owned(), value)).into();
        let step = KernelSettings { sysctls };
        assert!(matches!(step.observe(&context).await.unwrap(), Observation::Wrong(_)));
        step.act(&context).await.unwrap();
        assert_eq!(step.verify(&context).await.unwrap(), Observation::Right);
        assert_eq!(settings.kernel.lock().unwrap()["fs.inotify.max_user_watches"], 1_000_000);
        context.host.settings.release().await.unwrap();
        assert_eq!(settings.kernel.lock().unwrap()["fs.inotify.max_user_instances"], 128);
    }
}
