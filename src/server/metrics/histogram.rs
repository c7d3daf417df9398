//! Histogram of durations, with buckets that all metrics share.

use std::iter::Sum;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// Upper bounds of the buckets in nanoseconds, from a key check to the deadline of a request.
pub const BOUNDS: [u64; 15] = [
    100 * MICRO,
    250 * MICRO,
    500 * MICRO,
    MILLI,
    2 * MILLI + 500 * MICRO,
    5 * MILLI,
    10 * MILLI,
    25 * MILLI,
    50 * MILLI,
    100 * MILLI,
    250 * MILLI,
    500 * MILLI,
    SECOND,
    2 * SECOND + 500 * MILLI,
    10 * SECOND,
];

/// Counts of durations. Adding one is two atomic additions.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each bound, and one for what is longer.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Histogram {
    /// Adds a duration.
    pub fn observe(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[BOUNDS.partition_point(|bound| *bound < nanos)].fetch_add(1, Relaxed);
        self.nanos.fetch_add(nanos, Relaxed);
    }

    /// Returns the counts as they are now.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let buckets = std::array::from_fn(|n| self.buckets[n].load(Relaxed));
        HistogramSnapshot { buckets, nanos: self.nanos.load(Relaxed) }
    }
}

/// Counts of a [`Histogram`] at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistogramSnapshot {
    buckets: [u64; BOUNDS.len() + 1],
    nanos: u64,
}

impl HistogramSnapshot {
    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns the sum of all durations.
    pub const fn total(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// Returns each bound, with the number of durations up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let sums = self.buckets.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BOUNDS.into_iter().map(Duration::from_nanos).zip(sums)
    }
}

impl Sum for HistogramSnapshot {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum.buckets.iter_mut().zip(one.buckets).for_each(|(sum, count)| *sum += count);
            sum.nanos += one.nanos;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_in_the_buckets_from_its_bound_on() {
        let histogram = Histogram::default();
        for micros in [1, 100, 101, 20_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        let cumulative: Vec<_> = snapshot.cumulative().map(|(_, count)| count).collect();
        assert_eq!((cumulative[0], cumulative[1], cumulative[BOUNDS.len() - 1]), (2, 3, 3));
        assert_eq!((snapshot.count(), snapshot.total()), (4, Duration::from_micros(20_000_202)));
    }

    #[test]
    fn bounds_rise() {
        assert!(BOUNDS.is_sorted());
    }
}
