//! Joining and leaving a team. Every function needs a transaction that holds the team's lock.

use super::invitations;
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::keys::KeyId;
use crate::model::teams::{MAX_MEMBERS, MAX_TEAMS, Role, Team};
use crate::model::time::Timestamp;
use crate::model::users::UserId;
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::db::Tx;
use crate::server::db::row::{Row, params};

/// Rejects a user who is in [`MAX_TEAMS`] teams. The caller has locked the user, so that the count holds.
pub(super) async fn check_team_limit(tx: &mut Tx, user: &UserId) -> Result<(), AppError> {
    let sql = "SELECT COUNT(*) AS count FROM members WHERE user_id = $1";
    let teams: i64 = tx.query_one(sql, params![user], |row| row.get("count")).await?;
    if teams < MAX_TEAMS {
        return Ok(());
    }
    let sentence = format!("An account can be in at most {MAX_TEAMS} teams. Leave one first.");
    Err(FieldErrors::whole(sentence).into())
}

async fn check_member_limit(tx: &mut Tx, team: &Team) -> Result<(), AppError> {
    let sql = "SELECT COUNT(*) AS count FROM members WHERE team_id = $1";
    let members: i64 = tx.query_one(sql, params![team.id], |row| row.get("count")).await?;
    if members < MAX_MEMBERS {
        return Ok(());
    }
    let sentence =
        format!("A team can have at most {MAX_MEMBERS} members. Ask an admin of the team to remove someone first.");
    Err(FieldErrors::whole(sentence).into())
}

/// Adds a member. Returns false, and keeps the role, if the user is already in the team.
pub(super) async fn add(tx: &mut Tx, team: &Team, user: &UserId, role: Role, by: &Actor) -> Result<bool, AppError> {
    let sql = "SELECT role FROM members WHERE team_id = $1 AND user_id = $2";
    let current: Option<Role> = tx.query_optional(sql, params![team.id, user], |row| row.get("role")).await?;
    if current.is_some() {
        return Ok(false);
    }
    check_team_limit(tx, user).await?;
    check_member_limit(tx, team).await?;
    // An earlier version left the keys of removed members valid; they would work again.
    revoke_keys(tx, team, user, by).await?;
    let sql = "INSERT INTO members (team_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, params![team.id, user, role, by.at]).await?;
    tx.invalidate_user(user).await?;
    Ok(true)
}

/// Changes the role of a member. Returns false if the user is not in the team.
pub(super) async fn change_role(
    tx: &mut Tx,
    team: &Team,
    user: &UserId,
    role: Role,
    by: &Actor,
) -> Result<bool, AppError> {
    let sql = "UPDATE members SET role = $3 WHERE team_id = $1 AND user_id = $2";
    if tx.execute(sql, params![team.id, user, role]).await? == 0 {
        return Ok(false);
    }
    tx.invalidate_user(user).await?;
    if role == Role::Member {
        check_admin_remains(tx, team).await?;
        invitations::cancel_sent_by(tx, team, user, by).await?;
    }
    Ok(true)
}

/// Removes a member, revokes their keys that are limited to the team, and deletes invitations that they sent. Returns false if
/// the user is not in the team.
pub(super) async fn remove(tx: &mut Tx, team: &Team, user: &UserId, by: &Actor) -> Result<bool, AppError> {
    let sql = "DELETE FROM members WHERE team_id = $1 AND user_id = $2 RETURNING role";
    let role: Option<Role> = tx.query_optional(sql, params![team.id, user], |row| row.get("role")).await?;
    let Some(role) = role else { return Ok(false) };
    if role == Role::Admin {
        check_admin_remains(tx, team).await?;
    }
    revoke_keys(tx, team, user, by).await?;
    tx.invalidate_user(user).await?;
    invitations::cancel_sent_by(tx, team, user, by).await?;
    Ok(true)
}

/// Revokes the user's keys that are limited to the team. Expired ones get no audit entry, because their number is unbounded.
async fn revoke_keys(tx: &mut Tx, team: &Team, user: &UserId, by: &Actor) -> Result<(), AppError> {
    let sql = "UPDATE keys SET revoked_at = $3 WHERE user_id = $1 AND team_id = $2 AND revoked_at IS NULL \
               RETURNING id, prefix, expires_at";
    let revoked = tx.query(sql, params![user, team.id, by.at], RevokedKey::from_row).await?;
    for key in revoked.iter().filter(|key| key.expires_at.is_none_or(|at| at > by.at)) {
        let detail = format!("its user has left the team {}", team.slug);
        let target =
            AuditTarget { user: Some(user), key: Some(&key.id), team: Some(&team.id), subject: &key.prefix, detail };
        audit::record(tx, by, Action::KeyRevoke, target).await?;
    }
    Ok(())
}

struct RevokedKey {
    id: KeyId,
    prefix: String,
    expires_at: Option<Timestamp>,
}

impl RevokedKey {
    fn from_row(row: Row<'_>) -> Result<Self, AppError> {
        Ok(Self { id: row.get("id")?, prefix: row.get("prefix")?, expires_at: row.get("expires_at")? })
    }
}

/// Rejects the removal of the last admin. Disabled accounts don't count.
async fn check_admin_remains(tx: &mut Tx, team: &Team) -> Result<(), AppError> {
    let sql = "SELECT COUNT(*) AS count FROM members m JOIN users u ON u.id = m.user_id \
               WHERE m.team_id = $1 AND m.role = 'admin' AND u.disabled_at IS NULL";
    let admins: i64 = tx.query_one(sql, params![team.id], |row| row.get("count")).await?;
    if admins > 0 {
        return Ok(());
    }
    Err(FieldErrors::whole("A team needs an admin, and this is the last one. Make someone else an admin first.").into())
}
