//! Teams: queries, and the rules that need data. Only members learn that a team exists.

pub mod account_deletion;
pub mod invitations;
mod members;
pub mod memberships;
pub mod operator;

pub use self::memberships::{find, list};
use super::audit;
use super::audit::{Actor, AuditTarget};
use super::auth::random;
use super::auth::sessions::Session;
use super::db::row::{Row, params};
use super::db::{Db, Tx, is_unique_violation};
use super::keys;
use super::state::AppState;
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::keys::{KeyId, KeySlice};
use crate::model::team_page::TeamPage;
use crate::model::teams::{Member, Membership, Role, Team, TeamForm, TeamId};
use crate::model::text::shown;
use crate::model::time::Timestamp;
use crate::model::users::UserId;

/// Creates a team with the session's user as its admin.
///
/// # Errors
/// [`AppError::Invalid`] if a field is wrong, the slug is taken, or the user is in too many teams.
pub async fn create(db: &Db, session: &Session, form: &TeamForm, now: Timestamp) -> Result<Team, AppError> {
    create_in(session.begin(db).await?, form, &session.actor(now)).await
}

/// Like [`create`], in a transaction that it commits.
pub async fn create_in(mut tx: Tx, form: &TeamForm, by: &Actor) -> Result<Team, AppError> {
    let user = by.user.as_ref().ok_or(AppError::Internal)?;
    let (name, slug) = form.parse()?;
    let id = TeamId::parse(&random::make_id(by.at)).ok_or(AppError::Internal)?;
    let team = Team { id, slug, name };
    members::check_team_limit(&mut tx, user).await?;
    let sql = "INSERT INTO teams (id, slug, name, created_at) VALUES ($1, $2, $3, $4)";
    match tx.execute(sql, params![team.id, team.slug, team.name, by.at]).await {
        Err(error) if is_unique_violation(&error) => {
            return Err(FieldErrors::one("slug", "This address is taken. Choose another.").into());
        }
        other => other?,
    };
    let sql = "INSERT INTO members (team_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, params![team.id, user, Role::Admin, by.at]).await?;
    let about = AuditTarget { user: Some(user), team: Some(&team.id), subject: &team.slug, ..AuditTarget::default() };
    audit::record(&mut tx, by, Action::TeamCreate, about).await?;
    tx.commit().await?;
    Ok(team)
}

/// Loads the page of a team. Only admins see invitations and keys. `after` and `about` select the slice of keys and the key of
/// a dialog.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such team, or the user is not in it.
pub async fn page(
    state: &AppState,
    session: &Session,
    slug: &str,
    after: &str,
    about: &str,
) -> Result<TeamPage, AppError> {
    let now = state.now();
    let Membership { team, role } = find(&state.db, &session.user.id, slug).await?;
    let sql = "SELECT m.user_id, u.email, u.name, m.role, m.created_at FROM members m JOIN users u ON u.id = m.user_id \
               WHERE m.team_id = $1 ORDER BY u.email";
    let mut members = state.db.query(sql, params![team.id], member_from_row).await?;
    for member in &mut members {
        (member.email, member.name) = (shown(&member.email), shown(&member.name));
    }
    let (mut invitations, mut keys) = (Vec::new(), KeySlice::default());
    if role == Role::Admin {
        invitations = invitations::list_of_team(&state.db, &team.id, now).await?;
        keys = keys::list_of_team(state, (&team.id, &session.user.id), (after, about)).await?;
    }
    // Only superusers see the client addresses of other people.
    let shown_keys = keys.keys.iter_mut().chain(keys.about.as_mut());
    for entry in shown_keys.filter(|entry| !session.user.superuser && entry.owner != session.user.email) {
        entry.used_ip = None;
    }
    Ok(TeamPage { team, role, me: session.user.id.clone(), members, invitations, keys, now })
}

fn member_from_row(row: Row<'_>) -> Result<Member, AppError> {
    Ok(Member {
        user_id: row.get("user_id")?,
        email: row.get("email")?,
        name: row.get("name")?,
        role: row.get("role")?,
        created_at: row.get("created_at")?,
    })
}

/// Begins a transaction of a team member. Locks the user, the session and the team, so that the role holds until the commit.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such team, or the user is not in it.
async fn begin_as_member(db: &Db, session: &Session, slug: &str) -> Result<(Tx, Membership), AppError> {
    let team = find(db, &session.user.id, slug).await?.team;
    let mut tx = session.begin(db).await?;
    lock(&mut tx, &team.id).await?;
    let sql = "SELECT role FROM members WHERE team_id = $1 AND user_id = $2";
    let role: Option<Role> = tx.query_optional(sql, params![team.id, session.user.id], |row| row.get("role")).await?;
    let role = role.ok_or(AppError::NotFound)?;
    Ok((tx, Membership { team, role }))
}

/// Like `begin_as_member`, but requires an admin of the team; other members get [`AppError::Invalid`].
pub async fn begin_as_admin(db: &Db, session: &Session, slug: &str) -> Result<(Tx, Team), AppError> {
    match begin_as_member(db, session, slug).await? {
        (tx, Membership { team, role: Role::Admin }) => Ok((tx, team)),
        (_, Membership { role: Role::Member, .. }) => {
            Err(FieldErrors::whole("Only an admin of the team can do this.").into())
        }
    }
}

/// Changes the role of a member.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such team or member; [`AppError::Invalid`] if the session's user is not an admin of
/// the team, or no admin would remain.
pub async fn set_role(state: &AppState, session: &Session, slug: &str, user: &str, role: &str) -> Result<(), AppError> {
    let (mut tx, team) = begin_as_admin(&state.db, session, slug).await?;
    let user = UserId::parse(user).ok_or(AppError::NotFound)?;
    let role = Role::try_from(role.to_owned()).map_err(|sentence| FieldErrors::one("role", sentence))?;
    let by = session.actor(state.now());
    if !members::change_role(&mut tx, &team, &user, role, &by).await? {
        return Err(AppError::NotFound);
    }
    let target = audit_target(&team, &user, format!("now {}", role.label().to_lowercase()));
    audit::record(&mut tx, &by, Action::TeamRole, target).await?;
    tx.commit().await?;
    Ok(())
}

/// Removes a member: members can leave, and admins can remove anyone. Revokes the member's keys that are limited to the team,
/// and deletes invitations that they sent.
///
/// # Errors
/// As [`set_role`].
pub async fn remove(state: &AppState, session: &Session, slug: &str, user: &str) -> Result<(), AppError> {
    let user = UserId::parse(user).ok_or(AppError::NotFound)?;
    let (mut tx, team) = if user == session.user.id {
        let (tx, membership) = begin_as_member(&state.db, session, slug).await?;
        (tx, membership.team)
    } else {
        begin_as_admin(&state.db, session, slug).await?
    };
    let by = session.actor(state.now());
    if !members::remove(&mut tx, &team, &user, &by).await? {
        return Err(AppError::NotFound);
    }
    let detail = if user == session.user.id { "left" } else { "removed by an admin" };
    audit::record(&mut tx, &by, Action::TeamRemove, audit_target(&team, &user, detail.to_owned())).await?;
    tx.commit().await?;
    Ok(())
}

/// Revokes a key that is limited to the team.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such team or key; [`AppError::Invalid`] if the session's user is not an admin of the
/// team.
pub async fn revoke_key(state: &AppState, session: &Session, slug: &str, key: &str) -> Result<(), AppError> {
    let (mut tx, team) = begin_as_admin(&state.db, session, slug).await?;
    let key = KeyId::parse(key).ok_or(AppError::NotFound)?;
    keys::revoke_of_team(&mut tx, &team.id, &key, &session.actor(state.now())).await?;
    tx.commit().await?;
    Ok(())
}

fn audit_target<'a>(team: &'a Team, user: &'a UserId, detail: String) -> AuditTarget<'a> {
    AuditTarget { user: Some(user), team: Some(&team.id), subject: &team.slug, detail, ..AuditTarget::default() }
}

/// Locks a team, which serialises its changes.
async fn lock(tx: &mut Tx, team: &TeamId) -> Result<(), AppError> {
    tx.execute("UPDATE teams SET name = name WHERE id = $1", params![team]).await?;
    Ok(())
}
