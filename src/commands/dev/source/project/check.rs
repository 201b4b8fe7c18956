//! What a project says about itself, before anything is made of it: names become names of files on the
//! host and lines of files in a container.

use super::Project;
use super::scripts::{CONSOLE_SCRIPTS, Callable, WSGI_SCRIPTS};
use crate::error::{Error, ErrorKind, Result};
use crate::model::requirement::{is_name, is_specifier, is_version, not_taken};

/// Longer than any import root, entry point or group of entry points.
const LONGEST: usize = 500;

/// How many entry points and programs a project may declare. The largest of OpenStack's has 600.
const MOST: usize = 2000;

impl Project {
    /// Refuses one of which any part is not what its name says, wherever it was read.
    pub fn checked(self) -> Result<Self> {
        let count = self.entry_points.values().map(|entries| entries.len()).sum::<usize>();
        if count + self.script_files.len() > MOST {
            return Err(Error::new(ErrorKind::Usage, "read the entry points of the project")
                .because(format!("it declares more than {MOST}")));
        }
        let wrong = self.wrong_part();
        let Some((what, text)) = wrong else { return Ok(self) };
        let shown = not_taken(text, &format!("it is no {what}"));
        Err(Error::new(ErrorKind::Usage, format!("read the {what} of the project")).because(shown))
    }

    fn wrong_part(&self) -> Option<(&'static str, &str)> {
        let names = [&self.name, &self.normalized_name].into_iter().chain(self.extras.keys());
        let points = self.entry_points.iter().flat_map(|(group, entries)| {
            let entries = entries.iter().flat_map(|(name, target)| [name, target]);
            std::iter::once(group).chain(entries)
        });
        wrong("name", names, is_name)
            .or_else(|| wrong("version", [&self.version], is_version))
            .or_else(|| wrong("list of Python versions", &self.requires_python, is_specifier))
            .or_else(|| wrong("import root", &self.import_roots, is_import_root))
            .or_else(|| wrong("entry point", points, is_line))
            .or_else(|| wrong("name of a program", self.script_names(), is_name))
            .or_else(|| wrong("function of a module", self.script_targets(), is_callable))
            .or_else(|| wrong("file of a program", &self.script_files, is_below))
    }

    fn script_names(&self) -> impl Iterator<Item = &String> {
        self.scripts().map(|(name, _)| name)
    }

    fn script_targets(&self) -> impl Iterator<Item = &String> {
        self.scripts().map(|(_, target)| target)
    }

    /// Of each of them a program is made.
    fn scripts(&self) -> impl Iterator<Item = (&String, &String)> {
        let groups = [CONSOLE_SCRIPTS, WSGI_SCRIPTS];
        groups.into_iter().filter_map(|group| self.entry_points.get(group)).flatten()
    }
}

/// The first text that is not what it should be.
fn wrong<'a>(
    what: &'static str,
    texts: impl IntoIterator<Item = &'a String>,
    is: fn(&str) -> bool,
) -> Option<(&'static str, &'a str)> {
    texts.into_iter().find(|text| !is(text)).map(|text| (what, text.as_str()))
}

/// A directory below the root, as it stands in a list that `:` separates.
fn is_import_root(text: &str) -> bool {
    text.is_empty() || (is_below(text) && !text.contains(':'))
}

fn is_below(text: &str) -> bool {
    let below = |part: &str| !part.is_empty() && part != "." && part != "..";
    is_line(text) && text.split('/').all(below)
}

fn is_callable(text: &str) -> bool {
    Callable::parse(text).is_some()
}

fn is_line(text: &str) -> bool {
    text.len() <= LONGEST && !text.contains(char::is_control)
}
