//! What a unit file says, by systemd.syntax(7): sections, settings that may stand several times, lines
//! that go on in the next, and lists that an empty value begins anew.

use std::collections::BTreeMap;

/// The settings of a unit: those of its file, then those of its drop-ins.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Values by section and key, `Service.ExecStart`, in their order.
    values: BTreeMap<String, Vec<String>>,
}

impl Settings {
    /// Adds what one file says.
    pub fn add(&mut self, text: &str) {
        let mut section = String::new();
        for line in logical_lines(text) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=') {
                let values =
                    self.values.entry(format!("{section}.{}", key.trim_end())).or_default();
                let asks = ["Condition", "Assert"].into_iter().find(|it| key.starts_with(it));
                match value.trim() {
                    "" if section != "Unit" => values.clear(),
                    // Of these an empty one takes all back, of dependencies none.
                    "" => self.values.retain(|setting, _| {
                        asks.is_none_or(|it| !setting.starts_with(&format!("Unit.{it}")))
                    }),
                    value => values.push(value.to_owned()),
                }
            }
        }
    }

    /// The values of a setting, `Service.ExecStart`.
    pub fn values(&self, setting: &str) -> &[String] {
        self.values.get(setting).map_or(&[], Vec::as_slice)
    }
}

/// Lines without comments, a line that goes on joined with the next.
fn logical_lines(text: &str) -> Vec<String> {
    let (mut lines, mut unfinished) = (Vec::new(), String::new());
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(begun) = line.strip_suffix('\\') {
            unfinished.push_str(begun);
            unfinished.push(' ');
        } else if !unfinished.is_empty() || !line.is_empty() {
            lines.push(std::mem::take(&mut unfinished) + line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_add_up_and_an_empty_value_begins_a_list_anew() {
        let mut settings = Settings::default();
        settings.add(
            "# a comment\n[Unit]\nRequires=a.service b.socket\n\n[Service]\nExecStart=/bin/a \\\n\
             ; within\n  --b\nEnvironmentFile = /etc/x\nKey\n",
        );
        assert_eq!(settings.values("Unit.Requires"), ["a.service b.socket"]);
        assert_eq!(settings.values("Service.ExecStart"), ["/bin/a  --b"]);
        assert_eq!(settings.values("Service.EnvironmentFile"), ["/etc/x"]);
        settings.add("[Unit]\nRequires=\nRequires=c\n[Service]\nExecStart=\nExecStart=/bin/c\n");
        assert_eq!(settings.values("Unit.Requires"), ["a.service b.socket", "c"]);
        assert_eq!(settings.values("Service.ExecStart"), ["/bin/c"]);
        assert_eq!(settings.values("Service.None"), [] as [String; 0]);
        settings.add("[Unit]\nConditionPathExists=/a\nAssertPathExists=/b\nConditionHost=\n");
        assert_eq!(settings.values("Unit.ConditionPathExists"), [] as [String; 0]);
        assert_eq!(settings.values("Unit.AssertPathExists"), ["/b"]);
    }
}
