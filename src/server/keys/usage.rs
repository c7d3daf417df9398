//! Usage of keys: last use, requests per day, and rate limits. Counted in memory and written in batches, so that a request
//! costs no write.

use std::net::IpAddr;
use std::sync::Arc;

use crate::error::{AppError, Limit};
use crate::model::apis::ApiId;
use crate::model::keys::KeyId;
use crate::model::time::{DAY, Timestamp};
use crate::model::usage::{DayUsage, RETENTION_DAYS};
use crate::server::apis::usage::ApiCounters;
use crate::server::db::Db;
use crate::server::db::bulk;
use crate::server::db::bulk::{Kind, Value};
use crate::server::db::row::{Row, params};
use crate::server::fast_map::{FastHash, FastMap};
use crate::server::rate_limits::{FixedWindowLimiter, IpRateLimiter, MINUTE, Remaining};
use crate::server::request_context::{self, KeyQuota};

/// How often counters are written. The last use is accurate to a minute.
pub const FLUSH_INTERVAL: std::time::Duration = std::time::Duration::from_secs(15);
/// With more keys in memory the counters are written sooner.
const MAX_BUFFERED_KEYS: usize = 5000;

/// A use of a key.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// When.
    pub at: Timestamp,
    /// From where, if that is known.
    pub ip: Option<IpAddr>,
    /// The program, as it calls itself.
    pub agent: &'a str,
    /// Whether with the previous secret.
    pub old: bool,
}

#[derive(Debug, Default)]
struct Counters {
    /// Today; around midnight, or after the clock was set, one more.
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
    /// The rows of the table `usage`, one for each day.
    fn rows(&self, key: &KeyId) -> impl Iterator<Item = [Value; 7]> {
        self.days.iter().map(move |DayUsage { day, allowed, refused }| {
            let last = self.last.as_ref().filter(|last| last.at.as_millis() / DAY == *day);
            let ip = last.and_then(|last| last.ip).map(|ip| ip.to_string());
            [
                key.as_str().into(),
                (*day).into(),
                (*allowed).into(),
                (*refused).into(),
                last.map_or(Value::Null(Kind::Number), |last| last.at.into()),
                ip.into(),
                last.map(|last| last.agent.clone()).into(),
            ]
        })
    }

    fn add_use(&mut self, used: Use<'_>) {
        if used.old {
            self.old_used_at = self.old_used_at.max(Some(used.at));
        }
        match &mut self.last {
            Some(last) if last.at > used.at => {}
            // Mostly only the time differs.
            Some(last) if last.ip == used.ip && last.agent == used.agent => last.at = used.at,
            last => *last = Some(Last { at: used.at, ip: used.ip, agent: used.agent.to_owned() }),
        }
    }
}

/// Counters that are not written yet, and the rate limiters. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Usage {
    counters: Arc<FastMap<KeyId, Counters>>,
    /// Requests of registered APIs.
    pub of_apis: ApiCounters,
    keys: FixedWindowLimiter<KeyId, FastHash>,
    apis: FixedWindowLimiter<(KeyId, ApiId), FastHash>,
    failures: IpRateLimiter,
    reports: IpRateLimiter,
}

impl Default for Usage {
    fn default() -> Self {
        let (failures, reports) = (IpRateLimiter::of(MINUTE), IpRateLimiter::of(MINUTE));
        let (keys, apis) = (FixedWindowLimiter::default(), FixedWindowLimiter::default());
        Self { counters: Arc::default(), of_apis: ApiCounters::default(), keys, apis, failures, reports }
    }
}

impl Usage {
    /// Counts a request of a key.
    pub fn count(&self, key: &KeyId, used: Use<'_>, allowed: bool) {
        let mut counters = match self.counters.get_mut(key) {
            Some(counters) => counters,
            None => self.counters.entry(key.clone()).or_default(),
        };
        DayUsage::one(used.at, allowed).add_to(&mut counters.days);
        if allowed {
            counters.add_use(used);
        }
    }

    /// Counts a request against the limit of its key, and notes what is left for the response; 0 is no limit.
    pub fn admit(&self, key: &KeyId, per_minute: u32, now: Timestamp) -> Result<(), AppError> {
        if per_minute == 0 {
            return Ok(());
        }
        let (limit, acquired) = (Limit::KeyRequests { per_minute }, self.keys.try_acquire(key, per_minute, now));
        request_context::set_key_quota(KeyQuota::new(limit, acquired));
        rate_limited(acquired, limit)
    }

    /// Counts a request of a key against the limit of a registered API. The response names the limit of which less is left.
    pub fn admit_to_api(&self, key: &KeyId, api: &ApiId, per_minute: u32, now: Timestamp) -> Result<(), AppError> {
        let acquired = self.apis.try_acquire(&(key.clone(), api.clone()), per_minute, now);
        let limit = Limit::ApiRequests { per_minute };
        let quota = KeyQuota::new(limit, acquired);
        if request_context::key_quota().is_none_or(|other| quota.remaining <= other.remaining) {
            request_context::set_key_quota(quota);
        }
        rate_limited(acquired, limit)
    }

    /// Notes what is left of the limit of a key for the response, without counting the request.
    pub fn note_quota(&self, key: &KeyId, per_minute: u32, now: Timestamp) {
        if per_minute > 0 {
            let quota = KeyQuota::new(Limit::KeyRequests { per_minute }, self.keys.peek(key, per_minute, now));
            request_context::set_key_quota(quota);
        }
    }

    /// Fails if an address has presented too many unknown keys.
    pub fn check_failures(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), AppError> {
        let checked = self.failures.check(from, Limit::UNKNOWN_KEYS_PER_MINUTE, now);
        rate_limited(checked, Limit::UnknownKeys)
    }

    /// Counts an unknown key of an address, and rejects one too many.
    pub fn note_failure(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), AppError> {
        let acquired = self.failures.try_acquire(from, Limit::UNKNOWN_KEYS_PER_MINUTE, now);
        rate_limited(acquired, Limit::UnknownKeys)
    }

    /// Allows a report of leaked keys.
    pub fn admit_report(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), AppError> {
        let acquired = self.reports.try_acquire(from, Limit::LEAK_REPORTS_PER_MINUTE, now);
        rate_limited(acquired, Limit::LeakReports)
    }

    /// Whether the counters should be written before the next interval, because of their number.
    pub fn should_flush(&self) -> bool {
        self.counters.len() > MAX_BUFFERED_KEYS
    }

    /// Writes the counters. Those that cannot be written are kept for the next time.
    pub async fn flush(&self, db: &Db, now: Timestamp) -> Result<(), AppError> {
        for addresses in [&self.failures, &self.reports] {
            addresses.evict_expired(now);
        }
        self.keys.evict_expired(now);
        self.apis.evict_expired(now);
        let mut keys: Vec<_> = self.counters.iter().map(|entry| entry.key().clone()).collect();
        // In one order: two servers that write the same rows would otherwise deadlock.
        keys.sort_unstable();
        let mut done = Ok(());
        for keys in keys.chunks(BATCH_SIZE) {
            let taken: Vec<_> = keys.iter().filter_map(|key| self.counters.remove(key)).collect();
            done = write_batch(db, &taken).await;
            if done.is_err() {
                for (key, counters) in taken {
                    self.put_back(key, counters);
                }
                break;
            }
        }
        let of_apis = self.of_apis.flush(db, now).await;
        delete_expired(db, now).await.and(done).and(of_apis)
    }

    fn put_back(&self, key: KeyId, old: Counters) {
        let mut counters = self.counters.entry(key).or_default();
        for day in old.days {
            day.add_to(&mut counters.days);
        }
        counters.old_used_at = counters.old_used_at.max(old.old_used_at);
        if counters.last.is_none() {
            counters.last = old.last;
        }
    }
}

fn rate_limited(acquired: Result<Remaining, u32>, limit: Limit) -> Result<(), AppError> {
    acquired.map(drop).map_err(|retry_after| AppError::RateLimited { limit, retry_after })
}

/// How many keys are written in one transaction: few enough to let others write in between.
const BATCH_SIZE: usize = 500;
/// How many batches of expired rows one flush deletes: 40,000 rows a minute.
const MAX_DELETED_BATCHES: usize = 20;

async fn write_batch(db: &Db, counted: &[(KeyId, Counters)]) -> Result<(), AppError> {
    let mut tx = db.begin().await?;
    let days: Vec<_> = counted.iter().flat_map(|(key, counters)| counters.rows(key)).collect();
    // A key may have been deleted with its account. Another server may have written a later use.
    let sql = (
        "INSERT INTO usage (key_id, day, allowed, refused, used_at, used_ip, used_agent) SELECT used.* FROM (",
        ") AS used WHERE EXISTS (SELECT 1 FROM keys WHERE keys.id = used.column1) ON CONFLICT (key_id, day) DO UPDATE SET allowed = usage.allowed + excluded.allowed, \
         refused = usage.refused + excluded.refused, \
         used_ip = CASE WHEN excluded.used_at >= COALESCE(usage.used_at, 0) THEN excluded.used_ip ELSE usage.used_ip END, \
         used_agent = CASE WHEN excluded.used_at >= COALESCE(usage.used_at, 0) THEN excluded.used_agent ELSE usage.used_agent END, \
         used_at = CASE WHEN excluded.used_at >= COALESCE(usage.used_at, 0) THEN excluded.used_at ELSE usage.used_at END",
    );
    bulk::insert_rows(&mut tx, sql, &days).await?;
    let previous =
        counted.iter().filter_map(|(key, counters)| Some([key.as_str().into(), counters.old_used_at?.into()]));
    // Both databases name the columns of VALUES so.
    let sql = (
        "UPDATE keys SET old_used_at = used.column2 FROM (",
        ") AS used WHERE keys.id = used.column1 AND (keys.old_used_at IS NULL OR keys.old_used_at < used.column2)",
    );
    bulk::insert_rows(&mut tx, sql, &previous.collect::<Vec<_>>()).await?;
    tx.commit().await?;
    Ok(())
}

/// Deletes days that are older than [`RETENTION_DAYS`], a bounded number of rows at a time. A key's last use moves to its own row.
async fn delete_expired(db: &Db, now: Timestamp) -> Result<(), AppError> {
    let last = now.as_millis() / DAY - RETENTION_DAYS;
    let select = "SELECT key_id, day FROM usage WHERE day <= $1 LIMIT $2";
    for _ in 0..MAX_DELETED_BATCHES {
        let limit = i64::try_from(BATCH_SIZE).unwrap_or(i64::MAX);
        let expired = db.query_inline(select, params![last, limit], expired_row).await?;
        if expired.is_empty() {
            break;
        }
        let mut tx = db.begin().await?;
        let sql = (
            "UPDATE keys SET used_at = usage.used_at, used_ip = usage.used_ip, used_agent = usage.used_agent FROM (",
            ") AS expired JOIN usage ON usage.key_id = expired.column1 AND usage.day = expired.column2 \
             WHERE keys.id = usage.key_id AND usage.used_at > COALESCE(keys.used_at, 0) AND NOT EXISTS (SELECT 1 \
             FROM usage AS later WHERE later.key_id = usage.key_id AND later.day > usage.day AND later.used_at IS NOT NULL)",
        );
        bulk::insert_rows(&mut tx, sql, &expired).await?;
        bulk::insert_rows(&mut tx, ("DELETE FROM usage WHERE (key_id, day) IN (", ")"), &expired).await?;
        tx.commit().await?;
    }
    Ok(())
}

fn expired_row(row: Row<'_>) -> Result<[Value; 2], AppError> {
    Ok([row.get::<String>("key_id")?.into(), row.get::<i64>("day")?.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon, so that a day has what is counted around it.
    const NOW: Timestamp = Timestamp::from_millis(1_800_014_400_000);

    #[test]
    fn rejection_names_the_limit_and_zero_is_no_limit() {
        let (usage, key) = (Usage::default(), key(0));
        assert!((0..1000).all(|_| usage.admit(&key, 0, NOW).is_ok()));
        assert_eq!(usage.admit(&key, 1, NOW), Ok(()));
        let limit = Limit::KeyRequests { per_minute: 1 };
        assert_eq!(usage.admit(&key, 1, NOW.plus(1000)), Err(AppError::RateLimited { limit, retry_after: 59 }));
    }

    fn key(n: usize) -> KeyId {
        KeyId::parse(&format!("01890000-0000-7000-8000-{n:012}")).unwrap()
    }

    fn used(millis: i64, ip: &str, agent: &'static str) -> Use<'static> {
        Use { at: NOW.plus(millis), ip: ip.parse().ok(), agent, old: false }
    }

    #[test]
    fn last_use_is_the_latest_with_its_address_and_program() {
        let mut counters = Counters::default();
        for (one, expected) in [
            (used(0, "203.0.113.1", "a"), (0, "203.0.113.1", "a")),
            (used(-1, "203.0.113.2", "b"), (0, "203.0.113.1", "a")),
            (used(0, "203.0.113.1", "b"), (0, "203.0.113.1", "b")),
            (used(1, "203.0.113.2", "b"), (1, "203.0.113.2", "b")),
            (used(2, "203.0.113.2", "b"), (2, "203.0.113.2", "b")),
        ] {
            counters.add_use(one);
            let last = counters.last.as_ref().unwrap();
            let expected = (NOW.plus(expected.0), expected.1.parse().ok(), expected.2);
            assert_eq!((last.at, last.ip, &*last.agent), expected);
        }
    }

    #[test]
    fn counts_are_written_sooner_when_there_are_many() {
        let usage = Usage::default();
        for n in 0..MAX_BUFFERED_KEYS {
            usage.count(&key(n), used(0, "", ""), true);
        }
        assert!(!usage.should_flush());
        usage.count(&key(MAX_BUFFERED_KEYS), used(0, "", ""), true);
        assert!(usage.should_flush());
    }

    #[test]
    fn counts_that_could_not_be_written_are_added_to_the_later_ones() {
        let (usage, key) = (Usage::default(), key(0));
        usage.count(&key, Use { old: true, ..used(0, "203.0.113.1", "a") }, true);
        usage.count(&key, used(0, "", ""), false);
        let (_, old) = usage.counters.remove(&key).unwrap();
        usage.put_back(key.clone(), old);
        {
            let counters = usage.counters.get(&key).unwrap();
            assert_eq!((counters.days[0].allowed, counters.days[0].refused), (1, 1));
            assert_eq!((counters.last.as_ref().unwrap().at, counters.old_used_at), (NOW, Some(NOW)));
        }
        let (_, old) = usage.counters.remove(&key).unwrap();
        usage.count(&key, used(1, "203.0.113.1", "a"), true);
        usage.put_back(key.clone(), old);
        let counters = usage.counters.get(&key).unwrap();
        assert_eq!((counters.days.len(), counters.days[0].allowed, counters.days[0].refused), (1, 2, 1));
        assert_eq!((counters.last.as_ref().unwrap().at, counters.old_used_at), (NOW.plus(1), Some(NOW)));
    }
}
