//! Sessions: 256 random bits in a cookie, their SHA-256 in the table. Idle for 7 days or after 30 days they end.

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
use crate::server::db::row::Row;
use crate::server::db::{Db, Tx, execute, fetch};

/// After so long without a request a session ends, in milliseconds.
pub const IDLE: i64 = 7 * DAY;
/// After so long a session ends in any case, in milliseconds.
pub const ABSOLUTE: i64 = 30 * DAY;
/// How many sessions a user can have at once.
pub const MAX_SESSIONS: i64 = 100;
/// For so long after the password was entered nothing asks for it again, in milliseconds.
pub const CONFIRMED: i64 = 15 * 60 * 1000;
/// How exactly the last sight of a session is kept, in milliseconds: a write a minute, not a write a request.
const SEEN_EVERY: i64 = 60 * 1000;

/// A live session and its user.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user: User,
    /// Whether the user is in any team: most are in none, and their teams need not be asked for.
    pub in_team: bool,
    /// When the password was last entered in it: at the sign-in, or since.
    pub confirmed_at: Timestamp,
    /// Where the request that found it comes from.
    pub ip: Option<IpAddr>,
}

impl Session {
    /// Whoever is signed in, for the audit.
    #[must_use]
    pub fn by(&self, now: Timestamp) -> Actor {
        Actor::user(&self.user, self.ip, now)
    }

    /// Begins a transaction that changes something in the name of this session. Locks the account and the session, so that what
    /// is checked here still holds at the commit. Every change that a signed-in user makes goes through here.
    ///
    /// # Errors
    /// [`AppError::CredentialsMissing`] if the session has ended or the account was disabled since the request began.
    pub async fn begin(&self, db: &Db) -> Result<Tx, AppError> {
        let mut tx = db.begin().await?;
        self.lock(&mut tx).await?;
        Ok(tx)
    }

    /// Like [`Session::begin`], for what only a superuser may do. The lock that all of these share comes first: two
    /// administrators who act on each other would otherwise wait for each other.
    ///
    /// # Errors
    /// As [`Session::begin`], and [`AppError::NotFound`] if the user is no longer a superuser.
    pub async fn begin_as_superuser(&self, db: &Db) -> Result<Tx, AppError> {
        let mut tx = db.begin().await?;
        lock_superusers(&mut tx).await?;
        if self.lock(&mut tx).await? { Ok(tx) } else { Err(AppError::NotFound) }
    }

    /// Locks the account and then the session; every transaction takes them in this order. Returns whether the user is a
    /// superuser.
    async fn lock(&self, tx: &mut Tx) -> Result<bool, AppError> {
        let sql = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND disabled_at IS NULL RETURNING superuser";
        let (superuser,) = fetch!(tx, optional(bool,), sql, &self.user.id)?.ok_or(AppError::CredentialsMissing)?;
        let sql = "UPDATE sessions SET seen_at = seen_at WHERE id = $1 AND user_id = $2";
        if execute!(tx, sql, &self.id, &self.user.id)? == 0 {
            return Err(AppError::CredentialsMissing);
        }
        Ok(superuser)
    }

    /// Refuses a session whose user has not entered the password for a while: the one place that decides it, for all that
    /// must not be done at a desk that somebody left.
    ///
    /// # Errors
    /// [`AppError::ReauthenticationRequired`].
    pub fn check_recent_auth(&self, now: Timestamp) -> Result<(), AppError> {
        if now < self.confirmed_at.plus(CONFIRMED) { Ok(()) } else { Err(AppError::ReauthenticationRequired) }
    }
}

/// The name of the cookie: one of our own, for browsers share cookies between all ports of a host, and programs on localhost
/// like the name `session`. With https no other host can set it (`__Host-`); without, browsers would drop it so.
#[must_use]
pub fn cookie_name(config: &Config) -> &'static str {
    if config.https() { "__Host-keyfob_session" } else { "keyfob_session" }
}

/// The cookie of a new session.
#[must_use]
pub fn cookie(config: &Config, secret: &SecretString) -> String {
    let kept = time::Duration::milliseconds(ABSOLUTE);
    bare_cookie(config, (cookie_name(config), secret.expose_secret().to_owned()), kept)
}

/// The cookie that takes a session's cookie away.
#[must_use]
pub fn no_cookie(config: &Config) -> String {
    bare_cookie(config, (cookie_name(config), String::new()), time::Duration::ZERO)
}

/// A cookie with this name and value that no script reads, kept for so long.
pub fn bare_cookie(config: &Config, cookie: (&str, String), kept: time::Duration) -> String {
    Cookie::build(cookie)
        .path("/")
        .http_only(true)
        .secure(config.https())
        .same_site(SameSite::Lax)
        .max_age(kept)
        .to_string()
}

/// Locks the row that every change by or of a superuser holds.
///
/// # Errors
/// If the database does not answer.
pub async fn lock_superusers(tx: &mut Tx) -> Result<(), AppError> {
    execute!(tx, "UPDATE locks SET name = name WHERE name = 'superusers'")?;
    Ok(())
}

/// Makes a session for a user within a sign-in, and throws the user's ended ones away. Of too many, the one that was seen least
/// recently ends. Gives the secret for the cookie.
///
/// # Errors
/// If the database does not answer.
pub async fn create(tx: &mut Tx, user: &UserId, user_agent: &str, by: &Actor) -> Result<SecretString, AppError> {
    let (secret, now) = (random::make_session(), by.at);
    // Two sign-ins at once are counted one after the other.
    execute!(tx, "UPDATE users SET updated_at = updated_at WHERE id = $1", user)?;
    execute!(
        tx,
        "DELETE FROM sessions WHERE user_id = $1 AND (seen_at <= $2 OR created_at <= $3)",
        user,
        now.plus(-IDLE),
        now.plus(-ABSOLUTE)
    )?;
    // SQLite has no OFFSET without a LIMIT.
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND id IN (SELECT id FROM sessions WHERE user_id = $1 \
               ORDER BY seen_at DESC, id DESC LIMIT 1000000000 OFFSET $2)";
    if execute!(tx, sql, user, MAX_SESSIONS - 1)? > 0 {
        record_end(tx, by, "the one seen least recently: there were too many").await?;
    }
    execute!(
        tx,
        "INSERT INTO sessions (id, digest, user_id, user_agent, created_at, seen_at, confirmed_at) \
         VALUES ($1, $2, $3, $4, $5, $5, $5)",
        random::make_id(now),
        key_format::digest_of(&secret),
        user,
        user_agent,
        now
    )?;
    Ok(secret)
}

/// Notes that the password was entered in a session just now, and gives the session a new secret, as each sign-in has a new
/// one (ASVS 5.0, 7.2.4). Returns the secret for the cookie.
///
/// # Errors
/// [`AppError::CredentialsMissing`] if the session has ended.
pub async fn confirm(tx: &mut Tx, session: &Session, now: Timestamp) -> Result<SecretString, AppError> {
    let (secret, user) = (random::make_session(), &session.user.id);
    let sql = "UPDATE sessions SET digest = $3, confirmed_at = $4 WHERE id = $1 AND user_id = $2";
    let found = execute!(tx, sql, &session.id, user, key_format::digest_of(&secret), now)?;
    if found == 1 { Ok(secret) } else { Err(AppError::CredentialsMissing) }
}

/// The live session of a request's cookie, and its user. Notes that it was seen.
///
/// # Errors
/// If the database does not answer.
pub async fn find(db: &Db, config: &Config, parts: &Parts, now: Timestamp) -> Result<Option<Session>, AppError> {
    let jar = CookieJar::from_headers(&parts.headers);
    let Some(cookie) = jar.get(cookie_name(config)).filter(|cookie| cookie.value().len() == 64) else {
        return Ok(None);
    };
    let digest = key_format::digest_of(&SecretString::from(cookie.value()));
    let sql = "SELECT s.id AS session_id, s.seen_at, s.confirmed_at, u.id, u.email, u.name, u.superuser, \
               EXISTS (SELECT 1 FROM members WHERE user_id = u.id) AS in_team FROM sessions s JOIN users u ON u.id = s.user_id \
               WHERE s.digest = $1 AND s.seen_at > $2 AND s.created_at > $3 AND u.disabled_at IS NULL";
    let args = [digest.as_str().into(), now.plus(-IDLE).into(), now.plus(-ABSOLUTE).into()];
    let read = |row: Row<'_>| {
        let user = User {
            id: row.parse("id", UserId::parse)?,
            email: row.get("email")?,
            name: row.get("name")?,
            superuser: row.get("superuser")?,
        };
        let (id, in_team) = (row.parse("session_id", SessionId::parse)?, row.get("in_team")?);
        let (confirmed_at, ip) = (row.time("confirmed_at")?, client_ip::client_ip(&parts.extensions));
        Ok((Session { id, user, in_team, confirmed_at, ip }, row.time("seen_at")?))
    };
    let Some((session, seen_at)) = db.row(sql, &args, read).await? else { return Ok(None) };
    if seen_at <= now.plus(-SEEN_EVERY) {
        let mut conn = db.write().await?;
        execute!(conn, "UPDATE sessions SET seen_at = $2 WHERE id = $1 AND seen_at < $2", &session.id, now)?;
    }
    Ok(Some(session))
}

/// The user's live sessions, the newest first.
///
/// # Errors
/// If the database does not answer.
pub async fn list(db: &Db, session: &Session, now: Timestamp) -> Result<Vec<SessionFacts>, AppError> {
    let sql = "SELECT id, created_at, seen_at, user_agent FROM sessions \
               WHERE user_id = $1 AND seen_at > $2 AND created_at > $3 ORDER BY created_at DESC, id DESC";
    let args = [session.user.id.as_str().into(), now.plus(-IDLE).into(), now.plus(-ABSOLUTE).into()];
    let read = |row: Row<'_>| {
        let id = row.parse("id", SessionId::parse)?;
        Ok(SessionFacts {
            current: id == session.id,
            id,
            created_at: row.time("created_at")?,
            seen_at: row.time("seen_at")?,
            browser: browser_name(&row.get::<String>("user_agent")?),
        })
    };
    db.rows(sql, &args, read).await
}

/// Ends a session of this session's user, by the id that a page sent.
///
/// # Errors
/// [`AppError::NotFound`] if the user has no such session, and as [`Session::begin`].
pub async fn end_own(db: &Db, session: &Session, id: &str, now: Timestamp) -> Result<(), AppError> {
    let id = SessionId::parse(id).ok_or(AppError::NotFound)?;
    let mut tx = session.begin(db).await?;
    if !end(&mut tx, &id, &session.by(now)).await? {
        return Err(AppError::NotFound);
    }
    tx.commit().await?;
    Ok(())
}

/// Ends one session of the user. False if there was none.
///
/// # Errors
/// If the database does not answer.
pub async fn end(tx: &mut Tx, id: &SessionId, by: &Actor) -> Result<bool, AppError> {
    if execute!(tx, "DELETE FROM sessions WHERE id = $1 AND user_id = $2", id, &by.user)? == 0 {
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

/// Ends all the user's sessions but one; gives how many.
///
/// # Errors
/// As [`Session::begin`].
pub async fn end_others(db: &Db, session: &Session, now: Timestamp) -> Result<u64, AppError> {
    let mut tx = session.begin(db).await?;
    let ended = end_others_in(&mut tx, session, now).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Like [`end_others`], within a change that calls for it.
///
/// # Errors
/// If the database does not answer.
pub async fn end_others_in(tx: &mut Tx, session: &Session, now: Timestamp) -> Result<u64, AppError> {
    let ended = execute!(tx, "DELETE FROM sessions WHERE user_id = $1 AND id <> $2", &session.user.id, &session.id)?;
    if ended > 0 {
        record_end(tx, &session.by(now), "everywhere else").await?;
    }
    Ok(ended)
}

/// Ends all the user's sessions, within a change that calls for it.
///
/// # Errors
/// If the database does not answer.
pub async fn end_all(tx: &mut Tx, user: &UserId) -> Result<(), AppError> {
    execute!(tx, "DELETE FROM sessions WHERE user_id = $1", user)?;
    Ok(())
}
