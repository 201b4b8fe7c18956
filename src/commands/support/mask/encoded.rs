//! What becomes of a value that is encoded, alone or together with what stands beside it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

/// Characters that are the same whatever follows the value: fewer say too little to be looked for.
const LEAST: usize = 8;

/// Whether a byte may belong to what is encoded, in either alphabet, in an address too.
pub fn may_be(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=%".contains(&byte)
}

/// The Base64 text that follows from the value alone, for each of the three places at which it may begin
/// (`user:password` of a login is encoded as one).
pub fn as_part_of_base64(value: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
        let engine = GeneralPurpose::new(alphabet, NO_PAD);
        for before in 0..3_usize {
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(value.as_bytes());
            let text = engine.encode(&bytes);
            // A character holds six bits: those that mix two bytes of different texts are left out.
            let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
            let text = text.get(from..to).unwrap_or_default();
            if text.len() >= LEAST && !texts.iter().any(|known| known == text) {
                texts.push(text.to_owned());
            }
        }
    }
    texts
}

/// Other ways in which programs write the same value: as hexadecimal digits, in the other case if it
/// is such digits, without hyphens if it is a UUID.
pub fn otherwise(value: &str) -> Vec<String> {
    let digits = hex::encode(value);
    let mut texts = vec![digits.to_uppercase(), digits];
    if value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        for text in [value.to_owned(), value.replace('-', "")] {
            texts.extend([text.to_lowercase(), text.to_uppercase(), text]);
        }
    }
    texts.retain(|text| text != value && !text.is_empty());
    texts.sort_unstable();
    texts.dedup();
    texts
}
