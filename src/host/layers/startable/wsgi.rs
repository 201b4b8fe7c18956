//! What uWSGI serves: the application that its configuration names.

use std::io;

use super::view::{View, stays};
use crate::model::file::ContainerFile;

/// Settings by which Python looks for modules in places that are not looked through here.
const OTHER_PLACES: [&str; 5] = ["pythonpath", "pp", "virtualenv", "venv", "pyhome"];

/// Says that the application which a configuration of uWSGI's names is not there.
pub(super) fn problem(view: &View<'_>, file: &ContainerFile) -> io::Result<Option<String>> {
    let text = String::from_utf8_lossy(&file.content);
    if !text.lines().any(|line| line.trim() == "[uwsgi]") {
        return Ok(None);
    }
    let value = |key: &str| {
        let mut values = text.lines().filter_map(|line| {
            let (found, value) = line.split_once('=')?;
            (found.trim() == key).then(|| value.trim())
        });
        values.next().filter(|value| !value.contains(['$', '%']))
    };
    let (what, found) = match (value("wsgi-file"), value("module")) {
        (Some(path), _) => (path, !stays(path) || view.exists(path)?),
        (None, Some(application)) => {
            let module = application.split(':').next().unwrap_or_default();
            let directory = value("chdir");
            // What nobody has yet may hold anything.
            let unknown = directory.map(|it| view.exists(it)).transpose()? == Some(false);
            let unknown = unknown || OTHER_PLACES.iter().any(|key| value(key).is_some());
            (module, unknown || has_module(view, value("home"), directory, module)?)
        }
        (None, None) => return Ok(None),
    };
    Ok((!found).then(|| format!("{} serves {what}, which is not there", file.path)))
}

/// Whether Python finds a module: in a virtual environment or in the system, or where it starts.
fn has_module(
    view: &View<'_>,
    home: Option<&str>,
    directory: Option<&str>,
    module: &str,
) -> io::Result<bool> {
    let mut places: Vec<String> = directory.into_iter().map(str::to_owned).collect();
    for root in [home.unwrap_or("/usr"), "/usr/local"] {
        let directory = format!("{root}/lib");
        for python in view.names(&directory)?.iter().filter(|name| name.starts_with("python3")) {
            places.push(format!("{directory}/{python}/site-packages"));
            places.push(format!("{directory}/{python}/dist-packages"));
        }
    }
    let path = module.replace('.', "/");
    for place in places {
        if view.exists(&format!("{place}/{path}.py"))?
            || view.exists(&format!("{place}/{path}/__init__.py"))?
        {
            return Ok(true);
        }
    }
    Ok(false)
}
