//! In-memory rate limiters with fixed windows, one set for each process. A window begins with its first request.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use hashlink::LruCache;

use super::auth::client_ip::rate_limit_network;
use crate::model::time::Timestamp;

/// One minute, in milliseconds.
pub const MINUTE: i64 = 60 * 1000;
/// Addresses that are counted at most; beyond it, the least recently seen is dropped. Measured: 9 MB.
const MAX_TRACKED_IPS: usize = 100_000;

/// Rest of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    pub requests: u32,
    /// Seconds until the window ends.
    pub reset_after: u32,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Timestamp,
    spent: u32,
}

impl Window {
    const fn new(began: Timestamp) -> Self {
        Self { began, spent: 0 }
    }

    fn has_ended(self, length: i64, now: Timestamp) -> bool {
        // A clock that was set back must not stretch a window.
        now >= self.began.plus(length) || now < self.began
    }

    fn try_acquire(&mut self, length: i64, limit: u32, now: Timestamp) -> Result<Remaining, u32> {
        if self.has_ended(length, now) {
            *self = Self::new(now);
        }
        let remaining = self.check(length, limit, now)?;
        self.spent += 1;
        Ok(Remaining { requests: remaining.requests - 1, ..remaining })
    }

    fn check(self, length: i64, limit: u32, now: Timestamp) -> Result<Remaining, u32> {
        let window = if self.has_ended(length, now) { Self::new(now) } else { self };
        let left = window.began.plus(length).as_millis() - now.as_millis();
        let reset_after = u32::try_from(left).unwrap_or(0).div_ceil(1000).max(1);
        match limit.checked_sub(window.spent) {
            None | Some(0) => Err(reset_after),
            Some(requests) => Ok(Remaining { requests, reset_after }),
        }
    }
}

/// Fixed-window rate limiter for a bounded number of subjects, such as keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FixedWindowLimiter<K: Eq + Hash, S: BuildHasher + Clone = RandomState> {
    counts: Arc<DashMap<K, Window, S>>,
    length: i64,
}

impl<K: Eq + Hash, S: BuildHasher + Clone + Default> Default for FixedWindowLimiter<K, S> {
    /// Returns a limiter with windows of one minute.
    fn default() -> Self {
        Self { counts: Arc::default(), length: MINUTE }
    }
}

impl<K: Eq + Hash + Clone, S: BuildHasher + Clone> FixedWindowLimiter<K, S> {
    /// Counts one more request.
    ///
    /// # Errors
    /// The seconds until the window ends, if the limit is reached. Then nothing is counted.
    pub fn try_acquire(&self, subject: &K, limit: u32, now: Timestamp) -> Result<Remaining, u32> {
        let mut window = match self.counts.get_mut(subject) {
            Some(window) => window,
            None => self.counts.entry(subject.clone()).or_insert(Window::new(now)),
        };
        window.try_acquire(self.length, limit, now)
    }

    /// Returns what [`Self::try_acquire`] would find, before it counts.
    pub fn peek(&self, subject: &K, limit: u32, now: Timestamp) -> Result<Remaining, u32> {
        let window = self.counts.get(subject).map_or(Window::new(now), |window| *window);
        window.check(self.length, limit, now)
    }

    /// Drops the windows that have ended.
    pub fn evict_expired(&self, now: Timestamp) {
        self.counts.retain(|_, window| !window.has_ended(self.length, now));
    }
}

/// Fixed-window rate limiter for client addresses. A /64 network of IPv6 counts as one address; an unknown address has no limit.
#[derive(Clone, Debug)]
pub struct IpRateLimiter {
    counts: Arc<Mutex<LruCache<IpAddr, Window, RandomState>>>,
    length: i64,
}

impl IpRateLimiter {
    /// Returns a limiter with windows of this many milliseconds.
    #[must_use]
    pub fn of(length: i64) -> Self {
        Self { counts: Arc::new(Mutex::new(LruCache::with_hasher(MAX_TRACKED_IPS, RandomState::new()))), length }
    }

    fn counts(&self) -> MutexGuard<'_, LruCache<IpAddr, Window, RandomState>> {
        // A window is complete at every instant, also after a panic.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more request; see [`FixedWindowLimiter::try_acquire`].
    pub fn try_acquire(&self, from: Option<IpAddr>, limit: u32, now: Timestamp) -> Result<Remaining, u32> {
        let Some(from) = from.map(rate_limit_network) else { return Ok(UNLIMITED) };
        let mut counts = self.counts();
        if let Some(window) = counts.get_mut(&from) {
            return window.try_acquire(self.length, limit, now);
        }
        let mut window = Window::new(now);
        let acquired = window.try_acquire(self.length, limit, now);
        counts.insert(from, window);
        acquired
    }

    /// Returns what [`Self::try_acquire`] would find, before it counts.
    pub fn check(&self, from: Option<IpAddr>, limit: u32, now: Timestamp) -> Result<Remaining, u32> {
        let Some(from) = from.map(rate_limit_network) else { return Ok(UNLIMITED) };
        let window = self.counts().get(&from).map_or(Window::new(now), |window| *window);
        window.check(self.length, limit, now)
    }

    /// Gives one request back.
    pub fn release(&self, from: Option<IpAddr>) {
        let Some(from) = from.map(rate_limit_network) else { return };
        if let Some(window) = self.counts().get_mut(&from) {
            window.spent = window.spent.saturating_sub(1);
        }
    }

    /// Drops windows that have ended, from the least recently seen address to the first that is still counted.
    pub fn evict_expired(&self, now: Timestamp) {
        let mut counts = self.counts();
        while counts.iter().next().is_some_and(|(_, window)| window.has_ended(self.length, now)) {
            counts.remove_lru();
        }
    }
}

const UNLIMITED: Remaining = Remaining { requests: u32::MAX, reset_after: 0 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::DAY;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_limit_admits_exactly_that_many_in_a_window() {
        let limiter: FixedWindowLimiter<i32> = FixedWindowLimiter::default();
        let left = |requests, reset_after| Ok(Remaining { requests, reset_after });
        assert_eq!(limiter.peek(&1, 3, NOW), left(3, 60));
        for requests in [2, 1, 0] {
            assert_eq!(limiter.try_acquire(&1, 3, NOW), left(requests, 60));
        }
        assert_eq!(limiter.try_acquire(&1, 3, NOW.plus(1000)), Err(59));
        assert_eq!(limiter.peek(&1, 3, NOW.plus(1000)), Err(59));
        assert_eq!(limiter.try_acquire(&2, 3, NOW.plus(1000)), left(2, 60));
        assert_eq!(limiter.try_acquire(&1, 3, NOW.plus(MINUTE - 1)), Err(1));
        assert_eq!(limiter.try_acquire(&1, 3, NOW.plus(MINUTE)), left(2, 60));
    }

    #[test]
    fn what_is_given_back_can_be_spent_again() {
        let (addresses, from) = (IpRateLimiter::of(60 * MINUTE), Some(IpAddr::from([192, 0, 2, 1])));
        assert!(addresses.try_acquire(from, 1, NOW).is_ok());
        assert_eq!(addresses.check(from, 1, NOW), Err(3600));
        addresses.release(from);
        addresses.release(from);
        assert!(addresses.try_acquire(from, 1, NOW).is_ok());
        assert_eq!(addresses.try_acquire(from, 1, NOW), Err(3600));
    }

    #[test]
    fn a_clock_that_is_set_back_begins_a_new_window() {
        let windows: FixedWindowLimiter<i32> = FixedWindowLimiter::default();
        assert!(windows.try_acquire(&1, 1, NOW).is_ok());
        assert!(windows.try_acquire(&1, 1, NOW.plus(-DAY)).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let addresses = IpRateLimiter::of(MINUTE);
        let from = |text: &str| Some(text.parse().unwrap());
        assert!(addresses.try_acquire(from("2001:db8:1:2::1"), 1, NOW).is_ok());
        assert_eq!(addresses.try_acquire(from("2001:db8:1:2:ffff::1"), 1, NOW), Err(60));
        assert!(addresses.try_acquire(from("2001:db8:1:3::1"), 1, NOW).is_ok());
        assert!(addresses.try_acquire(None, 0, NOW).is_ok());
    }

    fn numbered(n: usize) -> IpAddr {
        IpAddr::from(u32::try_from(n).unwrap().to_be_bytes())
    }

    #[test]
    fn a_flood_of_addresses_takes_a_bounded_memory_and_each_of_them_is_counted() {
        let addresses = IpRateLimiter::of(MINUTE);
        for n in 0..MAX_TRACKED_IPS + 100 {
            assert!(addresses.try_acquire(Some(numbered(n)), 1, NOW).is_ok());
            assert_eq!(addresses.try_acquire(Some(numbered(n)), 1, NOW), Err(60), "{n}");
        }
        assert_eq!(addresses.counts().len(), MAX_TRACKED_IPS);
        assert_eq!(addresses.check(Some(numbered(100)), 1, NOW), Err(60));
        assert!(addresses.check(Some(numbered(99)), 1, NOW).is_ok(), "the oldest are forgotten");
        addresses.evict_expired(NOW.plus(MINUTE));
        assert_eq!(addresses.counts().len(), 0);
    }

    #[test]
    fn an_address_that_goes_on_is_not_forgotten_for_others() {
        let addresses = IpRateLimiter::of(MINUTE);
        assert!(addresses.try_acquire(Some(numbered(0)), 1, NOW).is_ok());
        for n in 1..2 * MAX_TRACKED_IPS {
            let _ = addresses.try_acquire(Some(numbered(n)), 1, NOW);
            if n % 1000 == 0 {
                assert_eq!(addresses.check(Some(numbered(0)), 1, NOW), Err(60), "{n}");
            }
        }
    }

    #[test]
    fn parallel_requests_spend_no_more_than_the_limit() {
        let windows: FixedWindowLimiter<i32> = FixedWindowLimiter::default();
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
