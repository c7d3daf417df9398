//! Accounts: their queries, and the rules that need data.

use secrecy::SecretString;

use super::auth::password::{Passwords, Verdict};
use super::auth::secrets;
use super::auth::sessions::{self, Session};
use super::db::{Db, execute, fetch, is_taken};
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::time::Timestamp;
use crate::model::users::{Email, User, UserId, display_name};

/// An account that shall be made.
#[derive(Debug)]
pub struct NewUser {
    /// Its email address.
    pub email: Email,
    /// Its display name; may be empty.
    pub name: String,
    /// Whether it may do everything.
    pub superuser: bool,
    /// Its password.
    pub password: SecretString,
}

/// An account, as the operator's list has it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Account {
    /// Who.
    #[sqlx(flatten)]
    pub user: User,
    /// Whether it may do everything.
    pub superuser: bool,
    /// Since when it may not sign in.
    pub disabled_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Makes an account.
///
/// # Errors
/// [`AppError::Invalid`] if the password is weak or the address is taken. The password is hashed before the address is
/// looked for, so that the time it takes tells nothing.
pub async fn create(db: &Db, passwords: &Passwords, new: NewUser, now: Timestamp) -> Result<User, AppError> {
    let hash = passwords.hash(new.password, "password", new.email.as_str().to_owned()).await?;
    let user = User {
        id: UserId::parse(&secrets::make_id(now)).ok_or(AppError::Internal)?,
        email: new.email.as_str().to_owned(),
        name: new.name,
    };
    let sql = "INSERT INTO users (id, email, name, password_hash, superuser, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $6)";
    let mut conn = db.write().await?;
    match execute!(conn, sql, &user.id, &user.email, &user.name, hash, new.superuser, now) {
        Ok(_) => Ok(user),
        Err(error) if is_taken(&error) => {
            Err(FieldErrors::one("email", "This address has an account already. Sign in instead.").into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Checks email and password and gives the user. An unknown address, a wrong password and a disabled account are one
/// answer, and take the same time (ASVS 5.0, 6.3.8).
///
/// # Errors
/// [`AppError::Invalid`] with that one answer.
pub async fn sign_in(db: &Db, passwords: &Passwords, email: &str, password: SecretString) -> Result<User, AppError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        #[sqlx(flatten)]
        user: User,
        password_hash: String,
    }
    let row = match Email::parse(email) {
        Ok(email) => {
            let sql = "SELECT id, email, name, password_hash FROM users WHERE email = $1 AND disabled_at IS NULL";
            let mut conn = db.read().await?;
            fetch!(conn, optional Row, sql, email.as_str())?
        }
        Err(_) => None,
    };
    let (user, stored) = row.map(|row| (row.user, row.password_hash)).unzip();
    let verdict = passwords.verify(password, stored).await?;
    match (verdict, user) {
        (Verdict::Right, Some(user)) => Ok(user),
        (Verdict::RightButOld(hash), Some(user)) => {
            let mut conn = db.write().await?;
            execute!(conn, "UPDATE users SET password_hash = $2 WHERE id = $1", &user.id, hash)?;
            Ok(user)
        }
        _ => Err(FieldErrors::whole("The email address or the password is wrong.").into()),
    }
}

/// Sets the display name.
///
/// # Errors
/// [`AppError::Invalid`] if it is too long.
pub async fn rename(db: &Db, user: &UserId, name: &str, now: Timestamp) -> Result<(), AppError> {
    let name = display_name(name).map_err(|sentence| FieldErrors::one("name", sentence))?;
    let mut conn = db.write().await?;
    execute!(conn, "UPDATE users SET name = $2, updated_at = $3 WHERE id = $1", user, name, now)?;
    Ok(())
}

/// Changes the password of whoever is signed in, and ends the other sessions.
///
/// # Errors
/// [`AppError::Invalid`] if the current one is wrong or the new one weak.
pub async fn change_password(
    db: &Db,
    passwords: &Passwords,
    session: &Session,
    (current, new): (SecretString, SecretString),
) -> Result<(), AppError> {
    let id = &session.user.id;
    let mut conn = db.read().await?;
    let (stored,) = fetch!(conn, one(String,), "SELECT password_hash FROM users WHERE id = $1", id)?;
    drop(conn);
    if passwords.verify(current, Some(stored)).await? == Verdict::Wrong {
        return Err(FieldErrors::one("current", "This is not your current password.").into());
    }
    let hash = passwords.hash(new, "new", session.user.email.clone()).await?;
    let mut conn = db.write().await?;
    execute!(conn, "UPDATE users SET password_hash = $2 WHERE id = $1", id, hash)?;
    drop(conn);
    sessions::end_others(db, session).await.map(|_| ())
}

/// Sets a password for the operator, and ends all sessions of the account. False if there is no such account.
///
/// # Errors
/// [`AppError::Invalid`] if the password is weak.
pub async fn set_password(db: &Db, passwords: &Passwords, email: &Email, new: SecretString) -> Result<bool, AppError> {
    let hash = passwords.hash(new, "password", email.as_str().to_owned()).await?;
    let Some(user) = find(db, email).await? else { return Ok(false) };
    let mut tx = db.begin().await?;
    execute!(tx, "UPDATE users SET password_hash = $2 WHERE id = $1", &user.id, hash)?;
    sessions::end_all(&mut tx, &user.id).await?;
    tx.commit().await?;
    Ok(true)
}

/// Disables an account: its sessions end and its keys are refused from the next request on. False if there is none.
///
/// # Errors
/// If the database does not answer.
pub async fn disable(db: &Db, email: &Email, now: Timestamp) -> Result<bool, AppError> {
    let Some(user) = find(db, email).await? else { return Ok(false) };
    let mut tx = db.begin().await?;
    execute!(tx, "UPDATE users SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL", &user.id, now)?;
    sessions::end_all(&mut tx, &user.id).await?;
    tx.commit().await?;
    Ok(true)
}

/// Enables an account again; its keys work as before. False if there is none.
///
/// # Errors
/// If the database does not answer.
pub async fn enable(db: &Db, email: &Email) -> Result<bool, AppError> {
    let mut conn = db.write().await?;
    Ok(execute!(conn, "UPDATE users SET disabled_at = NULL WHERE email = $1", email.as_str())? > 0)
}

/// The account with this email address.
///
/// # Errors
/// If the database does not answer.
pub async fn find(db: &Db, email: &Email) -> Result<Option<User>, AppError> {
    let mut conn = db.read().await?;
    Ok(fetch!(conn, optional User, "SELECT id, email, name FROM users WHERE email = $1", email.as_str())?)
}

/// All accounts, the oldest first.
///
/// # Errors
/// If the database does not answer.
pub async fn list(db: &Db) -> Result<Vec<Account>, AppError> {
    let mut conn = db.read().await?;
    let sql = "SELECT id, email, name, superuser, disabled_at, created_at FROM users ORDER BY created_at, id";
    Ok(fetch!(conn, all Account, sql)?)
}
