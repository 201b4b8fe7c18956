//! Hashes as text.

use sha2::{Digest, Sha256};

/// SHA-256 of a text or of bytes, as 64 lower-case hex digits.
pub fn sha256_hex(text: impl AsRef<[u8]>) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
