//! Removal of a deleted person from the audit. What happened stays, with the id of the account, which is random: events of one
//! account still belong together.

use crate::error::AppError;
use crate::server::db::row::params;
use crate::server::db::{Db, Tx};

/// The name of a deleted account in the audit.
pub const DELETED_USER: &str = "a deleted user";
/// Events changed in one transaction: few enough to let others write in between.
const BATCH_SIZE: i64 = 500;

/// What the person did.
const AS_ACTOR: &str = "UPDATE audit SET actor = $3, ip = '' WHERE id IN \
    (SELECT id FROM audit WHERE actor_id = $1 AND id > $2 ORDER BY id LIMIT $4) RETURNING id";

/// What happened to the person or their keys. Without an actor's id, an address is that of a sign-up, of a sign-in that failed or
/// of a used reset link, which can be the person's own. Details of the listed actions hold a browser, an email address or the
/// name of a key.
const AS_TARGET: &str = "UPDATE audit SET \
    subject = CASE WHEN action LIKE 'account.%' OR action LIKE 'session.%' THEN $3 ELSE subject END, \
    detail = CASE WHEN action IN ('account.email', 'session.begin', 'key.create', 'key.edit', 'team.add') THEN '' ELSE detail END, \
    actor = CASE WHEN actor_id IS NULL AND actor = subject THEN $3 ELSE actor END, \
    ip = CASE WHEN actor_id IS NULL AND (action LIKE 'account.%' OR action LIKE 'session.%') THEN '' ELSE ip END \
    WHERE id IN (SELECT id FROM audit WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $4) RETURNING id";

/// Removes names, client addresses and typed text of a deleted user from all events.
pub async fn erase_user(db: &Db, id: &str) -> Result<(), AppError> {
    for sql in [AS_ACTOR, AS_TARGET] {
        let mut after = String::new();
        loop {
            let mut tx = db.begin().await?;
            let params = params![id, after, DELETED_USER, BATCH_SIZE];
            let changed: Vec<String> = tx.query(sql, params, |row| row.get("id")).await?;
            tx.commit().await?;
            match changed.into_iter().max() {
                Some(last) => after = last,
                None => break,
            }
        }
    }
    Ok(())
}

/// Removes a person from events of invitations, which name the person in one of these details.
pub async fn erase_invited(tx: &mut Tx, details: &[String; 4]) -> Result<(), AppError> {
    let [one, two, three, four] = details;
    let sql =
        "UPDATE audit SET detail = $5 WHERE action IN ('team.invite', 'team.cancel') AND detail IN ($1, $2, $3, $4)";
    tx.execute(sql, params![one, two, three, four, DELETED_USER]).await?;
    Ok(())
}
