//! Teams, for the operator's command line: list them, and repair one that has no admin left.

use super::{lock, members};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::teams::{Role, Team};
use crate::model::time::Timestamp;
use crate::model::users::User;
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::db::{Db, execute, fetch};

/// How many teams are read at a time.
const BATCH: i64 = 500;

/// A team, as the command line lists it.
#[derive(Debug, sqlx::FromRow)]
pub struct TeamSummary {
    /// Its part of an address.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many members it has.
    pub members: i64,
    /// The email addresses of its active admins, separated by spaces; `None` if there is none.
    pub admins: Option<String>,
}

/// Some teams by slug, from the one after `after`. Empty at the end.
///
/// # Errors
/// If the database does not answer.
pub async fn list(db: &Db, after: &str) -> Result<Vec<TeamSummary>, AppError> {
    let mut conn = db.read().await?;
    let sql = "SELECT t.slug, t.name, t.created_at, (SELECT COUNT(*) FROM members WHERE team_id = t.id) AS members, \
               (SELECT string_agg(u.email, ' ') FROM members m JOIN users u ON u.id = m.user_id \
               WHERE m.team_id = t.id AND m.role = 'admin' AND u.disabled_at IS NULL) AS admins \
               FROM teams t WHERE t.slug > $1 ORDER BY t.slug LIMIT $2";
    Ok(fetch!(conn, all TeamSummary, sql, after, BATCH)?)
}

/// The team with this slug.
///
/// # Errors
/// If the database does not answer.
pub async fn find(db: &Db, slug: &str) -> Result<Option<Team>, AppError> {
    if !super::is_slug(slug) {
        return Ok(None);
    }
    let mut conn = db.read().await?;
    Ok(fetch!(conn, optional Team, "SELECT id, slug, name FROM teams WHERE slug = $1", slug)?)
}

/// Gives a user a role in a team, and adds the user to it where that is needed: nobody else could, in a team without an admin.
///
/// # Errors
/// [`AppError::Invalid`] if the account is disabled, a limit is reached, or no active admin would stay.
pub async fn set_role(db: &Db, team: &Team, user: &User, role: Role, by: &Actor) -> Result<(), AppError> {
    let mut tx = db.begin().await?;
    // The account first and then the team, as everywhere.
    let sql = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND disabled_at IS NULL";
    let is_active = execute!(tx, sql, &user.id)? > 0;
    lock(&mut tx, &team.id).await?;
    let sql = "SELECT role FROM members WHERE team_id = $1 AND user_id = $2";
    let before = fetch!(tx, optional(String,), sql, &team.id, &user.id)?.map(|(role,)| role);
    if before.as_deref() == Some(role.as_str()) {
        return Ok(());
    }
    if !is_active && (before.is_none() || role == Role::Admin) {
        return Err(
            FieldErrors::whole("This account is disabled, and can do nothing for a team. Enable it first.").into()
        );
    }
    let (action, detail) = if before.is_none() {
        members::join(&mut tx, team, &user.id, role, by).await?;
        (Action::TeamAdd, format!("{} as {}", user.email, role.as_str()))
    } else {
        members::change_role(&mut tx, team, &user.id, role, by).await?;
        (Action::TeamRole, format!("now {}", role.as_str()))
    };
    let about = AuditTarget {
        user: Some(&user.id),
        team: Some(&team.id),
        subject: &team.slug,
        detail,
        ..AuditTarget::default()
    };
    audit::record(&mut tx, by, action, about).await?;
    tx.commit().await?;
    Ok(())
}
