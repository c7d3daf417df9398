//! Quotas for each client address: connections, or memory for request bodies.

use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

/// Quota that every address has. An address that holds nothing takes no memory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct IpQuota {
    held: Arc<DashMap<IpAddr, usize>>,
    limit: usize,
}

impl IpQuota {
    /// Returns a quota of this amount for each address.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { held: Arc::default(), limit }
    }

    /// Whether an address has used up its quota.
    #[must_use]
    pub fn is_spent(&self, of: Option<IpAddr>) -> bool {
        of.and_then(|of| self.held.get(&of)).is_some_and(|held| *held >= self.limit)
    }

    /// Returns an empty share for an address; see [`quota_network`](crate::server::auth::client_ip::quota_network). Without an address
    /// there is no limit.
    #[must_use]
    pub fn share(&self, of: Option<IpAddr>) -> Share {
        Share { quota: self.clone(), of, amount: 0 }
    }
}

/// Amount that one connection or request of an address holds. Dropping it releases the amount.
#[derive(Debug)]
pub struct Share {
    quota: IpQuota,
    of: Option<IpAddr>,
    amount: usize,
}

impl Share {
    /// Takes more. Returns false, and takes nothing, if the address would exceed its quota.
    #[must_use]
    pub fn try_grow(&mut self, more: usize) -> bool {
        if let Some(of) = self.of {
            let mut held = self.quota.held.entry(of).or_default();
            if more > self.quota.limit.saturating_sub(*held) {
                return false;
            }
            *held += more;
        }
        self.amount += more;
        true
    }

    /// Takes more, even beyond the quota.
    pub fn grow(&mut self, more: usize) {
        if let Some(of) = self.of.filter(|_| more > 0) {
            *self.quota.held.entry(of).or_default() += more;
        }
        self.amount += more;
    }

    pub const fn amount(&self) -> usize {
        self.amount
    }

    /// Moves some of the amount into a new share.
    #[must_use]
    pub fn split(&mut self, amount: usize) -> Self {
        let amount = amount.min(self.amount);
        self.amount -= amount;
        Self { quota: self.quota.clone(), of: self.of, amount }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(of) = self.of else { return };
        if let Entry::Occupied(mut held) = self.quota.held.entry(of) {
            *held.get_mut() = held.get().saturating_sub(self.amount);
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        [192, 0, 2, n].into()
    }

    #[test]
    fn an_address_holds_its_limit_at_most_and_no_other_notices() {
        let quota = IpQuota::new(10);
        let [mut one, mut two, mut other, mut free] = [1, 1, 2, 3].map(|n| quota.share((n < 3).then(|| address(n))));
        assert!(one.try_grow(6) && two.try_grow(4));
        assert!(!one.try_grow(1) && !two.try_grow(usize::MAX));
        assert!(other.try_grow(10) && free.try_grow(1000));
        drop(one);
        assert!(two.try_grow(6) && !two.try_grow(1));
    }

    #[test]
    fn an_address_that_holds_nothing_takes_no_memory() {
        let quota = IpQuota::new(10);
        let mut share = quota.share(Some(address(1)));
        assert!(share.try_grow(7));
        let part = share.split(5);
        assert_eq!((share.amount(), part.amount()), (2, 5));
        drop(share);
        assert_eq!(quota.held.get(&address(1)).map(|held| *held), Some(5));
        drop(part);
        let mut refused = quota.share(Some(address(2)));
        assert!(!refused.try_grow(11));
        drop(refused);
        assert!(quota.held.is_empty());
    }

    #[test]
    fn parallel_shares_hold_the_limit_at_most() {
        let quota = IpQuota::new(100);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let mut share = quota.share(Some(address(1)));
                        if share.try_grow(30) {
                            assert!(quota.held.get(&address(1)).is_some_and(|held| *held <= 100));
                        }
                    }
                });
            }
        });
        assert!(quota.held.is_empty());
    }
}
