//! Lock-free table of counters, one for each combination of labels that occurred.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::labels::{Credential, MethodLabel};

/// Combinations that a table holds. Further ones are counted together; see [`Series::FOLDED`].
const MAX_SERIES: usize = 4096;
/// Places that are tried for one combination.
const MAX_PROBES: usize = 64;

/// Labels of a counter of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// Number of the route; see [`Routes`](super::routes::Routes).
    pub route: usize,
    pub method: MethodLabel,
    pub status: u16,
    pub credential: Credential,
}

impl Series {
    /// Takes the place of all combinations that found none. No answer has the status 0.
    pub const FOLDED: Self = Self {
        route: super::routes::MAX_LABELS - 1,
        method: MethodLabel::Other,
        status: 0,
        credential: Credential::None,
    };

    /// Returns the labels as one number that is not 0.
    fn key(self) -> u32 {
        let status = u32::from(self.status.min(1023));
        let route = u32::try_from(self.route).unwrap_or(0);
        (((route << 3 | self.method as u32) << 2 | self.credential as u32) << 10 | status) + 1
    }

    fn of_key(key: u32) -> Self {
        let rest = key - 1;
        Self {
            route: (rest >> 15) as usize,
            method: MethodLabel::ALL[(rest >> 12 & 7) as usize],
            credential: Credential::ALL[(rest >> 10 & 3) as usize],
            status: (rest & 1023) as u16,
        }
    }
}

/// Hash table with open addressing. Entries are only added.
pub struct SeriesTable {
    places: Box<[Place]>,
    folded: AtomicU64,
}

#[derive(Default)]
struct Place {
    /// 0 while the place is free.
    key: AtomicU32,
    count: AtomicU64,
}

impl Default for SeriesTable {
    fn default() -> Self {
        Self { places: (0..MAX_SERIES).map(|_| Place::default()).collect(), folded: AtomicU64::new(0) }
    }
}

impl SeriesTable {
    /// Adds 1 to the counter of these labels.
    pub fn increment(&self, series: Series) {
        let key = series.key();
        let start = (key.wrapping_mul(0x9e37_79b9) >> 16) as usize;
        let places = (0..MAX_PROBES).map(|step| &self.places[(start + step) % MAX_SERIES]);
        let count = places.into_iter().find(|place| place.is_for(key)).map_or(&self.folded, |place| &place.count);
        count.fetch_add(1, Relaxed);
    }

    fn counts(&self) -> impl Iterator<Item = (u32, u64)> {
        let places = self.places.iter().map(|place| (place.key.load(Relaxed), place.count.load(Relaxed)));
        let folded = (Series::FOLDED.key(), self.folded.load(Relaxed));
        places.chain([folded]).filter(|(key, count)| *key != 0 && *count != 0)
    }
}

impl Place {
    /// Whether this is the place of a key. Takes a free one.
    fn is_for(&self, key: u32) -> bool {
        match self.key.load(Relaxed) {
            0 => {
                self.key.compare_exchange(0, key, Relaxed, Relaxed).is_ok_and(|_| true) || self.key.load(Relaxed) == key
            }
            taken => taken == key,
        }
    }
}

/// Returns the sum of several tables, in the order of the labels.
pub fn total<'a>(tables: impl Iterator<Item = &'a SeriesTable>) -> Vec<(Series, u64)> {
    let mut sums = BTreeMap::new();
    for (key, count) in tables.flat_map(SeriesTable::counts) {
        *sums.entry(key).or_default() += count;
    }
    sums.into_iter().map(|(key, count)| (Series::of_key(key), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(route: usize, status: u16) -> Series {
        Series { route, method: MethodLabel::Other, status, credential: Credential::Session }
    }

    #[test]
    fn labels_survive_the_number() {
        for series in [series(0, 200), series(256, 599), Series::FOLDED] {
            assert_eq!(Series::of_key(series.key()), series);
        }
    }

    #[test]
    fn table_is_bounded_and_loses_no_count() {
        let table = SeriesTable::default();
        for route in 0..=256 {
            (100..150).for_each(|status| table.increment(series(route, status)));
        }
        let total = total([&table].into_iter());
        assert!(total.len() <= MAX_SERIES + 1);
        assert_eq!(total.iter().map(|(_, count)| count).sum::<u64>(), 257 * 50);
        assert!(total.iter().any(|(series, count)| *series == Series::FOLDED && *count > 1));
    }

    #[test]
    fn concurrent_threads_share_a_place() {
        let table = SeriesTable::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|n| table.increment(series(n % 100, 200))));
            }
        });
        let total = total([&table].into_iter());
        assert_eq!((total.len(), total[0].1), (100, 40));
    }
}
