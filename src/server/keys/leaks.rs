//! Reports of leaked keys. Whoever holds a key may report it; holding it is proof. What is real is revoked, and the answer
//! never tells which was.

use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::keys::KeyId;
use crate::model::users::UserId;
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::auth::key_format::PresentedKey;
use crate::server::db::{Db, execute, fetch, retry};

/// Revokes those of the reported texts that are keys: by their present secret, or by the previous one while it works. Returns
/// how many.
///
/// # Errors
/// If the database does not answer.
pub async fn revoke_leaked(db: &Db, reported: &[String], by: &Actor) -> Result<usize, AppError> {
    let mut revoked = 0;
    for presented in reported.iter().filter_map(|text| PresentedKey::parse(text.trim().as_bytes())) {
        let digest = presented.digest().hex();
        let mut conn = db.read().await?;
        let sql = "SELECT id, user_id, prefix FROM keys WHERE digest = $1 OR old_digest = $1";
        let found = fetch!(conn, optional(KeyId, UserId, String), sql, &digest)?;
        drop(conn);
        if let Some((id, user, prefix)) = found {
            let leaked = LeakedKey { id, user, prefix, digest };
            retry::repeat(|| revoke(db, &leaked, by), Result::is_err).await?;
            revoked += 1;
        }
    }
    Ok(revoked)
}

struct LeakedKey {
    id: KeyId,
    user: UserId,
    prefix: String,
    /// Of the reported secret.
    digest: String,
}

/// Revokes the key if the reported secret still opens something. A secret that a rotation has retired must not take the key away
/// from those who rotated it for that very reason.
async fn revoke(db: &Db, key: &LeakedKey, by: &Actor) -> Result<(), AppError> {
    let mut tx = db.begin().await?;
    let sql = "UPDATE keys SET leaked_at = $3, revoked_at = COALESCE(revoked_at, $3) \
               WHERE id = $1 AND user_id = $2 AND leaked_at IS NULL \
               AND (digest = $4 OR (old_digest = $4 AND old_expires_at > $3))";
    if execute!(tx, sql, &key.id, &key.user, by.at, &key.digest)? > 0 {
        let about =
            AuditTarget { user: Some(&key.user), key: Some(&key.id), subject: &key.prefix, ..AuditTarget::default() };
        audit::record(&mut tx, by, Action::KeyLeak, about).await?;
        tx.commit().await?;
    }
    Ok(())
}
