//! Lists of keys, as pages and the command line show them.

use super::facts;
use crate::error::AppError;
use crate::model::keys::{KeyEntry, KeyList, Status, USAGE_DAYS};
use crate::model::teams::TeamId;
use crate::model::time::{DAY, Timestamp};
use crate::model::users::UserId;
use crate::server::auth::secrets;
use crate::server::auth::sessions::Session;
use crate::server::db::Db;
use crate::server::db::row::Row;
use crate::server::state::AppState;
use crate::server::teams;

/// Keys as lists show them; the parameter $1 is the day before the first whose requests are counted.
macro_rules! entries {
    ($($rest:literal),*) => {
        concat!(
            "SELECT k.id, k.name, k.prefix, k.access, k.team_id, k.created_at, k.expires_at, k.revoked_at, ",
            "u.email AS owner, u.disabled_at AS owner_disabled_at, t.name AS team, m.role, k.used_at, k.used_ip, k.used_agent, k.rotated_at, k.old_expires_at, ",
            "k.old_used_at, k.leaked_at, k.rate, (SELECT string_agg(CAST(day AS TEXT) || ':' || CAST(allowed AS TEXT) ",
            "|| ':' || CAST(refused AS TEXT), ' ') FROM usage WHERE key_id = k.id AND day > $1) AS days ",
            "FROM keys k JOIN users u ON u.id = k.user_id LEFT JOIN teams t ON t.id = k.team_id ",
            "LEFT JOIN members m ON m.team_id = k.team_id AND m.user_id = k.user_id ",
            $($rest),*
        )
    };
}
pub(super) use entries;

/// The parameter $1 of [`entries`].
pub(super) fn usage_after(now: Timestamp) -> i64 {
    now.as_millis() / DAY - USAGE_DAYS
}

/// A key as lists show it; the columns of [`entries`].
fn entry(row: Row<'_>) -> Result<KeyEntry, AppError> {
    Ok(KeyEntry {
        key: facts(row)?,
        owner: row.get("owner")?,
        owner_disabled_at: row.time_if_any("owner_disabled_at")?,
        team: row.get("team")?,
        role: row.get("role")?,
        used_at: row.time_if_any("used_at")?,
        used_ip: row.get("used_ip")?,
        used_agent: row.get("used_agent")?,
        rotated_at: row.time_if_any("rotated_at")?,
        old_expires_at: row.time_if_any("old_expires_at")?,
        old_used_at: row.time_if_any("old_used_at")?,
        leaked_at: row.time_if_any("leaked_at")?,
        rate: row.get("rate")?,
        days: row.get("days")?,
    })
}

/// For how long the profile page says that a key was reported as leaked, in milliseconds.
const LEAKS_SHOWN: i64 = 30 * DAY;

/// A user's keys as the page shows them, and what the form for the next one starts from.
///
/// # Errors
/// If the database does not answer.
pub async fn page(state: &AppState, session: &Session, revoked: bool) -> Result<KeyList, AppError> {
    let (user, now) = (&session.user.id, state.now());
    // With one revoked key, if there is any, to tell whether there is something to show.
    let sql = entries!(
        "WHERE k.user_id = $2 AND ($3 OR k.revoked_at IS NULL OR k.leaked_at > $4 OR k.id = ",
        "(SELECT MAX(id) FROM keys WHERE user_id = $2 AND revoked_at IS NOT NULL)) ",
        "ORDER BY k.created_at DESC, k.id DESC"
    );
    let args = [usage_after(now).into(), user.as_str().into(), revoked.into(), now.plus(-LEAKS_SHOWN).into()];
    let mut keys = state.db.rows(sql, &args, entry).await?;
    let teams = if session.in_team { teams::list(&state.db, user).await? } else { Vec::new() };
    let has_revoked = keys.iter().any(|entry| entry.key.revoked_at.is_some());
    let lately = |at: Timestamp| at > now.plus(-LEAKS_SHOWN);
    let leaked =
        keys.iter().filter(|entry| entry.leaked_at.is_some_and(lately)).map(|entry| entry.key.clone()).collect();
    keys.retain(|entry| revoked || entry.key.revoked_at.is_none());
    sort(&mut keys, now);
    let (form_id, origin) = (secrets::make_id(now), state.config.origin());
    Ok(KeyList { keys, teams, has_revoked, leaked, now, form_id, origin })
}

/// All keys of a user, for the operator's command line; in the order of the page.
///
/// # Errors
/// If the database does not answer.
pub async fn list(db: &Db, user: &UserId, now: Timestamp) -> Result<Vec<KeyEntry>, AppError> {
    let sql = entries!("WHERE k.user_id = $2 ORDER BY k.created_at DESC, k.id DESC");
    let mut keys = db.rows(sql, &[usage_after(now).into(), user.as_str().into()], entry).await?;
    sort(&mut keys, now);
    Ok(keys)
}

/// The keys of a team's members that are limited to the team, in the order of the page.
///
/// # Errors
/// If the database does not answer.
pub async fn list_of_team(db: &Db, team: &TeamId, now: Timestamp) -> Result<Vec<KeyEntry>, AppError> {
    let sql = entries!("WHERE k.team_id = $2 ORDER BY k.created_at DESC, k.id DESC");
    let mut keys = db.rows(sql, &[usage_after(now).into(), team.as_str().into()], entry).await?;
    sort(&mut keys, now);
    Ok(keys)
}

/// Those that work first, then the expired, then the revoked; in each the order that they have.
fn sort(keys: &mut [KeyEntry], now: Timestamp) {
    keys.sort_by_key(|entry| match entry.key.status(now) {
        Status::Active | Status::ExpiresSoon => 0,
        Status::Expired => 1,
        Status::Revoked => 2,
    });
}
