//! Requests of registered APIs per day. Counted in memory and written in batches, so that a request costs no write.

use std::sync::Arc;

use crate::error::AppError;
use crate::model::apis::{ApiId, ApiUsage};
use crate::model::time::{DAY, Timestamp};
use crate::model::usage::{self, DayUsage, RETENTION_DAYS};
use crate::server::db::bulk::{Value, insert_rows};
use crate::server::db::row::{Row, params};
use crate::server::db::{Db, Tx};
use crate::server::fast_map::FastMap;

/// Counters that are not written yet, at most one per registered API and day. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ApiCounters(Arc<FastMap<ApiId, Vec<DayUsage>>>);

impl ApiCounters {
    /// Counts a request for an API.
    pub fn count(&self, api: &ApiId, at: Timestamp, is_allowed: bool) {
        self.add(api, DayUsage::one(at, is_allowed));
    }

    fn add(&self, api: &ApiId, more: DayUsage) {
        let mut days = match self.0.get_mut(api) {
            Some(days) => days,
            None => self.0.entry(api.clone()).or_default(),
        };
        more.add_to(&mut days);
    }

    /// Writes the counters, and deletes days that are older than `RETENTION_DAYS`. Counters that cannot be written are kept for
    /// the next time.
    pub async fn flush(&self, db: &Db, now: Timestamp) -> Result<(), AppError> {
        let mut apis: Vec<_> = self.0.iter().map(|entry| entry.key().clone()).collect();
        if apis.is_empty() {
            return Ok(());
        }
        // In one order: two servers that write the same rows would otherwise deadlock.
        apis.sort_unstable();
        let taken: Vec<_> = apis.iter().filter_map(|api| self.0.remove(api)).collect();
        let written = write(db, &taken, now).await;
        if written.is_err() {
            for (api, days) in taken {
                for day in days {
                    self.add(&api, day);
                }
            }
        }
        written
    }
}

async fn write(db: &Db, counted: &[(ApiId, Vec<DayUsage>)], now: Timestamp) -> Result<(), AppError> {
    let row = |api: &ApiId, day: &DayUsage| -> [Value; 4] {
        [api.as_str().into(), day.day.into(), day.allowed.into(), day.refused.into()]
    };
    let rows: Vec<_> = counted.iter().flat_map(|(api, days)| days.iter().map(move |day| row(api, day))).collect();
    let sql = (
        "INSERT INTO api_usage (api_id, day, allowed, refused) ",
        " ON CONFLICT (api_id, day) DO UPDATE SET allowed = api_usage.allowed + excluded.allowed, \
         refused = api_usage.refused + excluded.refused",
    );
    let mut tx = db.begin().await?;
    insert_rows(&mut tx, sql, &rows).await?;
    let expired = now.as_millis() / DAY - RETENTION_DAYS;
    tx.execute("DELETE FROM api_usage WHERE day <= $1", params![expired]).await?;
    tx.commit().await?;
    Ok(())
}

/// Returns the written requests of the last [`USAGE_DAYS`](usage::USAGE_DAYS) days, by API.
pub(super) async fn last_days(db: &Db, now: Timestamp) -> Result<Vec<ApiUsage>, AppError> {
    let sql = "SELECT api_id, day, allowed, refused FROM api_usage WHERE day > $1 ORDER BY api_id, day";
    let mut found: Vec<ApiUsage> = Vec::new();
    for (api, day) in db.query(sql, params![usage::usage_after(now)], day_row).await? {
        if found.last().is_none_or(|last| last.api != api) {
            found.push(ApiUsage { api, days: Vec::new() });
        }
        if let Some(last) = found.last_mut() {
            last.days.push(day);
        }
    }
    for api in &mut found {
        api.days = usage::last_days(&api.days, now);
    }
    Ok(found)
}

fn day_row(row: Row<'_>) -> Result<(ApiId, DayUsage), AppError> {
    let day = DayUsage { day: row.get("day")?, allowed: row.get("allowed")?, refused: row.get("refused")? };
    Ok((row.get("api_id")?, day))
}

/// Deletes the requests of an API.
pub(super) async fn delete(tx: &mut Tx, api: &ApiId) -> Result<(), AppError> {
    tx.execute("DELETE FROM api_usage WHERE api_id = $1", params![api]).await?;
    Ok(())
}
