//! Keys of cephx as text: Base64 of Ceph's `CryptoKey`, little-endian.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The one type of key that there is: AES with 128 bits.
const AES: [u8; 2] = 1_u16.to_le_bytes();

/// Type, moment of birth in seconds and nanoseconds, length of the key.
const HEADER_BYTES: usize = 12;

/// Bytes of an AES key.
const KEY_BYTES: u8 = 16;

/// A key in its encoding. Its moment of birth, which nobody reads, is left at 0.
pub fn encode(key: [u8; 16]) -> String {
    let mut bytes = Vec::from(AES);
    bytes.resize(HEADER_BYTES - 2, 0);
    bytes.extend([KEY_BYTES, 0]);
    bytes.extend(key);
    STANDARD.encode(bytes)
}

/// Whether a text is such a key, whenever it was born.
pub fn is_key(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| {
        bytes.len() == HEADER_BYTES + usize::from(KEY_BYTES)
            && bytes.starts_with(&AES)
            && bytes[HEADER_BYTES - 2..HEADER_BYTES] == [KEY_BYTES, 0]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_looks_as_ceph_writes_it() {
        let key = encode(*b"0123456789abcdef");
        assert_eq!(key, "AQAAAAAAAAAAABAAMDEyMzQ1Njc4OWFiY2RlZg==");
        assert!(is_key(&key));
        // From Ceph's documentation.
        assert!(is_key("AQCj2YpRiAe6CxAA7/ETt7Hcl9IyxyYciVs47w=="));
    }

    #[test]
    fn what_is_no_key_is_known() {
        for text in [
            "",
            "secret",
            "AQAAAAAAAAAAABAAMDEyMzQ1Njc4OWFiY2RlZg",
            "AQAAAAAAAAAAABAAMDEyMzQ1Njc4OWFiY2Rl",
            "AgAAAAAAAAAAABAAMDEyMzQ1Njc4OWFiY2RlZg==",
            "AQAAAAAAAAAAACAAMDEyMzQ1Njc4OWFiY2RlZg==",
        ] {
            assert!(!is_key(text), "{text}");
        }
    }
}
