//! What looks like a secret although nobody named it.

use std::ops::Range;

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::label::Label;

/// A value as it may stand behind its name: in quotation marks, in escaped ones, or bare. (With them,
/// a value may hold what would end a bare one.)
const VALUE: &str = r#"(?:[bu]?"(?<a>(?:[^"\\\n]|\\[^\n])*)"|[bu]?'(?<b>(?:[^'\\\n]|\\[^\n]|'')*)'|\\+"(?<c>[^"\n]*?)\\+"|\\+'(?<d>[^'\n]*?)\\+'|(?<e>[^\s"'\\,;&<>(){}\[\]]+))"#;

/// Between a name and its value. Not the end of the line: an empty value is followed by another name.
const IS: &str = r#"["'\\]*\][ \t]*[:=][ \t]*|["'\\]*[ \t]*(?:=>|:=|[:=])[ \t]*|%3[Dd]"#;

/// The same behind the name of a header: programs log headers as pairs too.
const HEADER_IS: &str = r#"["'\\]*[ \t]*(?:=>|[:=,])[ \t]*"#;

/// Groups that hold the value.
const VALUE_GROUPS: [&str; 6] = ["a", "b", "c", "d", "e", "secret"];

/// One way to look like a secret.
pub struct Look {
    regex: Regex,
    /// What is written in its place, unless the text itself names it.
    name: &'static str,
}

impl Look {
    fn new(name: &'static str, expression: &str) -> Result<Self, regex::Error> {
        let regex = RegexBuilder::new(expression).unicode(false).build()?;
        Ok(Self { regex, name })
    }

    /// Calls `each` with place and label of everything that looks so.
    pub fn find(&self, text: &[u8], mut each: impl FnMut(Range<usize>, Label)) {
        for found in self.regex.captures_iter(text) {
            let Some(value) = value(&found) else { continue };
            let Some(name) = found.name("name") else {
                each(value, Label::Fixed(self.name));
                continue;
            };
            if !is_ordinary(&String::from_utf8_lossy(name.as_bytes()), &text[value.clone()]) {
                each(value, Label::Text(name.range()));
            }
        }
    }
}

/// The value that was found; all of what was found where it has no name.
fn value(found: &Captures<'_>) -> Option<Range<usize>> {
    let group = VALUE_GROUPS.iter().find_map(|group| found.name(group)).or_else(|| found.get(0))?;
    Some(group.range())
}

/// Whether what stands behind a name is certainly no secret: nothing, a template, a variable of a
/// shell, a switch; behind names that are not always secrets also a number or the path of a file.
pub fn is_ordinary(name: &str, value: &[u8]) -> bool {
    let value = String::from_utf8_lossy(value);
    let value = value.trim().trim_matches(['"', '\'']).trim();
    let is_template = value.starts_with("{{") && (value.ends_with("}}") || !value.contains("}}"));
    let is_variable = value.strip_prefix('$').is_some_and(|name| {
        let name = name.trim_start_matches('{').trim_end_matches('}');
        !name.is_empty() && name.bytes().all(|it| it.is_ascii_uppercase() || it == b'_')
    });
    let words = ["", "true", "false", "yes", "no", "none", "null", "~", "on", "off"];
    if words.contains(&value.to_lowercase().as_str())
        || is_template
        || is_variable
        || value.bytes().all(|byte| byte == b'*')
    {
        return true;
    }
    if says_password(name) {
        return false;
    }
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let directories = ["/etc/", "/var/", "/usr/", "/run/", "/root/", "/home/", "/opt/", "/srv/"];
    is_number || directories.iter().any(|directory| value.starts_with(directory))
}

/// Whether a name says that its value is a password, whatever that looks like.
pub fn says_password(name: &str) -> bool {
    let name = name.to_lowercase();
    let words = ["password", "passwd", "passphrase", "secret"];
    name == "pwd" || words.iter().any(|word| name.contains(word)) || name.ends_with("_pwd")
}

/// Everything that is looked for in every text.
pub fn all() -> Result<Vec<Look>, regex::Error> {
    let (begin, end) = (
        "-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----",
        "-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----",
    );
    let of_key = r"[^\n]*[A-Za-z0-9+/=]{32,}[^\n]*";
    let word = r"(?:passw(?:or)?d|passphrase|secret|token|(?:api|access|account|admin|auth|encr|encryption|master|private|rpc|secret|shared|signing|storage)[_-]?key)";
    Ok(vec![
        Look::new("token", r"gAAAA[A-Za-z0-9_-]{20,}(?:=|%3[Dd])*")?,
        Look::new("token", r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*")?,
        Look::new("private key", &format!("(?s:{begin}.*?{end})"))?,
        // Its end, or its begin, was cut off.
        Look::new("private key", &format!(r"{begin}[^\n]*(?:\n{of_key})*"))?,
        Look::new("private key", &format!(r"(?:(?:{of_key}\n)+(?:[^\n]*\n)?)?[^\n]*{end}"))?,
        Look::new(
            "token",
            &format!(r"(?i:x[-_](?:auth|subject|service|storage)[-_]token)(?:{HEADER_IS}){VALUE}"),
        )?,
        // `curl -H 'X-Auth-Token: …'` within quotation marks of its own is found by the above.
        Look::new(
            "authorization",
            &format!(
                r#"(?i:(?:proxy[-_])?authorization)(?:{HEADER_IS})[bu]?["'\\]*(?<secret>(?i:digest|aws4)[^\n\r]*|[^"'\\\n\r]+)"#
            ),
        )?,
        Look::new(
            "cookie",
            &format!(
                r#"(?i:(?:set[-_])?cookie)(?:{HEADER_IS})[bu]?["'\\]*(?<secret>[^"'\\\n\r]+)"#
            ),
        )?,
        Look::new("signature", r#"[?&](?i:[a-z0-9_-]*(?:signature|_sig))=(?<secret>[^&\s"']+)"#)?,
        // The last `@` before the path, and the first one for passwords that hold a slash.
        Look::new("password in a URL", r#"://[^\s:/@"'<>]*:(?<secret>[^\s/"'<>,]+)@"#)?,
        Look::new("password in a URL", r#"://[^\s:/@"'<>]*:(?<secret>[^\s@"'<>]+)@"#)?,
        // Further hosts of one address, and a token in the place of a user.
        Look::new("password in a URL", r#",[^\s:/@,"'<>]*:(?<secret>[^\s/@,"'<>]+)@"#)?,
        Look::new("token in a URL", r#"://(?<secret>[^\s:/@"'<>]{20,})@"#)?,
        Look::new("value", &format!(r"(?<name>[A-Za-z0-9_.-]*(?i:{word}))(?:{IS}){VALUE}"))?,
        Look::new("value", &format!(r"--?(?<name>[A-Za-z0-9_-]*(?i:{word}))[ \t]+{VALUE}"))?,
        Look::new(
            "password",
            r"(?i:identified\s+(?:by|(?:via|with)\s+\S+\s+(?:using|as|by)))\s+(?i:password\s*\(?\s*)?'(?<secret>[^'\n]+)'",
        )?,
        Look::new(
            "hash of a password",
            r"\$(?:1|2[abxy]?|5|6|7|y|gy|argon2id?|pbkdf2[a-z0-9-]*|scrypt)\$[A-Za-z0-9./$=,+_-]{16,}",
        )?,
        Look::new("hash of a password", r"\*[0-9A-F]{40}")?,
        // A key of cephx: the encoding of its type, of 16 bytes after a time.
        Look::new("key", r"AQ[A-Za-z0-9+/]{36}==")?,
    ])
}

/// What is also looked for in the user's settings: there every key and token is one.
pub fn of_settings() -> Result<Vec<Look>, regex::Error> {
    let name =
        r"(?<name>(?:[A-Za-z0-9_.-]*[_.-])?(?i:keys?|tokens?|credentials?|pwd)(?:[_-]?[0-9]+)?)";
    Ok(vec![Look::new("value", &format!(r"{name}(?:{IS}){VALUE}"))?])
}
