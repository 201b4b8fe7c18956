//! `setup.cfg` and the like, as Python's `RawConfigParser` reads them.
//!
//! What sets the dialect apart: an indented line goes on with the value above, whatever is in it;
//! comments and empty lines inside a value do not end it; keys end at the first `=` or `:`.

use indexmap::IndexMap;

/// A file, by section and key. The case of keys is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ini {
    sections: IndexMap<String, IndexMap<String, String>>,
}

impl Ini {
    /// Reads a text. The error is a fragment that names the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            parser.line(line).map_err(|reason| format!("line {}: {reason}", index + 1))?;
        }
        Ok(parser.ini)
    }

    /// The value of a key, without white space around it; `-` and `_` and the case of the key do
    /// not matter. None when it is missing or empty.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        let fold = |key: &str| key.to_lowercase().replace('-', "_");
        let wanted = fold(key);
        let entries = self.sections.get(section)?;
        let (_, value) = entries.iter().find(|(key, _)| fold(key) == wanted)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// The values of a key in all sections.
    pub fn everywhere(&self, key: &str) -> impl Iterator<Item = &str> {
        self.sections.keys().filter_map(move |section| self.get(section, key))
    }

    /// The values of a key that has one in every line; empty when it is missing.
    pub fn lines(&self, section: &str, key: &str) -> Vec<String> {
        self.get(section, key).map(value_lines).unwrap_or_default()
    }

    /// All keys of a section with their values, in order.
    pub fn entries(&self, section: &str) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.sections.get(section).into_iter().flatten();
        entries.map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// The lines of a value that say something.
pub fn value_lines(value: &str) -> Vec<String> {
    value.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[derive(Default)]
struct Parser {
    ini: Ini,
    section: Option<String>,
    /// The key whose value may go on, and the indentation of its line.
    key: Option<(String, usize)>,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        let text = line.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            return Ok(());
        }
        let indentation = line.len() - line.trim_start().len();
        if let (Some(section), Some((key, above))) = (&self.section, &self.key)
            && indentation > *above
            && let Some(value) = self.ini.sections.get_mut(section).and_then(|it| it.get_mut(key))
        {
            value.push('\n');
            value.push_str(text);
            return Ok(());
        }
        self.key = None;
        if let Some(inside) = text.strip_prefix('[') {
            let name = inside.split_once(']').ok_or("a section has no `]`")?.0.to_owned();
            self.ini.sections.entry(name.clone()).or_default();
            self.section = Some(name);
            return Ok(());
        }
        let section = self.section.as_ref().ok_or("a key stands before the first section")?;
        let (key, value) = text.split_once(['=', ':']).ok_or("neither a section nor a key")?;
        let entries = self.ini.sections.entry(section.clone()).or_default();
        entries.insert(key.trim().to_owned(), value.trim().to_owned());
        self.key = Some((key.trim().to_owned(), indentation));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_on_over_comments_and_empty_lines() {
        let ini = Ini::parse(
            "[metadata]\nName = a-b\ndescription-file: README\n\n[entry_points]\n\
             console_scripts =\n    one = a.b:main\n# between\n\n    two = a:c [extra]\n\
             x.Y =\n",
        )
        .unwrap();
        assert_eq!(ini.get("metadata", "name"), Some("a-b"));
        assert_eq!(ini.get("metadata", "description_file"), Some("README"));
        let scripts = ini.lines("entry_points", "console_scripts");
        assert_eq!(scripts, ["one = a.b:main", "two = a:c [extra]"]);
        assert_eq!(ini.get("entry_points", "x.Y"), None);
        let keys: Vec<&str> = ini.entries("entry_points").map(|(key, _)| key).collect();
        assert_eq!(keys, ["console_scripts", "x.Y"]);
    }

    #[test]
    fn what_is_no_such_file_is_named_by_its_line() {
        assert!(Ini::parse("[a]\nb = c\nnonsense\n").unwrap_err().starts_with("line 3: "));
        assert!(Ini::parse("b = c\n").unwrap_err().starts_with("line 1: "));
        assert!(Ini::parse("[a\n").unwrap_err().starts_with("line 1: "));
    }
}
