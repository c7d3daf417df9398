//! Memory budgets for what waits for a client: requests that are still being sent, and responses that are still being read.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::ip_quota::{IpQuota, Share};

/// One address may hold this fraction of a budget: fewer addresses than this cannot use it up.
pub const ADDRESS_PART: usize = 16;

/// Budget in bytes that all requests share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    taken: Arc<AtomicUsize>,
    limit: usize,
    addresses: IpQuota,
}

impl MemoryBudget {
    /// Returns a budget of this many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { taken: Arc::default(), limit, addresses: IpQuota::new(limit / ADDRESS_PART) }
    }

    /// Reserves bytes until the reservation is dropped; `None` if fewer are left. The address comes from
    /// [`quota_network`](crate::server::auth::client_ip::quota_network).
    #[must_use]
    pub fn try_reserve(&self, of: Option<IpAddr>, amount: usize) -> Option<Reservation> {
        let mut reserved = self.reserve(of, 0);
        reserved.try_grow(amount).then_some(reserved)
    }

    /// Reserves bytes even if fewer are left.
    #[must_use]
    pub fn reserve(&self, of: Option<IpAddr>, amount: usize) -> Reservation {
        let mut share = self.addresses.share(of);
        share.grow(amount);
        self.taken.fetch_add(amount, Relaxed);
        Reservation { budget: self.clone(), share }
    }

    /// Returns the bytes that are reserved.
    pub fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    /// Returns the bytes that may be reserved.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Whether nothing is left, for anyone or for this address.
    #[must_use]
    pub fn is_spent(&self, of: Option<IpAddr>) -> bool {
        let taken = self.taken.load(Relaxed);
        // While everyone together holds less than one address may, the address does not matter.
        taken >= self.limit || (taken >= self.limit / ADDRESS_PART && self.addresses.is_spent(of))
    }
}

/// Bytes that are reserved from a budget. Dropping it releases them.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    share: Share,
}

impl Reservation {
    /// Reserves more bytes. Returns false, and reserves nothing, if fewer are left.
    #[must_use]
    pub fn try_grow(&mut self, more: usize) -> bool {
        let before = self.budget.taken.fetch_add(more, Relaxed);
        let fits = before.saturating_add(more) <= self.budget.limit && self.share.try_grow(more);
        if !fits {
            self.budget.taken.fetch_sub(more, Relaxed);
        }
        fits
    }

    /// Moves some of the bytes into a new reservation.
    #[must_use]
    pub fn split(&mut self, amount: usize) -> Self {
        Self { budget: self.budget.clone(), share: self.share.split(amount) }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.share.amount(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ONE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    const TWO: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)));

    #[test]
    fn all_together_take_the_budget_at_most_and_an_address_its_part() {
        let budget = MemoryBudget::new(160);
        let part = budget.try_reserve(ONE, 10).unwrap();
        assert!(budget.try_reserve(ONE, 1).is_none());
        assert!(budget.is_spent(ONE) && !budget.is_spent(TWO));
        let rest = budget.try_reserve(None, 150).unwrap();
        assert!(budget.try_reserve(None, 1).is_none() && budget.try_reserve(TWO, 1).is_none());
        assert!(budget.is_spent(TWO) && budget.is_spent(None));
        drop(part);
        assert!(!budget.is_spent(ONE));
        assert!(budget.try_reserve(ONE, 10).is_some());
        drop(rest);
        assert_eq!(budget.taken.load(Relaxed), 0);
    }

    #[test]
    fn what_was_refused_or_split_is_counted_once() {
        let budget = MemoryBudget::new(400);
        let mut reserved = budget.try_reserve(ONE, 10).unwrap();
        assert!(!reserved.try_grow(16) && reserved.try_grow(15));
        let part = reserved.split(20);
        drop(reserved);
        assert_eq!(budget.taken.load(Relaxed), 20);
        drop(part);
        let forced = budget.reserve(ONE, 1000);
        assert!(budget.is_spent(None) && budget.is_spent(ONE));
        drop(forced);
        assert_eq!(budget.taken.load(Relaxed), 0);
        assert!(budget.try_reserve(ONE, 25).is_some());
    }
}
