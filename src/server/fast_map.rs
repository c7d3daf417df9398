//! A concurrent map for ids that the server made.

use dashmap::DashMap;
use foldhash::fast::RandomState;

/// A map with a faster hash than the standard one. Only for keys that no client can choose: who knew the seed could make them
/// collide.
pub type FastMap<K, V> = DashMap<K, V, RandomState>;
