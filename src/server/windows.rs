//! Limits that are kept in memory, each process for itself: counts in windows of time, each of which begins with its first
//! request.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;

use super::auth::client::network;
use crate::model::time::Timestamp;

/// A minute, in milliseconds.
pub const MINUTE: i64 = 60 * 1000;
/// How many addresses are counted. With more at once, further ones are not, for the sake of the memory: a limit for each
/// address does not stop whoever has so many.
const MOST_ADDRESSES: usize = 100_000;

/// What was spent by each of many in their windows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Windows<K: Eq + Hash> {
    counts: Arc<DashMap<K, Window>>,
    length: i64,
    most: usize,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Timestamp,
    spent: u32,
}

impl<K: Eq + Hash> Default for Windows<K> {
    /// Windows of a minute.
    fn default() -> Self {
        Self { counts: Arc::default(), length: MINUTE, most: usize::MAX }
    }
}

impl<K: Eq + Hash + Clone> Windows<K> {
    /// Counts one more, if it is within the limit.
    ///
    /// # Errors
    /// The seconds after which it will be.
    pub fn spend(&self, of: &K, limit: u32, now: Timestamp) -> Result<(), u32> {
        let mut window = match self.counts.get_mut(of) {
            Some(window) => window,
            None if self.counts.len() >= self.most => return Ok(()),
            None => self.counts.entry(of.clone()).or_insert(Window { began: now, spent: 0 }),
        };
        if self.is_over(*window, now) {
            *window = Window { began: now, spent: 0 };
        }
        if window.spent >= limit {
            return Err(self.left(*window, now));
        }
        window.spent += 1;
        Ok(())
    }

    /// Whether one more would be within the limit; counts nothing.
    ///
    /// # Errors
    /// As [`Windows::spend`].
    pub fn check(&self, of: &K, limit: u32, now: Timestamp) -> Result<(), u32> {
        match self.counts.get(of) {
            Some(window) if window.spent >= limit && !self.is_over(*window, now) => Err(self.left(*window, now)),
            _ => Ok(()),
        }
    }

    /// Takes one back that shall not count.
    pub fn give_back(&self, of: &K) {
        if let Some(mut window) = self.counts.get_mut(of) {
            window.spent = window.spent.saturating_sub(1);
        }
    }

    /// Throws away what is over.
    pub fn forget(&self, now: Timestamp) {
        self.counts.retain(|_, window| !self.is_over(*window, now));
    }

    fn is_over(&self, window: Window, now: Timestamp) -> bool {
        // A clock that was set back must not stretch a window.
        now >= window.began.plus(self.length) || now < window.began
    }

    fn left(&self, window: Window, now: Timestamp) -> u32 {
        let left = window.began.plus(self.length).as_millis() - now.as_millis();
        u32::try_from(left).unwrap_or(0).div_ceil(1000).max(1)
    }
}

/// The same for addresses, where a network of IPv6 counts as one. One that is not known has no limit.
#[derive(Clone, Debug)]
pub struct Addresses(Windows<IpAddr>);

impl Addresses {
    /// Windows of so many milliseconds.
    #[must_use]
    pub fn of(length: i64) -> Self {
        Self(Windows { length, most: MOST_ADDRESSES, ..Windows::default() })
    }

    /// As [`Windows::spend`].
    ///
    /// # Errors
    /// The seconds after which one more will be within the limit.
    pub fn spend(&self, from: Option<IpAddr>, limit: u32, now: Timestamp) -> Result<(), u32> {
        from.map_or(Ok(()), |from| self.0.spend(&network(from), limit, now))
    }

    /// As [`Windows::check`].
    ///
    /// # Errors
    /// As [`Addresses::spend`].
    pub fn check(&self, from: Option<IpAddr>, limit: u32, now: Timestamp) -> Result<(), u32> {
        from.map_or(Ok(()), |from| self.0.check(&network(from), limit, now))
    }

    /// As [`Windows::give_back`].
    pub fn give_back(&self, from: Option<IpAddr>) {
        if let Some(from) = from {
            self.0.give_back(&network(from));
        }
    }

    /// As [`Windows::forget`].
    pub fn forget(&self, now: Timestamp) {
        self.0.forget(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::DAY;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_limit_lets_exactly_so_many_through_in_a_window_and_tells_when_it_ends() {
        let windows = Windows::default();
        for n in 0..3 {
            assert_eq!(windows.spend(&1, 3, NOW.plus(n)), Ok(()));
        }
        assert_eq!(windows.spend(&1, 3, NOW.plus(1000)), Err(59));
        assert_eq!(windows.spend(&2, 3, NOW.plus(1000)), Ok(()));
        assert_eq!(windows.spend(&1, 3, NOW.plus(MINUTE - 1)), Err(1));
        assert_eq!(windows.spend(&1, 3, NOW.plus(MINUTE)), Ok(()));
    }

    #[test]
    fn what_is_given_back_can_be_spent_again() {
        let (addresses, from) = (Addresses::of(60 * MINUTE), Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(addresses.spend(from, 1, NOW), Ok(()));
        assert_eq!(addresses.check(from, 1, NOW), Err(3600));
        addresses.give_back(from);
        addresses.give_back(from);
        assert_eq!(addresses.spend(from, 1, NOW), Ok(()));
        assert_eq!(addresses.spend(from, 1, NOW), Err(3600));
    }

    #[test]
    fn a_clock_that_is_set_back_begins_a_new_window() {
        let windows = Windows::default();
        assert_eq!(windows.spend(&1, 1, NOW), Ok(()));
        assert_eq!(windows.spend(&1, 1, NOW.plus(-DAY)), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let addresses = Addresses::of(MINUTE);
        let from = |text: &str| Some(text.parse().unwrap());
        assert_eq!(addresses.spend(from("2001:db8:1:2::1"), 1, NOW), Ok(()));
        assert_eq!(addresses.spend(from("2001:db8:1:2:ffff::1"), 1, NOW), Err(60));
        assert_eq!(addresses.spend(from("2001:db8:1:3::1"), 1, NOW), Ok(()));
        assert_eq!(addresses.spend(None, 0, NOW), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_takes_a_bounded_memory_and_frees_nobody() {
        let addresses = Addresses::of(MINUTE);
        let from = |n: usize| Some(IpAddr::from(u32::try_from(n).unwrap().to_be_bytes()));
        for n in 0..MOST_ADDRESSES + 100 {
            assert_eq!(addresses.spend(from(n), 1, NOW), Ok(()));
        }
        assert_eq!(addresses.0.counts.len(), MOST_ADDRESSES);
        assert_eq!(addresses.spend(from(0), 1, NOW), Err(60));
        addresses.forget(NOW.plus(MINUTE));
        assert_eq!(addresses.0.counts.len(), 0);
    }

    #[test]
    fn parallel_requests_spend_no_more_than_the_limit() {
        let windows = Windows::default();
        let through = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        if windows.spend(&1, 100, NOW).is_ok() {
                            through.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(through.into_inner(), 100);
    }
}
