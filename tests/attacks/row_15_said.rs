//! Root in a container writes to its journal what terminals obey, and puts links into it.

use super::support::checks::Checks;
use super::support::cloud::Cloud;
use super::support::process::shell;

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("row 15: what a container logs does nothing to the reader's terminal", || {
        cloud
            .inside(
                "cache/1",
                r#"logger -t "$(printf 'a\033]52;c;ZXZpbA==\a\033[2J')" "$(printf 'said\033[2J\r\2332Jhere')"
                   journalctl --sync"#,
            )
            .ok();
        let shown = cloud.ok(&["logs", "cache/1", "--lines", "200"]);
        let line = shown.lines().find(|line| line.contains("said")).unwrap_or_else(|| {
            panic!("no line of it in\n{shown}");
        });
        assert!(!line.contains(|letter: char| letter.is_control()), "{line:?}");
        // Data stays data.
        let json = cloud.ok(&["logs", "cache/1", "--lines", "200", "--output", "json"]);
        let line = json.lines().find(|line| line.contains("here")).unwrap();
        assert!(!line.contains(|letter: char| letter.is_control()), "{line:?}");
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(entry["message"].as_str().unwrap().contains("\u{1b}[2J"), "{entry}");
    });

    checks.check("row 15: a link in a container's journal leads to no file of the host", || {
        let host = shell("mktemp -d /var/tmp/aio-attack-XXXXXX");
        let host = host.trim();
        // A journal that only the host's root may read.
        cloud.inside("cache/2", "logger -t victim only-the-host-knows; journalctl --sync").ok();
        let journal = format!("{}/private/clouds", cloud.state_dir.display());
        let found = shell(&format!(
            "find {journal} -path '*journal*' -name system.journal | xargs grep -l only-the-host-knows"
        ));
        shell(&format!("cp {} {host}/host.journal; chmod 600 {host}/host.journal", found.trim()));
        cloud
            .inside(
                "cache/1",
                &format!("ln -s {host}/host.journal /var/log/journal/$(cat /etc/machine-id)/x.journal"),
            )
            .ok();
        cloud.inside("cache/2", "journalctl --rotate; rm -f /var/log/journal/*/system@*.journal").ok();
        let shown = cloud.ok(&["logs", "--lines", "100000"]);
        cloud.inside("cache/1", "rm /var/log/journal/*/x.journal").ok();
        shell(&format!("rm -r {host}"));
        assert!(!shown.contains("only-the-host-knows"), "{shown}");
    });
}
