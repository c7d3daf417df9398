//! Change of an account's email address.

use secrecy::SecretString;

use super::{WRONG_PASSWORD, has_password_hash, taken};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::text::isolated;
use crate::model::time::Timestamp;
use crate::model::users::{Email, User, UserId};
use crate::server::audit::{Actor, AuditTarget, record};
use crate::server::auth::sessions;
use crate::server::auth::sessions::Session;
use crate::server::db::row::params;
use crate::server::db::{Db, Tx, is_unique_violation};

/// Changes the address of the session's user, ends the user's other sessions, and returns the new secret of this one. `verified`
/// is the stored hash that the password was checked against.
///
/// # Errors
/// [`AppError::Invalid`] if the address is taken or unchanged, or if the password was changed meanwhile.
pub async fn change_own(
    db: &Db,
    session: &Session,
    verified: &str,
    new: &Email,
    now: Timestamp,
) -> Result<SecretString, AppError> {
    let (user, by) = (&session.user, session.actor(now));
    let mut tx = session.begin(db).await?;
    if !has_password_hash(&mut tx, &user.id, verified).await? {
        return Err(FieldErrors::one("password", WRONG_PASSWORD).into());
    }
    set_in(&mut tx, &user.id, new, &by).await?;
    let secret = sessions::renew(&mut tx, session, now).await?;
    sessions::end_others_in(&mut tx, session, now).await?;
    tx.commit().await?;
    Ok(secret)
}

/// Changes a user's address for the operator, and ends all sessions of the user.
///
/// # Errors
/// [`AppError::Invalid`] if the address is taken or unchanged.
pub async fn set_email(db: &Db, user: &User, new: &Email, by: &Actor) -> Result<(), AppError> {
    let mut tx = db.begin().await?;
    set_in(&mut tx, &user.id, new, by).await?;
    sessions::end_all(&mut tx, &user.id).await?;
    tx.commit().await?;
    Ok(())
}

async fn set_in(tx: &mut Tx, user: &UserId, new: &Email, by: &Actor) -> Result<(), AppError> {
    let sql = "UPDATE users SET updated_at = updated_at WHERE id = $1 RETURNING email";
    let old: Option<String> = tx.query_optional(sql, params![user], |row| row.get("email")).await?;
    let old = old.ok_or(AppError::NotFound)?;
    if old == new.as_str() {
        return Err(FieldErrors::one("email", "This is the account's address already.").into());
    }
    // Older versions stored other forms of the same address, which the unique index does not catch.
    let [one, two, three, four] = &new.forms();
    let sql = "SELECT id FROM users WHERE email IN ($1, $2, $3, $4) AND id <> $5 LIMIT 1";
    let other = tx.query_optional(sql, params![one, two, three, four, user], |row| row.get::<UserId>("id")).await?;
    if other.is_some() {
        return Err(taken("Choose another."));
    }
    let sql = "UPDATE users SET email = $2, updated_at = $3 WHERE id = $1";
    match tx.execute(sql, params![user, new.as_str(), by.at]).await {
        Err(error) if is_unique_violation(&error) => return Err(taken("Choose another.")),
        other => other?,
    };
    tx.invalidate_user(user).await?;
    let detail = format!("now {}", isolated(new.as_str()));
    let target = AuditTarget { user: Some(user), subject: &old, detail, ..AuditTarget::default() };
    record(tx, by, Action::AccountEmail, target).await
}
