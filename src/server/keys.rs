//! API keys: their queries, and the rules that need data.

use secrecy::ExposeSecret;

use super::auth::secrets::{self, PresentedKey};
use super::config::KeyConfig;
use super::db::{Db, Tx, execute, fetch, is_taken};
use super::state::AppState;
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::keys::{FormId, KeyFacts, KeyForm, KeyId, KeyList, KeySpec, NewKey, Status};
use crate::model::time::Timestamp;
use crate::model::users::{User, UserId};

/// The user and the key behind a presented key, if it is valid: one look-up by its digest.
///
/// # Errors
/// [`AppError::KeyUnknown`], or, for a key whose secret matched, why it is refused.
pub async fn authenticate(db: &Db, presented: &PresentedKey<'_>, now: Timestamp) -> Result<(User, KeyFacts), AppError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        #[sqlx(flatten)]
        key: KeyFacts,
        owner_id: UserId,
        owner_email: String,
        owner_name: String,
        disabled_at: Option<Timestamp>,
    }
    let mut conn = db.read().await?;
    let row = fetch!(
        conn,
        optional Row,
        "SELECT k.id, k.name, k.prefix, k.access, k.created_at, k.expires_at, k.revoked_at, u.id AS owner_id, \
         u.email AS owner_email, u.name AS owner_name, u.disabled_at FROM keys k JOIN users u ON u.id = k.user_id \
         WHERE k.digest = $1",
        presented.digest()
    )?
    .ok_or(AppError::KeyUnknown)?;
    row.key.validate(row.disabled_at.is_none(), now)?;
    Ok((User { id: row.owner_id, email: row.owner_email, name: row.owner_name }, row.key))
}

/// A key that is asked for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// For whom.
    pub user: &'a UserId,
    /// The showing of the form that asks; `None` from the command line.
    pub form: Option<FormId>,
    /// What it shall be.
    pub spec: KeySpec,
}

/// Makes a key. A form that is sent again makes no second one.
///
/// # Errors
/// [`AppError::Invalid`] if the user has all the keys that one may have, or the form was sent already.
pub async fn create(db: &Db, config: &KeyConfig, request: Request<'_>, now: Timestamp) -> Result<NewKey, AppError> {
    for _ in 0..3 {
        let made = secrets::make_key(&config.key_brand);
        let facts = KeyFacts {
            id: KeyId::parse(&secrets::make_id(now)).ok_or(AppError::Internal)?,
            name: request.spec.name.clone(),
            prefix: made.prefix,
            access: request.spec.access,
            created_at: now,
            expires_at: request.spec.expires_at,
            revoked_at: None,
        };
        let mut tx = db.begin().await?;
        check_limit(&mut tx, config.max_keys_per_user, request.user, now).await?;
        match insert(&mut tx, &request, &facts, &made.digest).await {
            Ok(()) => {
                tx.commit().await?;
                return Ok(NewKey { key: made.key.expose_secret().to_owned(), facts });
            }
            Err(error) if is_taken(&error) => {
                drop(tx);
                check_unsent(db, &request).await?;
                // Not the form, so the prefix was taken: one in 10^14. Make another.
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(AppError::Internal)
}

/// Makes a key for a user from the form of the page.
///
/// # Errors
/// [`AppError::Invalid`] if a field is wrong, and as [`create`].
pub async fn create_from_form(state: &AppState, user: &UserId, form: &KeyForm) -> Result<NewKey, AppError> {
    let now = state.now();
    let (form, spec) = form.parse(now)?;
    create(&state.db, &state.config.keys, Request { user, form: Some(form), spec }, now).await
}

/// Refuses one key too many. Locks the user's row first, so that two at once are counted one after the other.
async fn check_limit(tx: &mut Tx, limit: u32, user: &UserId, now: Timestamp) -> Result<(), AppError> {
    execute!(tx, "UPDATE users SET updated_at = updated_at WHERE id = $1", user)?;
    let (live,) = fetch!(
        tx,
        one(i64,),
        "SELECT COUNT(*) FROM keys WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
        user,
        now
    )?;
    if live < i64::from(limit) {
        return Ok(());
    }
    Err(FieldErrors::whole(format!("You have {live} live keys, and {limit} is the most. Revoke one first.")).into())
}

async fn insert(tx: &mut Tx, request: &Request<'_>, facts: &KeyFacts, digest: &str) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO keys (id, user_id, form_id, name, prefix, digest, access, created_at, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let (id, user, form) = (&facts.id, request.user, &request.form);
    let (name, prefix, access) = (&facts.name, &facts.prefix, facts.access.as_str());
    execute!(tx, sql, id, user, form, name, prefix, digest, access, facts.created_at, facts.expires_at).map(|_| ())
}

async fn check_unsent(db: &Db, request: &Request<'_>) -> Result<(), AppError> {
    let mut conn = db.read().await?;
    let sql = "SELECT COUNT(*) FROM keys WHERE user_id = $1 AND form_id = $2";
    let (sent,) = fetch!(conn, one(i64,), sql, request.user, &request.form)?;
    if sent == 0 {
        return Ok(());
    }
    let sentence = "This form was sent already, and made a key. It is in your list; its secret is shown only once. \
                    If you do not have it, revoke that key and create another.";
    Err(FieldErrors::whole(sentence).into())
}

/// A user's keys as the page shows them, and what the form for the next one starts from.
///
/// # Errors
/// If the database does not answer.
pub async fn page(state: &AppState, user: &UserId, revoked: bool) -> Result<KeyList, AppError> {
    let now = state.now();
    let mut conn = state.db.read().await?;
    // With one revoked key, if there is any, to tell whether there is something to show.
    let mut keys = fetch!(
        conn,
        all KeyFacts,
        "SELECT id, name, prefix, access, created_at, expires_at, revoked_at FROM keys WHERE user_id = $1 \
         AND ($2 OR revoked_at IS NULL OR id = (SELECT MAX(id) FROM keys WHERE user_id = $1 AND revoked_at IS NOT NULL)) \
         ORDER BY created_at DESC, id DESC",
        user,
        revoked
    )?;
    drop(conn);
    let has_revoked = keys.iter().any(|key| key.revoked_at.is_some());
    keys.retain(|key| revoked || key.revoked_at.is_none());
    sort(&mut keys, now);
    Ok(KeyList { keys, has_revoked, now, form_id: secrets::make_id(now), origin: state.config.origin() })
}

/// All keys of a user, for the operator's command line; in the order of the page.
///
/// # Errors
/// If the database does not answer.
pub async fn list(db: &Db, user: &UserId, now: Timestamp) -> Result<Vec<KeyFacts>, AppError> {
    let mut conn = db.read().await?;
    let sql = "SELECT id, name, prefix, access, created_at, expires_at, revoked_at FROM keys WHERE user_id = $1 \
               ORDER BY created_at DESC, id DESC";
    let mut keys = fetch!(conn, all KeyFacts, sql, user)?;
    sort(&mut keys, now);
    Ok(keys)
}

/// Those that work first, then the expired, then the revoked; in each the order that they have.
fn sort(keys: &mut [KeyFacts], now: Timestamp) {
    keys.sort_by_key(|key| match key.status(now) {
        Status::Active | Status::ExpiresSoon => 0,
        Status::Expired => 1,
        Status::Revoked => 2,
    });
}

/// Revokes a key. False if it was already revoked or is not the user's.
///
/// # Errors
/// If the database does not answer.
pub async fn revoke(db: &Db, user: &UserId, id: &KeyId, now: Timestamp) -> Result<bool, AppError> {
    let mut conn = db.write().await?;
    let sql = "UPDATE keys SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL";
    Ok(execute!(conn, sql, id, user, now)? > 0)
}

/// Revokes a key by the id that a page sent. One that was revoked already is no error.
///
/// # Errors
/// [`AppError::NotFound`] if the user has no such key.
pub async fn revoke_own(state: &AppState, user: &UserId, id: &str) -> Result<(), AppError> {
    let id = KeyId::parse(id).ok_or(AppError::NotFound)?;
    if revoke(&state.db, user, &id, state.now()).await? {
        return Ok(());
    }
    let mut conn = state.db.read().await?;
    let own = fetch!(conn, optional(KeyId,), "SELECT id FROM keys WHERE id = $1 AND user_id = $2", &id, user)?;
    own.map(|_| ()).ok_or(AppError::NotFound)
}

/// Finds a key by its public prefix or its id, for the operator's command line: its id and its user.
///
/// # Errors
/// If the database does not answer.
pub async fn find(db: &Db, prefix_or_id: &str) -> Result<Option<(KeyId, UserId)>, AppError> {
    let mut conn = db.read().await?;
    Ok(fetch!(
        conn,
        optional(KeyId, UserId),
        "SELECT id, user_id FROM keys WHERE prefix = $1 OR id = $1",
        prefix_or_id
    )?)
}
