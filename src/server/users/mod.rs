//! User accounts: queries, and the rules that need data.

mod admin;
mod deletion;
mod email;
pub mod export;
pub mod resets;
pub(super) mod row;

use secrecy::SecretString;

pub use self::admin::{AccountChange, change, change_as_superuser, page_with_dialog};
pub use self::deletion::{delete, delete_as_superuser, delete_own, finish_deletions};
pub use self::email::{change_own as change_own_email, set_email};
use self::row::{account_from_row, user_from_row};
use super::audit;
use super::audit::{Actor, AuditTarget};
use super::auth::login_attempt::{LoginAttempt, LoginScope};
use super::auth::password::{HashSlot, Passwords, SlotOwner, Verdict, check_max_length};
use super::auth::sessions::Session;
use super::auth::{login_throttle, random, sessions};
use super::db::fold::fold;
use super::db::row::{Row, params};
use super::db::{Db, Tx, is_unique_violation};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::time::Timestamp;
use crate::model::users::{Account, Email, User, UserId, display_name};

/// The error of a wrong password in an open session.
pub const WRONG_PASSWORD: &str = "This is not your password.";

/// User to create.
#[derive(Debug)]
pub struct NewUser {
    pub email: Email,
    /// Display name; may be empty.
    pub name: String,
    pub superuser: bool,
    pub password: SecretString,
}

/// Creates a user. The password is hashed before the address is looked up, so that the time reveals nothing.
///
/// # Errors
/// [`AppError::Invalid`] if the password is weak or the address is taken.
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
    let mut tx = db.begin().await?;
    // Older versions stored other forms of the same address, which the unique index does not catch.
    let [one, two, three, four] = &new.email.forms();
    let same_address = "SELECT id FROM users WHERE email IN ($1, $2, $3, $4) LIMIT 1";
    let same_address =
        tx.query_optional(same_address, params![one, two, three, four], |row| row.get::<UserId>("id")).await?;
    if same_address.is_some() {
        return Err(taken("Sign in instead."));
    }
    let folded = fold(&user.name);
    let params = params![user.id, user.email, user.name, hash, user.superuser, by.at, folded];
    match tx.execute(sql, params).await {
        Err(error) if is_unique_violation(&error) => return Err(taken("Sign in instead.")),
        other => other?,
    };
    record(&mut tx, by, Action::AccountCreate, &user).await?;
    tx.commit().await?;
    Ok(Verified { user, hash, rehashed: None })
}

fn taken(what_to_do: &str) -> AppError {
    FieldErrors::one("email", format!("This address already has an account. {what_to_do}")).into()
}

async fn record(tx: &mut Tx, by: &Actor, action: Action, user: &User) -> Result<(), AppError> {
    audit::record(tx, by, action, AuditTarget { user: Some(&user.id), subject: &user.email, ..AuditTarget::default() })
        .await
}

/// User to check a password for.
#[derive(Debug)]
pub struct SignInCandidate {
    pub user: User,
    pub password_hash: String,
}

/// Returns the active user with this typed email address.
pub async fn find_sign_in_candidate(db: &Db, email: &str) -> Result<Option<SignInCandidate>, AppError> {
    let Ok(email) = Email::to_find(email) else { return Ok(None) };
    let sql = "SELECT id, email, name, superuser, password_hash FROM users WHERE email IN ($1, $2, $3, $4) \
               AND disabled_at IS NULL";
    let [one, two, three, four] = &email.forms();
    let read =
        |row: Row<'_>| Ok(SignInCandidate { user: user_from_row(row)?, password_hash: row.get("password_hash")? });
    let found = db.query_inline(sql, params![one, two, three, four], read).await?;
    Ok(email.best_match(found, |candidate| &candidate.user.email))
}

/// User whose password was right.
#[derive(Debug)]
pub struct Verified {
    pub user: User,
    /// Stored hash that the password was checked against.
    hash: String,
    /// New hash of the same password, if the stored one has old parameters or is imported.
    rehashed: Option<String>,
}

impl Verified {
    /// Locks the account in the transaction of a sign-in, updates an outdated hash, and returns the current hash. Returns
    /// `None` if the password changed or the account was disabled meanwhile.
    pub async fn lock(&self, tx: &mut Tx) -> Result<Option<String>, AppError> {
        let current = self.rehashed.as_ref().unwrap_or(&self.hash);
        let sql = "UPDATE users SET password_hash = $3, imported_cost = NULL \
                   WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL";
        let found = tx.execute(sql, params![self.user.id, self.hash, current]).await?;
        Ok((found == 1).then(|| current.clone()))
    }
}

/// Returns the candidate if the password is theirs. An unknown user takes the same time (ASVS 5.0, 6.3.8).
pub async fn verify_password(
    db: &Db,
    slot: &HashSlot,
    candidate: Option<SignInCandidate>,
    password: SecretString,
) -> Result<Option<Verified>, AppError> {
    let stored = candidate.as_ref().map(|candidate| candidate.password_hash.clone());
    let rehashed = match slot.verify(password, stored, slowest_imported_hash(db).await?).await? {
        Verdict::Wrong => return Ok(None),
        Verdict::Right => None,
        Verdict::RightButOutdated(hash) => Some(hash),
    };
    Ok(candidate.map(|SignInCandidate { user, password_hash }| Verified { user, hash: password_hash, rehashed }))
}

/// Returns the cost of the slowest imported password hash whose user has not signed in yet; 0 without one.
async fn slowest_imported_hash(db: &Db) -> Result<u32, AppError> {
    // The first letter tells the hashes of this program. A change of the password leaves the cost behind.
    let sql = "SELECT imported_cost FROM users WHERE imported_cost IS NOT NULL AND disabled_at IS NULL \
               AND password_hash NOT LIKE '$%' ORDER BY imported_cost DESC LIMIT 1";
    let slowest: Option<i64> = db.query_optional(sql, params![], |row| row.get("imported_cost")).await?;
    Ok(slowest.and_then(|cost| u32::try_from(cost).ok()).unwrap_or(0))
}

/// Returns the stored hash if the password is the session user's. Failures are throttled, so that nobody can guess the
/// password in an open session.
///
/// # Errors
/// [`AppError::RateLimited`] after too many failures; [`AppError::Unavailable`] if the password queue is full.
pub async fn check_password(
    db: &Db,
    slot: &HashSlot,
    session: &Session,
    password: SecretString,
    now: Timestamp,
) -> Result<Option<String>, AppError> {
    let attempt = LoginAttempt::begin(db, LoginScope::Session(&session.id), None, &session.actor(now)).await?;
    let sql = "SELECT password_hash FROM users WHERE id = $1";
    let stored: Option<String> =
        db.query_optional(sql, params![session.user.id], |row| row.get("password_hash")).await?;
    // The account may have been deleted since the request began.
    let stored = stored.ok_or(AppError::CredentialsMissing)?;
    match slot.verify(password, Some(stored.clone()), 0).await {
        Ok(Verdict::Wrong) => Ok(None),
        Ok(_) => attempt.succeed_in_session(db).await.map(|()| Some(stored)),
        Err(error) => {
            attempt.cancel(db).await;
            Err(error)
        }
    }
}

/// Whether the user's password still has this hash. Locks the account until the commit.
pub async fn has_password_hash(tx: &mut Tx, user: &UserId, hash: &str) -> Result<bool, AppError> {
    let sql = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND password_hash = $2";
    Ok(tx.execute(sql, params![user, hash]).await? > 0)
}

/// Changes the display name.
///
/// # Errors
/// [`AppError::Invalid`] if it is too long.
pub async fn rename(db: &Db, session: &Session, name: &str, now: Timestamp) -> Result<(), AppError> {
    let name = display_name(name).map_err(|sentence| FieldErrors::one("name", sentence))?;
    let (user, by) = (&session.user, session.actor(now));
    let mut tx = session.begin(db).await?;
    let sql = "UPDATE users SET name = $2, name_folded = $3, updated_at = $4 WHERE id = $1";
    tx.execute(sql, params![user.id, name, fold(&name), by.at]).await?;
    tx.invalidate_user(&user.id).await?;
    record(&mut tx, &by, Action::AccountName, user).await?;
    tx.commit().await?;
    Ok(())
}

/// Result of [`change_password`].
pub struct ChangedPassword {
    /// New secret for the cookie of this session.
    pub session_secret: SecretString,
    pub password_hash: String,
}

/// Changes the password of this session's user, and ends the user's other sessions.
///
/// # Errors
/// [`AppError::Invalid`] if the current password is wrong or the new one weak, [`AppError::RateLimited`] after too many wrong
/// ones.
pub async fn change_password(
    db: &Db,
    passwords: &Passwords,
    session: &Session,
    current: SecretString,
    new: SecretString,
    now: Timestamp,
) -> Result<ChangedPassword, AppError> {
    check_max_length(&current, "current")?;
    let wrong = || AppError::from(FieldErrors::one("current", "This is not your current password."));
    let slot = passwords.take_slot(SlotOwner::User(&session.user.id), now)?;
    let verified = check_password(db, &slot, session, current, now).await?.ok_or_else(wrong)?;
    let password_hash = slot.hash(new, "new", session.user.email.clone()).await?;
    drop(slot);
    let mut tx = session.begin(db).await?;
    let sql = "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
    if tx.execute(sql, params![session.user.id, verified, password_hash]).await? == 0 {
        return Err(wrong());
    }
    resets::withdraw(&mut tx, &session.user.id).await?;
    let session_secret = sessions::renew(&mut tx, session, now).await?;
    record(&mut tx, &session.actor(now), Action::AccountPassword, &session.user).await?;
    sessions::end_others_in(&mut tx, session, now).await?;
    tx.commit().await?;
    Ok(ChangedPassword { session_secret, password_hash })
}

/// Sets a password for the operator, ends all sessions of the user, and clears the sign-in delay. Returns false if there is no
/// such user.
///
/// # Errors
/// [`AppError::Invalid`] if the password is weak.
pub async fn set_password(
    db: &Db,
    passwords: &Passwords,
    email: &Email,
    new: SecretString,
    by: &Actor,
) -> Result<bool, AppError> {
    let hash = passwords.hash(new, "password", email.as_str().to_owned()).await?;
    let Some(user) = find(db, email).await? else { return Ok(false) };
    let mut tx = db.begin().await?;
    let sql = "UPDATE users SET password_hash = $2, imported_cost = NULL WHERE id = $1";
    if tx.execute(sql, params![user.id, hash]).await? == 0 {
        return Ok(false);
    }
    resets::withdraw(&mut tx, &user.id).await?;
    sessions::end_all(&mut tx, &user.id).await?;
    login_throttle::clear(&mut tx, &user.id).await?;
    record(&mut tx, by, Action::AccountPassword, &user).await?;
    tx.commit().await?;
    Ok(true)
}

/// Returns the user with this email address.
pub async fn find(db: &Db, email: &Email) -> Result<Option<User>, AppError> {
    let [one, two, three, four] = &email.forms();
    let sql = "SELECT id, email, name, superuser FROM users WHERE email IN ($1, $2, $3, $4)";
    let found = db.query_inline(sql, params![one, two, three, four], user_from_row).await?;
    Ok(email.best_match(found, |user| &user.email))
}

/// Passes all accounts to `show`, oldest first, for the command line.
pub async fn list(db: &Db, mut show: impl FnMut(Account)) -> Result<(), AppError> {
    // Ids sort by time, and the index finds the next batch without reading earlier ones.
    let sql =
        "SELECT id, email, name, superuser, disabled_at, created_at FROM users WHERE id > $1 ORDER BY id LIMIT 500";
    let mut after = String::new();
    loop {
        let accounts = db.query(sql, params![after], account_from_row).await?;
        let Some(last) = accounts.last() else { return Ok(()) };
        after = last.user.id.to_string();
        accounts.into_iter().for_each(&mut show);
    }
}

/// Returns the user with this id, or [`AppError::NotFound`].
pub async fn get(db: &Db, id: &str) -> Result<User, AppError> {
    let id = UserId::parse(id).ok_or(AppError::NotFound)?;
    let sql = "SELECT id, email, name, superuser FROM users WHERE id = $1";
    db.query_optional(sql, params![id], user_from_row).await?.ok_or(AppError::NotFound)
}

/// Whether any user exists.
pub async fn any_exist(db: &Db) -> Result<bool, AppError> {
    let found = db.query_optional("SELECT id FROM users LIMIT 1", params![], |row| row.get::<UserId>("id")).await?;
    Ok(found.is_some())
}
