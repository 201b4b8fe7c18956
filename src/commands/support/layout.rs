//! What stands where in the archive, for those who open it.

use super::findings::Missing;
use super::mask::{ANYWHERE, WORD};

/// Files, and what each is. `*` is one part of a path; what ends with `/` is everything below.
pub const LAYOUT: [(&str, &str); 24] = [
    ("aio.json", "version of aio, how it was called, its directories"),
    ("size.json", "`aio size --output json`: the host's facts, and what would be built"),
    ("plan.json", "`aio plan --output json`: what `bootstrap` would do now, and why"),
    ("plan-notes.txt", "what `bootstrap` would say before it begins"),
    ("status.json", "`aio status --output json`"),
    ("ls.json", "`aio ls --output json`"),
    ("errors.txt", "what could not be collected, and why"),
    ("README.txt", "this file"),
    ("config/cloud.yml", "which cloud was chosen"),
    ("config/user_variables.yml", "values that the user set"),
    ("config/user_secrets.names.txt", "names of the secrets, without their values"),
    ("config/overrides/", "the user's lines for configuration files"),
    ("config/profiles/", "the user's own profiles"),
    ("config/secrets/", "specifications of the user's own secrets"),
    (
        "host/",
        "facts, firewall, addresses, routes, mounts, disks, memory and kernel log of the host",
    ),
    ("state/", "what aio wrote down: containers, checkouts in use, steps and logs of its runs"),
    (
        "containers/*/container.json",
        "a container as it should be, with its full name and addresses",
    ),
    ("containers/*/lxc/config", "its definition for LXC"),
    ("containers/*/lxc/", "logs of LXC, and what the container printed on its console"),
    ("containers/*/memory.txt", "its control group's memory: events, limit, use"),
    (
        "containers/*/journal.txt",
        "the last entries of its journal: time (UTC), priority, unit, message",
    ),
    ("containers/*/units.txt", "its units, and the status of those that failed"),
    (
        "containers/*/files.txt",
        "its configuration files, and whether it has them as they should be",
    ),
    ("containers/*/rendered/", "its configuration files as `bootstrap` would write them"),
];

pub fn add(
    files: &mut Vec<(String, Vec<u8>)>,
    missing: &[Missing],
    short_secrets: &[String],
    directory: &str,
) {
    let errors: String = missing.iter().map(|it| format!("{}: {}\n", it.name, it.reason)).collect();
    let errors = if errors.is_empty() { "Nothing is missing.\n".to_owned() } else { errors };
    files.insert(0, ("errors.txt".to_owned(), errors.into_bytes()));
    let readme = readme(short_secrets, directory).into_bytes();
    files.insert(0, ("README.txt".to_owned(), readme));
}

fn readme(short_secrets: &[String], directory: &str) -> String {
    let width = LAYOUT.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let rows: String =
        LAYOUT.iter().map(|(name, what)| format!("{name:width$}  {what}\n")).collect();
    let mut text = format!(
        "{directory}: what `aio support-bundle` collected.\n\n{rows}\n\
         Values of user_secrets.yml are masked: `[masked: NAME]` stands in their place, in every\n\
         spelling. So does what looks like a token, a private key or a password, in the user's own\n\
         settings whatever is called so. Names, addresses and what programs log are not masked: look\n\
         through it before you give it to others.\n"
    );
    if !short_secrets.is_empty() {
        let names = short_secrets.join(", ");
        text.push_str(&format!(
            "\nSecrets of fewer than {ANYWHERE} characters are masked where they stand as words of their own, \
             those of\nfewer than {WORD} only beside a name that says what they are; where they stood may tell \
             what they\nwere. Better ones are wanted for: {names}.\n"
        ));
    }
    text
}

/// Whether the README says what a file is.
#[cfg(test)]
pub fn is_explained(name: &str) -> bool {
    let fits = |pattern: &str| {
        let parts: Vec<&str> = pattern.trim_end_matches('/').split('/').collect();
        let names: Vec<&str> = name.split('/').collect();
        let long_enough = if pattern.ends_with('/') {
            names.len() > parts.len()
        } else {
            names.len() == parts.len()
        };
        long_enough && parts.iter().zip(&names).all(|(part, name)| *part == "*" || part == name)
    };
    LAYOUT.iter().any(|(pattern, _)| fits(pattern))
}
