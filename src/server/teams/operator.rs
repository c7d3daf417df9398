//! Teams on the command line: listing, and rescue of a team without an admin.

use super::memberships::{is_slug, team_from_row};
use super::{lock, members};
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::teams::{Role, Team};
use crate::model::time::Timestamp;
use crate::model::users::User;
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::db::Db;
use crate::server::db::row::{Row, params};

/// Teams read at a time.
const BATCH_SIZE: i64 = 500;

/// Team as the command line lists it.
#[derive(Debug)]
pub struct TeamSummary {
    pub slug: String,
    pub name: String,
    pub created_at: Timestamp,
    pub members: i64,
    /// Email addresses of the active admins, separated by spaces.
    pub admins: Option<String>,
}

/// Returns the next teams by slug after `after`; none at the end.
pub async fn list(db: &Db, after: &str) -> Result<Vec<TeamSummary>, AppError> {
    let sql = "SELECT t.slug, t.name, t.created_at, (SELECT COUNT(*) FROM members WHERE team_id = t.id) AS members, \
               (SELECT string_agg(u.email, ' ') FROM members m JOIN users u ON u.id = m.user_id \
               WHERE m.team_id = t.id AND m.role = 'admin' AND u.disabled_at IS NULL) AS admins \
               FROM teams t WHERE t.slug > $1 ORDER BY t.slug LIMIT $2";
    db.query(sql, params![after, BATCH_SIZE], TeamSummary::from_row).await
}

impl TeamSummary {
    fn from_row(row: Row<'_>) -> Result<Self, AppError> {
        Ok(Self {
            slug: row.get("slug")?,
            name: row.get("name")?,
            created_at: row.get("created_at")?,
            members: row.get("members")?,
            admins: row.get("admins")?,
        })
    }
}

/// Returns the team with this slug.
pub async fn find(db: &Db, slug: &str) -> Result<Option<Team>, AppError> {
    if !is_slug(slug) {
        return Ok(None);
    }
    let sql = "SELECT id, slug, name FROM teams WHERE slug = $1";
    db.query_optional(sql, params![slug], team_from_row).await
}

/// Sets the role of a user in a team, and adds the user if needed. In a team without an admin, only the operator can.
///
/// # Errors
/// [`AppError::Invalid`] if the account is disabled, a limit is reached, or no active admin would remain.
pub async fn set_role(db: &Db, team: &Team, user: &User, role: Role, by: &Actor) -> Result<(), AppError> {
    let mut tx = db.begin().await?;
    // Lock order: user, then team.
    let sql = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND disabled_at IS NULL";
    let is_active = tx.execute(sql, params![user.id]).await? > 0;
    lock(&mut tx, &team.id).await?;
    let sql = "SELECT role FROM members WHERE team_id = $1 AND user_id = $2";
    let before: Option<Role> = tx.query_optional(sql, params![team.id, user.id], |row| row.get("role")).await?;
    if before == Some(role) {
        return Ok(());
    }
    if !is_active && (before.is_none() || role == Role::Admin) {
        return Err(FieldErrors::whole("This account is disabled. Enable it first.").into());
    }
    let (action, detail) = if before.is_none() {
        members::add(&mut tx, team, &user.id, role, by).await?;
        (Action::TeamAdd, format!("{} as {}", user.email, role.as_str()))
    } else {
        members::change_role(&mut tx, team, &user.id, role, by).await?;
        (Action::TeamRole, format!("now {}", role.as_str()))
    };
    let target = AuditTarget {
        user: Some(&user.id),
        team: Some(&team.id),
        subject: &team.slug,
        detail,
        ..AuditTarget::default()
    };
    audit::record(&mut tx, by, action, target).await?;
    tx.commit().await?;
    Ok(())
}
