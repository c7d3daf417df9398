//! Reports of leaked keys. Anyone who has a key may report it. Real keys are revoked, and the answer never says which were real.

use super::imported;
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::keys::KeyId;
use crate::model::users::UserId;
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::auth::key_format::PresentedKey;
use crate::server::db::row::{Row, params};
use crate::server::db::{Db, retry};

/// Revokes the keys among the reported texts, and returns their number. A previous secret counts while it works.
pub async fn revoke_leaked(db: &Db, reported: &[String], by: &Actor) -> Result<usize, AppError> {
    let mut revoked = 0;
    for presented in reported.iter().filter_map(|text| PresentedKey::parse(text.trim().as_bytes())) {
        let digest = presented.digest().hex();
        if presented.is_imported() {
            imported::adopt_if_fast(db, &presented).await?;
        }
        let sql = "SELECT id, user_id, prefix FROM keys WHERE digest = $1 OR old_digest = $1";
        if let Some(leaked) = db.query_optional(sql, params![digest], leaked_key).await? {
            retry::repeat(|| revoke(db, &leaked, &digest, by), Result::is_err).await?;
            revoked += 1;
        }
    }
    Ok(revoked)
}

struct LeakedKey {
    id: KeyId,
    user: UserId,
    prefix: String,
}

fn leaked_key(row: Row<'_>) -> Result<LeakedKey, AppError> {
    Ok(LeakedKey { id: row.get("id")?, user: row.get("user_id")?, prefix: row.get("prefix")? })
}

/// Revokes the key if the reported secret still works. A secret that a rotation replaced must not revoke the key of the people
/// who rotated it because of the leak.
async fn revoke(db: &Db, key: &LeakedKey, digest: &str, by: &Actor) -> Result<(), AppError> {
    let mut tx = db.begin().await?;
    let sql = "UPDATE keys SET leaked_at = $3, revoked_at = COALESCE(revoked_at, $3) \
               WHERE id = $1 AND user_id = $2 AND leaked_at IS NULL \
               AND (digest = $4 OR (old_digest = $4 AND old_expires_at > $3))";
    if tx.execute(sql, params![key.id, key.user, by.at, digest]).await? > 0 {
        tx.invalidate_key(&key.id).await?;
        let about =
            AuditTarget { user: Some(&key.user), key: Some(&key.id), subject: &key.prefix, ..AuditTarget::default() };
        audit::record(&mut tx, by, Action::KeyLeak, about).await?;
        tx.commit().await?;
    }
    Ok(())
}
