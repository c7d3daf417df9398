//! Lookups of a user's teams.

use crate::error::AppError;
use crate::model::teams::{Membership, Team, slug};
use crate::model::users::UserId;
use crate::server::db::Db;
use crate::server::db::row::{Row, params};

/// Lists the teams of a user, by name.
pub async fn list(db: &Db, user: &UserId) -> Result<Vec<Membership>, AppError> {
    let sql = "SELECT t.id, t.slug, t.name, m.role FROM members m JOIN teams t ON t.id = m.team_id \
               WHERE m.user_id = $1 ORDER BY t.name, t.id";
    db.query_inline(sql, params![user], membership_from_row).await
}

/// Returns a team of the user by its slug.
///
/// # Errors
/// [`AppError::NotFound`] if there is no such team, or the user is not in it.
pub async fn find(db: &Db, user: &UserId, slug: &str) -> Result<Membership, AppError> {
    if !is_slug(slug) {
        return Err(AppError::NotFound);
    }
    let sql = "SELECT t.id, t.slug, t.name, m.role FROM teams t JOIN members m ON m.team_id = t.id \
               WHERE t.slug = $2 AND m.user_id = $1";
    db.query_optional(sql, params![user, slug], membership_from_row).await?.ok_or(AppError::NotFound)
}

fn membership_from_row(row: Row<'_>) -> Result<Membership, AppError> {
    Ok(Membership { team: team_from_row(row)?, role: row.get("role")? })
}

/// Reads the columns `id, slug, name`.
pub(super) fn team_from_row(row: Row<'_>) -> Result<Team, AppError> {
    Ok(Team { id: row.get("id")?, slug: row.get("slug")?, name: row.get("name")? })
}

/// Whether a text is a valid slug as it stands, without trimming or lower-casing.
pub(super) fn is_slug(text: &str) -> bool {
    slug(text).as_deref() == Ok(text)
}
