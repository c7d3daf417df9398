//! Cache invalidation: the versions at which keys and users last changed. [`Tx::commit`](super::Tx::commit) records changes of
//! this process, and the [change listener](crate::server::change_listener) those of others.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::server::clock::Stopwatch;
use crate::server::fast_map::FastMap;

/// How long a cached entry lives while this process receives the changes of others, in milliseconds.
pub const TTL: i64 = 5000;
/// How long it lives while it does not, in milliseconds.
pub const TTL_DISCONNECTED: i64 = 1000;
/// Takes the place of an id: all registered APIs and their scopes.
pub const APIS: &str = "apis";
/// How many changed ids are tracked. With more, everything is invalidated.
const MAX_TRACKED_IDS: usize = 10_000;

/// A position in the sequence of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u64);

/// The changes since the process began. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Invalidations(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The number of changes.
    count: AtomicU64,
    /// Entries of an earlier version are out of date.
    all: AtomicU64,
    /// The version of the last change of each id.
    each: FastMap<String, u64>,
    connected: AtomicBool,
    disconnects: AtomicU64,
    /// Since the last change, heartbeat or successful poll.
    heard: Mutex<Option<Stopwatch>>,
}

/// State of the change listener, for metrics.
#[derive(Clone, Copy, Debug)]
pub struct ListenerState {
    pub connected: bool,
    /// How often the connection was lost.
    pub disconnects: u64,
    /// Time since the last change, heartbeat or successful poll.
    pub silence: Option<Duration>,
    /// Number of changes, also of this process.
    pub changes: u64,
}

impl Invalidations {
    /// Returns the current version. Read it before a query whose result is cached: a change during the query is later.
    pub fn version(&self) -> Version {
        Version(self.0.count.load(SeqCst))
    }

    /// Whether none of these ids has changed since a version.
    pub fn is_unchanged_since(&self, version: Version, ids: &[&str]) -> bool {
        if self.version() == version {
            return true;
        }
        let unchanged = |id: &&str| self.0.each.get(*id).is_none_or(|at| *at <= version.0);
        // In this order: `invalidate_all` raises `all` before it forgets an id.
        ids.iter().all(unchanged) && version.0 >= self.0.all.load(SeqCst)
    }

    /// Records a committed change of a key, or of a user and so of all its keys.
    pub fn invalidate(&self, id: &str) {
        let at = self.0.count.fetch_add(1, SeqCst) + 1;
        // Of two concurrent changes the later one stays.
        self.0.each.entry(id.to_owned()).and_modify(|last| *last = at.max(*last)).or_insert(at);
        if self.0.each.len() > MAX_TRACKED_IDS {
            self.invalidate_all();
        }
    }

    /// Invalidates everything.
    pub fn invalidate_all(&self) {
        let at = self.0.count.fetch_add(1, SeqCst) + 1;
        self.0.all.fetch_max(at, SeqCst);
        // Later changes stay.
        self.0.each.retain(|_, last| *last > at);
    }

    /// Sets whether this process receives the changes of others.
    pub fn set_connected(&self, connected: bool) {
        let before = self.0.connected.swap(connected, SeqCst);
        if connected {
            self.note_heard();
        } else if before {
            self.0.disconnects.fetch_add(1, SeqCst);
        }
    }

    /// Notes that the source of changes works.
    pub fn note_heard(&self) {
        *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Stopwatch::start());
    }

    /// Returns the state of the change listener.
    pub fn listener_state(&self) -> ListenerState {
        let heard = *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        ListenerState {
            connected: self.0.connected.load(SeqCst),
            disconnects: self.0.disconnects.load(SeqCst),
            silence: heard.map(|heard| heard.elapsed()),
            changes: self.0.count.load(SeqCst),
        }
    }

    /// Returns how long an entry that is read now may be cached, in milliseconds.
    pub fn ttl(&self) -> i64 {
        if self.0.connected.load(SeqCst) { TTL } else { TTL_DISCONNECTED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_invalidates_its_id_only() {
        let changes = Invalidations::default();
        let before = changes.version();
        assert!(changes.is_unchanged_since(before, &["key", "user"]));
        changes.invalidate("key");
        let after = changes.version();
        assert!(!changes.is_unchanged_since(before, &["key", "user"]));
        assert!(!changes.is_unchanged_since(before, &["other", "key"]));
        assert!(changes.is_unchanged_since(before, &["other", "user"]));
        assert!(changes.is_unchanged_since(after, &["key", "user"]));
        changes.invalidate("other");
        assert!(changes.is_unchanged_since(after, &["key", "user"]));
    }

    #[test]
    fn invalidate_all_keeps_later_reads() {
        let changes = Invalidations::default();
        let before = changes.version();
        changes.invalidate_all();
        let after = changes.version();
        changes.invalidate("other");
        assert!(!changes.is_unchanged_since(before, &["key", "user"]));
        assert!(changes.is_unchanged_since(after, &["key", "user"]));
    }

    #[test]
    fn state_says_how_often_and_since_when_nothing_is_heard() {
        let changes = Invalidations::default();
        let state = || {
            let ListenerState { connected, disconnects, silence, changes } = changes.listener_state();
            (connected, disconnects, silence.is_some(), changes)
        };
        changes.set_connected(false);
        assert_eq!((state(), changes.ttl()), ((false, 0, false, 0), TTL_DISCONNECTED));
        changes.set_connected(true);
        changes.invalidate("key");
        assert_eq!((state(), changes.ttl()), ((true, 0, true, 1), TTL));
        changes.set_connected(false);
        changes.set_connected(false);
        assert_eq!((state(), changes.ttl()), ((false, 1, true, 1), TTL_DISCONNECTED));
    }

    #[test]
    fn too_many_changes_invalidate_everything() {
        let changes = Invalidations::default();
        let before = changes.version();
        for n in 0..MAX_TRACKED_IDS {
            changes.invalidate(&n.to_string());
        }
        assert!(changes.is_unchanged_since(before, &["never changed", "user"]));
        changes.invalidate("one more");
        assert!(!changes.is_unchanged_since(before, &["never changed", "user"]));
        assert!(changes.0.each.len() <= MAX_TRACKED_IDS);
    }

    #[test]
    fn concurrent_invalidate_all_loses_no_change() {
        let changes = Invalidations::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..20_000).for_each(|_| changes.invalidate_all()));
            for n in 0..20_000 {
                let (id, before) = (n.to_string(), changes.version());
                changes.invalidate(&id);
                assert!(!changes.is_unchanged_since(before, &[&id, "user"]));
            }
        });
    }
}
