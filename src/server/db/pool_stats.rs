//! Figures of the connection pools, for metrics.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::server::clock::Stopwatch;
use crate::server::metrics::histogram::{Histogram, HistogramSnapshot};

/// Times of a pool, and the requests that wait for it.
#[derive(Debug, Default)]
pub struct PoolMeter {
    waiting: AtomicUsize,
    times: Histogram,
}

/// State of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolStats {
    pub name: &'static str,
    pub in_use: usize,
    pub idle: usize,
    /// Connections that the pool may have.
    pub limit: usize,
    /// Requests that wait for a connection.
    pub waiting: usize,
    /// Times to get a connection.
    pub times: HistogramSnapshot,
}

/// Counts one that waits. Dropping it ends that, also when its request is cancelled.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl PoolMeter {
    /// Measures how long it takes to get a connection.
    pub async fn measure<T>(&self, acquire: impl Future<Output = T>) -> T {
        self.waiting.fetch_add(1, Relaxed);
        let waiting = Waiting(&self.waiting);
        let began = Stopwatch::start();
        let acquired = acquire.await;
        self.times.observe(began.elapsed());
        drop(waiting);
        acquired
    }

    /// Returns the state of the pool that this measures.
    pub fn stats(&self, name: &'static str, in_use: usize, idle: usize, limit: usize) -> PoolStats {
        let (waiting, times) = (self.waiting.load(Relaxed), self.times.snapshot());
        PoolStats { name, in_use, idle, limit, waiting, times }
    }
}
