//! Finds the key of a presented secret, in the cache or in the database.

use std::net::IpAddr;
use std::sync::Arc;

use super::cache::{Cached, KeyRecord};
use super::{facts, imported};
use crate::error::AppError;
use crate::model::keys::KeyContext;
use crate::model::time::Timestamp;
use crate::model::users::User;
use crate::server::auth::key_format::PresentedKey;
use crate::server::db::Db;
use crate::server::db::row::{Row, params};
use crate::server::metrics::labels::CacheResult;
use crate::server::state::AppState;

/// The query of a [`KeyRecord`] by a unique column.
macro_rules! record_by {
    ($column:literal) => {
        concat!(
            "SELECT ",
            facts_columns!(),
            ", k.rate, k.old_expires_at, u.id AS owner_id, u.email AS owner_email, u.name AS owner_name, ",
            "u.superuser AS owner_superuser, u.disabled_at, m.role FROM keys k JOIN users u ON u.id = k.user_id ",
            "LEFT JOIN members m ON m.team_id = k.team_id AND m.user_id = k.user_id WHERE k.",
            $column,
            " = $1"
        )
    };
}

/// Returns the key of a presented secret. Lookups for addresses that presented too many unknown keys are limited: see
/// [`LookupLimiter`](super::lookup_limit::LookupLimiter).
pub async fn find_by_secret(
    state: &AppState,
    presented: &PresentedKey<'_>,
    from: Option<IpAddr>,
    now: Timestamp,
) -> Result<Option<KeyRecord>, AppError> {
    let (digest, invalidations) = (presented.digest(), state.db.invalidations());
    let cached = state.key_cache.get(&digest, invalidations, now);
    if let Some(metrics) = &state.metrics {
        metrics.count_cache_lookup(match cached {
            Some(Cached::Hit(_)) => CacheResult::Hit,
            Some(Cached::NegativeHit) => CacheResult::NegativeHit,
            None => CacheResult::Miss,
        });
    }
    match cached {
        Some(Cached::Hit(found)) => return Ok(Some(found)),
        Some(Cached::NegativeHit) => return Ok(None),
        None => {}
    }
    let _permit = match state.usage.check_failures(from, now) {
        Ok(()) => None,
        Err(_) => state.key_lookups.acquire(&digest).await?,
    };
    let version = invalidations.version();
    let mut found = look_up(&state.db, &digest.hex()).await?;
    if found.is_none() && presented.is_imported() {
        let placeholder = Box::pin(imported::adopt(state, presented, from, now)).await?;
        // Also for a request that found neither digest nor hash, because another one was replacing it.
        found = look_up(&state.db, &digest.hex()).await?;
        if let (None, Some(placeholder)) = (&found, placeholder) {
            found = look_up(&state.db, &placeholder).await?;
        }
    }
    if found.is_some() {
        state.key_lookups.note_found(digest);
    }
    state.key_cache.put(digest, found.clone(), version, invalidations, now);
    Ok(found)
}

/// Runs a second query only where no key has this secret now: it may be a previous one.
async fn look_up(db: &Db, digest: &str) -> Result<Option<KeyRecord>, AppError> {
    match db.query_optional(record_by!("digest"), params![digest], by_present_secret).await? {
        None => db.query_optional(record_by!("old_digest"), params![digest], by_previous_secret).await,
        found => Ok(found),
    }
}

fn by_present_secret(row: Row<'_>) -> Result<KeyRecord, AppError> {
    key_record(row, None)
}

fn by_previous_secret(row: Row<'_>) -> Result<KeyRecord, AppError> {
    key_record(row, row.get("old_expires_at")?)
}

fn key_record(row: Row<'_>, old_secret_until: Option<Timestamp>) -> Result<KeyRecord, AppError> {
    let user = User {
        id: row.get("owner_id")?,
        email: row.get("owner_email")?,
        name: row.get("owner_name")?,
        superuser: row.get("owner_superuser")?,
    };
    let context = KeyContext {
        user_active: row.get::<Option<Timestamp>>("disabled_at")?.is_none(),
        in_team: row.get::<Option<String>>("role")?.is_some(),
        old_secret_until,
    };
    let rate: Option<i64> = row.get("rate")?;
    let rate = rate.and_then(|rate| u32::try_from(rate).ok());
    Ok(KeyRecord { user: Arc::new(user), key: Arc::new(facts(row)?), context, rate })
}
