//! Whether a value is of its kind. The answers say what is wrong and never quote the value.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

use super::ceph;
use super::spec::{Kind, Secret};

/// What is wrong with `value`; nothing when it is of the secret's kind.
pub fn check(secret: &Secret, value: &str) -> Option<String> {
    match secret.kind {
        Kind::Password => password(value).map(str::to_owned),
        Kind::Token => token(value).map(str::to_owned),
        Kind::HexKey => hex_key(secret, value),
        Kind::Uuid => (value.len() != 36 || uuid::Uuid::try_parse(value).is_err())
            .then(|| "is not a UUID such as 01234567-89ab-4cde-8f01-23456789abcd".to_owned()),
        Kind::FernetKey => {
            (URL_SAFE.decode(value).ok().map(|bytes| bytes.len()) != Some(32)).then(|| {
                "is not a Fernet key: 32 bytes in URL-safe Base64, 44 characters with the final `=`"
                    .to_owned()
            })
        }
        Kind::CephKey => (!ceph::is_key(value)).then(|| {
            "is not a key of cephx, as `ceph-authtool --gen-print-key` prints them".to_owned()
        }),
    }
}

fn password(value: &str) -> Option<&'static str> {
    if value.is_empty() {
        Some("is empty")
    } else if !value.chars().all(|character| (' '..='~').contains(&character)) {
        Some(
            "has a character that is not printable ASCII, and would not reach every service unharmed",
        )
    } else if value.starts_with(' ') || value.ends_with(' ') {
        Some("begins or ends with a space, which configuration files drop")
    } else if value.len() > 1
        && value.starts_with(['\'', '"'])
        && value.chars().next() == value.chars().next_back()
    {
        Some("stands in quotation marks of its own, which configuration files drop")
    } else if value.contains("\\$") {
        Some("has `\\$`, which OpenStack's configuration files cannot express")
    } else {
        None
    }
}

fn token(value: &str) -> Option<&'static str> {
    if value.is_empty() {
        Some("is empty")
    } else if value.len() > 255 {
        Some("is longer than 255 characters")
    } else if value.chars().all(|character| {
        character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_' | '~')
    }) {
        None
    } else {
        Some("has a character that is not a letter, a digit or one of `-._~`")
    }
}

fn hex_key(secret: &Secret, value: &str) -> Option<String> {
    let mut lengths: Vec<usize> = secret.accepts.iter().copied().chain(secret.length).collect();
    lengths.sort_unstable();
    let wanted = lengths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    if !lengths.contains(&value.chars().count()) {
        Some(format!("has {} characters where {wanted} are needed", value.chars().count()))
    } else if !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Some("has a character that is not a hexadecimal digit (0-9, a-f)".to_owned())
    } else {
        None
    }
}
