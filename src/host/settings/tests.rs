use std::fs;
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

/// First id and count of each range.
fn pairs(ranges: &IdRanges) -> Vec<(u32, u32)> {
    ranges.0.iter().map(|range| (range.first, range.count)).collect()
}

const BLOCK: u32 = 64 * 65_536;

#[tokio::test]
async fn two_clouds_get_different_ids_that_nobody_else_has() {
    let host = Host::new(&[
        ("subuid", "ada:100000:65536\n"),
        ("subgid", "ada:100000:65536\ngrace:165536:10\n"),
        ("passwd", "root:x:0:0::/root:/bin/sh\nldap:x:300000:300000::/:/bin/sh\n"),
    ]);
    let (one, _) = host.settings("aio1");
    let (two, _) = host.settings("aio2");
    // 296608 to 362143 has an account in it.
    let first = [(231_072, 65_536), (362_144, 63 * 65_536)];
    assert_eq!(pairs(&one.id_ranges(41).await.unwrap()), first);
    let second = [(362_144 + 63 * 65_536, BLOCK)];
    assert_eq!(pairs(&two.id_ranges(1).await.unwrap()), second);
    assert_eq!(pairs(&one.id_ranges(64).await.unwrap()), first);
    let lines = "root:231072:65536\nroot:362144:4128768\nroot:4490912:4194304\n";
    assert_eq!(host.text("subuid"), format!("ada:100000:65536\n{lines}"));
    one.release().await.unwrap();
    two.release().await.unwrap();
    assert_eq!(host.text("subuid"), "ada:100000:65536\n");
    assert_eq!(host.text("subgid"), "ada:100000:65536\ngrace:165536:10\n");
    assert_eq!(host.names(), ["passwd", "subgid", "subuid"]);
}

#[tokio::test]
async fn a_cloud_that_grows_beyond_its_ids_gets_more_and_moves_nobody() {
    let host = Host::new(&[("subuid", ""), ("subgid", "")]);
    let (settings, _) = host.settings("aio1");
    let before = settings.id_ranges(64).await.unwrap();
    fs::write(host.path("subuid"), host.text("subuid") + "eve:4294304:65536\n").unwrap();
    let after = settings.id_ranges(65).await.unwrap();
    assert_eq!(pairs(&after), [(100_000, BLOCK), (4_359_840, BLOCK)]);
    assert!((0..64).all(|slot| before.slot(slot) == after.slot(slot)));
    assert_eq!(after.slot(64), Some((4_359_840, 65_536)));
    assert_eq!((before.slot(64), after.slot(128)), (None, None));
    settings.release().await.unwrap();
    assert_eq!(host.text("subuid"), "eve:4294304:65536\n");
    assert_eq!(host.text("subgid"), "");
}

#[tokio::test]
async fn the_one_range_of_a_cloud_of_old_stays_its_first() {
    let host = Host::new(&[("subuid", "root:165536:65536\n"), ("subgid", "root:165536:65536\n")]);
    let (settings, records) = host.settings("aio1");
    let text = r#"{"range":{"first":165536,"count":65536},"created":["gone"]}"#;
    records.set(RECORD, text).await.unwrap();
    // What knows of one slot only changes nothing.
    assert_eq!(pairs(&settings.id_ranges(1).await.unwrap()), [(165_536, 65_536)]);
    assert_eq!(host.text("subuid"), "root:165536:65536\n");
    let ranges = settings.id_ranges(3).await.unwrap();
    let expected = [(165_536, 65_536), (100_000, 65_536), (231_072, 62 * 65_536)];
    assert_eq!(pairs(&ranges), expected);
    assert_eq!(ranges.slot(0), Some((165_536, 65_536)));
    assert_eq!(settings.known_ranges().await.unwrap(), ranges);
    settings.release().await.unwrap();
    assert_eq!((host.text("subuid"), host.text("subgid")), (String::new(), String::new()));
}

#[tokio::test]
async fn where_ids_are_short_a_cloud_takes_what_it_needs_or_says_how_many_there_are() {
    let host = Host::new(&[("subuid", ""), ("subgid", "")]);
    let (mut settings, records) = host.settings("aio1");
    // As in a user namespace of 262144 ids: two slots.
    settings.lacking = vec![IdRange { first: 262_144, count: u32::MAX - 262_144 }];
    assert_eq!(pairs(&settings.id_ranges(2).await.unwrap()), [(100_000, 131_072)]);
    let before = (host.text("subuid"), records.get(RECORD).await.unwrap());
    let error = settings.id_ranges(3).await.unwrap_err();
    assert!(error.to_string().contains("each of 3 containers"), "{error}");
    assert!(error.to_string().contains("enough for 2"), "{error}");
    assert_eq!((host.text("subuid"), records.get(RECORD).await.unwrap()), before);
    assert_eq!(host.names(), ["subgid", "subuid"]);
}

#[tokio::test]
async fn files_that_were_not_there_go_again() {
    let host = Host::new(&[]);
    let (settings, _) = host.settings("aio1");
    assert_eq!(pairs(&settings.id_ranges(1).await.unwrap()), [(100_000, BLOCK)]);
    settings.id_ranges(65).await.unwrap();
    settings.release().await.unwrap();
    assert!(host.names().is_empty(), "{:?}", host.names());
    settings.release().await.unwrap();
}

#[tokio::test]
async fn a_line_that_was_lost_is_written_again() {
    let host = Host::new(&[("subuid", ""), ("subgid", "")]);
    let (settings, _) = host.settings("aio1");
    let ranges = settings.id_ranges(1).await.unwrap();
    fs::write(host.path("subgid"), "# empty").unwrap();
    assert_eq!(settings.id_ranges(1).await.unwrap(), ranges);
    assert_eq!(host.text("subgid"), "# empty\nroot:100000:4194304\n");
    assert_eq!(host.text("subuid"), "root:100000:4194304\n");
}

#[tokio::test]
async fn a_range_of_which_somebody_else_got_a_part_is_given_up_and_no_other() {
    let host = Host::new(&[("subuid", ""), ("subgid", "")]);
    let (settings, _) = host.settings("aio1");
    let before = settings.id_ranges(65).await.unwrap();
    assert_eq!(pairs(&before), [(100_000, 2 * BLOCK)]);
    fs::write(host.path("subuid"), "").unwrap();
    fs::write(host.path("subgid"), "eve:120000:5\n").unwrap();
    let after = settings.id_ranges(65).await.unwrap();
    assert_eq!(pairs(&after), [(165_536, 2 * BLOCK)]);
    assert_eq!(host.text("subgid"), format!("eve:120000:5\nroot:165536:{}\n", 2 * BLOCK));
    assert_eq!(host.text("subuid"), format!("root:165536:{}\n", 2 * BLOCK));
}

#[tokio::test]
async fn a_lock_of_a_process_that_is_gone_is_taken_over() {
    let host = Host::new(&[("subuid", ""), ("subgid", "")]);
    fs::write(host.path("subuid.lock"), "4194305\0").unwrap();
    let (settings, _) = host.settings("aio1");
    settings.id_ranges(1).await.unwrap();
    assert_eq!(host.names(), ["subgid", "subuid"]);
}

#[tokio::test]
async fn a_crash_in_the_midst_of_a_write_leaves_nothing() {
    let host = Host::new(&[("subuid", ""), ("subgid", "eve:100000:65536\n")]);
    let (settings, records) = host.settings("aio1");
    let text = r#"{"ranges":[{"first":165536,"count":65536}],"created":[]}"#;
    records.set(RECORD, text).await.unwrap();
    for name in ["subuid", "subgid"] {
        fs::write(files::unfinished(&host.path(name)), "eve:1000").unwrap();
    }
    settings.release().await.unwrap();
    assert_eq!(host.names(), ["subgid", "subuid"]);
    assert_eq!(host.text("subgid"), "eve:100000:65536\n");
}

#[tokio::test]
async fn a_crash_after_the_record_is_repaired() {
    let host = Host::new(&[("subuid", ""), ("subgid", "")]);
    let (settings, records) = host.settings("aio1");
    let text = r#"{"ranges":[{"first":165536,"count":65536}],"created":[]}"#;
    records.set(RECORD, text).await.unwrap();
    assert_eq!(pairs(&settings.id_ranges(1).await.unwrap()), [(165_536, 65_536)]);
    assert_eq!(host.text("subuid"), "root:165536:65536\n");
}
