//! Hashes as text.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// SHA-256 of a text or of bytes, as 64 lower-case hex digits.
pub fn sha256_hex(text: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(text))
}

/// A password as MariaDB's `PASSWORD()` makes it (`mysql_native_password`): `*` and SHA-1 of SHA-1.
pub fn native_password(password: &str) -> String {
    format!("*{}", hex::encode_upper(Sha1::digest(Sha1::digest(password))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_those_that_mariadb_makes() {
        // SELECT PASSWORD('password') on any MariaDB.
        assert_eq!(native_password("password"), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
        assert_eq!(native_password("secret"), "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7");
    }
}
