use std::sync::Mutex;

use super::*;

/// Records in memory.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, String>>);

#[async_trait]
impl Records for Memory {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    async fn set(&self, key: &str, value: &str) -> Result<()> {
        self.0.lock().unwrap().insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<()> {
        self.0.lock().unwrap().remove(key);
        Ok(())
    }
}

struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    fn new(files: &[(&str, &str)]) -> Self {
        let host = Self { directory: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            fs::write(host.path(name), text).unwrap();
        }
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn settings(&self, cloud: &str) -> (RealSettings, Arc<Memory>) {
        let records = Arc::new(Memory::default());
        let root = self.directory.path();
        let shared = SharedSettings::with_kernel(&root.join("run"), &root.join("sys"));
        (RealSettings::with_etc(cloud, shared, records.clone(), root), records)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn two_clouds_get_different_ranges_that_nobody_else_has() {
    let host = Host::new(&[
        ("subuid", "ada:100000:65536\n"),
        ("subgid", "ada:100000:65536\ngrace:165536:10\n"),
        ("passwd", "root:x:0:0::/root:/bin/sh\nldap:x:300000:300000::/:/bin/sh\n"),
    ]);
    let (one, _) = host.settings("aio1");
    let (two, _) = host.settings("aio2");
    assert_eq!(one.id_range().await.unwrap(), (231_072, 65_536));
    // 296608 to 362143 has an account in it.
    assert_eq!(two.id_range().await.unwrap(), (362_144, 65_536));
    assert_eq!(one.id_range().await.unwrap(), (231_072, 65_536));
    assert_eq!(host.text("subuid"), "ada:100000:65536\nroot:231072:65536\nroot:362144:65536\n");
    one.release().await.unwrap();
    two.release().await.unwrap();
    assert_eq!(host.text("subuid"), "ada:100000:65536\n");
    assert_eq!(host.text("subgid"), "ada:100000:65536\ngrace:165536:10\n");
    assert_eq!(host.names(), ["passwd", "subgid", "subuid"]);
}

#[tokio::test]
async fn files_that_were_not_there_go_again() {
    let host = Host::new(&[]);
    let (settings, _) = host.settings("aio1");
    assert_eq!(settings.id_range().await.unwrap(), (100_000, 65_536));
    settings.release().await.unwrap();
    assert!(host.names().is_empty(), "{:?}", host.names());
    settings.release().await.unwrap();
}

#[tokio::test]
async fn a_line_that_was_lost_is_written_again() {
    let host = Host::new(&[("subuid", ""), ("subgid", "")]);
    let (settings, _) = host.settings("aio1");
    let range = settings.id_range().await.unwrap();
    fs::write(host.path("subgid"), "# empty").unwrap();
    assert_eq!(settings.id_range().await.unwrap(), range);
    assert_eq!(host.text("subgid"), "# empty\nroot:100000:65536\n");
    assert_eq!(host.text("subuid"), "root:100000:65536\n");
}

#[tokio::test]
async fn a_range_that_somebody_else_got_meanwhile_is_given_up() {
    let host = Host::new(&[("subuid", ""), ("subgid", "")]);
    let (settings, _) = host.settings("aio1");
    settings.id_range().await.unwrap();
    fs::write(host.path("subuid"), "eve:120000:5\n").unwrap();
    assert_eq!(settings.id_range().await.unwrap(), (165_536, 65_536));
    assert_eq!(host.text("subuid"), "eve:120000:5\nroot:165536:65536\n");
    assert_eq!(host.text("subgid"), "root:165536:65536\n");
}

#[tokio::test]
async fn a_lock_of_a_process_that_is_gone_is_taken_over() {
    let host = Host::new(&[("subuid", ""), ("subgid", "")]);
    fs::write(host.path("subuid.lock"), "4194305\0").unwrap();
    let (settings, _) = host.settings("aio1");
    settings.id_range().await.unwrap();
    assert_eq!(host.names(), ["subgid", "subuid"]);
}

#[tokio::test]
async fn a_crash_after_the_record_is_repaired() {
    let host = Host::new(&[("subuid", ""), ("subgid", "")]);
    let (settings, records) = host.settings("aio1");
    let text = r#"{"range":{"first":165536,"count":65536},"created":[]}"#;
    records.set(RECORD, text).await.unwrap();
    assert_eq!(settings.id_range().await.unwrap(), (165_536, 65_536));
    assert_eq!(host.text("subuid"), "root:165536:65536\n");
}
