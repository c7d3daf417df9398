//! Rotation: a key gets a new secret and keeps its id, name, access and history. The previous secret works for a grace period.
//! An imported key also gets a prefix of this program's form.

use secrecy::ExposeSecret;

use super::{check_recent_auth, facts};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::keys::{Grace, KeyFacts, KeyId, NewKey, RotateForm, Status};
use crate::model::time::Timestamp;
use crate::model::users::UserId;
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::auth::key_format;
use crate::server::auth::key_format::PresentedKey;
use crate::server::auth::sessions::Session;
use crate::server::db::row::{Row, params};
use crate::server::state::AppState;

/// Rotates a key of the user, from the form of the page.
///
/// # Errors
/// [`AppError::NotFound`] if the user has no such key; [`AppError::Invalid`] if it is revoked or expired, or was rotated
/// since the page was shown; [`AppError::ReauthenticationRequired`] for a key that may change something.
pub async fn rotate_own(state: &AppState, session: &Session, form: &RotateForm) -> Result<NewKey, AppError> {
    let id = KeyId::parse(&form.id).ok_or(AppError::NotFound)?;
    let grace = Grace::parse(&form.grace).map_err(|sentence| FieldErrors::one("grace", sentence))?.millis;
    let seen = form.seen.parse().ok();
    rotate(state, (&session.user.id, &id), (Since::Shown(seen, session), grace), &session.actor(state.now())).await
}

/// Rotates a key at its own request.
///
/// # Errors
/// [`AppError::Invalid`] if the request came with the previous secret.
pub async fn rotate_itself(
    state: &AppState,
    (user, key): (&UserId, &KeyFacts),
    (presented, grace): (&PresentedKey<'_>, i64),
    by: &Actor,
) -> Result<NewKey, AppError> {
    rotate(state, (user, &key.id), (Since::Secret(presented.digest().hex()), grace), by).await
}

/// The state that the request is based on. If it has changed since, the key is not rotated.
enum Since<'a> {
    /// When the key was last rotated, as the page said, and whose session shows the page.
    Shown(Option<i64>, &'a Session),
    /// The present secret, by its digest.
    Secret(String),
}

/// A key with what decides whether it was rotated in the meantime.
struct PresentSecret {
    key: KeyFacts,
    digest: String,
    rotated_at: Option<Timestamp>,
}

fn present_secret(row: Row<'_>) -> Result<PresentSecret, AppError> {
    Ok(PresentSecret { key: facts(row)?, digest: row.get("digest")?, rotated_at: row.get("rotated_at")? })
}

async fn rotate(
    state: &AppState,
    (user, id): (&UserId, &KeyId),
    (since, grace): (Since<'_>, i64),
    by: &Actor,
) -> Result<NewKey, AppError> {
    let mut tx = match &since {
        Since::Shown(_, session) => session.begin(&state.db).await?,
        Since::Secret(_) => state.db.begin().await?,
    };
    // Of two at once the second waits here, and then sees the result of the first.
    tx.execute("UPDATE keys SET name = name WHERE id = $1 AND user_id = $2", params![id, user]).await?;
    let sql =
        concat!("SELECT ", facts_columns!(), ", k.digest, k.rotated_at FROM keys k WHERE id = $1 AND user_id = $2");
    let found = tx.query_optional(sql, params![id, user], present_secret).await?;
    let PresentSecret { key, digest, rotated_at } = found.ok_or(AppError::NotFound)?;
    if let Some(sentence) = match key.status(by.at) {
        Status::Revoked => Some("This key is revoked. Create another."),
        Status::Expired => Some("This key has expired. Create another."),
        Status::Active | Status::ExpiresSoon => None,
    } {
        return Err(FieldErrors::whole(sentence).into());
    }
    let unchanged = match since {
        Since::Shown(seen, session) => {
            check_recent_auth(session, &key.access, by.at)?;
            seen == rotated_at.map(Timestamp::as_millis)
        }
        Since::Secret(presented) => presented == digest,
    };
    if !unchanged {
        let sentence = "This key was given a new secret already. Its new secret was shown once; only with that, or on the \
                        profile page, it can be given another.";
        return Err(FieldErrors::whole(sentence).into());
    }
    let made = if key_format::is_imported_prefix(&key.prefix) {
        key_format::make_key(&state.config.keys.key_brand)
    } else {
        key_format::make_secret_for(&key.prefix)
    };
    // Never past the key's own expiry.
    let until = key.expires_at.map_or(by.at.plus(grace), |at| at.min(by.at.plus(grace)));
    let sql = "UPDATE keys SET digest = $3, old_digest = $4, old_expires_at = $5, old_used_at = NULL, rotated_at = $6, \
               prefix = $7 WHERE id = $1 AND user_id = $2";
    tx.execute(sql, params![id, user, made.digest, digest, until, by.at, made.prefix]).await?;
    tx.invalidate_key(id).await?;
    let words = Grace::ALL.iter().find(|known| known.millis == grace).map_or("", |known| known.label);
    let mut detail = format!("the old secret works on for: {}", words.to_lowercase());
    if made.prefix != key.prefix {
        detail = format!("now {}; {detail}", made.prefix);
    }
    let about =
        AuditTarget { user: Some(user), key: Some(id), team: key.team_id.as_ref(), subject: &key.prefix, detail };
    audit::record(&mut tx, by, Action::KeyRotate, about).await?;
    tx.commit().await?;
    Ok(NewKey { key: made.key.expose_secret().to_owned(), facts: KeyFacts { prefix: made.prefix, ..key } })
}
