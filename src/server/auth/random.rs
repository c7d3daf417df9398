//! All randomness of the program. Secrets come from the operating system (ASVS 5.0, 11.5.1).

use rand::rngs::SysRng;
use rand::{Rng, TryRng};
use secrecy::SecretString;

use crate::model::time::Timestamp;

/// Makes the secret of a session: 256 bits in hex.
#[must_use]
pub fn make_session() -> SecretString {
    hex(&random_bytes::<32>()).into()
}

/// Makes an id: a UUID version 7 (RFC 9562), so that ids made later sort later. An id is no secret.
#[must_use]
pub fn make_id(now: Timestamp) -> String {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random_bytes::<10>()).into_uuid().to_string()
}

/// Makes an id that tells nothing, not even when: a UUID version 4, as 32 hexadecimal digits. For each request, so not each from the operating
/// system: from a generator that it seeded.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place of all randomness; this is no secret")]
pub fn make_request_id() -> [u8; 32] {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    let mut text = [0; 32];
    uuid::Builder::from_random_bytes(bytes).into_uuid().simple().encode_lower(&mut text);
    text
}

/// Makes a number that is used once, in hex, and is no secret: 128 bits. The scripts of a page and the policy in its header have
/// one in common.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place of all randomness; this is no secret")]
pub fn make_nonce() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    hex(&bytes)
}

/// Bytes in hex, in lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
    digits.map(char::from).collect()
}

#[expect(clippy::expect_used, reason = "without randomness nothing may go on")]
pub(super) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_later_sort_later() {
        let early = make_id(Timestamp::from_millis(1_800_000_000_000));
        assert!(early < make_id(Timestamp::from_millis(1_800_000_000_001)));
        assert!(crate::model::keys::KeyId::parse(&early).is_some());
    }
}
