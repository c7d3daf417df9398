//! A concurrent map for ids that the server made.

use dashmap::DashMap;
pub use foldhash::fast::RandomState as FastHash;

/// A map with a faster hash than the standard one. Only for keys that no client can choose: an attacker who learned the seed could
/// choose keys that collide.
pub type FastMap<K, V> = DashMap<K, V, FastHash>;
