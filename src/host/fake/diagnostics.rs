//! A host that says what a test told it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::host::Diagnostics;
use crate::model::command::Output;
use crate::model::facts::HostFacts;
use crate::model::journal::Entry;

/// What the host says.
#[derive(Default)]
pub struct FakeDiagnostics {
    /// Facts, if they can be read.
    pub facts: Option<HostFacts>,
    /// Content of files by path; any other is that of the host on which the test runs.
    pub files: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
    /// Journals by machine id.
    pub journals: Mutex<BTreeMap<String, Vec<Entry>>>,
    /// What tools print, by their name; any other is missing.
    pub tools: Mutex<BTreeMap<String, Vec<u8>>>,
}

#[async_trait]
impl Diagnostics for FakeDiagnostics {
    async fn facts(&self) -> Result<HostFacts> {
        self.facts.clone().ok_or_else(|| Error::failed("read the facts"))
    }

    async fn tool(&self, program: &str, _: &[&str]) -> Result<Output> {
        match self.tools.lock().unwrap().get(program) {
            Some(stdout) => Ok(Output { stdout: stdout.clone(), ..Output::default() }),
            None => Err(Error::failed(format!("run `{program}`")).because("it is not there")),
        }
    }

    async fn file(&self, path: &Path, _: u64) -> Result<Option<Vec<u8>>> {
        let known = self.files.lock().unwrap().get(path).cloned();
        Ok(known.or_else(|| std::fs::read(path).ok()))
    }

    async fn journal(&self, machine_id: &str, lines: u32) -> Result<Vec<Entry>> {
        match self.journals.lock().unwrap().get(machine_id) {
            Some(all) => {
                let lines = usize::try_from(lines).unwrap();
                Ok(all[all.len().saturating_sub(lines)..].to_vec())
            }
            None => Err(Error::failed("read the journal").because("it is not there")),
        }
    }
}
