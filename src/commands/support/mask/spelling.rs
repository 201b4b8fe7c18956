//! A value in every way in which programs write it: escaped for JSON, YAML, INI files, shells, SQL,
//! HTML and addresses, in any mixture, and escaped again.
//!
//! Letters and digits are the same everywhere. So a value becomes an expression in which each other
//! character may stand in all of its spellings.

use regex::bytes::{Regex, RegexBuilder};

/// From this many characters on the `=` at the end of a value, which encoders leave out, may be missing.
const PADDED: usize = 16;

/// Ten times what a value of a hundred odd characters takes.
const SIZE_LIMIT_BYTES: usize = 64 << 20;

pub fn expression(value: &str) -> Result<Regex, regex::Error> {
    let bare = value.trim_end_matches('=');
    let padded = bare.len() < value.len() && bare.len() >= PADDED;
    let mut text: String = if padded { bare } else { value }.chars().map(spellings).collect();
    if padded {
        text.push_str(&format!("(?:{})*", spellings('=')));
    }
    RegexBuilder::new(&text).unicode(false).size_limit(SIZE_LIMIT_BYTES).build()
}

/// The ways of one character, as an expression.
fn spellings(letter: char) -> String {
    if letter.is_ascii_alphanumeric() {
        return letter.to_string();
    }
    let mut bytes = [0; 4];
    let bytes = letter.encode_utf8(&mut bytes).as_bytes();
    let code = u32::from(letter);
    let each = |way: &dyn Fn(u8) -> String| bytes.iter().map(|byte| way(*byte)).collect::<String>();
    let mut units = [0; 2];
    let units = letter.encode_utf16(&mut units).iter();
    let mut ways = vec![
        // In an address, and in an address within an address.
        each(&|byte| format!("%(?:25)*(?i:{byte:02x})")),
        // JSON, Python, C.
        units.map(|unit| format!(r"\\+u(?i:{unit:04x})")).collect(),
        each(&|byte| format!(r"\\+x(?i:{byte:02x})")),
        each(&|byte| format!(r"\\+{byte:03o}")),
        // HTML and XML.
        format!("&(?:amp;)*#0*{code};"),
        format!("&(?:amp;)*#[xX]0*(?i:{code:x});"),
    ];
    if (0x80..0x100).contains(&code) {
        ways.push(format!(r"\\+x(?i:{code:02x})"));
    }
    let further: &[&str] = match letter {
        '&' => &["&(?:amp;)+"],
        '<' => &["&(?:amp;)*lt;"],
        '>' => &["&(?:amp;)*gt;"],
        '"' => &["&(?:amp;)*quot;"],
        // The quotation ends, and begins again after the sign.
        '\'' => &["&(?:amp;)*apos;", r"'\\+''", r#"'"'"'"#],
        ' ' => &[r"\+"],
        '\t' => &[r"\\+t"],
        '\r' => &[r"\\+r"],
        // In files a further line is indented.
        '\n' => &[r"\r?\n[ \t]*", r"(?:\\+r)?\\+n"],
        _ => &[],
    };
    ways.extend(further.iter().map(|way| (*way).to_owned()));
    // Itself, escaped or not, doubled as `$$`, `%%` and `''` are.
    let itself = each(&|byte| format!(r"\x{byte:02x}"));
    ways.push(format!(r"(?:\\*{itself}){{1,2}}"));
    format!("(?:{})", ways.join("|"))
}
