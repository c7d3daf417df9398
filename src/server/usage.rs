//! How keys are used: the last use, requests per day, and limits. Kept in memory and written in batches, so that a request
//! costs no write.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;

use super::db::{Db, execute};
use crate::error::AppError;
use crate::model::keys::KeyId;
use crate::model::time::{DAY, Timestamp};

/// How often what was counted is written: well within the minute to which the last use is right.
pub const WRITE_EVERY: std::time::Duration = std::time::Duration::from_secs(15);
/// How many days of requests are kept.
const KEPT_DAYS: i64 = 90;
/// The length of a window of a limit, in milliseconds.
const WINDOW: i64 = 60 * 1000;
/// How many unknown keys an address may present in a window, before the database is no longer asked for it.
const FAILURES: u32 = 100;
/// How many reports of leaked keys an address may send in a window.
const REPORTS: u32 = 30;

/// A use of a key.
#[derive(Clone, Debug)]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// From where, if that is known.
    pub ip: Option<IpAddr>,
    /// The program, as it calls itself.
    pub agent: String,
    /// Whether with the secret before the last rotation.
    pub old: bool,
}

#[derive(Debug, Default)]
struct Tally {
    allowed: i64,
    refused: i64,
    last: Option<Use>,
    old_used_at: Option<Timestamp>,
}

/// What was counted and is not yet written, and what limits have been spent. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    tallies: Arc<DashMap<(KeyId, i64), Tally>>,
    keys: Windows<KeyId>,
    failures: Windows<IpAddr>,
    reports: Windows<IpAddr>,
}

impl Usage {
    /// Counts a request of a key.
    pub fn count(&self, key: &KeyId, used: Use, allowed: bool) {
        let mut tally = self.tallies.entry((key.clone(), used.at.as_millis() / DAY)).or_default();
        if !allowed {
            tally.refused += 1;
            return;
        }
        tally.allowed += 1;
        if used.old {
            tally.old_used_at = tally.old_used_at.max(Some(used.at));
        }
        if tally.last.as_ref().is_none_or(|last| last.at <= used.at) {
            tally.last = Some(used);
        }
    }

    /// Lets a request of a key through, if it is within so many a minute; 0 for no limit.
    ///
    /// # Errors
    /// [`AppError::RateLimited`].
    pub fn admit(&self, key: &KeyId, limit: u32, now: Timestamp) -> Result<(), AppError> {
        if limit == 0 { Ok(()) } else { self.keys.spend(key, limit, now) }
    }

    /// Refuses an address that has presented too many unknown keys.
    ///
    /// # Errors
    /// [`AppError::RateLimited`].
    pub fn check_failures(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), AppError> {
        from.map_or(Ok(()), |from| self.failures.check(&from, FAILURES, now))
    }

    /// Notes that an address presented an unknown key.
    pub fn note_failure(&self, from: Option<IpAddr>, now: Timestamp) {
        if let Some(from) = from {
            let _ = self.failures.spend(&from, FAILURES, now);
        }
    }

    /// Lets a report of leaked keys through.
    ///
    /// # Errors
    /// [`AppError::RateLimited`].
    pub fn admit_report(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), AppError> {
        from.map_or(Ok(()), |from| self.reports.spend(&from, REPORTS, now))
    }

    /// Writes what was counted since the last time. What cannot be written is kept for the next time.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn write(&self, db: &Db, now: Timestamp) -> Result<(), AppError> {
        for windows in [&self.failures, &self.reports] {
            windows.forget(now);
        }
        self.keys.forget(now);
        let mut counted: Vec<_> = self.tallies.iter().map(|entry| entry.key().clone()).collect();
        if counted.is_empty() {
            return Ok(());
        }
        // In one order, for two servers that write the same rows would otherwise wait for each other.
        counted.sort();
        let taken: Vec<_> = counted.into_iter().filter_map(|id| self.tallies.remove(&id)).collect();
        let written = write_all(db, &taken, now).await;
        if written.is_err() {
            for (id, tally) in taken {
                self.put_back(id, tally);
            }
        }
        written
    }

    fn put_back(&self, id: (KeyId, i64), old: Tally) {
        let mut tally = self.tallies.entry(id).or_default();
        tally.allowed += old.allowed;
        tally.refused += old.refused;
        tally.old_used_at = tally.old_used_at.max(old.old_used_at);
        if tally.last.is_none() {
            tally.last = old.last;
        }
    }
}

async fn write_all(db: &Db, counted: &[((KeyId, i64), Tally)], now: Timestamp) -> Result<(), AppError> {
    let mut tx = db.begin().await?;
    for ((key, day), tally) in counted {
        let sql = "INSERT INTO usage (key_id, day, allowed, refused) VALUES ($1, $2, $3, $4) ON CONFLICT (key_id, day) \
                   DO UPDATE SET allowed = usage.allowed + excluded.allowed, refused = usage.refused + excluded.refused";
        execute!(tx, sql, key, day, tally.allowed, tally.refused)?;
        if let Some(last) = &tally.last {
            let ip = last.ip.map(|ip| ip.to_string());
            // Never backwards: another server may have written a later use.
            let sql = "UPDATE keys SET used_at = $2, used_ip = $3, used_agent = $4 \
                       WHERE id = $1 AND (used_at IS NULL OR used_at < $2)";
            execute!(tx, sql, key, last.at, ip, &last.agent)?;
        }
        if let Some(at) = tally.old_used_at {
            let sql = "UPDATE keys SET old_used_at = $2 WHERE id = $1 AND (old_used_at IS NULL OR old_used_at < $2)";
            execute!(tx, sql, key, at)?;
        }
    }
    execute!(tx, "DELETE FROM usage WHERE day <= $1", now.as_millis() / DAY - KEPT_DAYS)?;
    tx.commit().await?;
    Ok(())
}

/// Counts in windows of a minute, each of which begins with its first request.
#[derive(Clone, Debug)]
struct Windows<K: Eq + Hash>(Arc<DashMap<K, Window>>);

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Timestamp,
    spent: u32,
}

impl<K: Eq + Hash> Default for Windows<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Clone> Windows<K> {
    fn spend(&self, of: &K, limit: u32, now: Timestamp) -> Result<(), AppError> {
        let mut window = self.0.entry(of.clone()).or_insert(Window { began: now, spent: 0 });
        if window.is_over(now) {
            *window = Window { began: now, spent: 0 };
        }
        if window.spent >= limit {
            return Err(window.refusal(limit, now));
        }
        window.spent += 1;
        Ok(())
    }

    fn check(&self, of: &K, limit: u32, now: Timestamp) -> Result<(), AppError> {
        match self.0.get(of) {
            Some(window) if window.spent >= limit && !window.is_over(now) => Err(window.refusal(limit, now)),
            _ => Ok(()),
        }
    }

    fn forget(&self, now: Timestamp) {
        self.0.retain(|_, window| !window.is_over(now));
    }
}

impl Window {
    fn is_over(self, now: Timestamp) -> bool {
        // A clock that was set back must not stretch a window.
        now >= self.began.plus(WINDOW) || now < self.began
    }

    fn refusal(self, limit: u32, now: Timestamp) -> AppError {
        let left = self.began.plus(WINDOW).as_millis() - now.as_millis();
        AppError::RateLimited { limit, seconds: u32::try_from(left).unwrap_or(0).div_ceil(1000).max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn key() -> KeyId {
        KeyId::parse("01890000-0000-7000-8000-000000000000").unwrap()
    }

    #[test]
    fn a_limit_lets_exactly_so_many_through_in_a_window_and_tells_when_it_ends() {
        let usage = Usage::default();
        for n in 0..3 {
            assert_eq!(usage.admit(&key(), 3, NOW.plus(n)), Ok(()));
        }
        assert_eq!(usage.admit(&key(), 3, NOW.plus(1000)), Err(AppError::RateLimited { limit: 3, seconds: 59 }));
        assert_eq!(usage.admit(&key(), 3, NOW.plus(WINDOW - 1)), Err(AppError::RateLimited { limit: 3, seconds: 1 }));
        assert_eq!(usage.admit(&key(), 3, NOW.plus(WINDOW)), Ok(()));
    }

    #[test]
    fn no_limit_is_no_limit() {
        let usage = Usage::default();
        assert!((0..1000).all(|_| usage.admit(&key(), 0, NOW).is_ok()));
    }

    #[test]
    fn a_clock_that_is_set_back_begins_a_new_window() {
        let usage = Usage::default();
        assert_eq!(usage.admit(&key(), 1, NOW), Ok(()));
        assert_eq!(usage.admit(&key(), 1, NOW.plus(-DAY)), Ok(()));
    }

    #[test]
    fn parallel_requests_spend_no_more_than_the_limit() {
        let usage = Usage::default();
        let through = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        if usage.admit(&key(), 100, NOW).is_ok() {
                            through.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(through.into_inner(), 100);
    }
}
