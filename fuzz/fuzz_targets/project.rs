//! The metadata of a checkout: files with `=== NAME` before each. What is believed becomes files of
//! names and lines that are what they are called.
#![no_main]

use std::path::{Component, Path};

use aio::for_tests::Project;
use libfuzzer_sys::fuzz_target;

const FILES: [&str; 5] =
    ["pyproject.toml", "setup.cfg", "PKG-INFO", "requirements.txt", "more.txt"];

fuzz_target!(|text: &str| {
    // In memory, if that is where temporary files are.
    let root = tempfile::tempdir().unwrap();
    for part in text.split("=== ") {
        let Some((name, content)) = part.split_once('\n') else { continue };
        if FILES.contains(&name) {
            std::fs::write(root.path().join(name), content).unwrap();
        }
    }
    std::fs::create_dir(root.path().join("heat")).unwrap();
    std::fs::write(root.path().join("heat/__init__.py"), "").unwrap();
    let Ok(project) = Project::read(root.path()) else { return };
    for (path, content) in project.dist_info() {
        let parts: Vec<Component> = path.components().collect();
        assert_eq!(parts.len(), 2, "{path:?}");
        assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
        let content = String::from_utf8(content).unwrap();
        assert!(!content.contains(|letter: char| letter.is_control() && letter != '\n'));
    }
    for (name, content) in project.programs("/usr/bin/python3", "/dev/heat") {
        let parts: Vec<Component> = Path::new(&name).components().collect();
        assert!(matches!(parts[..], [Component::Normal(_)]), "{name:?}");
        let content = String::from_utf8(content).unwrap();
        assert!(!content.contains(|letter: char| letter.is_control() && letter != '\n'));
    }
});
