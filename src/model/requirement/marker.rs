//! Markers, as PEP 508 writes them: `python_version < "3.13" and sys_platform == "linux"`.

use super::cursor::Cursor;

/// Deeper parentheses are nobody's.
const DEEPEST: usize = 16;

/// What a marker may compare; the second half are old names for some of the first.
const VARIABLES: [&str; 18] = [
    "python_version",
    "python_full_version",
    "os_name",
    "sys_platform",
    "platform_release",
    "platform_system",
    "platform_version",
    "platform_machine",
    "platform_python_implementation",
    "implementation_name",
    "implementation_version",
    "extra",
    "os.name",
    "sys.platform",
    "platform.version",
    "platform.machine",
    "platform.python_implementation",
    "python_implementation",
];

/// Checks a marker. The error is a fragment that says what is wrong with it.
pub fn check(text: &str) -> Result<(), String> {
    let mut cursor = Cursor::new(text);
    either(&mut cursor, 0).filter(|()| cursor.end().is_ok()).ok_or_else(|| {
        "what follows `;` is not a condition such as `python_version < \"3.13\"`".to_owned()
    })
}

/// Conditions between which `and` and `or` stand.
fn either(cursor: &mut Cursor<'_>, depth: usize) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    loop {
        if cursor.take('(') {
            either(cursor, depth + 1)?;
            cursor.take(')').then_some(())?;
        } else {
            comparison(cursor)?;
        }
        if cursor.end().is_ok() || cursor.peeks(')') {
            return Some(());
        }
        ["and", "or"].contains(&word(cursor)).then_some(())?;
    }
}

fn comparison(cursor: &mut Cursor<'_>) -> Option<()> {
    side(cursor)?;
    if cursor.operator().is_none() {
        match word(cursor) {
            "in" => {}
            "not" => (word(cursor) == "in").then_some(())?,
            _ => return None,
        }
    }
    side(cursor)
}

fn side(cursor: &mut Cursor<'_>) -> Option<()> {
    if cursor.quoted().is_some() {
        return Some(());
    }
    VARIABLES.contains(&word(cursor)).then_some(())
}

fn word<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    cursor.run(|letter| letter.is_ascii_alphanumeric() || "_.".contains(letter))
}
