//! Requests per day, of keys and of registered APIs.

use serde::{Deserialize, Serialize};

use super::time::{DAY, Timestamp};

/// The number of days that the usage chart shows.
pub const USAGE_DAYS: i64 = 30;

/// The number of days that are kept.
pub const RETENTION_DAYS: i64 = 90;

/// The requests of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUsage {
    /// The number of days since 1970-01-01 in UTC.
    pub day: i64,
    pub allowed: i64,
    pub refused: i64,
}

impl DayUsage {
    /// Returns one request.
    pub fn one(at: Timestamp, is_allowed: bool) -> Self {
        let (allowed, refused) = if is_allowed { (1, 0) } else { (0, 1) };
        Self { day: at.as_millis() / DAY, allowed, refused }
    }

    /// Adds its requests to those of its day.
    pub fn add_to(self, days: &mut Vec<Self>) {
        match days.iter_mut().find(|known| known.day == self.day) {
            Some(known) => {
                known.allowed += self.allowed;
                known.refused += self.refused;
            }
            None => days.push(self),
        }
    }
}

/// Returns the day before the last [`USAGE_DAYS`]: queries read the days after it.
pub fn usage_after(now: Timestamp) -> i64 {
    now.as_millis() / DAY - USAGE_DAYS
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
