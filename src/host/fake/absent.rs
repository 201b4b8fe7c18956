//! A host on which nothing works: for tests of what needs no host, and the ground on which tests
//! put the few fakes that they need (`Host { records, ..absent() }`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::host::subids::IdRanges;
use crate::host::{
    BuildProgress, ContainerState, Containers, Diagnostics, Host, HostNetwork, Http, Installation,
    Keepsakes, Layers, Records, Request, Response, Settings, Sql, SqlServer, Stop,
};
use crate::model::command::{Command, Output};
use crate::model::facts::HostFacts;
use crate::model::file::ContainerFile;
use crate::model::host_network::HostNetworkSpec;
use crate::model::journal::Entry;
use crate::model::layer::{LayerInfo, LayerSpec};
use crate::model::publication::Publication;
use crate::model::topology::Container;

/// A host whose every part answers with an error.
pub fn absent() -> Host {
    Host {
        containers: Arc::new(Absent),
        layers: Arc::new(Absent),
        keepsakes: Arc::new(Absent),
        network: Arc::new(Absent),
        settings: Arc::new(Absent),
        sql: Arc::new(Absent),
        http: Arc::new(Absent),
        records: Arc::new(Absent),
        installation: Arc::new(Absent),
        diagnostics: Arc::new(Absent),
        patience: 1,
    }
}

struct Absent;

fn no<T>(what: &str) -> Result<T> {
    Err(Error::failed(format!("this test has no {what}")))
}

#[async_trait]
impl Containers for Absent {
    async fn state(&self, _: &str) -> Result<ContainerState> {
        no("containers")
    }
    async fn definition_differs(&self, _: &Container) -> Result<Option<String>> {
        no("containers")
    }
    async fn define(&self, _: &Container) -> Result<()> {
        no("containers")
    }
    async fn filters_differ(&self, _: &BTreeMap<String, String>) -> Result<Option<String>> {
        no("containers")
    }
    async fn apply_filters(&self, _: &BTreeMap<String, String>) -> Result<()> {
        no("containers")
    }
    async fn start(&self, _: &str) -> Result<()> {
        no("containers")
    }
    async fn stop(&self, _: &str, _: Stop) -> Result<()> {
        no("containers")
    }
    async fn discard(&self, _: &str) -> Result<()> {
        no("containers")
    }
    async fn discard_data(&self, _: &Container) -> Result<()> {
        no("containers")
    }
    async fn run(&self, _: &str, _: Command) -> Result<Output> {
        no("containers")
    }
    async fn read_file(&self, _: &str, _: &str) -> Result<Option<ContainerFile>> {
        no("containers")
    }
    async fn image_file(&self, _: &str, _: &str) -> Result<Vec<u8>> {
        no("containers")
    }
    async fn write_files(&self, _: &str, _: &[ContainerFile]) -> Result<()> {
        no("containers")
    }
    async fn active_units(&self, _: &str, _: &[String]) -> Result<Vec<bool>> {
        no("containers")
    }
    async fn memory_kills(&self, _: &str) -> Result<u64> {
        no("containers")
    }
    async fn main_process(&self, _: &str, _: &str) -> Result<Option<u32>> {
        no("containers")
    }
    async fn publish(&self, _: &str, _: &Publication, _: bool) -> Result<()> {
        no("containers")
    }
    async fn withdraw(&self, _: &str, _: &str) -> Result<()> {
        no("containers")
    }
    async fn list(&self) -> Result<Vec<String>> {
        no("containers")
    }
    async fn host_path(&self, _: &str, _: &str) -> Result<PathBuf> {
        no("containers")
    }
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
    async fn list(&self) -> Result<Vec<LayerInfo>> {
        no("layers")
    }
    async fn remove(&self, _: &str) -> Result<()> {
        no("layers")
    }
}

#[async_trait]
impl HostNetwork for Absent {
    async fn differs(&self, _: &HostNetworkSpec) -> Result<Option<String>> {
        no("network")
    }
    async fn apply(&self, _: &HostNetworkSpec) -> Result<()> {
        no("network")
    }
    async fn remove(&self, _: &HostNetworkSpec) -> Result<()> {
        no("network")
    }
    async fn obstacles(&self, _: &HostNetworkSpec) -> Result<Vec<String>> {
        no("network")
    }
}

#[async_trait]
impl Settings for Absent {
    async fn differs(&self, _: &BTreeMap<String, u64>) -> Result<Option<String>> {
        no("settings")
    }
    async fn apply(&self, _: &BTreeMap<String, u64>) -> Result<()> {
        no("settings")
    }
    async fn release(&self) -> Result<()> {
        no("settings")
    }
    async fn id_ranges(&self, _: u32) -> Result<IdRanges> {
        no("settings")
    }
}

#[async_trait]
impl Sql for Absent {
    async fn query(&self, _: &SqlServer, _: &str) -> Result<Vec<Vec<Option<String>>>> {
        no("databases")
    }
    async fn execute(&self, _: &SqlServer, _: &[String]) -> Result<()> {
        no("databases")
    }
}

#[async_trait]
impl Http for Absent {
    async fn send(&self, _: Request) -> Result<Response> {
        no("services")
    }
}

#[async_trait]
impl Keepsakes for Absent {
    async fn get(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>> {
        no("layers")
    }
    async fn put(&self, _: &str, _: &str, _: &[u8]) -> Result<()> {
        no("layers")
    }
}

#[async_trait]
impl Records for Absent {
    async fn get(&self, _: &str) -> Result<Option<String>> {
        no("records")
    }
    async fn set(&self, _: &str, _: &str) -> Result<()> {
        no("records")
    }
    async fn remove(&self, _: &str) -> Result<()> {
        no("records")
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

#[async_trait]
impl Diagnostics for Absent {
    async fn facts(&self) -> Result<HostFacts> {
        no("facts")
    }
    async fn tool(&self, _: &str, _: &[&str]) -> Result<Output> {
        no("tools")
    }
    async fn file(&self, _: &Path, _: u64) -> Result<Option<Vec<u8>>> {
        no("files")
    }
    async fn journal(&self, _: &str, _: u32) -> Result<Vec<Entry>> {
        no("journals")
    }
}
