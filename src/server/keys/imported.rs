//! Imported keys at their first use. Until then the database has only the hash that Django made; `adopt` replaces it by a digest,
//! and from then on the key is like any other.

use std::net::IpAddr;

use secrecy::SecretString;
use sha2::{Digest as _, Sha512};

use crate::error::AppError;
use crate::model::time::Timestamp;
use crate::server::auth::django_hash::{DjangoHash, DjangoHashError};
use crate::server::auth::key_format::PresentedKey;
use crate::server::auth::random::hex;
use crate::server::db::Db;
use crate::server::db::row::{Row, params};
use crate::server::state::AppState;

/// The mark of SHA-512 without a salt, which djangorestframework-api-key uses since its version 3.
const SHA512: &str = "sha512$$";
/// The length of SHA-512 in hex.
const SHA512_LEN: usize = 128;

/// Checks that a stored hash of an imported key can be verified.
pub fn check_hash(stored: &str) -> Result<(), DjangoHashError> {
    match stored.strip_prefix(SHA512) {
        Some(sum) if sum.len() == SHA512_LEN && sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => Ok(()),
        Some(_) => Err(DjangoHashError::Unknown),
        None => DjangoHash::parse(stored).map(drop),
    }
}

/// Hash that waits for the first use of its key.
struct WaitingHash {
    placeholder: String,
    hash: String,
}

fn waiting_hash(row: Row<'_>) -> Result<WaitingHash, AppError> {
    Ok(WaitingHash { placeholder: row.get("placeholder")?, hash: row.get("hash")? })
}

async fn find(db: &Db, presented: &PresentedKey<'_>) -> Result<Option<WaitingHash>, AppError> {
    let sql = "SELECT placeholder, hash FROM imported_keys WHERE prefix = $1";
    db.query_optional(sql, params![presented.prefix()], waiting_hash).await
}

impl WaitingHash {
    /// Whether it is the hash of this key. `None` for a slow hash.
    fn verify_if_fast(&self, presented: &PresentedKey<'_>) -> Option<bool> {
        let stored = self.hash.strip_prefix(SHA512)?;
        // Equal beginnings of two digests say nothing about the key, so the time of this may differ.
        Some(hex(&Sha512::digest(presented.text())).as_str() == stored)
    }

    /// Stores the digest of the key in place of the hash. A rotation may have made it the previous secret.
    async fn replace(&self, db: &Db, presented: &PresentedKey<'_>) -> Result<(), AppError> {
        let digest = presented.digest().hex();
        let mut tx = db.begin().await?;
        let sql = "UPDATE keys SET digest = $2 WHERE digest = $1";
        if tx.execute(sql, params![self.placeholder, digest]).await? == 0 {
            let sql = "UPDATE keys SET old_digest = $2 WHERE old_digest = $1";
            tx.execute(sql, params![self.placeholder, digest]).await?;
        }
        tx.execute("DELETE FROM imported_keys WHERE prefix = $1", params![presented.prefix()]).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Verifies a key against the hash of its prefix, and replaces the hash by a digest. Returns the placeholder of the right key, by
/// which it is found while the database cannot be written.
///
/// # Errors
/// [`AppError::RateLimited`] for a slow hash if the address presented too many unknown keys; [`AppError::Unavailable`] if too many
/// keys wait for their slow hashes.
pub(super) async fn adopt(
    state: &AppState,
    presented: &PresentedKey<'_>,
    from: Option<IpAddr>,
    now: Timestamp,
) -> Result<Option<String>, AppError> {
    let Some(mut waiting) = find(&state.db, presented).await? else { return Ok(None) };
    let is_right = if let Some(is_right) = waiting.verify_if_fast(presented) {
        is_right
    } else {
        // Guesses with a known prefix cost time, so an address has few of them.
        state.usage.check_failures(from, now)?;
        let turn = state.passwords.key_turn().await?;
        // Another request may have been first.
        let Some(current) = find(&state.db, presented).await? else { return Ok(None) };
        waiting = current;
        turn.verify(SecretString::from(presented.text()), waiting.hash.clone()).await?
    };
    if !is_right {
        return Ok(None);
    }
    // A failure is logged where it happens. The next use tries again.
    let _ = waiting.replace(&state.db, presented).await;
    Ok(Some(waiting.placeholder))
}

/// Like [`adopt`], for a report of leaked keys. A slow hash stays, because a report names many keys.
pub(super) async fn adopt_if_fast(db: &Db, presented: &PresentedKey<'_>) -> Result<(), AppError> {
    match find(db, presented).await? {
        Some(waiting) if waiting.verify_if_fast(presented) == Some(true) => waiting.replace(db, presented).await,
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "OcgvSBeR.9WIYJpbbAq7RP7o7cYcpWVGb1prEN2SJ";

    #[test]
    fn only_hashes_that_can_be_verified_are_imported() {
        let sum = "3a595bc2066468181682d4c39d7608ca4b70a4c8f84fc8beae3ba00cf21ddaed73d1fde07e31d8f2dffdc203e3a6f5f24c0a0a20ed3207ee35b5e39fd11bbbbd";
        assert_eq!(check_hash(&format!("{SHA512}{sum}")), Ok(()));
        for junk in
            [&format!("{SHA512}{}", &sum[1..]), SHA512, &format!("{SHA512}{}", sum.to_uppercase()), "sha512$a$b"]
        {
            assert_eq!(check_hash(junk), Err(DjangoHashError::Unknown), "{junk}");
        }
        assert_eq!(check_hash("!"), Err(DjangoHashError::Unusable));
        let slow = "pbkdf2_sha256$2600$saltsaltsalt$vJuQEcrRtBHdM24hTZI9zl3tB8UFI50sgTQSW75TeO0=";
        assert_eq!(check_hash(slow), Ok(()));
    }

    #[test]
    fn fast_hash_is_that_of_the_whole_key() {
        let key = PresentedKey::parse(KEY.as_bytes()).unwrap();
        let verify = |hash: String| WaitingHash { placeholder: String::new(), hash }.verify_if_fast(&key);
        let of = |text: &str| format!("{SHA512}{}", hex(&Sha512::digest(text)));
        assert_eq!(verify(of(KEY)), Some(true));
        assert_eq!(verify(of(&KEY[9..])), Some(false));
        assert_eq!(verify(of(&KEY.to_lowercase())), Some(false));
        assert_eq!(
            verify("pbkdf2_sha256$2600$saltsaltsalt$vJuQEcrRtBHdM24hTZI9zl3tB8UFI50sgTQSW75TeO0=".to_owned()),
            None
        );
    }
}
