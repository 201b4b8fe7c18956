//! A host with nothing on it: for tests of what needs no host, and the ground on which tests put what
//! they ask about (`Host { records, ..empty() }`).

use std::sync::Arc;

use async_trait::async_trait;

use super::containers::FakeContainers;
use super::diagnostics::FakeDiagnostics;
use super::http::FakeHttp;
use super::keepsakes::FakeKeepsakes;
use super::network::FakeNetwork;
use super::records::FakeRecords;
use super::settings::FakeSettings;
use super::sql::FakeSql;
use crate::error::{Error, Result};
use crate::host::{BuildProgress, Host, Installation, Layers};
use crate::model::layer::{LayerInfo, LayerSpec};
use crate::model::startup::Startup;

/// A host of fakes that nobody has told anything. It can neither build layers nor install `aio`.
pub fn empty() -> Host {
    Host {
        containers: Arc::new(FakeContainers::default()),
        layers: Arc::new(Absent),
        keepsakes: Arc::new(FakeKeepsakes::default()),
        network: Arc::new(FakeNetwork::default()),
        settings: Arc::new(FakeSettings::default()),
        sql: Arc::new(FakeSql::default()),
        http: Arc::new(FakeHttp::default()),
        records: Arc::new(FakeRecords::default()),
        installation: Arc::new(Absent),
        diagnostics: Arc::new(FakeDiagnostics::default()),
        patience: 1,
    }
}

/// Stands where no test needs more than an error.
struct Absent;

fn no<T>(what: &str) -> Result<T> {
    Err(Error::failed(format!("this test has no {what}")))
}

#[async_trait]
impl Layers for Absent {
    async fn exists(&self, _: &str) -> Result<bool> {
        no("layers")
    }
    async fn prepare(&self, _: &[(String, LayerSpec)], _: Arc<dyn BuildProgress>) -> Result<()> {
        no("layers")
    }
    async fn download(&self, _: &[(String, LayerSpec)], _: Arc<dyn BuildProgress>) -> Result<()> {
        no("layers")
    }
    async fn build(&self, _: &LayerSpec, _: &str, _: Arc<dyn BuildProgress>) -> Result<()> {
        no("layers")
    }
    async fn problems(&self, _: &str, _: &Startup) -> Result<Vec<String>> {
        no("layers")
    }
    async fn list(&self) -> Result<Vec<LayerInfo>> {
        no("layers")
    }
    async fn remove(&self, _: &str) -> Result<()> {
        no("layers")
    }
}

#[async_trait]
impl Installation for Absent {
    async fn binary_differs(&self) -> Result<Option<String>> {
        no("installation")
    }
    async fn install_binary(&self) -> Result<()> {
        no("installation")
    }
    async fn boot_unit_differs(&self) -> Result<Option<String>> {
        no("installation")
    }
    async fn install_boot_unit(&self) -> Result<()> {
        no("installation")
    }
    async fn remove_boot_unit(&self) -> Result<()> {
        no("installation")
    }
}
