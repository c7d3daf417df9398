//! Deletion of accounts.
//!
//! One transaction decides and deletes the account with its sessions, keys and memberships; everything else that is its own goes
//! by foreign keys. Employees and names in the audit can be any number of rows, so they follow in batches: at once, or after a
//! crash by the server's maintenance.

use std::time::Duration;

use tokio::time::timeout;

use super::admin::check_superuser_remains;
use super::row::user_from_row;
use super::{get, has_password_hash};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::keys::KeyId;
use crate::model::teams::TeamId;
use crate::model::time::Timestamp;
use crate::model::users::{Email, User, UserId};
use crate::server::audit::{Actor, AuditTarget, DELETED_USER, erase_user, record};
use crate::server::auth::sessions::Session;
use crate::server::auth::{login_throttle, sessions};
use crate::server::db::row::{Row, params};
use crate::server::db::{Db, Tx};
use crate::server::employees;
use crate::server::state::AppState;
use crate::server::teams::{account_deletion, invitations};

/// Time in which a request removes what a deletion leaves; the maintenance removes the rest.
const CLEAN_UP_TIME: Duration = Duration::from_secs(3);
/// Deletions that one run of the maintenance finishes.
const MAX_FINISHED: i64 = 20;

const OWN_TEAMS: &str = "Make another member an admin first, or remove the other members.";
const TEAMS_OF_ANOTHER: &str = "Make another member an admin first: keyfob team set-role.";

/// Deletes the account of the session. `verified` is the stored hash that its password was checked against.
///
/// # Errors
/// [`AppError::Invalid`] if it is the last active superuser or the only admin of a team with other members, or if the password
/// was changed meanwhile.
pub async fn delete_own(state: &AppState, session: &Session, verified: &str) -> Result<(), AppError> {
    let mut tx = session.begin_as_account(&state.db).await?;
    if !has_password_hash(&mut tx, &session.user.id, verified).await? {
        return Err(FieldErrors::one("password", super::WRONG_PASSWORD).into());
    }
    let by =
        Actor { user: Some(session.user.id.clone()), name: DELETED_USER.into(), ip: String::new(), at: state.now() };
    delete_in(tx, &session.user.id, OWN_TEAMS, &by).await?;
    clean_up(&state.db).await;
    Ok(())
}

/// Deletes the account of another user, by the form of a superuser.
///
/// # Errors
/// [`AppError::NotFound`] for an unknown account, and as [`delete_own`].
pub async fn delete_as_superuser(state: &AppState, session: &Session, id: &str) -> Result<(), AppError> {
    let user = get(&state.db, id).await?;
    if user.id == session.user.id {
        return Err(FieldErrors::whole("Delete your own account on your profile page.").into());
    }
    let tx = session.begin_as_superuser(&state.db).await?;
    delete_in(tx, &user.id, TEAMS_OF_ANOTHER, &session.actor(state.now())).await?;
    clean_up(&state.db).await;
    Ok(())
}

/// Deletes an account for the operator.
///
/// # Errors
/// As [`delete_own`].
pub async fn delete(db: &Db, user: &User, by: &Actor) -> Result<(), AppError> {
    let mut tx = db.begin().await?;
    sessions::lock_superusers(&mut tx).await?;
    delete_in(tx, &user.id, TEAMS_OF_ANOTHER, by).await?;
    finish_deletions(db).await
}

/// Deletes an account in a transaction that holds the superusers' lock, and commits it. The lock keeps two admins of a team, or
/// two superusers, from leaving at once.
async fn delete_in(mut tx: Tx, id: &UserId, what_to_do: &str, by: &Actor) -> Result<(), AppError> {
    let sql = "UPDATE users SET updated_at = updated_at WHERE id = $1 RETURNING id, email, name, superuser";
    let user = tx.query_optional(sql, params![id], user_from_row).await?.ok_or(AppError::NotFound)?;
    let empty_teams = account_deletion::lock_all(&mut tx, id, what_to_do).await?;
    let keys = revoke_keys(&mut tx, id, by).await?;
    for address in addresses(&mut tx, &user).await? {
        invitations::erase(&mut tx, &address).await?;
    }
    login_throttle::clear(&mut tx, id).await?;
    tx.execute("DELETE FROM users WHERE id = $1", params![id]).await?;
    if user.superuser {
        check_superuser_remains(&mut tx).await?;
    }
    for team in &empty_teams {
        account_deletion::delete_empty(&mut tx, team, by).await?;
    }
    let owners = [id.as_str()].into_iter().chain(empty_teams.iter().map(|team| team.id.as_str()));
    for owner in owners {
        tx.execute("INSERT INTO deletions (owner_id, deleted_at) VALUES ($1, $2)", params![owner, by.at]).await?;
    }
    tx.invalidate_user(id).await?;
    let detail = format!("{keys} live key{} revoked", if keys == 1 { "" } else { "s" });
    let target = AuditTarget { user: Some(id), subject: DELETED_USER, detail, ..AuditTarget::default() };
    record(&mut tx, by, Action::AccountDelete, target).await?;
    tx.commit().await?;
    Ok(())
}

/// Revokes the account's keys, and returns how many worked until now: those get an audit event.
async fn revoke_keys(tx: &mut Tx, user: &UserId, by: &Actor) -> Result<usize, AppError> {
    let sql = "UPDATE keys SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL \
               RETURNING id, prefix, team_id, expires_at";
    let mut revoked = tx.query(sql, params![user, by.at], RevokedKey::from_row).await?;
    revoked.retain(|key| key.expires_at.is_none_or(|at| at > by.at));
    for RevokedKey { id, prefix, team, .. } in &revoked {
        let detail = "its user was deleted".to_owned();
        let target = AuditTarget { user: Some(user), key: Some(id), team: team.as_ref(), subject: prefix, detail };
        record(tx, by, Action::KeyRevoke, target).await?;
    }
    Ok(revoked.len())
}

struct RevokedKey {
    id: KeyId,
    prefix: String,
    team: Option<TeamId>,
    expires_at: Option<Timestamp>,
}

impl RevokedKey {
    fn from_row(row: Row<'_>) -> Result<Self, AppError> {
        let (id, prefix) = (row.get("id")?, row.get("prefix")?);
        Ok(Self { id, prefix, team: row.get("team_id")?, expires_at: row.get("expires_at")? })
    }
}

/// Returns the account's address and its earlier ones.
async fn addresses(tx: &mut Tx, user: &User) -> Result<Vec<String>, AppError> {
    let sql = "SELECT DISTINCT subject FROM audit WHERE user_id = $1 AND action = 'account.email'";
    let mut addresses: Vec<String> = tx.query(sql, params![user.id], |row| row.get("subject")).await?;
    addresses.push(user.email.clone());
    // An invitation may have been sent to today's form of an address that an older version stored.
    let normalized: Vec<_> = addresses.iter().filter_map(|address| Email::to_find(address).ok()).collect();
    addresses.extend(normalized.iter().map(|email| email.as_str().to_owned()));
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Removes what deletions have left, for a limited time. The account is gone already, so a failure is left to the maintenance.
async fn clean_up(db: &Db) {
    let _ = timeout(CLEAN_UP_TIME, finish_deletions(db)).await;
}

/// Removes the employees and the names of deleted accounts. The server calls it periodically.
pub async fn finish_deletions(db: &Db) -> Result<(), AppError> {
    let sql = "SELECT owner_id FROM deletions ORDER BY deleted_at, owner_id LIMIT $1";
    let owners: Vec<String> = db.query(sql, params![MAX_FINISHED], |row| row.get("owner_id")).await?;
    for owner in owners {
        employees::delete_all(db, &owner).await?;
        erase_user(db, &owner).await?;
        db.execute("DELETE FROM deletions WHERE owner_id = $1", params![owner]).await?;
    }
    Ok(())
}
