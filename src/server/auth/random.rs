//! The program's only source of randomness. Secrets come from the operating system (ASVS 5.0, 11.5.1).

use rand::rngs::SysRng;
use rand::{Rng, TryRng};
use secrecy::SecretString;

use crate::model::time::Timestamp;

/// Makes a session secret: 256 bits in hex.
pub fn make_session_secret() -> SecretString {
    hex(&random_bytes::<32>()).into()
}

/// Makes an id: a UUID version 7 (RFC 9562), which sorts by time. Ids are not secret.
pub fn make_id(now: Timestamp) -> String {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random_bytes::<10>()).into_uuid().to_string()
}

/// Makes a request id: a UUID version 4 as 32 hexadecimal digits. It reveals nothing, not even the time. A seeded generator
/// makes it, because a call to the operating system for each request would be slow.
#[expect(clippy::disallowed_methods, reason = "the one source of randomness; this is not a secret")]
pub fn make_request_id() -> [u8; 32] {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    let mut text = [0; 32];
    uuid::Builder::from_random_bytes(bytes).into_uuid().simple().encode_lower(&mut text);
    text
}

/// Makes the id of a span. It is not secret.
#[expect(clippy::disallowed_methods, reason = "the one source of randomness; this is not a secret")]
pub fn make_span_id() -> [u8; 8] {
    let mut id = [0; 8];
    rand::rng().fill_bytes(&mut id);
    // Zeros are no id.
    id[7] |= 1;
    id
}

/// Makes a nonce of 128 bits in hex. It is not secret.
#[expect(clippy::disallowed_methods, reason = "the one source of randomness; this is not a secret")]
pub fn make_nonce() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    hex(&bytes)
}

/// Encodes bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
    digits.map(char::from).collect()
}

#[expect(clippy::expect_used, reason = "nothing is safe without randomness")]
pub(super) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let early = make_id(Timestamp::from_millis(1_800_000_000_000));
        assert!(early < make_id(Timestamp::from_millis(1_800_000_000_001)));
        assert!(crate::model::keys::KeyId::parse(&early).is_some());
    }

    #[test]
    fn id_of_a_span_is_random_and_not_zero() {
        let ids: Vec<_> = (0..64).map(|_| make_span_id()).collect();
        assert!(ids.iter().all(|id| id[7] % 2 == 1));
        assert!((0..8).all(|at| ids.iter().any(|id| id[at] != ids[0][at])));
    }
}
