//! Root in a container looks for what the host fetches packages with: APT's and pip's passwords, and
//! a client's key and certificate.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process::shell;

/// What stands in all of them and nowhere else.
const CANARY: &str = "aio-attacked-canary";

const PIP: &str = "/etc/pip.conf";

/// Credentials of the host's while this lives, for a server that nothing is fetched from.
pub struct Credentials {
    files: Vec<PathBuf>,
    pip: Option<Vec<u8>>,
}

impl Credentials {
    /// Puts them where the host has its own.
    pub fn plant() -> Self {
        let key = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
        let own = [
            ("/etc/apt/auth.conf.d/aio-attacked.conf", login()),
            ("/etc/apt/apt.conf.d/99aio-attacked", settings()),
            ("/etc/ssl/private/aio-attacked.key", key.clone()),
            ("/etc/ssl/certs/aio-attacked.crt", format!("{CANARY}\n")),
            ("/usr/local/share/ca-certificates/aio-attacked.crt", key),
        ];
        let credentials = Self {
            files: own.iter().map(|(path, _)| PathBuf::from(path)).collect(),
            pip: fs::read(PIP).ok(),
        };
        for (path, text) in own {
            assert!(Path::new(path).parent().unwrap().is_dir(), "no place for {path}");
            fs::write(path, text).unwrap();
        }
        let mut pip = credentials.pip.clone().unwrap_or_default();
        // Of a command that nobody here gives.
        pip.extend(format!("\n[list]\nindex-url = https://hunter:{CANARY}@x.example/\n").bytes());
        fs::write(PIP, pip).unwrap();
        credentials
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        let _ = match &self.pip {
            Some(text) => fs::write(PIP, text),
            None => fs::remove_file(PIP),
        };
    }
}

fn login() -> String {
    format!("machine x.example login hunter password {CANARY}\n")
}

fn settings() -> String {
    format!(
        "Acquire::https::x.example::Proxy \"http://hunter:{CANARY}@proxy.example:3128\";\n\
         Acquire::https::x.example::SslKey \"/etc/ssl/private/aio-attacked.key\";\n\
         Acquire::https::x.example::SslCert \"/etc/ssl/certs/aio-attacked.crt\";\n"
    )
}

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("row 11: no container has a credential of the host's", || {
        for container in cloud.lxc_names() {
            // Its files as it sees them, and what its processes were given.
            let look = format!(
                "test -e {PIP} && grep -rslF {CANARY} / --exclude-dir=sys --exclude-dir=proc || :
                 grep -slF {CANARY} /proc/[0-9]*/environ || :"
            );
            let pid = shell(&format!("lxc-info -pH -n {container}"));
            let pid = pid.trim();
            let found = shell(&format!(
                "nsenter --target {pid} --mount --pid --root=/proc/{pid}/root sh -c '{look}'"
            ));
            assert_eq!(found.trim(), "", "{container}");
            let settings = "etc/apt/apt.conf.d/90host";
            let kept = fs::read_to_string(format!("/proc/{pid}/root/{settings}")).unwrap();
            assert!(kept.contains("//proxy.example:3128"), "what is no secret is gone: {kept}");
        }
    });
}
