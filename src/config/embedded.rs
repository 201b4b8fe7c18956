//! The data directories as they were when the binary was built.

use include_dir::{Dir, include_dir};

static PROFILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/profiles");
static SECRETS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/secrets");

/// All files of `profiles/`: path below it and text, sorted by path.
pub fn profiles() -> Vec<(String, &'static str)> {
    texts(&PROFILES)
}

/// The specifications of `secrets/` (`NAME.yml`): path below it and text, sorted by path.
pub fn secrets() -> Vec<(String, &'static str)> {
    let mut texts = texts(&SECRETS);
    texts.retain(|(path, _)| path.ends_with(".yml"));
    texts
}

fn texts(directory: &'static Dir<'static>) -> Vec<(String, &'static str)> {
    let mut texts = Vec::new();
    collect(directory, &mut texts);
    texts.sort();
    texts
}

fn collect(directory: &'static Dir<'static>, texts: &mut Vec<(String, &'static str)>) {
    for file in directory.files() {
        if let (Some(path), Some(text)) = (file.path().to_str(), file.contents_utf8()) {
            texts.push((path.to_owned(), text));
        }
    }
    for child in directory.dirs() {
        collect(child, texts);
    }
}
