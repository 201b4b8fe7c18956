//! What is said of an archive.

use super::bundle::Bundle;
use crate::ui::format;

/// How many missing things are named; all stand in the archive.
const NAMED: usize = 10;

/// What was written, as a sentence.
pub fn sentence(bundle: &Bundle) -> String {
    let size = format::bytes(bundle.bytes);
    format!("Wrote {} ({} files, {size}).", bundle.file.display(), bundle.members.len())
}

/// What is missing, and what else its owner should know before it is sent: a line each.
pub fn notes(bundle: &Bundle) -> Vec<String> {
    let missing = &bundle.missing;
    let named = missing.iter().take(NAMED);
    let mut lines: Vec<String> =
        named.map(|it| format!("missing: {}: {}", it.name, it.reason)).collect();
    if missing.len() > NAMED {
        lines.push(format!("missing: {} more, see errors.txt in it", missing.len() - NAMED));
    }
    if !bundle.read_as_root {
        lines.push("Only root sees all: `sudo aio support-bundle FILE` collects more.".to_owned());
    }
    if !bundle.short_secrets.is_empty() {
        lines.push(format!(
            "Too short to be hidden well, who reads it may guess them: {}.",
            bundle.short_secrets.join(", ")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::support::findings::Missing;

    #[test]
    fn many_missing_things_are_counted() {
        let missing =
            |number: usize| Missing { name: format!("m{number}"), reason: "x".to_owned() };
        let mut bundle = Bundle {
            file: "/tmp/x.tar.gz".into(),
            bytes: 2048,
            directory: "aio1".to_owned(),
            members: Vec::new(),
            missing: Vec::new(),
            read_as_root: true,
            short_secrets: Vec::new(),
        };
        assert_eq!(sentence(&bundle), "Wrote /tmp/x.tar.gz (0 files, 2.0 KiB).");
        assert!(notes(&bundle).is_empty());
        bundle.missing.push(missing(0));
        assert_eq!(notes(&bundle), ["missing: m0: x"]);
        bundle.missing.extend((1..13).map(missing));
        bundle.read_as_root = false;
        bundle.short_secrets.push("a_password".to_owned());
        let lines = notes(&bundle);
        assert_eq!(lines.len(), 13);
        assert_eq!(lines[10], "missing: 3 more, see errors.txt in it");
        assert!(lines[11].contains("sudo aio support-bundle"));
        assert!(lines[12].ends_with("guess them: a_password."));
    }
}
