//! API keys: creating and revoking them.

/// The columns that [`facts`] reads, of the table `keys k`.
macro_rules! facts_columns {
    () => {
        "k.id, k.name, k.prefix, k.access, \
         (SELECT a.slug || ' ' || a.name FROM apis a WHERE a.id = k.api_id) AS api, \
         CASE WHEN k.access IN ('full', 'read_only', 'api') THEN NULL ELSE (SELECT string_agg(a.slug || ':' || s.name || \
         CASE WHEN s.writes THEN '!' ELSE '' END, ' ') FROM key_scopes o JOIN api_scopes s ON s.id = o.scope_id \
         JOIN apis a ON a.id = s.api_id WHERE o.key_id = k.id) END AS registered, \
         k.team_id, k.created_at, k.expires_at, k.revoked_at"
    };
}

pub mod admin;
pub mod authenticate;
pub mod cache;
pub mod imported;
pub mod leaks;
mod lists;
pub mod lookup_limit;
pub mod rotation;
pub mod usage;

use secrecy::ExposeSecret;

pub use self::authenticate::find_by_secret;
pub use self::cache::KeyRecord;
pub use self::lists::{batch, list, list_of_team, page};
use super::apis;
use super::audit;
use super::audit::{Actor, AuditTarget};
use super::auth::sessions::Session;
use super::auth::{key_format, random};
use super::config::KeyConfig;
use super::db::fold::fold;
use super::db::row::{Row, params};
use super::db::{Db, Error, Tx, is_unique_violation};
use super::state::AppState;
use crate::error::AppError;
use crate::model::apis::ApiId;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::keys::{Access, IdempotencyKey, KeyFacts, KeyForm, KeyId, KeySpec, NewKey};
use crate::model::teams::TeamId;
use crate::model::text::isolated;
use crate::model::time::{DAY, Timestamp};
use crate::model::users::UserId;

fn facts(row: Row<'_>) -> Result<KeyFacts, AppError> {
    Ok(KeyFacts {
        id: row.get("id")?,
        name: row.get("name")?,
        prefix: row.get("prefix")?,
        access: access(row)?,
        team_id: row.get("team_id")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        revoked_at: row.get("revoked_at")?,
    })
}

fn access(row: Row<'_>) -> Result<Access, AppError> {
    let stored: Access = row.get("access")?;
    let (api, registered): (Option<String>, Option<String>) = (row.get("api")?, row.get("registered")?);
    Ok(stored.with_stored(api.as_deref(), registered.as_deref()))
}

/// How many keys a user may create on pages within 24 hours.
pub const MAX_CREATED_PER_DAY: i64 = 200;

/// A request for a new key.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub user: &'a UserId,
    /// The idempotency key of the form; `None` from the command line.
    pub form: Option<IdempotencyKey>,
    pub spec: KeySpec,
}

/// Who creates a key.
#[derive(Clone, Copy)]
enum Creator<'a> {
    /// The command line.
    Operator,
    Owner(&'a Session),
    /// For any user.
    Superuser(&'a Session),
}

impl Creator<'_> {
    /// Begins a transaction that checks the creator's right.
    async fn begin(self, db: &Db) -> Result<Tx, AppError> {
        match self {
            Self::Operator => db.begin().await,
            Self::Owner(session) => session.begin(db).await,
            Self::Superuser(session) => session.begin_as_superuser(db).await,
        }
    }
}

/// Creates a key for the command line.
///
/// # Errors
/// [`AppError::Invalid`] if the user has all the keys that one may have, is not in the team, or the form was sent already.
pub async fn create(db: &Db, config: &KeyConfig, request: Request<'_>, by: &Actor) -> Result<NewKey, AppError> {
    create_as(Creator::Operator, db, config, request, by).await
}

/// Creates a key. A form that is sent twice creates one.
async fn create_as(
    creator: Creator<'_>,
    db: &Db,
    config: &KeyConfig,
    request: Request<'_>,
    by: &Actor,
) -> Result<NewKey, AppError> {
    for _ in 0..3 {
        let made = key_format::make_key(&config.key_brand);
        let facts = KeyFacts {
            id: KeyId::parse(&random::make_id(by.at)).ok_or(AppError::Internal)?,
            name: request.spec.name.clone(),
            prefix: made.prefix,
            access: request.spec.access.clone(),
            team_id: request.spec.team.clone(),
            created_at: by.at,
            expires_at: request.spec.expires_at,
            revoked_at: None,
        };
        let mut tx = creator.begin(db).await?;
        check_limit(&mut tx, config.max_keys_per_user, request.user, by.at).await?;
        if request.form.is_some() {
            check_daily_limit(&mut tx, request.user, by.at).await?;
        }
        check_team(&mut tx, request.user, request.spec.team.as_ref()).await?;
        let api = apis::lock_api(&mut tx, &facts.access).await?;
        match insert(&mut tx, &request, &facts, api.as_ref(), &made.digest).await {
            Ok(()) => {
                apis::attach_scopes(&mut tx, &facts.id, &facts.access).await?;
                let detail = format!("{}, {}", isolated(facts.name.as_str()), facts.access.label());
                let about = AuditTarget { user: Some(request.user), detail, ..about(&facts) };
                audit::record(&mut tx, by, Action::KeyCreate, about).await?;
                tx.commit().await?;
                return Ok(NewKey { key: made.key.expose_secret().to_owned(), facts });
            }
            Err(error) if is_unique_violation(&error) => {
                drop(tx);
                check_unsent(db, &request).await?;
                // The prefix was taken: one in 10^14.
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(AppError::Internal)
}

fn about(key: &KeyFacts) -> AuditTarget<'_> {
    AuditTarget { key: Some(&key.id), team: key.team_id.as_ref(), subject: &key.prefix, ..AuditTarget::default() }
}

/// Creates a key from the form of the page: for the session's user, or by an administrator for the user that the form names.
///
/// # Errors
/// [`AppError::Invalid`] if a field is wrong, and as [`create`]; [`AppError::NotFound`] for a user that names another;
/// [`AppError::ReauthenticationRequired`] for a key that may change something, and for any key of another user.
pub async fn create_from_form(state: &AppState, session: &Session, form: &KeyForm) -> Result<NewKey, AppError> {
    match (form.owner.is_empty(), session.user.superuser) {
        (true, _) => {}
        (false, true) => return admin::create_for(state, session, form).await,
        (false, false) => return Err(AppError::NotFound),
    }
    let by = session.actor(state.now());
    let (form, spec) = form.parse(by.at)?;
    let spec = complete(state, spec).await?;
    check_recent_auth(session, &spec.access, by.at)?;
    let request = Request { user: &session.user.id, form: Some(form), spec };
    create_as(Creator::Owner(session), &state.db, &state.config.keys, request, &by).await
}

/// Looks up the registered APIs and scopes that a form names.
async fn complete(state: &AppState, spec: KeySpec) -> Result<KeySpec, AppError> {
    if !spec.access.names_apis() {
        return Ok(spec);
    }
    let apis = apis::current(state).await?;
    Ok(KeySpec { access: crate::model::keys::complete(spec.access, &apis)?, ..spec })
}

/// Refuses a key that may change something, unless the password was entered within [`sessions::REAUTH_WINDOW`].
///
/// [`sessions::REAUTH_WINDOW`]: crate::server::auth::sessions::REAUTH_WINDOW
fn check_recent_auth(session: &Session, access: &Access, now: Timestamp) -> Result<(), AppError> {
    if access.only_reads() { Ok(()) } else { session.check_recent_auth(now) }
}

/// Rejects one key too many. Locks the user's row first, so that two at once are counted one after the other.
async fn check_limit(tx: &mut Tx, limit: u32, user: &UserId, now: Timestamp) -> Result<(), AppError> {
    let sql = "UPDATE users SET updated_at = updated_at WHERE id = $1";
    if tx.execute(sql, params![user]).await? == 0 {
        // The account was deleted meanwhile.
        return Err(AppError::NotFound);
    }
    let sql = "SELECT (SELECT COUNT(*) FROM keys WHERE user_id = $1 AND revoked_at IS NULL AND expires_at IS NULL) + \
         (SELECT COUNT(*) FROM keys WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2) AS number";
    let live: i64 = tx.query_one(sql, params![user, now], |row| row.get("number")).await?;
    if live < i64::from(limit) {
        return Ok(());
    }
    Err(FieldErrors::whole(format!("You have {live} live keys, and {limit} is the most. Revoke one first.")).into())
}

/// Rejects one key too many within 24 hours: each stays in the lists. Keys from the command line do not count.
async fn check_daily_limit(tx: &mut Tx, user: &UserId, now: Timestamp) -> Result<(), AppError> {
    let sql = "SELECT COUNT(*) AS number FROM keys WHERE user_id = $1 AND created_at > $2 AND form_id IS NOT NULL";
    let made: i64 = tx.query_one(sql, params![user, now.plus(-DAY)], |row| row.get("number")).await?;
    if made < MAX_CREATED_PER_DAY {
        return Ok(());
    }
    let sentence =
        format!("{MAX_CREATED_PER_DAY} keys were made in the last 24 hours, which is the most. Try again tomorrow.");
    Err(FieldErrors::whole(sentence).into())
}

/// Rejects a team that the user is not in. Locks the membership, so that a removal at the same time finds this key.
async fn check_team(tx: &mut Tx, user: &UserId, team: Option<&TeamId>) -> Result<(), AppError> {
    let Some(team) = team else { return Ok(()) };
    let sql = "UPDATE members SET role = role WHERE team_id = $1 AND user_id = $2";
    if tx.execute(sql, params![team, user]).await? == 0 {
        return Err(FieldErrors::one("team", "Choose one of your teams.").into());
    }
    Ok(())
}

async fn insert(
    tx: &mut Tx,
    request: &Request<'_>,
    facts: &KeyFacts,
    api: Option<&ApiId>,
    digest: &str,
) -> Result<(), Error> {
    let sql = "INSERT INTO keys (id, user_id, form_id, name, name_folded, prefix, digest, access, team_id, created_at, \
               expires_at, api_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let (folded, access) = (fold(facts.name.as_str()), facts.access.stored_text());
    let params = params![
        facts.id,
        request.user,
        request.form,
        facts.name,
        folded,
        facts.prefix,
        digest,
        access,
        facts.team_id,
        facts.created_at,
        facts.expires_at,
        api,
    ];
    tx.execute(sql, params).await.map(|_| ())
}

async fn check_unsent(db: &Db, request: &Request<'_>) -> Result<(), AppError> {
    let sql = "SELECT id FROM keys WHERE user_id = $1 AND form_id = $2";
    let made: Option<KeyId> = db.query_optional(sql, params![request.user, request.form], |row| row.get("id")).await?;
    if made.is_none() {
        return Ok(());
    }
    let sentence = "This form was sent already, and made a key. It is in your list; its secret is shown only once. \
                    If you do not have it, revoke that key and create another.";
    Err(FieldErrors::whole(sentence).into())
}

/// Revokes a key of a user. Returns false if it was revoked already or is not the user's.
pub async fn revoke(db: &Db, user: &UserId, id: &KeyId, by: &Actor) -> Result<bool, AppError> {
    let mut tx = db.begin().await?;
    let revoked = revoke_in(&mut tx, user, id, by).await?;
    tx.commit().await?;
    Ok(revoked)
}

/// Like [`revoke`], within a transaction that has checked the actor's right.
async fn revoke_in(tx: &mut Tx, user: &UserId, id: &KeyId, by: &Actor) -> Result<bool, AppError> {
    let sql = "UPDATE keys SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL RETURNING prefix";
    let prefix: Option<String> = tx.query_optional(sql, params![id, user, by.at], |row| row.get("prefix")).await?;
    let Some(prefix) = prefix else { return Ok(false) };
    tx.invalidate_key(id).await?;
    let about = AuditTarget { user: Some(user), key: Some(id), subject: &prefix, ..AuditTarget::default() };
    audit::record(tx, by, Action::KeyRevoke, about).await?;
    Ok(true)
}

/// Revokes a key by the id that a page sent. One that was revoked already is no error.
///
/// # Errors
/// [`AppError::NotFound`] if the user has no such key.
pub async fn revoke_own(state: &AppState, session: &Session, id: &str) -> Result<(), AppError> {
    let (user, id) = (&session.user.id, KeyId::parse(id).ok_or(AppError::NotFound)?);
    let mut tx = session.begin(&state.db).await?;
    if revoke_in(&mut tx, user, &id, &session.actor(state.now())).await? {
        tx.commit().await?;
        return Ok(());
    }
    let sql = "SELECT id FROM keys WHERE id = $1 AND user_id = $2";
    let own: Option<KeyId> = tx.query_optional(sql, params![id, user], |row| row.get("id")).await?;
    own.map(|_| ()).ok_or(AppError::NotFound)
}

/// Revokes a key that is limited to a team, within a transaction of an admin of the team. One that was revoked already is no error.
///
/// # Errors
/// [`AppError::NotFound`] if the team has no such key.
pub async fn revoke_of_team(tx: &mut Tx, team: &TeamId, id: &KeyId, by: &Actor) -> Result<(), AppError> {
    let sql = "SELECT user_id FROM keys WHERE id = $1 AND team_id = $2";
    let user: Option<UserId> = tx.query_optional(sql, params![id, team], |row| row.get("user_id")).await?;
    let user = user.ok_or(AppError::NotFound)?;
    revoke_in(tx, &user, id, by).await.map(|_| ())
}

/// Finds a key by its public prefix or its id, for the operator's command line: its id and its user.
pub async fn find(db: &Db, prefix_or_id: &str) -> Result<Option<(KeyId, UserId)>, AppError> {
    let sql = "SELECT id, user_id FROM keys WHERE prefix = $1 OR id = $1";
    db.query_optional(sql, params![prefix_or_id], |row| Ok((row.get("id")?, row.get("user_id")?))).await
}
