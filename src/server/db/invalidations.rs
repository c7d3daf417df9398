//! What changed lately: how whoever keeps something of the database in memory learns that it is so no longer. Told by
//! [`Tx::commit`](crate::server::db::Tx::commit) within this process, and by [`feed`](crate::server::change_listener) of other processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use dashmap::DashMap;

/// For how long what was read may be kept while the changes of other processes are heard, in milliseconds.
pub const TTL: i64 = 5000;
/// The same while they are not.
pub const TTL_DISCONNECTED: i64 = 1000;
/// How many ids are remembered as changed. With more, all that is kept is out of date.
const MAX_TRACKED_IDS: usize = 10_000;

/// A point in the order of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u64);

/// The changes of keys and users since the process began. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Invalidations(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How many there were.
    count: AtomicU64,
    /// All that was read before this one is out of date.
    all: AtomicU64,
    /// The last change of each id.
    each: DashMap<String, u64>,
    connected: AtomicBool,
}

impl Invalidations {
    /// The present point. Whoever reads something to keep it notes this first: a change during the reading is after it.
    pub fn version(&self) -> Version {
        Version(self.0.count.load(SeqCst))
    }

    /// Whether nothing has changed, since a point, of what has one of these ids.
    pub fn is_unchanged_since(&self, version: Version, ids: [&str; 2]) -> bool {
        if self.version() == version {
            return true;
        }
        let unchanged = |id: &&str| self.0.each.get(*id).is_none_or(|at| *at <= version.0);
        // In this order: `invalidate_all` raises `all` before it forgets an id.
        ids.iter().all(unchanged) && version.0 >= self.0.all.load(SeqCst)
    }

    /// Notes that a key changed, or that something changed of all keys of a user; after the change was committed.
    pub fn invalidate(&self, id: &str) {
        let at = self.0.count.fetch_add(1, SeqCst) + 1;
        // The later of two that come at once stays, whichever is written first.
        self.0.each.entry(id.to_owned()).and_modify(|last| *last = at.max(*last)).or_insert(at);
        if self.0.each.len() > MAX_TRACKED_IDS {
            self.invalidate_all();
        }
    }

    /// Notes that anything may have changed.
    pub fn invalidate_all(&self) {
        let at = self.0.count.fetch_add(1, SeqCst) + 1;
        self.0.all.fetch_max(at, SeqCst);
        // What is noted meanwhile stays: it is after this.
        self.0.each.retain(|_, last| *last > at);
    }

    /// Notes whether the changes of other processes are heard.
    pub fn set_connected(&self, connected: bool) {
        self.0.connected.store(connected, SeqCst);
    }

    /// For how long what is read now may be kept, in milliseconds.
    pub fn ttl(&self) -> i64 {
        if self.0.connected.load(SeqCst) { TTL } else { TTL_DISCONNECTED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_of_it_is_out_of_date_and_nothing_else_is() {
        let changes = Invalidations::default();
        let before = changes.version();
        assert!(changes.is_unchanged_since(before, ["key", "user"]));
        changes.invalidate("key");
        let after = changes.version();
        assert!(!changes.is_unchanged_since(before, ["key", "user"]));
        assert!(!changes.is_unchanged_since(before, ["other", "key"]));
        assert!(changes.is_unchanged_since(before, ["other", "user"]));
        assert!(changes.is_unchanged_since(after, ["key", "user"]));
        changes.invalidate("other");
        assert!(changes.is_unchanged_since(after, ["key", "user"]));
    }

    #[test]
    fn after_a_change_of_all_only_what_is_read_from_then_on_is_current() {
        let changes = Invalidations::default();
        let before = changes.version();
        changes.invalidate_all();
        let after = changes.version();
        changes.invalidate("other");
        assert!(!changes.is_unchanged_since(before, ["key", "user"]));
        assert!(changes.is_unchanged_since(after, ["key", "user"]));
    }

    #[test]
    fn too_many_changes_to_remember_put_everything_out_of_date() {
        let changes = Invalidations::default();
        let before = changes.version();
        for n in 0..=MAX_TRACKED_IDS {
            changes.invalidate(&n.to_string());
        }
        assert!(!changes.is_unchanged_since(before, ["never changed", "user"]));
        assert!(changes.0.each.len() <= MAX_TRACKED_IDS);
    }

    #[test]
    fn no_change_is_lost_to_a_change_of_all_beside_it() {
        let changes = Invalidations::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..20_000).for_each(|_| changes.invalidate_all()));
            for n in 0..20_000 {
                let (id, before) = (n.to_string(), changes.version());
                changes.invalidate(&id);
                assert!(!changes.is_unchanged_since(before, [&id, "user"]));
            }
        });
    }
}
