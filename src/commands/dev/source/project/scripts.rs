//! The programs that a project declares, as an installation would write them.
//!
//! A program is a function of a module (`console_scripts`, `wsgi_scripts`) or a file that is one as it
//! stands. Each is written as pip, pbr and setuptools write it: nothing of the project runs until
//! somebody starts the program.

use std::collections::BTreeMap;

use super::Project;

pub(super) const CONSOLE_SCRIPTS: &str = "console_scripts";
pub(super) const WSGI_SCRIPTS: &str = "wsgi_scripts";

/// What a program calls: `nova.cmd.conductor:main`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Callable {
    module: String,
    /// A function of the module, or what leads to one: `Daemon.main`.
    attribute: String,
}

impl Callable {
    /// Reads the target of an entry point, of which extras say nothing here. None when it is something else.
    pub(super) fn parse(target: &str) -> Option<Self> {
        let target = target.split_once('[').map_or(target, |(before, _)| before);
        let (module, attribute) = target.split_once(':')?;
        let (module, attribute) = (module.trim(), attribute.trim());
        let both = is_dotted(module) && is_dotted(attribute);
        both.then(|| Self { module: module.to_owned(), attribute: attribute.to_owned() })
    }

    /// `from nova.cmd.conductor import main`.
    fn import(&self) -> String {
        let name = self.attribute.split('.').next().unwrap_or(&self.attribute);
        format!("from {} import {name}", self.module)
    }
}

/// Whether it is names of Python's with dots between them.
pub fn is_dotted(text: &str) -> bool {
    let starts = |letter: char| letter == '_' || letter.is_alphabetic();
    let goes_on = |letter: char| letter == '_' || letter.is_alphanumeric();
    text.split('.').all(|name| name.starts_with(starts) && name.chars().all(goes_on))
}

impl Project {
    /// Names of the programs that it declares, sorted.
    pub fn program_names(&self) -> Vec<&str> {
        let declared = self.entry_points.get(CONSOLE_SCRIPTS).into_iter().flatten();
        let files = self.script_files.iter().map(|file| file_name(file));
        let mut names: Vec<&str> = declared.map(|(name, _)| name.as_str()).chain(files).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Names of its WSGI scripts.
    pub fn wsgi_script_names(&self) -> impl Iterator<Item = &str> {
        let declared = self.entry_points.get(WSGI_SCRIPTS).into_iter().flatten();
        declared.map(|(name, _)| name.as_str())
    }

    /// Its programs by their names, for this Python; the project itself stands in `root`.
    pub fn programs(&self, python: &str, root: &str) -> BTreeMap<String, Vec<u8>> {
        let files = self.script_files.iter().map(|file| {
            let text = of_file(&format!("{root}/{file}"));
            (file_name(file).to_owned(), text)
        });
        let declared = self.entry_points.get(CONSOLE_SCRIPTS).into_iter().flatten();
        let declared = declared.filter_map(|(name, target)| {
            Some((name.clone(), of_function(&Callable::parse(target)?)))
        });
        let texts = files.chain(declared);
        texts.map(|(name, text)| (name, format!("#!{python}\n{text}").into_bytes())).collect()
    }

    /// The text of a WSGI script: uWSGI serves what is called `application` in it.
    pub fn wsgi_script(&self, name: &str, root: &str) -> Option<String> {
        let declared = self.entry_points.get(WSGI_SCRIPTS).and_then(|group| group.get(name));
        if let Some(factory) = declared.and_then(|target| Callable::parse(target)) {
            return Some(format!(
                "{}\n\napplication = {}()\n",
                factory.import(),
                factory.attribute
            ));
        }
        let file = self.script_files.iter().find(|file| file_name(file) == name)?;
        Some(of_file(&format!("{root}/{file}")))
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// As pip writes it. The guard is for what starts the program's module once more, as `multiprocessing`
/// does.
fn of_function(function: &Callable) -> String {
    format!(
        "import sys\n\n{}\n\nif __name__ == \"__main__\":\n    sys.exit({}())\n",
        function.import(),
        function.attribute
    )
}

/// As setuptools writes it for a project that is installed where it stands: what is saved in the file
/// counts from the next start on.
fn of_file(path: &str) -> String {
    // A JSON string is one of Python's, too.
    let path = serde_json::Value::from(path);
    format!(
        "__file__ = {path}\nwith open(__file__, \"rb\") as opened:\n    \
         exec(compile(opened.read(), __file__, \"exec\"))\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::source::testing::write;

    fn project(files: &[(&str, &str)]) -> Project {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), files);
        Project::read(directory.path()).unwrap()
    }

    fn text(programs: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
        String::from_utf8(programs[name].clone()).unwrap()
    }

    #[test]
    fn what_a_program_calls() {
        let parsed = |target| Callable::parse(target).map(|it| (it.module, it.attribute));
        let pair = |module: &str, attribute: &str| Some((module.to_owned(), attribute.to_owned()));
        assert_eq!(parsed("nova.cmd.conductor:main"), pair("nova.cmd.conductor", "main"));
        assert_eq!(parsed("a : _b.c2 [ldap]"), pair("a", "_b.c2"));
        for wrong in ["a", "a:", ":b", "a.:b", "a:b()", "a:b c", "1a:b", "a:b\nimport os", "a:b;c"]
        {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_program_is_what_an_installation_would_write() {
        let project = project(&[
            (
                "setup.cfg",
                "[metadata]\nname = app\n[files]\nscripts =\n  bin/app-old\n  bin/none\n  bin/shell\n\
                 [entry_points]\nconsole_scripts =\n  app-new = app.cmd.new:Daemon.main [x]\n\
                 wsgi_scripts =\n  app-wsgi = app.wsgi:make\n",
            ),
            ("bin/app-old", "#!/usr/bin/env python3\nprint()\n"),
            ("bin/shell", "#!/bin/sh\necho\n"),
            ("app/__init__.py", ""),
        ]);
        assert_eq!(project.program_names(), ["app-new", "app-old"]);
        let programs = project.programs("/usr/bin/python3", "/dev/app");
        assert_eq!(
            text(&programs, "app-new"),
            "#!/usr/bin/python3\nimport sys\n\nfrom app.cmd.new import Daemon\n\n\
             if __name__ == \"__main__\":\n    sys.exit(Daemon.main())\n"
        );
        let old = text(&programs, "app-old");
        assert!(old.starts_with("#!/usr/bin/python3\n__file__ = \"/dev/app/bin/app-old\"\n"));
        assert_eq!(
            project.wsgi_script("app-wsgi", "/dev/app").unwrap(),
            "from app.wsgi import make\n\napplication = make()\n"
        );
        assert!(project.wsgi_script("app-old", "/dev/app").unwrap().contains("bin/app-old"));
        assert_eq!(project.wsgi_script("app-new", "/dev/app"), None);
    }

    #[test]
    fn programs_run() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let script = "#!python\nimport app.cmd\nif __name__ == '__main__':\n    app.cmd.main()\n\
                      else:\n    application = 3\n";
        write(
            root,
            &[
                (
                    "pyproject.toml",
                    "[project]\nname = 'app'\n[project.scripts]\napp-new = 'app.cmd:main'\n\
                     [tool.setuptools]\nscript-files = ['bin/app-old']\n",
                ),
                ("bin/app-old", script),
                ("app/__init__.py", ""),
                ("app/cmd.py", "import sys\ndef main():\n    print(*sys.argv)\n    return 3\n"),
            ],
        );
        let project = Project::read(root).unwrap();
        let programs = project.programs("/usr/bin/python3", root.to_str().unwrap());
        for (name, status) in [("app-new", 3), ("app-old", 0)] {
            let program = root.join(name);
            std::fs::write(&program, &programs[name]).unwrap();
            let mut command = std::process::Command::new("python3");
            let output = command.arg(&program).arg("x").env("PYTHONPATH", root).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(said, format!("{} x\n", program.display()), "{name}");
            assert_eq!(output.status.code(), Some(status), "{name}");
        }
    }

    #[test]
    fn what_no_program_can_be_made_of_is_refused() {
        let refused = |line: &str| {
            let directory = tempfile::tempdir().unwrap();
            let points = format!("[entry_points]\nconsole_scripts =\n  {line}\n");
            let setup = format!("[metadata]\nname = app\n{points}");
            write(directory.path(), &[("setup.cfg", &setup), ("app/__init__.py", "")]);
            Project::read(directory.path()).unwrap_err().causes.join(" ")
        };
        assert!(refused("app = app.cmd").contains("`app.cmd`"), "{}", refused("app = app.cmd"));
        assert!(refused("../app = app.cmd:main").contains("`../app`"));
    }
}
