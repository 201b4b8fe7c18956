//! What uWSGI serves: the application that its configuration names.

use std::io;

use super::view::View;
use crate::model::file::ContainerFile;

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
        (Some(path), _) => (path, view.exists(path)?),
        (None, Some(application)) => {
            let module = application.split(':').next().unwrap_or_default();
            (module, has_module(view, value("home"), module)?)
        }
        (None, None) => return Ok(None),
    };
    Ok((!found).then(|| format!("{} serves {what}, which is not there", file.path)))
}

/// Whether Python finds a module, in a virtual environment or in the system.
fn has_module(view: &View<'_>, home: Option<&str>, module: &str) -> io::Result<bool> {
    let mut places = Vec::new();
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
