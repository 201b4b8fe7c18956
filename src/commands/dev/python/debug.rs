//! What a user needs to attach a debugger: the address, and what to put into an editor.

use std::net::SocketAddrV4;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::error::{Result, ResultExt};
use crate::model::requirement::Requirement;

/// The requirement that brings the debugger, for [`super::Request::wanted`].
///
/// # Errors
/// Never: it is one.
pub fn requirement() -> Result<Requirement> {
    Requirement::parse("debugpy").doing(|| "name the debugger".to_owned())
}

/// A process that waits for a debugger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How the configuration is called in the editor, such as the unit.
    pub name: String,
    /// Where debugpy listens: the value of AIO_DEV_DEBUG. It is the loopback of the container, and of
    /// the host, from which something leads there.
    pub address: SocketAddrV4,
    /// The user of `aio gateway` whose `-L` leads there; none while `aio dev` does.
    pub by_gateway_as: Option<String>,
    pub mappings: Vec<Mapping>,
    /// Whether the process waits until somebody attaches.
    pub waits: bool,
}

/// A checkout, as the editor knows it and as the process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// On the host.
    pub local: PathBuf,
    /// In the container.
    pub remote: String,
}

impl Target {
    /// An entry of `configurations` in VS Code's `launch.json`.
    pub fn vscode(&self) -> Value {
        let mappings: Vec<Value> = self
            .mappings
            .iter()
            .map(|it| json!({ "localRoot": it.local, "remoteRoot": it.remote }))
            .collect();
        json!({
            "name": format!("aio: {}", self.name),
            "type": "debugpy",
            "request": "attach",
            "connect": { "host": self.address.ip().to_string(), "port": self.address.port() },
            "pathMappings": mappings,
            // Frames of the packages, through which most of the stack goes, can be looked at, too.
            "justMyCode": false
        })
    }

    /// # Errors
    /// When a path is not UTF-8, which no editor's configuration can hold.
    pub fn explain(&self) -> Result<String> {
        let vscode = serde_json::to_string_pretty(&self.vscode())
            .doing(|| "write the editor's configuration".to_owned())?;
        let waits = if self.waits { "; the process waits for it" } else { "" };
        let mut text = format!("debugger: {}{waits}\n", self.address);
        let port = self.address.port();
        text += &match &self.by_gateway_as {
            None => "It is led to the container's as long as this command runs.\n\n".to_owned(),
            Some(user) => format!(
                "That is the container's own. Lead it here: `aio gateway --detach`, and as long as \
                 you debug\n\x20 ssh -N -p 2222 -L {port}:127.0.0.1:{port} {user}@127.0.0.1\n\n"
            ),
        };
        text += &format!(
            "VS Code: add to \"configurations\" in .vscode/launch.json, then Run > Start Debugging\n\
             {vscode}\n\n\
             PyCharm: Run > Edit Configurations > + > Attach to DAP\n\
             \x20 Remote address: {}\n",
            self.address
        );
        for mapping in &self.mappings {
            let remote = &mapping.remote;
            text += &format!(
                "  Remote project path: {remote} (the project opened is {})\n",
                mapping.local.display()
            );
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            name: "heat-engine".to_owned(),
            address: "127.0.0.1:5678".parse().unwrap(),
            by_gateway_as: None,
            mappings: vec![
                Mapping { local: "/home/me/heat".into(), remote: "/dev/.aio/heat".to_owned() },
                Mapping { local: "/home/me/lib".into(), remote: "/dev/.aio/lib".to_owned() },
            ],
            waits: true,
        }
    }

    #[test]
    fn the_configuration_for_vscode_maps_every_checkout() {
        assert_eq!(
            target().vscode(),
            json!({
                "name": "aio: heat-engine",
                "type": "debugpy",
                "request": "attach",
                "connect": { "host": "127.0.0.1", "port": 5678 },
                "pathMappings": [
                    { "localRoot": "/home/me/heat", "remoteRoot": "/dev/.aio/heat" },
                    { "localRoot": "/home/me/lib", "remoteRoot": "/dev/.aio/lib" },
                ],
                "justMyCode": false,
            })
        );
    }

    #[test]
    fn the_text_holds_what_both_editors_need() {
        let text = target().explain().unwrap();
        assert!(text.starts_with("debugger: 127.0.0.1:5678; the process waits for it\n"));
        let start = text.find('{').unwrap();
        let end = text.rfind("}\n").unwrap() + 1;
        let parsed: Value = serde_json::from_str(&text[start..end]).unwrap();
        assert_eq!(parsed, target().vscode());
        assert!(text.contains("  Remote address: 127.0.0.1:5678\n"), "{text}");
        assert!(text.contains(
            "  Remote project path: /dev/.aio/heat (the project opened is /home/me/heat)"
        ));
        let calm = Target { waits: false, ..target() }.explain().unwrap();
        assert!(calm.starts_with("debugger: 127.0.0.1:5678\nIt is led to"));
        let by_gateway_as = Some("heat_engine".to_owned());
        let detached = Target { by_gateway_as, ..target() }.explain().unwrap();
        let line = "\n  ssh -N -p 2222 -L 5678:127.0.0.1:5678 heat_engine@127.0.0.1\n";
        assert!(detached.contains(line), "{detached}");
    }
}
