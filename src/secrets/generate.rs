//! New values, from a cryptographically secure generator.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use rand::{CryptoRng, RngExt as _};
use secrecy::SecretString;

use super::ceph;
use super::spec::{Kind, Secret};

/// Letters and digits alone pass unharmed through URLs, INI files, shells and YAML.
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEXADECIMAL: &[u8] = b"0123456789abcdef";

pub fn generate(secret: &Secret, random: &mut impl CryptoRng) -> SecretString {
    let length = secret.length.unwrap_or_default();
    match secret.kind {
        Kind::Password | Kind::Token => draw(ALPHANUMERIC, length, random),
        Kind::HexKey => draw(HEXADECIMAL, length, random),
        Kind::Uuid => {
            let bytes: [u8; 16] = random.random();
            uuid::Builder::from_random_bytes(bytes).into_uuid().to_string().into()
        }
        Kind::FernetKey => {
            let bytes: [u8; 32] = random.random();
            URL_SAFE.encode(bytes).into()
        }
        Kind::CephKey => {
            let bytes: [u8; 16] = random.random();
            ceph::encode(bytes).into()
        }
    }
}

/// `random_range` rejects what does not fit the alphabet evenly: a remainder would favour its first
/// characters.
fn draw(alphabet: &[u8], length: usize, random: &mut impl CryptoRng) -> SecretString {
    let text: String =
        (0..length).map(|_| char::from(alphabet[random.random_range(0..alphabet.len())])).collect();
    text.into()
}
