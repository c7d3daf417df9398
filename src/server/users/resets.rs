//! One-time links with which a user sets a new password. Without mail, an administrator makes one and hands it over.
//!
//! The link holds 256 random bits, the table only their SHA-256. An account has one link at a time. It works once, for a day, and
//! ends with a change of the password or when the account is disabled.

use secrecy::{ExposeSecret, SecretString};

use super::row::user_from_row;
use super::{get, record};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::time::{DAY, Timestamp};
use crate::model::users::{User, UserId};
use crate::server::audit::Actor;
use crate::server::auth::sessions::Session;
use crate::server::auth::{key_format, login_throttle, random, sessions};
use crate::server::db::row::params;
use crate::server::db::{Db, Tx};
use crate::server::state::AppState;

/// Time in which a link works, in milliseconds.
pub const RESET_LINK_TTL: i64 = DAY;
/// The query parameter of a link that holds its token.
pub const TOKEN: &str = "token";

/// A new link. It is shown once.
pub struct ResetLink {
    pub email: String,
    pub url: SecretString,
    pub expires_at: Timestamp,
}

/// Makes a link by the form of a superuser.
///
/// # Errors
/// [`AppError::NotFound`] for an unknown account, [`AppError::Invalid`] for a disabled one.
pub async fn create_link_as_superuser(state: &AppState, session: &Session, id: &str) -> Result<ResetLink, AppError> {
    let user = get(&state.db, id).await?;
    let tx = session.begin_as_superuser(&state.db).await?;
    create_in(tx, &user.id, &state.config.origin(), &session.actor(state.now())).await
}

/// Makes a link for the operator. `origin` is the public address of the server.
///
/// # Errors
/// As [`create_link_as_superuser`].
pub async fn create_link(db: &Db, user: &User, origin: &str, by: &Actor) -> Result<ResetLink, AppError> {
    create_in(db.begin().await?, &user.id, origin, by).await
}

async fn create_in(mut tx: Tx, id: &UserId, origin: &str, by: &Actor) -> Result<ResetLink, AppError> {
    let sql =
        "UPDATE users SET updated_at = updated_at WHERE id = $1 RETURNING id, email, name, superuser, disabled_at";
    let read = |row: crate::server::db::row::Row<'_>| {
        Ok((user_from_row(row)?, row.get::<Option<Timestamp>>("disabled_at")?.is_some()))
    };
    let (user, is_disabled) = tx.query_optional(sql, params![id], read).await?.ok_or(AppError::NotFound)?;
    if is_disabled {
        return Err(FieldErrors::whole("This account is disabled. Enable it first.").into());
    }
    let (token, expires_at) = (random::make_session_secret(), by.at.plus(RESET_LINK_TTL));
    let sql = "INSERT INTO password_resets (user_id, digest, created_at, expires_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (user_id) DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at, \
               expires_at = excluded.expires_at";
    tx.execute(sql, params![id, key_format::digest_of(&token), by.at, expires_at]).await?;
    record(&mut tx, by, Action::AccountResetLink, &user).await?;
    tx.commit().await?;
    let url = format!("{origin}/reset-password?{TOKEN}={}", token.expose_secret()).into();
    Ok(ResetLink { email: user.email, url, expires_at })
}

/// Returns the active user of a link that still works.
pub async fn find_by_token(db: &Db, token: &SecretString, now: Timestamp) -> Result<Option<User>, AppError> {
    let sql = "SELECT u.id, u.email, u.name, u.superuser FROM password_resets r JOIN users u ON u.id = r.user_id \
               WHERE r.digest = $1 AND r.expires_at > $2 AND u.disabled_at IS NULL";
    db.query_optional(sql, params![key_format::digest_of(token), now], user_from_row).await
}

/// Uses a link: sets the password, ends all sessions, and clears the sign-in delay. Returns false if the link no longer works.
pub async fn set_password_by_token(
    db: &Db,
    user: &User,
    token: &SecretString,
    password_hash: &str,
    by: &Actor,
) -> Result<bool, AppError> {
    let mut tx = db.begin().await?;
    // The account first, as everywhere: of two uses at once, the second finds no link.
    let sql = "UPDATE users SET password_hash = $2, imported_cost = NULL WHERE id = $1 AND disabled_at IS NULL";
    if tx.execute(sql, params![user.id, password_hash]).await? == 0 {
        return Ok(false);
    }
    let sql = "DELETE FROM password_resets WHERE user_id = $1 AND digest = $2 AND expires_at > $3";
    if tx.execute(sql, params![user.id, key_format::digest_of(token), by.at]).await? == 0 {
        return Ok(false);
    }
    sessions::end_all(&mut tx, &user.id).await?;
    login_throttle::clear(&mut tx, &user.id).await?;
    record(&mut tx, by, Action::AccountPassword, user).await?;
    tx.commit().await?;
    Ok(true)
}

/// Ends the account's link.
pub async fn withdraw(tx: &mut Tx, user: &UserId) -> Result<(), AppError> {
    tx.execute("DELETE FROM password_resets WHERE user_id = $1", params![user]).await?;
    Ok(())
}
