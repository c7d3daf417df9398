//! How keys are used: the last use, requests per day, and limits. Kept in memory and written in batches, so that a request
//! costs no write.

use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;

use crate::error::{AppError, Limit};
use crate::model::keys::{DayUsage, KeyId};
use crate::model::time::{DAY, Timestamp};
use crate::server::db::Db;
use crate::server::db::bulk;
use crate::server::db::row::params;
use crate::server::rate_limits::{FixedWindowLimiter, IpRateLimiter, MINUTE, Remaining};
use crate::server::request_context::{self, KeyQuota};

/// How often what was counted is written: well within the minute to which the last use is right.
pub const FLUSH_INTERVAL: std::time::Duration = std::time::Duration::from_secs(15);
/// With so many keys that were used it is written sooner, for the sake of the memory.
const MUCH: usize = 5000;
/// How many days of requests are kept.
const KEPT_DAYS: i64 = 90;

/// A use of a key.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// When.
    pub at: Timestamp,
    /// From where, if that is known.
    pub ip: Option<IpAddr>,
    /// The program, as it calls itself.
    pub agent: &'a str,
    /// Whether with the secret before the last rotation.
    pub old: bool,
}

#[derive(Debug, Default)]
struct Counters {
    /// One of today; at midnight, or after a clock was set, for a while another.
    days: Vec<DayUsage>,
    last: Option<Last>,
    old_used_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Last {
    at: Timestamp,
    ip: Option<IpAddr>,
    agent: String,
}

impl Counters {
    fn add(&mut self, day: i64, (allowed, refused): (i64, i64)) {
        match self.days.iter_mut().find(|known| known.day == day) {
            Some(known) => {
                known.allowed += allowed;
                known.refused += refused;
            }
            None => self.days.push(DayUsage { day, allowed, refused }),
        }
    }

    fn add_use(&mut self, used: Use<'_>) {
        if used.old {
            self.old_used_at = self.old_used_at.max(Some(used.at));
        }
        match &mut self.last {
            Some(last) if last.at > used.at => {}
            // As a rule only the time is another.
            Some(last) if last.ip == used.ip && last.agent == used.agent => last.at = used.at,
            last => *last = Some(Last { at: used.at, ip: used.ip, agent: used.agent.to_owned() }),
        }
    }
}

/// What was counted and is not yet written, and what limits have been spent. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Usage {
    tallies: Arc<DashMap<KeyId, Counters>>,
    keys: FixedWindowLimiter<KeyId>,
    failures: IpRateLimiter,
    reports: IpRateLimiter,
}

impl Default for Usage {
    fn default() -> Self {
        let (failures, reports) = (IpRateLimiter::of(MINUTE), IpRateLimiter::of(MINUTE));
        Self { tallies: Arc::default(), keys: FixedWindowLimiter::default(), failures, reports }
    }
}

impl Usage {
    /// Counts a request of a key.
    pub fn count(&self, key: &KeyId, used: Use<'_>, allowed: bool) {
        let mut tally = match self.tallies.get_mut(key) {
            Some(tally) => tally,
            None => self.tallies.entry(key.clone()).or_default(),
        };
        tally.add(used.at.as_millis() / DAY, if allowed { (1, 0) } else { (0, 1) });
        if allowed {
            tally.add_use(used);
        }
    }

    /// Counts a request against the limit of its key, and notes what is left for the response; 0 is no limit.
    pub fn admit(&self, key: &KeyId, per_minute: u32, now: Timestamp) -> Result<(), AppError> {
        if per_minute == 0 {
            return Ok(());
        }
        let acquired = self.keys.try_acquire(key, per_minute, now);
        request_context::set_key_quota(KeyQuota::new(per_minute, acquired));
        within(acquired, Limit::KeyRequests { per_minute })
    }

    /// Notes what is left of the limit of a key for the response, without counting the request.
    pub fn note_quota(&self, key: &KeyId, per_minute: u32, now: Timestamp) {
        if per_minute > 0 {
            request_context::set_key_quota(KeyQuota::new(per_minute, self.keys.peek(key, per_minute, now)));
        }
    }

    /// Whether an address has presented too many unknown keys.
    ///
    /// # Errors
    /// [`AppError::RateLimited`].
    pub fn check_failures(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), AppError> {
        let checked = self.failures.check(from, Limit::UNKNOWN_KEYS_PER_MINUTE, now);
        within(checked, Limit::UnknownKeys)
    }

    /// Notes that an address presented an unknown key; refuses one too many.
    ///
    /// # Errors
    /// [`AppError::RateLimited`].
    pub fn note_failure(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), AppError> {
        let acquired = self.failures.try_acquire(from, Limit::UNKNOWN_KEYS_PER_MINUTE, now);
        within(acquired, Limit::UnknownKeys)
    }

    /// Lets a report of leaked keys through.
    ///
    /// # Errors
    /// [`AppError::RateLimited`].
    pub fn admit_report(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), AppError> {
        let acquired = self.reports.try_acquire(from, Limit::LEAK_REPORTS_PER_MINUTE, now);
        within(acquired, Limit::LeakReports)
    }

    /// Whether so much is counted that it had better be written soon.
    #[must_use]
    pub fn should_flush(&self) -> bool {
        self.tallies.len() > MUCH
    }

    /// Writes what was counted since the last time. What cannot be written is kept for the next time.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn flush(&self, db: &Db, now: Timestamp) -> Result<(), AppError> {
        for addresses in [&self.failures, &self.reports] {
            addresses.evict_expired(now);
        }
        self.keys.evict_expired(now);
        let mut keys: Vec<_> = self.tallies.iter().map(|entry| entry.key().clone()).collect();
        // In one order, for two servers that write the same rows would otherwise wait for each other.
        keys.sort_unstable();
        let mut done = Ok(());
        for keys in keys.chunks(BATCH) {
            let taken: Vec<_> = keys.iter().filter_map(|key| self.tallies.remove(key)).collect();
            done = write_batch(db, &taken).await;
            if done.is_err() {
                for (key, tally) in taken {
                    self.put_back(key, tally);
                }
                break;
            }
        }
        forget_old(db, now).await.and(done)
    }

    fn put_back(&self, key: KeyId, old: Counters) {
        let mut tally = self.tallies.entry(key).or_default();
        for DayUsage { day, allowed, refused } in old.days {
            tally.add(day, (allowed, refused));
        }
        tally.old_used_at = tally.old_used_at.max(old.old_used_at);
        if tally.last.is_none() {
            tally.last = old.last;
        }
    }
}

fn within(acquired: Result<Remaining, u32>, limit: Limit) -> Result<(), AppError> {
    acquired.map(drop).map_err(|retry_after| AppError::RateLimited { limit, retry_after })
}

/// How many keys are written in one transaction: few enough to let others write between.
const BATCH: usize = 500;

async fn write_batch(db: &Db, tallies: &[(KeyId, Counters)]) -> Result<(), AppError> {
    let mut tx = db.begin().await?;
    let days = tallies.iter().flat_map(|(key, tally)| {
        let row = move |day: &DayUsage| [key.as_str().into(), day.day.into(), day.allowed.into(), day.refused.into()];
        tally.days.iter().map(row)
    });
    let sql = (
        "INSERT INTO usage (key_id, day, allowed, refused) ",
        " ON CONFLICT (key_id, day) DO UPDATE SET allowed = usage.allowed + excluded.allowed, \
         refused = usage.refused + excluded.refused",
    );
    bulk::write(&mut tx, sql, &days.collect::<Vec<_>>()).await?;
    let uses = tallies.iter().filter_map(|(key, tally)| {
        let last = tally.last.as_ref()?;
        let ip = last.ip.map(|ip| ip.to_string());
        Some([key.as_str().into(), last.at.into(), ip.into(), last.agent.as_str().into()])
    });
    // Never backwards: another server may have written a later use. Both databases call the columns of VALUES so.
    let sql = (
        "UPDATE keys SET used_at = used.column2, used_ip = used.column3, used_agent = used.column4 FROM (",
        ") AS used WHERE keys.id = used.column1 AND (keys.used_at IS NULL OR keys.used_at < used.column2)",
    );
    bulk::write(&mut tx, sql, &uses.collect::<Vec<_>>()).await?;
    let old = tallies.iter().filter_map(|(key, tally)| Some([key.as_str().into(), tally.old_used_at?.into()]));
    let sql = (
        "UPDATE keys SET old_used_at = used.column2 FROM (",
        ") AS used WHERE keys.id = used.column1 AND (keys.old_used_at IS NULL OR keys.old_used_at < used.column2)",
    );
    bulk::write(&mut tx, sql, &old.collect::<Vec<_>>()).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes out the days that are kept no longer, if there are any.
async fn forget_old(db: &Db, now: Timestamp) -> Result<(), AppError> {
    let last = now.as_millis() / DAY - KEPT_DAYS;
    let sql = "SELECT day FROM usage WHERE day <= $1 LIMIT 1";
    let expired: Option<i64> = db.query_optional(sql, params![last], |row| row.get("day")).await?;
    if expired.is_some() {
        db.execute("DELETE FROM usage WHERE day <= $1", params![last]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_limit_is_told_with_its_refusal_and_no_limit_is_no_limit() {
        let (usage, key) = (Usage::default(), KeyId::parse("01890000-0000-7000-8000-000000000000").unwrap());
        assert!((0..1000).all(|_| usage.admit(&key, 0, NOW).is_ok()));
        assert_eq!(usage.admit(&key, 1, NOW), Ok(()));
        let limit = Limit::KeyRequests { per_minute: 1 };
        assert_eq!(usage.admit(&key, 1, NOW.plus(1000)), Err(AppError::RateLimited { limit, retry_after: 59 }));
    }
}
