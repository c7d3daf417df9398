//! Requests per day, of keys and of registered APIs.

use serde::{Deserialize, Serialize};

use super::time::{DAY, Timestamp};

/// The number of days that the usage chart shows.
pub const USAGE_DAYS: i64 = 30;

/// The requests of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUsage {
    /// The number of days since 1970-01-01 in UTC.
    pub day: i64,
    pub allowed: i64,
    pub refused: i64,
}

/// Returns the requests of the last [`USAGE_DAYS`] days until `now`, one entry per day, oldest first.
pub fn last_days(days: &[DayUsage], now: Timestamp) -> Vec<DayUsage> {
    let last = now.as_millis() / DAY;
    (last - USAGE_DAYS + 1..=last)
        .map(|day| {
            let found = days.iter().find(|known| known.day == day).copied();
            found.unwrap_or(DayUsage { day, allowed: 0, refused: 0 })
        })
        .collect()
}
