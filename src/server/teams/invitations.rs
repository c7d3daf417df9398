//! Invitations to teams, by email address.
//!
//! "Add member" never looks up whether the address has an account, so that its answer and its time reveal nothing. The owner of
//! the address decides on `/teams`.

use super::memberships::{find, is_slug, team_from_row};
use super::{begin_as_admin, lock, members};
use crate::error::{AppError, Limit};
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::teams::{
    INVITATION_TTL, Invitation, InvitationForm, MAX_TEAMS, NewInvitation, Role, SentInvitation, Team, TeamId,
};
use crate::model::text::{isolated, shown};
use crate::model::time::Timestamp;
use crate::model::users::{Email, UserId};
use crate::server::audit::{Actor, AuditTarget, erase_invited, record};
use crate::server::auth::random;
use crate::server::auth::sessions::Session;
use crate::server::db::row::{Row, params};
use crate::server::db::{Db, Tx};
use crate::server::rate_limits::MINUTE;
use crate::server::state::AppState;

/// Open invitations per team.
pub const MAX_OPEN: i64 = 50;
/// Invitations that a user can send per hour.
pub const MAX_PER_HOUR: i64 = 20;
/// Invitations that all admins of a team together can send per hour.
pub const MAX_PER_TEAM_AND_HOUR: i64 = 50;
const HOUR: i64 = 60 * MINUTE;
/// The end of the detail of an invitation whose inviter stopped being an admin.
const INVITER_LEFT: &str = ": the inviter is no longer an admin";

/// Invites an email address to a team, or renews its invitation. Inviting an admin requires recent re-authentication.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such team; [`AppError::Invalid`] if the user is not an admin of it, a field is wrong,
/// or a limit is reached; [`AppError::RateLimited`] for too many in an hour.
pub async fn send(state: &AppState, session: &Session, slug: &str, form: &InvitationForm) -> Result<(), AppError> {
    let by = session.actor(state.now());
    let (mut tx, team) = begin_as_admin(&state.db, session, slug).await?;
    let new = form.parse()?;
    if new.role == Role::Admin {
        session.check_recent_auth(by.at)?;
    }
    check_not_member(&mut tx, &team, &new).await?;
    check_rate(&mut tx, &team, session, by.at).await?;
    let sql = "DELETE FROM invitations WHERE team_id = $1 AND expires_at <= $2";
    tx.execute(sql, params![team.id, by.at]).await?;
    check_open_limit(&mut tx, &team, &new).await?;
    let sql = "INSERT INTO invitations (team_id, email, role, inviter_id, created_at, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (team_id, email) DO UPDATE SET role = excluded.role, \
               inviter_id = excluded.inviter_id, created_at = excluded.created_at, expires_at = excluded.expires_at";
    let (email, expires_at) = (new.email.as_str(), by.at.plus(INVITATION_TTL));
    tx.execute(sql, params![team.id, email, new.role, session.user.id, by.at, expires_at]).await?;
    record(
        &mut tx,
        &by,
        Action::TeamInvite,
        audit_target(&team, format!("{} as {}", isolated(email), new.role.as_str())),
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Rejects the address of a member, which admins see anyway. Compares it with every member, so that the time depends only on
/// the team, not on whether the address has an account.
async fn check_not_member(tx: &mut Tx, team: &Team, new: &NewInvitation) -> Result<(), AppError> {
    let sql = "SELECT COUNT(*) AS count FROM members m JOIN users u ON u.id = m.user_id WHERE m.team_id = $1 AND u.email || '' = $2";
    let members: i64 = tx.query_one(sql, params![team.id, new.email.as_str()], |row| row.get("count")).await?;
    if members == 0 { Ok(()) } else { Err(FieldErrors::one("email", "This user is already in the team.").into()) }
}

/// Limits invitations per hour, of the user and of the team. Counts audit entries, so that all servers count together.
async fn check_rate(tx: &mut Tx, team: &Team, session: &Session, now: Timestamp) -> Result<(), AppError> {
    let since = now.plus(-HOUR);
    // Ids begin with the time, so that the index narrows the search.
    let after = random::make_id(since.plus(-1));
    let sql = "SELECT COUNT(*) AS sent, MIN(at) AS first FROM audit WHERE action = 'team.invite' AND actor_id = $1 AND id > $2 AND at > $3";
    let by_user = tx.query_one(sql, params![session.user.id, after, since], Sent::from_row).await?;
    let sql = "SELECT COUNT(*) AS sent, MIN(at) AS first FROM audit WHERE action = 'team.invite' AND team_id = $1 AND id > $2 AND at > $3";
    let by_team = tx.query_one(sql, params![team.id, after, since], Sent::from_row).await?;
    let limits =
        [(by_user, MAX_PER_HOUR, Limit::AccountInvitations), (by_team, MAX_PER_TEAM_AND_HOUR, Limit::TeamInvitations)];
    for (Sent { count, first }, max, limit) in limits {
        if count >= max {
            let until = first.unwrap_or(now).plus(HOUR).as_millis() - now.as_millis();
            let retry_after = u32::try_from(until).unwrap_or(0).div_ceil(1000).max(1);
            return Err(AppError::RateLimited { limit, retry_after });
        }
    }
    Ok(())
}

/// Invitations sent in the last hour.
struct Sent {
    count: i64,
    first: Option<Timestamp>,
}

impl Sent {
    fn from_row(row: Row<'_>) -> Result<Self, AppError> {
        Ok(Self { count: row.get("sent")?, first: row.get("first")? })
    }
}

async fn check_open_limit(tx: &mut Tx, team: &Team, new: &NewInvitation) -> Result<(), AppError> {
    let sql = "SELECT COUNT(*) AS count FROM invitations WHERE team_id = $1 AND email <> $2";
    let others: i64 = tx.query_one(sql, params![team.id, new.email.as_str()], |row| row.get("count")).await?;
    if others < MAX_OPEN {
        return Ok(());
    }
    let sentence = format!("A team can have at most {MAX_OPEN} open invitations. Cancel one first.");
    Err(FieldErrors::whole(sentence).into())
}

/// Cancels an invitation. An invitation that is no longer open is not an error.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such team; [`AppError::Invalid`] if the user is not an admin of it.
pub async fn cancel(state: &AppState, session: &Session, slug: &str, email: &str) -> Result<(), AppError> {
    let by = session.actor(state.now());
    let (mut tx, team) = begin_as_admin(&state.db, session, slug).await?;
    let email = Email::parse(email).map_err(|_| AppError::NotFound)?;
    let sql = "DELETE FROM invitations WHERE team_id = $1 AND email = $2 RETURNING email, role";
    if let Some(invited) = tx.query_optional(sql, params![team.id, email.as_str()], Deleted::from_row).await? {
        record(&mut tx, &by, Action::TeamCancel, audit_target(&team, invited.describe())).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Accepts the user's invitation and returns the team. Succeeds for a user who is already in the team.
///
/// # Errors
/// [`AppError::NotFound`] if no invitation is open or the team doesn't exist; [`AppError::Invalid`] if the user or the team has
/// reached a limit.
pub async fn accept(state: &AppState, session: &Session, slug: &str) -> Result<Team, AppError> {
    let (by, user) = (session.actor(state.now()), &session.user);
    let mut tx = session.begin(&state.db).await?;
    let Some(team) = lock_invited(&mut tx, session, slug).await? else {
        drop(tx);
        return find_joined(&state.db, session, slug).await;
    };
    // Invitations by a removed or disabled admin are void.
    let sql = "DELETE FROM invitations WHERE team_id = $1 AND email = $2 AND expires_at > $3 AND EXISTS (SELECT 1 FROM members m \
               JOIN users u ON u.id = m.user_id WHERE m.team_id = $1 AND m.user_id = inviter_id AND m.role = 'admin' \
               AND u.disabled_at IS NULL) RETURNING email, role";
    let deleted = tx.query_optional(sql, params![team.id, user.email, by.at], Deleted::from_row).await?;
    let Some(Deleted { role, .. }) = deleted else {
        drop(tx);
        return find_joined(&state.db, session, slug).await;
    };
    if members::add(&mut tx, &team, &user.id, role, &by).await? {
        let target = AuditTarget { user: Some(&user.id), ..audit_target(&team, format!("as {}", role.as_str())) };
        record(&mut tx, &by, Action::TeamJoin, target).await?;
    }
    tx.commit().await?;
    Ok(team)
}

/// Returns the team of a user who has joined already, as when a form is sent twice.
async fn find_joined(db: &Db, session: &Session, slug: &str) -> Result<Team, AppError> {
    Ok(find(db, &session.user.id, slug).await?.team)
}

/// Declines the user's invitation to a team.
///
/// # Errors
/// [`AppError::NotFound`] if there is none, or the team doesn't exist.
pub async fn decline(state: &AppState, session: &Session, slug: &str) -> Result<(), AppError> {
    let (by, user) = (session.actor(state.now()), &session.user);
    let mut tx = session.begin(&state.db).await?;
    let team = lock_invited(&mut tx, session, slug).await?.ok_or(AppError::NotFound)?;
    let sql = "DELETE FROM invitations WHERE team_id = $1 AND email = $2 RETURNING email, role";
    let invited = tx.query_optional(sql, params![team.id, user.email], Deleted::from_row).await?;
    let invited = invited.ok_or(AppError::NotFound)?;
    let target = AuditTarget { user: Some(&user.id), ..audit_target(&team, format!("as {}", invited.role.as_str())) };
    record(&mut tx, &by, Action::TeamDecline, target).await?;
    tx.commit().await?;
    Ok(())
}

/// Locks and returns the team if it has invited the user.
async fn lock_invited(tx: &mut Tx, session: &Session, slug: &str) -> Result<Option<Team>, AppError> {
    if !is_slug(slug) {
        return Ok(None);
    }
    let sql = "SELECT t.id, t.slug, t.name FROM teams t JOIN invitations i ON i.team_id = t.id WHERE t.slug = $1 AND i.email = $2";
    let team = tx.query_optional(sql, params![slug, session.user.email], team_from_row).await?;
    if let Some(team) = &team {
        lock(tx, &team.id).await?;
    }
    Ok(team)
}

/// Invitations that `/teams` shows. The number per address is not limited, because strangers could use up the limit.
const MAX_SHOWN: i64 = MAX_TEAMS;

/// Lists the invitations that the user can accept, newest first.
pub async fn list(db: &Db, session: &Session, now: Timestamp) -> Result<Vec<Invitation>, AppError> {
    let sql = "SELECT t.slug, t.name, i.role, u.email AS inviter, i.expires_at FROM invitations i \
               JOIN teams t ON t.id = i.team_id JOIN users u ON u.id = i.inviter_id \
               JOIN members m ON m.team_id = i.team_id AND m.user_id = i.inviter_id \
               WHERE i.email = $1 AND i.expires_at > $2 AND m.role = 'admin' AND u.disabled_at IS NULL \
               ORDER BY i.created_at DESC, t.slug LIMIT $3";
    db.query(sql, params![session.user.email, now, MAX_SHOWN], invitation_from_row).await
}

/// Lists the open invitations of a team, newest first.
pub(super) async fn list_of_team(db: &Db, team: &TeamId, now: Timestamp) -> Result<Vec<SentInvitation>, AppError> {
    let sql = "SELECT i.email, i.role, u.email AS inviter, i.created_at, i.expires_at FROM invitations i \
               JOIN users u ON u.id = i.inviter_id WHERE i.team_id = $1 AND i.expires_at > $2 \
               ORDER BY i.created_at DESC, i.email LIMIT $3";
    db.query(sql, params![team, now, MAX_OPEN], sent_invitation_from_row).await
}

fn invitation_from_row(row: Row<'_>) -> Result<Invitation, AppError> {
    Ok(Invitation {
        slug: row.get("slug")?,
        name: row.get("name")?,
        role: row.get("role")?,
        inviter: shown(&row.get::<String>("inviter")?),
        expires_at: row.get("expires_at")?,
    })
}

fn sent_invitation_from_row(row: Row<'_>) -> Result<SentInvitation, AppError> {
    Ok(SentInvitation {
        email: row.get("email")?,
        role: row.get("role")?,
        inviter: shown(&row.get::<String>("inviter")?),
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}

/// Cancels the invitations of a user who is no longer an admin of the team. They could let a removed admin back in.
pub(super) async fn cancel_sent_by(tx: &mut Tx, team: &Team, inviter: &UserId, by: &Actor) -> Result<(), AppError> {
    let sql = "DELETE FROM invitations WHERE team_id = $1 AND inviter_id = $2 RETURNING email, role";
    for invited in tx.query(sql, params![team.id, inviter], Deleted::from_row).await? {
        let detail = format!("{}{INVITER_LEFT}", invited.describe());
        record(tx, by, Action::TeamCancel, audit_target(team, detail)).await?;
    }
    Ok(())
}

/// Deletes all invitations that a user has sent.
pub async fn delete_sent_by(tx: &mut Tx, user: &UserId) -> Result<(), AppError> {
    tx.execute("DELETE FROM invitations WHERE inviter_id = $1", params![user]).await?;
    Ok(())
}

/// Deletes the invitations to an address of a deleted account, and removes the address from their events.
pub async fn erase(tx: &mut Tx, email: &str) -> Result<(), AppError> {
    tx.execute("DELETE FROM invitations WHERE email = $1", params![email]).await?;
    let [admin, member] = [Role::Admin, Role::Member].map(|role| Deleted { email: email.to_owned(), role }.describe());
    let [admin_left, member_left] = [&admin, &member].map(|detail| format!("{detail}{INVITER_LEFT}"));
    erase_invited(tx, &[admin, member, admin_left, member_left]).await
}

/// Invitation that was deleted from the table.
struct Deleted {
    email: String,
    role: Role,
}

impl Deleted {
    fn from_row(row: Row<'_>) -> Result<Self, AppError> {
        Ok(Self { email: row.get("email")?, role: row.get("role")? })
    }

    fn describe(&self) -> String {
        format!("{} as {}", isolated(&self.email), self.role.as_str())
    }
}

fn audit_target(team: &Team, detail: String) -> AuditTarget<'_> {
    AuditTarget { team: Some(&team.id), subject: &team.slug, detail, ..AuditTarget::default() }
}
