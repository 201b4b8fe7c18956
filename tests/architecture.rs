//! The order of imports, read from the sources: `src/lib.rs` states it, and here it is kept.
//!
//! A file imports another when it names an item of it, in a `use` or in an expression, by whatever
//! re-export. Unit tests may import what they like.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module's path below the crate, or an item's: `["steps", "swap", "work"]`.
type Names = Vec<String>;

/// Rooms that stand above others which they must not see.
const BLIND: [(&str, &[&str]); 2] =
    [("plan", &["ui", "host", "secrets", "state", "lxc"]), ("ui", &["host", "secrets", "lxc"])];

/// The code of one file without comments and unit tests.
struct Source {
    module: Names,
    text: String,
    /// Each path that it names, from the crate on, and whether for others to use.
    paths: Vec<(Names, bool)>,
}

/// All of `src/`, by module.
struct Crate {
    sources: BTreeMap<Names, Source>,
    /// What a module's names stand for that are defined elsewhere.
    reexports: BTreeMap<Names, BTreeMap<String, Names>>,
}

fn names(path: &str) -> Names {
    path.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The module of a file below `src/`.
fn module(file: &Path) -> Names {
    let file = file.with_extension("").display().to_string();
    let mut module: Names = file.split('/').map(str::to_owned).collect();
    module.pop_if(|last| last == "mod" || last == "lib");
    module
}

fn files(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Without comments, and without items for tests only, whose modules are added to `tests`.
fn code(text: &str, module: &Names, tests: &mut BTreeSet<Names>) -> String {
    let mut code = String::new();
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            code.push_str(line.split(" // ").next().unwrap_or_default());
            code.push('\n');
            continue;
        }
        let mut item = lines.next().unwrap_or_default();
        while item.trim_start().starts_with("#[") {
            item = lines.next().unwrap_or_default();
        }
        if let Some((_, name)) = item.split_once("mod ") {
            let name = name.trim_end_matches([';', '{', ' ']).to_owned();
            tests.insert([module.clone(), vec![name]].concat());
        }
        let indent = item.len() - item.trim_start().len();
        if !item.ends_with([';', '}', ',']) {
            let ends = |line: &&str| {
                line.trim_start().starts_with('}') && line.len() - line.trim_start().len() == indent
            };
            let _ = lines.find(ends);
        }
    }
    code
}

/// The leaves of a tree such as `a::{b, c::{self, D as E}}`.
fn leaves(tree: &str) -> Vec<Names> {
    let tree = tree.trim();
    let Some((before, within)) = tree.split_once('{') else {
        let mut path = names(tree.split(" as ").next().unwrap_or_default());
        path.pop_if(|last| last == "self");
        return vec![path];
    };
    let within = within.rsplit_once('}').map_or(within, |(within, _)| within);
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (index, letter) in within.char_indices().chain([(within.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(leaves(&within[start..index]));
                start = index + 1;
            }
            _ => {}
        }
    }
    found.into_iter().map(|leaf| [names(before), leaf].concat()).collect()
}

/// The `use` statements of a text, each with whether others may use what it names; and the rest.
fn statements(text: &str) -> (Vec<(String, bool)>, String) {
    let (mut statements, mut rest) = (Vec::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let bare = line.trim_start();
        let (visibility, statement) = match bare.strip_prefix("pub") {
            Some(after) => (
                "pub",
                after
                    .split_once("use ")
                    .filter(|(within, _)| within.trim().is_empty() || within.starts_with('(')),
            ),
            None => ("", bare.split_once("use ").filter(|(within, _)| within.is_empty())),
        };
        let Some((_, tree)) = statement else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut tree = tree.to_owned();
        while !tree.trim_end().ends_with(';') {
            tree.push_str(lines.next().unwrap_or(";"));
        }
        statements.push((tree.trim_end().trim_end_matches(';').to_owned(), visibility == "pub"));
    }
    (statements, rest)
}

/// Paths of two and more names in expressions and types.
fn inline(text: &str) -> BTreeSet<Names> {
    let of_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    text.split(|letter| !of_path(letter)).filter(|path| path.contains("::")).map(names).collect()
}

impl Crate {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (mut found, mut tests) = (Vec::new(), BTreeSet::new());
        files(&root, &mut found);
        let mut sources = BTreeMap::new();
        for file in found.iter().filter(|file| !file.ends_with("main.rs")) {
            let module = module(file.strip_prefix(&root).unwrap());
            let text = code(&fs::read_to_string(file).unwrap(), &module, &mut tests);
            sources.insert(module.clone(), Source { module, text, paths: Vec::new() });
        }
        sources.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        let mut all = Self { sources, reexports: BTreeMap::new() };
        all.find_paths();
        all
    }

    fn find_paths(&mut self) {
        let modules: BTreeSet<Names> = self.sources.keys().cloned().collect();
        for source in self.sources.values_mut() {
            let (statements, rest) = statements(&source.text);
            let used = statements
                .iter()
                .flat_map(|(tree, public)| leaves(tree).into_iter().map(|leaf| (leaf, *public)));
            let all = used.chain(inline(&rest).into_iter().map(|path| (path, false)));
            source.paths = all
                .filter_map(|(path, public)| {
                    Some((absolute(&source.module, &path, &modules)?, public))
                })
                .collect();
            let reexports = self.reexports.entry(source.module.clone()).or_default();
            for (path, _) in source.paths.iter().filter(|(_, public)| *public) {
                reexports.insert(path.last().unwrap().clone(), path.clone());
            }
        }
    }

    /// The module in which what a path names is written.
    fn home(&self, path: &[String]) -> Names {
        for length in (0..=path.len()).rev() {
            let (module, rest) = path.split_at(length);
            if !self.sources.contains_key(module) {
                continue;
            }
            let elsewhere = rest.first().and_then(|name| self.reexports.get(module)?.get(name));
            return match elsewhere {
                Some(there) if *there != *path => {
                    self.home(&[there.as_slice(), &rest[1..]].concat())
                }
                _ => module.to_vec(),
            };
        }
        Names::new()
    }

    /// What each file imports. What it only hands on counts for nothing.
    fn imports(&self) -> BTreeMap<Names, BTreeSet<Names>> {
        let imported = |source: &Source| {
            let homes = source
                .paths
                .iter()
                .filter(|(path, public)| !(*public && path.starts_with(&source.module)));
            homes
                .map(|(path, _)| self.home(path))
                .filter(|home| !home.is_empty() && *home != source.module)
                .collect()
        };
        self.sources.values().map(|source| (source.module.clone(), imported(source))).collect()
    }
}

/// A path as it reads from the crate on; `None` for one that leads elsewhere.
fn absolute(module: &Names, path: &Names, modules: &BTreeSet<Names>) -> Option<Names> {
    let first = path.first()?;
    let below = |module: &[String], rest: &[String]| Some([module, rest].concat());
    match first.as_str() {
        "crate" => below(&[], &path[1..]),
        "self" => below(module, &path[1..]),
        "super" => {
            let up = path.iter().take_while(|name| *name == "super").count();
            below(&module[..module.len().checked_sub(up)?], &path[up..])
        }
        _ => modules
            .contains(&[module.as_slice(), &path[..1]].concat())
            .then(|| below(module, path))?,
    }
}

/// The floors of the house, from `src/lib.rs`, the highest first.
fn floors() -> Vec<Vec<String>> {
    let text = include_str!("../src/lib.rs");
    let block = text.split("```").nth(1).unwrap();
    let words =
        block.lines().skip(1).map(|line| line.trim_start_matches("//!")).collect::<String>();
    let floor = |floor: &str| {
        floor.split(',').map(|room| room.trim_matches(['{', '}', ' ']).to_owned()).collect()
    };
    words.split('→').map(floor).collect()
}

#[test]
fn rooms_import_rooms_below_them() {
    let floors = floors();
    let floor = |room: &str| floors.iter().position(|floor| floor.iter().any(|it| it == room));
    let mut wrong = Vec::new();
    for (module, imports) in Crate::read().imports() {
        let Some(room) = module.first() else { continue };
        assert!(floor(room).is_some(), "src/lib.rs does not say where `{room}` stands");
        for import in imports.iter().filter(|import| import[0] != *room) {
            let blind =
                BLIND.iter().any(|(it, hidden)| it == room && hidden.contains(&&*import[0]));
            if blind || floor(room) >= floor(&import[0]) {
                wrong.push(format!("{} imports {}", module.join("::"), import.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "against the order of src/lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_imports_one_that_imports_it() {
    // Files that import nothing of what is left go; what then stays is in circles or above them.
    let mut left = Crate::read().imports();
    loop {
        let known: BTreeSet<Names> = left.keys().cloned().collect();
        let before = left.len();
        left.retain(|_, imports| imports.iter().any(|import| known.contains(import)));
        if left.len() == before {
            break;
        }
    }
    // The same from above.
    loop {
        let imported: BTreeSet<Names> = left.values().flatten().cloned().collect();
        let before = left.len();
        left.retain(|module, _| imported.contains(module));
        if left.len() == before {
            break;
        }
    }
    let circle: Vec<String> = left.keys().map(|module| module.join("::")).collect();
    assert!(circle.is_empty(), "these import one another in a circle:\n{}", circle.join("\n"));
}

#[test]
fn a_mod_rs_has_no_logic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    for file in found.iter().filter(|file| file.ends_with("mod.rs")) {
        let text = code(&fs::read_to_string(file).unwrap(), &Names::new(), &mut BTreeSet::new());
        let (_, rest) = statements(&text);
        let logic = |line: &&str| {
            !(line.trim().is_empty()
                || line.contains("mod ") && line.ends_with(';')
                || line.starts_with("#["))
        };
        assert_eq!(rest.lines().find(logic), None, "{}", file.display());
    }
}

#[test]
fn the_readers_of_sources_read_them() {
    let all = Crate::read();
    let home = |path: &str| all.home(&names(path)).join("::");
    assert_eq!(home("host::Containers"), "host::machine", "by its re-export");
    assert_eq!(home("error::Error"), "error");
    let imports = all.imports();
    assert!(imports[&names("steps::health")].contains(&names("model::health")));
    assert!(imports[&names("steps::health")].contains(&names("steps::cluster")), "by `super`");
    assert!(!imports.contains_key(&names("host::fake")), "for tests only");
    assert_eq!(
        leaves("a::{self, b::{C, D as E}, F}"),
        [names("a"), names("a::b::C"), names("a::b::D"), names("a::F")]
    );
}
