//! Accounts: their queries, and the rules that need data.

mod admin;

use secrecy::SecretString;

pub use self::admin::{Change, account, change, change_by_name, page};
use super::audit;
use super::audit::{Actor, AuditTarget};
use super::auth::login_throttle;
use super::auth::login_throttle::{LoginAttempt, LoginScope};
use super::auth::password;
use super::auth::password::{Passwords, Turn, Verdict};
use super::auth::random;
use super::auth::sessions;
use super::auth::sessions::Session;
use super::db::{Db, Tx, execute, fetch, is_unique_violation};
use super::maintenance::fold_names::fold;
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::time::Timestamp;
use crate::model::users::{Account, Email, User, UserId, display_name};

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

/// Makes an account.
///
/// # Errors
/// [`AppError::Invalid`] if the password is weak or the address is taken. The password is hashed before the address is
/// looked for, so that the time it takes tells nothing.
pub async fn create(db: &Db, passwords: &Passwords, new: NewUser, by: &Actor) -> Result<Verified, AppError> {
    let hash = passwords.hash(new.password, "password", new.email.as_str().to_owned()).await?;
    let user = User {
        id: UserId::parse(&random::make_id(by.at)).ok_or(AppError::Internal)?,
        email: new.email.as_str().to_owned(),
        name: new.name,
        superuser: new.superuser,
    };
    let sql = "INSERT INTO users (id, email, name, password_hash, superuser, created_at, updated_at, name_folded) \
               VALUES ($1, $2, $3, $4, $5, $6, $6, $7)";
    let is_taken_already = || FieldErrors::one("email", "This address has an account already. Sign in instead.");
    let mut tx = db.begin().await?;
    // Older versions stored other forms of the same address; the index does not know that they are the same.
    let [one, two, three, four] = &new.email.forms();
    let taken = "SELECT id FROM users WHERE email IN ($1, $2, $3, $4) LIMIT 1";
    if fetch!(tx, optional(UserId,), taken, one, two, three, four)?.is_some() {
        return Err(is_taken_already().into());
    }
    match execute!(tx, sql, &user.id, &user.email, &user.name, &hash, user.superuser, by.at, fold(&user.name)) {
        Err(error) if is_unique_violation(&error) => return Err(is_taken_already().into()),
        other => other?,
    };
    record(&mut tx, by, Action::AccountCreate, &user).await?;
    tx.commit().await?;
    Ok(Verified { user, hash, rehashed: None })
}

async fn record(tx: &mut Tx, by: &Actor, action: Action, user: &User) -> Result<(), AppError> {
    audit::record(tx, by, action, AuditTarget { user: Some(&user.id), subject: &user.email, ..AuditTarget::default() })
        .await
}

/// The user who may sign in with this email address, and the hash of their password.
///
/// # Errors
/// If the database does not answer.
pub async fn find_to_sign_in(db: &Db, email: &str) -> Result<Option<(User, String)>, AppError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        #[sqlx(flatten)]
        user: User,
        password_hash: String,
    }
    let Ok(email) = Email::to_find(email) else { return Ok(None) };
    let sql = "SELECT id, email, name, superuser, password_hash FROM users WHERE email IN ($1, $2, $3, $4) \
               AND disabled_at IS NULL";
    let [one, two, three, four] = &email.forms();
    let mut conn = db.read().await?;
    let rows = fetch!(conn, all Row, sql, one, two, three, four)?;
    let row = email.nearest(rows, |row| &row.user.email);
    Ok(row.map(|row| (row.user, row.password_hash)))
}

/// A user whose password was right, and the stored hash that it was checked against.
#[derive(Debug)]
pub struct Verified {
    /// The user.
    pub user: User,
    hash: String,
    /// The same password hashed with today's parameters, where the stored hash has older ones.
    rehashed: Option<String>,
}

impl Verified {
    /// Locks the account within a sign-in, if it is active and its password is still the one that was checked, and stores the
    /// new hash of an old one. Returns the hash that is stored now. A password that was changed, or an account that was
    /// disabled, while the sign-in waited returns `None`.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn lock(&self, tx: &mut Tx) -> Result<Option<String>, AppError> {
        let current = self.rehashed.as_ref().unwrap_or(&self.hash);
        let sql = "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL";
        let found = execute!(tx, sql, &self.user.id, &self.hash, current)?;
        Ok((found == 1).then(|| current.clone()))
    }
}

/// Returns the user if it is their password. An unknown user takes the same time (ASVS 5.0, 6.3.8).
///
/// # Errors
/// [`AppError::Unavailable`] if too many wait.
pub async fn sign_in(
    turn: &Turn,
    found: Option<(User, String)>,
    password: SecretString,
) -> Result<Option<Verified>, AppError> {
    let stored = found.as_ref().map(|(_, hash)| hash.clone());
    let rehashed = match turn.verify(password, stored).await? {
        Verdict::Wrong => return Ok(None),
        Verdict::Right => None,
        Verdict::RightButOld(hash) => Some(hash),
    };
    Ok(found.map(|(user, hash)| Verified { user, hash, rehashed }))
}

/// Returns the stored hash if it is the password of this session's user. Counted as a try: a session that was left open must
/// not be the place to guess the password.
///
/// # Errors
/// [`AppError::TooManyTries`] if it was wrong too often; [`AppError::Unavailable`] if too many passwords wait to be checked.
pub async fn check_password(
    db: &Db,
    turn: &Turn,
    session: &Session,
    (password, now): (SecretString, Timestamp),
) -> Result<Option<String>, AppError> {
    let attempt = LoginAttempt::begin(db, (LoginScope::Session(&session.id), None), &session.by(now)).await?;
    let mut conn = db.read().await?;
    let (stored,) = fetch!(conn, one(String,), "SELECT password_hash FROM users WHERE id = $1", &session.user.id)?;
    drop(conn);
    match turn.verify(password, Some(stored.clone())).await {
        Ok(Verdict::Wrong) => Ok(None),
        Ok(_) => attempt.succeed_in_session(db).await.map(|()| Some(stored)),
        Err(error) => {
            attempt.take_back(db).await;
            Err(error)
        }
    }
}

/// Whether this is still the hash of the user's password. Locks the account, so that it stays so until the commit.
///
/// # Errors
/// If the database does not answer.
pub async fn has_password_hash(tx: &mut Tx, user: &UserId, hash: &str) -> Result<bool, AppError> {
    let sql = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND password_hash = $2";
    Ok(execute!(tx, sql, user, hash)? > 0)
}

/// Sets the display name.
///
/// # Errors
/// [`AppError::Invalid`] if it is too long.
pub async fn rename(db: &Db, session: &Session, name: &str, now: Timestamp) -> Result<(), AppError> {
    let name = display_name(name).map_err(|sentence| FieldErrors::one("name", sentence))?;
    let (user, by) = (&session.user, session.by(now));
    let mut tx = session.begin(db).await?;
    let sql = "UPDATE users SET name = $2, name_folded = $3, updated_at = $4 WHERE id = $1";
    execute!(tx, sql, &user.id, &name, fold(&name), by.at)?;
    record(&mut tx, &by, Action::AccountName, user).await?;
    tx.commit().await?;
    Ok(())
}

/// Changes the password of this session's user, and ends the other sessions with the same commit. Returns this session's new
/// secret and the hash of the new password.
///
/// # Errors
/// [`AppError::Invalid`] if the current one is wrong or the new one weak, [`AppError::TooManyTries`] if it was wrong too often.
pub async fn change_password(
    db: &Db,
    passwords: &Passwords,
    session: &Session,
    (current, new, now): (SecretString, SecretString, Timestamp),
) -> Result<(SecretString, String), AppError> {
    password::check_not_too_long(&current, "current")?;
    let wrong = || AppError::from(FieldErrors::one("current", "This is not your current password."));
    let turn = passwords.turn(password::Whose::User(&session.user.id), now)?;
    let verified = check_password(db, &turn, session, (current, now)).await?.ok_or_else(wrong)?;
    let hash = turn.hash(new, "new", session.user.email.clone()).await?;
    drop(turn);
    let mut tx = session.begin(db).await?;
    let sql = "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
    if execute!(tx, sql, &session.user.id, &verified, &hash)? == 0 {
        return Err(wrong());
    }
    let secret = sessions::confirm(&mut tx, session, now).await?;
    record(&mut tx, &session.by(now), Action::AccountPassword, &session.user).await?;
    sessions::end_others_in(&mut tx, session, now).await?;
    tx.commit().await?;
    Ok((secret, hash))
}

/// Sets a password for the operator, ends all sessions of the account, and lets its owner sign in without a wait. False if there is
/// no such account.
///
/// # Errors
/// [`AppError::Invalid`] if the password is weak.
pub async fn set_password(
    db: &Db,
    passwords: &Passwords,
    (email, new): (&Email, SecretString),
    by: &Actor,
) -> Result<bool, AppError> {
    let hash = passwords.hash(new, "password", email.as_str().to_owned()).await?;
    let Some(user) = find(db, email).await? else { return Ok(false) };
    let mut tx = db.begin().await?;
    execute!(tx, "UPDATE users SET password_hash = $2 WHERE id = $1", &user.id, hash)?;
    sessions::end_all(&mut tx, &user.id).await?;
    login_throttle::lift(&mut tx, &user.id).await?;
    record(&mut tx, by, Action::AccountPassword, &user).await?;
    tx.commit().await?;
    Ok(true)
}

/// The account with this email address.
///
/// # Errors
/// If the database does not answer.
pub async fn find(db: &Db, email: &Email) -> Result<Option<User>, AppError> {
    let [one, two, three, four] = &email.forms();
    let sql = "SELECT id, email, name, superuser FROM users WHERE email IN ($1, $2, $3, $4)";
    let mut conn = db.read().await?;
    let found = fetch!(conn, all User, sql, one, two, three, four)?;
    Ok(email.nearest(found, |user| &user.email))
}

/// All accounts, the oldest first, for the operator's command line.
///
/// # Errors
/// If the database does not answer.
pub async fn list(db: &Db, mut show: impl FnMut(Account)) -> Result<(), AppError> {
    // Ids are in the order in which they were made, and their index gives a batch without reading those before it.
    let sql =
        "SELECT id, email, name, superuser, disabled_at, created_at FROM users WHERE id > $1 ORDER BY id LIMIT 500";
    let mut after = String::new();
    loop {
        let mut conn = db.read().await?;
        let accounts = fetch!(conn, all Account, sql, &after)?;
        drop(conn);
        let Some(last) = accounts.last() else { return Ok(()) };
        after = last.user.id.to_string();
        accounts.into_iter().for_each(&mut show);
    }
}

/// The account with this id.
///
/// # Errors
/// [`AppError::NotFound`] if there is none.
pub async fn get(db: &Db, id: &str) -> Result<User, AppError> {
    let id = UserId::parse(id).ok_or(AppError::NotFound)?;
    let mut conn = db.read().await?;
    let sql = "SELECT id, email, name, superuser FROM users WHERE id = $1";
    fetch!(conn, optional User, sql, id)?.ok_or(AppError::NotFound)
}

/// Whether there is any account.
///
/// # Errors
/// If the database does not answer.
pub async fn is_any(db: &Db) -> Result<bool, AppError> {
    let mut conn = db.read().await?;
    Ok(fetch!(conn, optional(UserId,), "SELECT id FROM users LIMIT 1")?.is_some())
}
