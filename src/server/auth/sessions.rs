//! Sessions: 256 random bits in a cookie and their SHA-256 in the table.

use std::net::IpAddr;

use axum::http::request::Parts;
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use secrecy::{ExposeSecret, SecretString};

use super::{client_ip, key_format, random};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::time::{DAY, Timestamp};
use crate::model::users::{SessionFacts, SessionId, User, UserId, browser_name};
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::config::Config;
use crate::server::db::row::{Row, params};
use crate::server::db::{Db, Tx};
use crate::server::users::row::user_from_row;

/// Time without a request after which a session ends, in milliseconds.
pub const IDLE_TIMEOUT: i64 = 7 * DAY;
/// Time after which a session ends in any case, in milliseconds.
pub const ABSOLUTE_TIMEOUT: i64 = 30 * DAY;
/// Sessions per user.
pub const MAX_SESSIONS: i64 = 100;
/// Time after a password check in which no page asks for the password again, in milliseconds.
pub const REAUTH_WINDOW: i64 = 15 * 60 * 1000;
/// Precision of `seen_at`, in milliseconds, which bounds the writes to one per minute.
const SEEN_AT_PRECISION: i64 = 60 * 1000;

/// A live session and its user.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: SessionId,
    pub user: User,
    /// Whether the user is in any team. Most are in none, which saves a query.
    pub in_team: bool,
    /// When the password was last checked in this session.
    pub confirmed_at: Timestamp,
    /// Client address of the current request.
    pub ip: Option<IpAddr>,
}

impl Session {
    /// Returns the user as the actor of an audit entry.
    pub fn actor(&self, now: Timestamp) -> Actor {
        Actor::user(&self.user, self.ip, now)
    }

    /// Begins a transaction for this session. Locks the account and the session, so that both stay valid until the commit.
    /// Every change by a signed-in user starts here.
    ///
    /// # Errors
    /// [`AppError::CredentialsMissing`] if the session has ended or the account was disabled since the request began.
    pub async fn begin(&self, db: &Db) -> Result<Tx, AppError> {
        let mut tx = db.begin().await?;
        self.lock(&mut tx).await?;
        Ok(tx)
    }

    /// Like [`Session::begin`], but requires a superuser. The lock of all superusers comes first, because two superusers who
    /// change each other would deadlock.
    ///
    /// # Errors
    /// As [`Session::begin`], and [`AppError::NotFound`] if the user is no longer a superuser.
    pub async fn begin_as_superuser(&self, db: &Db) -> Result<Tx, AppError> {
        let mut tx = db.begin().await?;
        lock_superusers(&mut tx).await?;
        if self.lock(&mut tx).await? { Ok(tx) } else { Err(AppError::NotFound) }
    }

    /// Like [`Session::begin`], for the deletion of the account: it also takes the lock of all superusers, first.
    ///
    /// # Errors
    /// As [`Session::begin`].
    pub async fn begin_as_account(&self, db: &Db) -> Result<Tx, AppError> {
        let mut tx = db.begin().await?;
        lock_superusers(&mut tx).await?;
        self.lock(&mut tx).await?;
        Ok(tx)
    }

    /// Locks the account, then the session; every transaction keeps this order. Returns whether the user is a superuser.
    async fn lock(&self, tx: &mut Tx) -> Result<bool, AppError> {
        let sql = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND disabled_at IS NULL RETURNING superuser";
        let superuser = tx.query_optional(sql, params![self.user.id], |row| row.get("superuser")).await?;
        let superuser = superuser.ok_or(AppError::CredentialsMissing)?;
        let sql = "UPDATE sessions SET seen_at = seen_at WHERE id = $1 AND user_id = $2";
        if tx.execute(sql, params![self.id, self.user.id]).await? == 0 {
            return Err(AppError::CredentialsMissing);
        }
        Ok(superuser)
    }

    /// Rejects a session without a recent password check, with [`AppError::ReauthenticationRequired`].
    pub fn check_recent_auth(&self, now: Timestamp) -> Result<(), AppError> {
        if now < self.confirmed_at.plus(REAUTH_WINDOW) { Ok(()) } else { Err(AppError::ReauthenticationRequired) }
    }
}

/// Returns the cookie's name. It is specific, because browsers share cookies between the ports of a host. With https,
/// `__Host-` keeps other hosts from setting it; over http, browsers reject that prefix.
pub fn cookie_name(config: &Config) -> &'static str {
    if config.https() { "__Host-keyfob_session" } else { "keyfob_session" }
}

/// Returns the `Set-Cookie` value of a new session.
pub fn cookie(config: &Config, secret: &SecretString) -> String {
    let max_age = time::Duration::milliseconds(ABSOLUTE_TIMEOUT);
    http_only_cookie(config, cookie_name(config), secret.expose_secret().to_owned(), max_age)
}

/// Returns the `Set-Cookie` value that removes the cookie.
pub fn removal_cookie(config: &Config) -> String {
    http_only_cookie(config, cookie_name(config), String::new(), time::Duration::ZERO)
}

/// Returns a `Set-Cookie` value that scripts cannot read. The value is percent-encoded, and `CookieJar` decodes it.
pub fn http_only_cookie(config: &Config, name: &str, value: String, max_age: time::Duration) -> String {
    Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .secure(config.https())
        .same_site(SameSite::Lax)
        .max_age(max_age)
        .build()
        .encoded()
        .to_string()
}

/// Locks the row that serialises all changes by or of superusers.
pub async fn lock_superusers(tx: &mut Tx) -> Result<(), AppError> {
    tx.execute("UPDATE locks SET name = name WHERE name = 'superusers'", params![]).await?;
    Ok(())
}

/// Creates a session and returns the secret for its cookie. Deletes the user's expired sessions, and the least recently used
/// ones above [`MAX_SESSIONS`].
pub async fn create(tx: &mut Tx, user: &UserId, user_agent: &str, by: &Actor) -> Result<SecretString, AppError> {
    let (secret, now) = (random::make_session_secret(), by.at);
    // Serialises concurrent sign-ins, so that the limit holds.
    tx.execute("UPDATE users SET updated_at = updated_at WHERE id = $1", params![user]).await?;
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND (seen_at <= $2 OR created_at <= $3)";
    tx.execute(sql, params![user, now.plus(-IDLE_TIMEOUT), now.plus(-ABSOLUTE_TIMEOUT)]).await?;
    // SQLite has no OFFSET without a LIMIT.
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND id IN (SELECT id FROM sessions WHERE user_id = $1 \
               ORDER BY seen_at DESC, id DESC LIMIT 1000000000 OFFSET $2)";
    if tx.execute(sql, params![user, MAX_SESSIONS - 1]).await? > 0 {
        record_end(tx, by, "least recently used: too many sessions").await?;
    }
    let sql = "INSERT INTO sessions (id, digest, user_id, user_agent, created_at, seen_at, confirmed_at) \
               VALUES ($1, $2, $3, $4, $5, $5, $5)";
    let (id, digest) = (random::make_id(now), key_format::digest_of(&secret));
    tx.execute(sql, params![id, digest, user, user_agent, now]).await?;
    Ok(secret)
}

/// Records a password check in a session, and returns a new secret for its cookie (ASVS 5.0, 7.2.4).
///
/// # Errors
/// [`AppError::CredentialsMissing`] if the session has ended.
pub async fn renew(tx: &mut Tx, session: &Session, now: Timestamp) -> Result<SecretString, AppError> {
    let (secret, user) = (random::make_session_secret(), &session.user.id);
    let sql = "UPDATE sessions SET digest = $3, confirmed_at = $4 WHERE id = $1 AND user_id = $2";
    let renewed = tx.execute(sql, params![session.id, user, key_format::digest_of(&secret), now]).await?;
    if renewed == 1 { Ok(secret) } else { Err(AppError::CredentialsMissing) }
}

/// Returns the live session of the request's cookie, and updates `seen_at`.
pub async fn find(db: &Db, config: &Config, parts: &Parts, now: Timestamp) -> Result<Option<Session>, AppError> {
    let jar = CookieJar::from_headers(&parts.headers);
    let Some(cookie) = jar.get(cookie_name(config)).filter(|cookie| cookie.value().len() == 64) else {
        return Ok(None);
    };
    let digest = key_format::digest_of(&SecretString::from(cookie.value()));
    let sql = "SELECT s.id AS session_id, s.seen_at, s.confirmed_at, u.id, u.email, u.name, u.superuser, \
               EXISTS (SELECT 1 FROM members WHERE user_id = u.id) AS in_team FROM sessions s JOIN users u ON u.id = s.user_id \
               WHERE s.digest = $1 AND s.seen_at > $2 AND s.created_at > $3 AND u.disabled_at IS NULL";
    let (seen_after, created_after) = (now.plus(-IDLE_TIMEOUT), now.plus(-ABSOLUTE_TIMEOUT));
    let params = params![digest, seen_after, created_after];
    let Some(found) = db.query_optional(sql, params, SessionRow::from_row).await? else { return Ok(None) };
    let session = Session { ip: client_ip::client_ip(&parts.extensions), ..found.session };
    if found.seen_at <= now.plus(-SEEN_AT_PRECISION) {
        let sql = "UPDATE sessions SET seen_at = $2 WHERE id = $1 AND seen_at < $2";
        db.execute(sql, params![session.id, now]).await?;
    }
    Ok(Some(session))
}

struct SessionRow {
    session: Session,
    seen_at: Timestamp,
}

impl SessionRow {
    fn from_row(row: Row<'_>) -> Result<Self, AppError> {
        let session = Session {
            id: row.get("session_id")?,
            user: user_from_row(row)?,
            in_team: row.get("in_team")?,
            confirmed_at: row.get("confirmed_at")?,
            ip: None,
        };
        Ok(Self { session, seen_at: row.get("seen_at")? })
    }
}

/// Lists the user's live sessions, newest first.
pub async fn list(db: &Db, session: &Session, now: Timestamp) -> Result<Vec<SessionFacts>, AppError> {
    let sql = "SELECT id, created_at, seen_at, user_agent FROM sessions \
               WHERE user_id = $1 AND seen_at > $2 AND created_at > $3 ORDER BY created_at DESC, id DESC";
    let (seen_after, created_after) = (now.plus(-IDLE_TIMEOUT), now.plus(-ABSOLUTE_TIMEOUT));
    let params = params![session.user.id, seen_after, created_after];
    let mut sessions = db.query_inline(sql, params, session_facts).await?;
    for facts in &mut sessions {
        facts.current = facts.id == session.id;
    }
    Ok(sessions)
}

fn session_facts(row: Row<'_>) -> Result<SessionFacts, AppError> {
    Ok(SessionFacts {
        id: row.get("id")?,
        current: false,
        created_at: row.get("created_at")?,
        seen_at: row.get("seen_at")?,
        browser: browser_name(&row.get::<String>("user_agent")?),
    })
}

/// Ends a session of this session's user, by its id from a form.
///
/// # Errors
/// [`AppError::NotFound`] if the user has no such session.
pub async fn end_own(db: &Db, session: &Session, id: &str, now: Timestamp) -> Result<(), AppError> {
    let id = SessionId::parse(id).ok_or(AppError::NotFound)?;
    let mut tx = session.begin(db).await?;
    if !end(&mut tx, &id, &session.actor(now)).await? {
        return Err(AppError::NotFound);
    }
    tx.commit().await?;
    Ok(())
}

/// Ends a session of the acting user. Returns false if there is none.
pub async fn end(tx: &mut Tx, id: &SessionId, by: &Actor) -> Result<bool, AppError> {
    let sql = "DELETE FROM sessions WHERE id = $1 AND user_id = $2";
    if tx.execute(sql, params![id, by.user]).await? == 0 {
        return Ok(false);
    }
    record_end(tx, by, "").await?;
    Ok(true)
}

async fn record_end(tx: &mut Tx, by: &Actor, detail: &str) -> Result<(), AppError> {
    let about =
        AuditTarget { user: by.user.as_ref(), subject: &by.name, detail: detail.to_owned(), ..AuditTarget::default() };
    audit::record(tx, by, Action::SessionEnd, about).await
}

/// Ends all other sessions of the user, and returns how many.
pub async fn end_others(db: &Db, session: &Session, now: Timestamp) -> Result<u64, AppError> {
    let mut tx = session.begin(db).await?;
    let ended = end_others_in(&mut tx, session, now).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Like [`end_others`], within a transaction.
pub async fn end_others_in(tx: &mut Tx, session: &Session, now: Timestamp) -> Result<u64, AppError> {
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND id <> $2";
    let ended = tx.execute(sql, params![session.user.id, session.id]).await?;
    if ended > 0 {
        record_end(tx, &session.actor(now), "everywhere else").await?;
    }
    Ok(ended)
}

/// Ends all sessions of a user.
pub async fn end_all(tx: &mut Tx, user: &UserId) -> Result<(), AppError> {
    tx.execute("DELETE FROM sessions WHERE user_id = $1", params![user]).await?;
    Ok(())
}
