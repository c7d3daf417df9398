//! Counters of the server, for Prometheus. They are recorded only where `KEYFOB_METRICS_ADDR` is set.
//!
//! A request pays for a few atomic additions in memory of its own thread: no lock, no allocation, no formatting. The crates
//! `prometheus`, `prometheus-client` and `metrics` look up labelled counters under a lock, so [`scrape`] uses the first one only to
//! write the text format.

pub mod histogram;
pub mod labels;
mod process;
mod routes;
pub mod scrape;
mod series;
mod text;

use std::cell::Cell;
use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use axum::http::Method;

use self::histogram::{Histogram, HistogramSnapshot};
use self::labels::{CacheResult, Credential, KeyOutcome, MethodLabel, Rejection};
use self::routes::{MAX_LABELS, Routes};
use self::series::{Series, SeriesTable};
use crate::error::Limit;
use crate::model::time::Timestamp;

/// Copies of the counters at most. More threads share them.
const MAX_SHARDS: usize = 16;

/// Counters of one server. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

struct Inner {
    started: Timestamp,
    routes: Routes,
    shards: Box<[Shard]>,
    limits: [AtomicU64; Limit::ALL.len()],
    rejections: [AtomicU64; Rejection::ALL.len()],
}

/// Counters that every request changes, for the threads that share them. Aligned so that no two shards share a cache line.
#[repr(align(128))]
struct Shard {
    requests: SeriesTable,
    /// Time of the requests of each route.
    times: Box<[Histogram]>,
    checks: [AtomicU64; KeyOutcome::ALL.len()],
    cache: [AtomicU64; CacheResult::ALL.len()],
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            requests: SeriesTable::default(),
            times: (0..MAX_LABELS).map(|_| Histogram::default()).collect(),
            checks: Default::default(),
            cache: Default::default(),
        }
    }
}

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Pattern that the router matched, or one of the fixed names.
    pub route: &'a str,
    pub method: &'a Method,
    pub status: u16,
    pub credential: Credential,
    pub time: Duration,
}

impl Metrics {
    /// Makes counters that begin at 0.
    pub fn new(started: Timestamp) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let shards = cores.min(MAX_SHARDS).next_power_of_two();
        Self(Arc::new(Inner {
            started,
            routes: Routes::default(),
            shards: (0..shards).map(|_| Shard::default()).collect(),
            limits: Default::default(),
            rejections: Default::default(),
        }))
    }

    /// Returns the counters of this thread.
    fn shard(&self) -> &Shard {
        // The number of shards is a power of two.
        &self.0.shards[thread_number() & (self.0.shards.len() - 1)]
    }

    /// Counts a request that was answered.
    pub fn count_request(&self, answered: &Answered<'_>) {
        let route = self.0.routes.label(answered.route);
        let (method, shard) = (MethodLabel::from(answered.method), self.shard());
        shard.times[route].observe(answered.time);
        shard.requests.increment(Series { route, method, status: answered.status, credential: answered.credential });
    }

    /// Counts a check of a key.
    pub fn count_key_check(&self, outcome: KeyOutcome) {
        self.shard().checks[outcome as usize].fetch_add(1, Relaxed);
    }

    /// Counts a lookup in the cache of keys.
    pub fn count_cache_lookup(&self, result: CacheResult) {
        self.shard().cache[result as usize].fetch_add(1, Relaxed);
    }

    /// Counts a request that a limit refused.
    pub fn count_limit(&self, limit: Limit) {
        if let Some(index) = Limit::ALL.iter().position(|other| other.name() == limit.name()) {
            self.0.limits[index].fetch_add(1, Relaxed);
        }
    }

    /// Counts a request that admission control turned away or stopped.
    pub fn count_rejection(&self, rejection: Rejection) {
        self.0.rejections[rejection as usize].fetch_add(1, Relaxed);
    }

    /// Returns the number of key checks of each outcome.
    fn key_checks(&self, outcome: KeyOutcome) -> u64 {
        self.0.shards.iter().map(|shard| shard.checks[outcome as usize].load(Relaxed)).sum()
    }

    fn cache_lookups(&self, result: CacheResult) -> u64 {
        self.0.shards.iter().map(|shard| shard.cache[result as usize].load(Relaxed)).sum()
    }

    /// Returns the time of the requests of a route.
    fn times(&self, route: usize) -> HistogramSnapshot {
        self.0.shards.iter().map(|shard| shard.times[route].snapshot()).sum()
    }
}

/// Returns the number of this thread, counted from 0 in the order of their first use.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Relaxed));
        }
        number.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_threads_are_added() {
        let metrics = Metrics::new(Timestamp::from_millis(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for status in [200, 200, 401] {
                        let (credential, time) = (Credential::Key, Duration::from_millis(2));
                        let (route, method) = ("/api/v1/me", &Method::GET);
                        metrics.count_request(&Answered { route, method, status, credential, time });
                        metrics.count_key_check(KeyOutcome::Valid);
                    }
                });
            }
        });
        assert_eq!(metrics.key_checks(KeyOutcome::Valid), 24);
        let route = metrics.0.routes.label("/api/v1/me");
        assert_eq!(metrics.times(route).count(), 24);
        let counts = series::total(metrics.0.shards.iter().map(|shard| &shard.requests));
        let of = |status| counts.iter().find(|(series, _)| series.status == status).map(|(_, count)| *count);
        assert_eq!((counts.len(), of(200), of(401)), (2, Some(16), Some(8)));
    }
}
