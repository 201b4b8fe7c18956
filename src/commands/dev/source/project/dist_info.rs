//! The `.dist-info` directory that an installation of the project would have.

use std::fmt::Write;
use std::path::PathBuf;

use super::Project;

/// What the directory names as its maker.
pub const INSTALLER: &str = "aio";

impl Project {
    /// The directory of metadata that an installation would have beside the packages, as files with
    /// their relative paths. Python takes the first distribution of a name on its path, so that
    /// this one shadows a packaged one entirely.
    ///
    /// No `RECORD`, for nothing was installed that could be removed by it.
    pub fn dist_info(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let name = self.normalized_name.replace('-', "_");
        let directory = PathBuf::from(format!("{name}-{}.dist-info", self.version));
        let mut files = vec![
            (directory.join("METADATA"), metadata(self).into_bytes()),
            (directory.join("INSTALLER"), format!("{INSTALLER}\n").into_bytes()),
        ];
        if !self.entry_points.is_empty() {
            files.push((directory.join("entry_points.txt"), entry_points(self).into_bytes()));
        }
        files
    }
}

fn metadata(project: &Project) -> String {
    let mut text =
        format!("Metadata-Version: 2.1\nName: {}\nVersion: {}\n", project.name, project.version);
    let mut add = |key: &str, value: &str| {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{key}: {value}");
    };
    if let Some(python) = &project.requires_python {
        add("Requires-Python", python);
    }
    for requirement in &project.requirements {
        add("Requires-Dist", &requirement.to_string());
    }
    for (extra, requirements) in &project.extras {
        add("Provides-Extra", extra);
        for requirement in requirements {
            add("Requires-Dist", &requirement.and_extra(extra));
        }
    }
    text
}

fn entry_points(project: &Project) -> String {
    let mut text = String::new();
    for (group, entries) in &project.entry_points {
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "[{group}]");
        for (name, target) in entries {
            let _ = writeln!(text, "{name} = {target}");
        }
    }
    text
}
