//! Limits that are kept in memory, each process for itself: counts in windows of time, each of which begins with its first
//! request.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use hashlink::LruCache;

use super::auth::client_ip::rate_limit_network;
use crate::model::time::Timestamp;

/// A minute, in milliseconds.
pub const MINUTE: i64 = 60 * 1000;
/// How many addresses are counted. With more at once, the one that was not heard of for longest is forgotten. Measured: 9 MB.
const MAX_TRACKED_IPS: usize = 100_000;

/// What was spent in a window of time.
#[derive(Clone, Copy, Debug)]
struct Window {
    began: Timestamp,
    spent: u32,
}

impl Window {
    const fn new(began: Timestamp) -> Self {
        Self { began, spent: 0 }
    }

    fn is_over(self, length: i64, now: Timestamp) -> bool {
        // A clock that was set back must not stretch a window.
        now >= self.began.plus(length) || now < self.began
    }

    fn try_acquire(&mut self, length: i64, limit: u32, now: Timestamp) -> Result<(), u32> {
        if self.is_over(length, now) {
            *self = Self::new(now);
        }
        self.check(length, limit, now)?;
        self.spent += 1;
        Ok(())
    }

    fn check(self, length: i64, limit: u32, now: Timestamp) -> Result<(), u32> {
        if self.spent < limit || self.is_over(length, now) {
            return Ok(());
        }
        let left = self.began.plus(length).as_millis() - now.as_millis();
        Err(u32::try_from(left).unwrap_or(0).div_ceil(1000).max(1))
    }
}

/// What was spent by each of many in their windows, for what there is a bounded number of, such as keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FixedWindowLimiter<K: Eq + Hash> {
    counts: Arc<DashMap<K, Window>>,
    length: i64,
}

impl<K: Eq + Hash> Default for FixedWindowLimiter<K> {
    /// Windows of a minute.
    fn default() -> Self {
        Self { counts: Arc::default(), length: MINUTE }
    }
}

impl<K: Eq + Hash + Clone> FixedWindowLimiter<K> {
    /// Counts one more, if it is within the limit.
    ///
    /// # Errors
    /// The seconds after which it will be.
    pub fn try_acquire(&self, of: &K, limit: u32, now: Timestamp) -> Result<(), u32> {
        let mut window = match self.counts.get_mut(of) {
            Some(window) => window,
            None => self.counts.entry(of.clone()).or_insert(Window::new(now)),
        };
        window.try_acquire(self.length, limit, now)
    }

    /// Throws away what is over.
    pub fn evict_expired(&self, now: Timestamp) {
        self.counts.retain(|_, window| !window.is_over(self.length, now));
    }
}

/// The same for addresses, where a network of IPv6 counts as one. One that is not known has no limit. An address that is new is
/// always counted: where there are too many, the one that was not heard of for longest is forgotten.
#[derive(Clone, Debug)]
pub struct IpRateLimiter {
    counts: Arc<Mutex<LruCache<IpAddr, Window>>>,
    length: i64,
}

impl IpRateLimiter {
    /// Windows of so many milliseconds.
    #[must_use]
    pub fn of(length: i64) -> Self {
        Self { counts: Arc::new(Mutex::new(LruCache::new(MAX_TRACKED_IPS))), length }
    }

    fn counts(&self) -> MutexGuard<'_, LruCache<IpAddr, Window>> {
        // A count is whole at every instant, also where a thread broke off.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Windows::try_acquire`].
    ///
    /// # Errors
    /// The seconds after which one more will be within the limit.
    pub fn try_acquire(&self, from: Option<IpAddr>, limit: u32, now: Timestamp) -> Result<(), u32> {
        let Some(from) = from.map(rate_limit_network) else { return Ok(()) };
        let mut counts = self.counts();
        if let Some(window) = counts.get_mut(&from) {
            return window.try_acquire(self.length, limit, now);
        }
        let mut window = Window::new(now);
        let spent = window.try_acquire(self.length, limit, now);
        counts.insert(from, window);
        spent
    }

    /// Whether one more would be within the limit; counts nothing.
    ///
    /// # Errors
    /// As [`IpRateLimiter::try_acquire`].
    pub fn check(&self, from: Option<IpAddr>, limit: u32, now: Timestamp) -> Result<(), u32> {
        let Some(from) = from.map(rate_limit_network) else { return Ok(()) };
        self.counts().get(&from).map_or(Ok(()), |window| window.check(self.length, limit, now))
    }

    /// Takes one back that shall not count.
    pub fn release(&self, from: Option<IpAddr>) {
        let Some(from) = from.map(rate_limit_network) else { return };
        if let Some(window) = self.counts().get_mut(&from) {
            window.spent = window.spent.saturating_sub(1);
        }
    }

    /// Throws away what is over, from the address that was not heard of for longest to the first that is still counted.
    pub fn evict_expired(&self, now: Timestamp) {
        let mut counts = self.counts();
        while counts.iter().next().is_some_and(|(_, window)| window.is_over(self.length, now)) {
            counts.remove_lru();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::DAY;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_limit_lets_exactly_so_many_through_in_a_window_and_tells_when_it_ends() {
        let windows = FixedWindowLimiter::default();
        for n in 0..3 {
            assert_eq!(windows.try_acquire(&1, 3, NOW.plus(n)), Ok(()));
        }
        assert_eq!(windows.try_acquire(&1, 3, NOW.plus(1000)), Err(59));
        assert_eq!(windows.try_acquire(&2, 3, NOW.plus(1000)), Ok(()));
        assert_eq!(windows.try_acquire(&1, 3, NOW.plus(MINUTE - 1)), Err(1));
        assert_eq!(windows.try_acquire(&1, 3, NOW.plus(MINUTE)), Ok(()));
    }

    #[test]
    fn what_is_given_back_can_be_spent_again() {
        let (addresses, from) = (IpRateLimiter::of(60 * MINUTE), Some(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(addresses.try_acquire(from, 1, NOW), Ok(()));
        assert_eq!(addresses.check(from, 1, NOW), Err(3600));
        addresses.release(from);
        addresses.release(from);
        assert_eq!(addresses.try_acquire(from, 1, NOW), Ok(()));
        assert_eq!(addresses.try_acquire(from, 1, NOW), Err(3600));
    }

    #[test]
    fn a_clock_that_is_set_back_begins_a_new_window() {
        let windows = FixedWindowLimiter::default();
        assert_eq!(windows.try_acquire(&1, 1, NOW), Ok(()));
        assert_eq!(windows.try_acquire(&1, 1, NOW.plus(-DAY)), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let addresses = IpRateLimiter::of(MINUTE);
        let from = |text: &str| Some(text.parse().unwrap());
        assert_eq!(addresses.try_acquire(from("2001:db8:1:2::1"), 1, NOW), Ok(()));
        assert_eq!(addresses.try_acquire(from("2001:db8:1:2:ffff::1"), 1, NOW), Err(60));
        assert_eq!(addresses.try_acquire(from("2001:db8:1:3::1"), 1, NOW), Ok(()));
        assert_eq!(addresses.try_acquire(None, 0, NOW), Ok(()));
    }

    fn numbered(n: usize) -> IpAddr {
        IpAddr::from(u32::try_from(n).unwrap().to_be_bytes())
    }

    #[test]
    fn a_flood_of_addresses_takes_a_bounded_memory_and_each_of_them_is_counted() {
        let addresses = IpRateLimiter::of(MINUTE);
        for n in 0..MAX_TRACKED_IPS + 100 {
            assert_eq!(addresses.try_acquire(Some(numbered(n)), 1, NOW), Ok(()));
            assert_eq!(addresses.try_acquire(Some(numbered(n)), 1, NOW), Err(60), "{n}");
        }
        assert_eq!(addresses.counts().len(), MAX_TRACKED_IPS);
        assert_eq!(addresses.check(Some(numbered(100)), 1, NOW), Err(60));
        assert_eq!(addresses.check(Some(numbered(99)), 1, NOW), Ok(()), "the oldest are forgotten");
        addresses.evict_expired(NOW.plus(MINUTE));
        assert_eq!(addresses.counts().len(), 0);
    }

    #[test]
    fn an_address_that_goes_on_is_not_forgotten_for_others() {
        let addresses = IpRateLimiter::of(MINUTE);
        assert_eq!(addresses.try_acquire(Some(numbered(0)), 1, NOW), Ok(()));
        for n in 1..2 * MAX_TRACKED_IPS {
            let _ = addresses.try_acquire(Some(numbered(n)), 1, NOW);
            if n % 1000 == 0 {
                assert_eq!(addresses.check(Some(numbered(0)), 1, NOW), Err(60), "{n}");
            }
        }
    }

    #[test]
    fn parallel_requests_spend_no_more_than_the_limit() {
        let windows = FixedWindowLimiter::default();
        let through = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        if windows.try_acquire(&1, 100, NOW).is_ok() {
                            through.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(through.into_inner(), 100);
    }
}
