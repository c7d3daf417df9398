//! What the deletion of an account does to its teams.

use super::lock;
use super::memberships::team_from_row;
use crate::error::AppError;
use crate::model::audit::Action;
use crate::model::fields::FieldErrors;
use crate::model::keys::KeyId;
use crate::model::teams::{Role, Team};
use crate::model::text::{isolated, shown};
use crate::model::users::UserId;
use crate::server::audit;
use crate::server::audit::{Actor, AuditTarget};
use crate::server::db::Tx;
use crate::server::db::row::{Row, params};

/// Teams that a refusal names; further ones are counted.
const MAX_NAMED: usize = 5;

/// A team of the account.
struct TeamOfAccount {
    team: Team,
    role: Role,
    other_members: i64,
    other_admins: i64,
}

impl TeamOfAccount {
    fn from_row(row: Row<'_>) -> Result<Self, AppError> {
        Ok(Self {
            team: team_from_row(row)?,
            role: row.get("role")?,
            other_members: row.get("other_members")?,
            other_admins: row.get("other_admins")?,
        })
    }

    fn needs_admin(&self) -> bool {
        self.role == Role::Admin && self.other_members > 0 && self.other_admins == 0
    }
}

/// Locks the teams of an account, whose row the caller has locked, and returns those that have no other member.
///
/// # Errors
/// [`AppError::Invalid`] if a team with other members would be left without an active admin. The sentence names the teams and
/// then says `what_to_do`.
pub async fn lock_all(tx: &mut Tx, user: &UserId, what_to_do: &str) -> Result<Vec<Team>, AppError> {
    let sql = "SELECT t.id, t.slug, t.name FROM members m JOIN teams t ON t.id = m.team_id WHERE m.user_id = $1 ORDER BY t.id";
    for team in tx.query(sql, params![user], team_from_row).await? {
        lock(tx, &team.id).await?;
    }
    let sql = "SELECT t.id, t.slug, t.name, m.role, \
               (SELECT COUNT(*) FROM members WHERE team_id = t.id AND user_id <> $1) AS other_members, \
               (SELECT COUNT(*) FROM members o JOIN users u ON u.id = o.user_id WHERE o.team_id = t.id AND o.user_id <> $1 \
               AND o.role = 'admin' AND u.disabled_at IS NULL) AS other_admins \
               FROM members m JOIN teams t ON t.id = m.team_id WHERE m.user_id = $1 ORDER BY t.slug";
    let teams = tx.query(sql, params![user], TeamOfAccount::from_row).await?;
    let stuck: Vec<_> = teams.iter().filter(|one| one.needs_admin()).map(|one| &one.team).collect();
    if !stuck.is_empty() {
        let sentence = format!("The account is the only active admin of {}. {what_to_do}", names(&stuck));
        return Err(FieldErrors::whole(sentence).into());
    }
    Ok(teams.into_iter().filter(|one| one.other_members == 0).map(|one| one.team).collect())
}

/// Names teams with their slugs: `Red (red), Blue (blue) and 3 more`.
fn names(teams: &[&Team]) -> String {
    let name = |team: &&Team| format!("{} ({})", isolated(&shown(&team.name)), team.slug);
    let named = teams.iter().take(MAX_NAMED).map(name).collect::<Vec<_>>().join(", ");
    match teams.len().saturating_sub(MAX_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Deletes a team without members. Keys that former members limited to it are revoked and stay in their lists.
pub async fn delete_empty(tx: &mut Tx, team: &Team, by: &Actor) -> Result<(), AppError> {
    let sql = "UPDATE keys SET team_id = NULL, revoked_at = COALESCE(revoked_at, $2) WHERE team_id = $1 RETURNING id";
    let keys: Vec<KeyId> = tx.query(sql, params![team.id, by.at], |row| row.get("id")).await?;
    for key in &keys {
        tx.invalidate_key(key).await?;
    }
    tx.execute("DELETE FROM teams WHERE id = $1", params![team.id]).await?;
    let detail = "with the account of its last member".to_owned();
    let target = AuditTarget { team: Some(&team.id), subject: &team.slug, detail, ..AuditTarget::default() };
    audit::record(tx, by, Action::TeamDelete, target).await
}
