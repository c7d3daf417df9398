//! Who comes into a team, and what ends when somebody leaves it. All of it within a transaction that holds the team's lock.

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
use crate::server::db::{Tx, execute, fetch};

/// Refuses one team too many. The account is locked, so that two at once are counted one after the other.
pub(super) async fn check_teams(tx: &mut Tx, user: &UserId) -> Result<(), AppError> {
    let (teams,) = fetch!(tx, one(i64,), "SELECT COUNT(*) FROM members WHERE user_id = $1", user)?;
    if teams < MAX_TEAMS {
        return Ok(());
    }
    let sentence = format!("An account can be in at most {MAX_TEAMS} teams. Leave one first.");
    Err(FieldErrors::whole(sentence).into())
}

async fn check_members(tx: &mut Tx, team: &Team) -> Result<(), AppError> {
    let (members,) = fetch!(tx, one(i64,), "SELECT COUNT(*) FROM members WHERE team_id = $1", &team.id)?;
    if members < MAX_MEMBERS {
        return Ok(());
    }
    let sentence =
        format!("A team can have at most {MAX_MEMBERS} members. One of its admins has to remove somebody first.");
    Err(FieldErrors::whole(sentence).into())
}

/// Makes a user a member. Returns false for one who is a member already, whose role stays.
pub(super) async fn join(tx: &mut Tx, team: &Team, user: &UserId, role: Role, by: &Actor) -> Result<bool, AppError> {
    let sql = "SELECT role FROM members WHERE team_id = $1 AND user_id = $2";
    if fetch!(tx, optional(String,), sql, &team.id, user)?.is_some() {
        return Ok(false);
    }
    check_teams(tx, user).await?;
    check_members(tx, team).await?;
    // Those of somebody whom an earlier version removed; it left them to work again from now on.
    revoke_keys(tx, team, user, by).await?;
    let sql = "INSERT INTO members (team_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)";
    execute!(tx, sql, &team.id, user, role.as_str(), by.at)?;
    Ok(true)
}

/// Gives a member another role. Returns false for one who is not in the team.
pub(super) async fn change_role(
    tx: &mut Tx,
    team: &Team,
    user: &UserId,
    role: Role,
    by: &Actor,
) -> Result<bool, AppError> {
    let sql = "UPDATE members SET role = $3 WHERE team_id = $1 AND user_id = $2";
    if execute!(tx, sql, &team.id, user, role.as_str())? == 0 {
        return Ok(false);
    }
    if role == Role::Member {
        check_admin_stays(tx, team).await?;
        invitations::end_of_inviter(tx, team, user, by).await?;
    }
    Ok(true)
}

/// Takes a member out of a team, and ends what the user had there: keys that are limited to the team, and invitations. Returns
/// false for one who is not in it.
pub(super) async fn leave(tx: &mut Tx, team: &Team, user: &UserId, by: &Actor) -> Result<bool, AppError> {
    let sql = "DELETE FROM members WHERE team_id = $1 AND user_id = $2 RETURNING role";
    let Some((role,)) = fetch!(tx, optional(String,), sql, &team.id, user)? else { return Ok(false) };
    if role == Role::Admin.as_str() {
        check_admin_stays(tx, team).await?;
    }
    revoke_keys(tx, team, user, by).await?;
    invitations::end_of_inviter(tx, team, user, by).await?;
    Ok(true)
}

/// Revokes the user's keys that are limited to the team. Those that have expired get no event of their own: there is no bound on
/// how many they are.
async fn revoke_keys(tx: &mut Tx, team: &Team, user: &UserId, by: &Actor) -> Result<(), AppError> {
    #[derive(sqlx::FromRow)]
    struct Revoked {
        id: KeyId,
        prefix: String,
        expires_at: Option<Timestamp>,
    }
    let sql = "UPDATE keys SET revoked_at = $3 WHERE user_id = $1 AND team_id = $2 AND revoked_at IS NULL \
               RETURNING id, prefix, expires_at";
    let revoked = fetch!(tx, all Revoked, sql, user, &team.id, by.at)?;
    for key in revoked.iter().filter(|key| key.expires_at.is_none_or(|at| at > by.at)) {
        let detail = format!("its user has left the team {}", team.slug);
        let about =
            AuditTarget { user: Some(user), key: Some(&key.id), team: Some(&team.id), subject: &key.prefix, detail };
        audit::record(tx, by, Action::KeyRevoke, about).await?;
    }
    Ok(())
}

/// Refuses to take the last admin away. Accounts that are disabled do not count: they can do nothing for the team.
async fn check_admin_stays(tx: &mut Tx, team: &Team) -> Result<(), AppError> {
    let sql = "SELECT COUNT(*) FROM members m JOIN users u ON u.id = m.user_id \
               WHERE m.team_id = $1 AND m.role = 'admin' AND u.disabled_at IS NULL";
    let (admins,) = fetch!(tx, one(i64,), sql, &team.id)?;
    if admins > 0 {
        return Ok(());
    }
    Err(FieldErrors::whole("A team needs an admin, and this is the last. Make somebody else an admin first.").into())
}
