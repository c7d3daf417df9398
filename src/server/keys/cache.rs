//! Cache of keys and of unknown keys, so that a key in use costs no query. It holds digests and no secrets. Entries expire
//! after seconds, or when an [invalidation](crate::server::db::invalidations::Invalidations) is newer than they are.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::model::keys::{KeyContext, KeyFacts};
use crate::model::time::Timestamp;
use crate::model::users::User;
use crate::server::auth::key_format::Digest;
use crate::server::db::invalidations::{APIS, Invalidations, TTL, Version};
use crate::server::fast_map::FastHash;

/// The capacity of the cache in bytes.
pub const MAX_BYTES: u64 = 24 * 1024 * 1024;
/// How many unknown keys are cached.
const MAX_UNKNOWN: u64 = 10_000;
/// How long an unknown key is cached, in milliseconds.
const NEGATIVE_TTL: i64 = 1000;
/// The cache's own overhead for an entry, in bytes; measured with 100,000 of them.
const ENTRY_OVERHEAD: usize = 400;

/// Key as the database stores it, valid or not. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    pub user: Arc<User>,
    pub key: Arc<KeyFacts>,
    /// What the key's validity depends on.
    pub context: KeyContext,
    /// Requests per minute that an administrator allows.
    pub rate: Option<u32>,
}

/// Cache of keys and of unknown keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyCache {
    known: Cache<Digest, Arc<Entry>, FastHash>,
    unknown: Cache<Digest, Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    found: Option<KeyRecord>,
    /// Changes before this version are in it.
    version: Version,
    read_at: Timestamp,
    until: Timestamp,
}

/// A cached answer.
#[derive(Clone, Debug)]
pub enum Cached {
    /// A key. The caller validates it each time.
    Hit(KeyRecord),
    /// There is no such key.
    NegativeHit,
}

impl KeyCache {
    /// Makes a cache of this many bytes. With 0 it caches nothing.
    pub fn new(bytes: u64) -> Self {
        // Entries expire by the server's clock, see `get`. These times only free the memory.
        let duration = |millis: i64| Duration::from_millis(millis.cast_unsigned());
        let known = Cache::builder().max_capacity(bytes).weigher(|_, entry: &Arc<Entry>| entry.size());
        let unknown = Cache::builder().max_capacity(if bytes == 0 { 0 } else { MAX_UNKNOWN });
        Self {
            // The digests of keys that exist: no client can choose one.
            known: known.time_to_live(duration(TTL)).build_with_hasher(FastHash::default()),
            unknown: unknown.time_to_live(duration(NEGATIVE_TTL)).build(),
        }
    }

    /// Returns a current entry.
    pub fn get(&self, digest: &Digest, changes: &Invalidations, now: Timestamp) -> Option<Cached> {
        let entry = self.known.get(digest).or_else(|| self.unknown.get(digest))?;
        // A clock that was set back must not make an entry last.
        if now >= entry.until || now < entry.read_at {
            return None;
        }
        let Some(found) = &entry.found else {
            return changes.is_unchanged_since(entry.version, &[]).then_some(Cached::NegativeHit);
        };
        let registered = if found.key.access.names_apis() { APIS } else { "" };
        let ids = [found.key.id.as_str(), found.user.id.as_str(), registered];
        changes.is_unchanged_since(entry.version, &ids).then(|| Cached::Hit(found.clone()))
    }

    /// Stores an answer of the database. `version` was read before the query: a change during the query makes the entry
    /// out of date before it is stored.
    pub fn put(
        &self,
        digest: Digest,
        found: Option<KeyRecord>,
        version: Version,
        invalidations: &Invalidations,
        now: Timestamp,
    ) {
        let is_known = found.is_some();
        let until = now.plus(if is_known { invalidations.ttl() } else { NEGATIVE_TTL });
        let entry = Arc::new(Entry { found, version, read_at: now, until });
        if is_known { self.known.insert(digest, entry) } else { self.unknown.insert(digest, entry) }
    }
}

impl Entry {
    fn size(&self) -> u32 {
        let texts = self.found.as_ref().map_or(0, |KeyRecord { user, key, .. }| {
            let texts = [user.id.as_str(), &user.email, &user.name, key.id.as_str(), key.name.as_str(), &key.prefix];
            let shared = size_of_val(&**user) + size_of_val(&**key);
            texts.map(str::len).iter().sum::<usize>() + shared + key.access.size()
        });
        u32::try_from(size_of::<Self>() + texts + ENTRY_OVERHEAD).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::keys::{Access, ApiLimit, KeyContext, KeyFacts, KeyId, KeyName};
    use crate::model::users::{User, UserId};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const ID: &str = "01890000-0000-7000-8000-000000000000";

    fn found() -> KeyRecord {
        let key = KeyFacts {
            id: KeyId::parse(ID).unwrap(),
            name: KeyName::parse("nightly report").unwrap(),
            prefix: "kf_8Qw3ZkPa".to_owned(),
            access: Access::Full,
            team_id: None,
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
        };
        let id = UserId::parse("01890000-0000-7000-8000-000000000001").unwrap();
        let user = User { id, email: "ada@example.com".to_owned(), name: String::new(), superuser: false };
        let context = KeyContext { user_active: true, in_team: false, old_secret_until: None };
        KeyRecord { user: Arc::new(user), key: Arc::new(key), context, rate: None }
    }

    fn digest() -> Digest {
        Digest::of("a key")
    }

    fn is_kept(cache: &KeyCache, changes: &Invalidations, now: Timestamp) -> bool {
        cache.get(&digest(), changes, now).is_some()
    }

    #[test]
    fn size_counts_the_texts_and_what_they_belong_to() {
        assert_eq!(MAX_BYTES, 25_165_824, "docs/scaling.md says 24 MiB");
        let size =
            |found| Entry { found, version: Invalidations::default().version(), read_at: NOW, until: NOW }.size();
        let none = size(None);
        assert_eq!(none as usize, size_of::<Entry>() + ENTRY_OVERHEAD);
        let texts = ID.len() + "ada@example.com".len() + ID.len() + "nightly report".len() + "kf_8Qw3ZkPa".len();
        let of_key = size(Some(found())) - none;
        assert_eq!(of_key as usize, texts + size_of::<User>() + size_of::<KeyFacts>());
        let mut limited = found();
        Arc::make_mut(&mut limited.key).access = Access::Api(Some(ApiLimit { slug: "crm".into(), name: "CRM".into() }));
        assert_eq!(size(Some(limited)) - none, of_key + 6);
    }

    #[test]
    fn ttl_is_shorter_while_disconnected() {
        for (heard, life) in [(true, 5000), (false, 1000)] {
            let (cache, changes) = (KeyCache::new(MAX_BYTES), Invalidations::default());
            changes.set_connected(heard);
            cache.put(digest(), Some(found()), changes.version(), &changes, NOW);
            assert!(is_kept(&cache, &changes, NOW.plus(life - 1)));
            assert!(!is_kept(&cache, &changes, NOW.plus(life)));
            assert!(!is_kept(&cache, &changes, NOW.plus(-1)), "a clock that was set back");
        }
    }

    #[test]
    fn unknown_key_is_cached_for_one_second() {
        let (cache, changes) = (KeyCache::new(MAX_BYTES), Invalidations::default());
        changes.set_connected(true);
        cache.put(digest(), None, changes.version(), &changes, NOW);
        assert!(matches!(cache.get(&digest(), &changes, NOW.plus(999)), Some(Cached::NegativeHit)));
        assert!(!is_kept(&cache, &changes, NOW.plus(1000)));
    }

    #[test]
    fn lookup_that_began_before_a_change_is_not_cached() {
        let (cache, changes) = (KeyCache::new(MAX_BYTES), Invalidations::default());
        for id in [ID, "01890000-0000-7000-8000-000000000001"] {
            // The look-up begins, reads the old state, and is slow to come back; meanwhile the change is made.
            let version = changes.version();
            let old = found();
            changes.invalidate(id);
            cache.put(digest(), Some(old), version, &changes, NOW);
            assert!(!is_kept(&cache, &changes, NOW), "{id}");
            cache.put(digest(), Some(found()), changes.version(), &changes, NOW);
            assert!(is_kept(&cache, &changes, NOW), "{id}");
        }
    }

    #[test]
    fn change_of_registered_apis_ends_the_keys_that_name_them() {
        let (cache, changes) = (KeyCache::new(MAX_BYTES), Invalidations::default());
        for (access, kept) in [(Access::Full, true), (Access::Api(None), false)] {
            let mut record = found();
            Arc::make_mut(&mut record.key).access = access;
            cache.put(digest(), Some(record), changes.version(), &changes, NOW);
            changes.invalidate(APIS);
            assert_eq!(is_kept(&cache, &changes, NOW), kept);
        }
    }

    #[test]
    fn old_state_is_never_returned_after_a_change() {
        use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
        let (cache, changes, state) = (KeyCache::new(MAX_BYTES), Invalidations::default(), AtomicI64::new(0));
        // The key's creation time is its state. Lookups and changes run in parallel.
        let look_up = || {
            let version = changes.version();
            let mut found = found();
            let read = state.load(SeqCst);
            Arc::make_mut(&mut found.key).created_at = Timestamp::from_millis(read);
            std::thread::yield_now();
            cache.put(digest(), Some(found), version, &changes, NOW);
        };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..20_000).for_each(|_| look_up()));
            }
            for change in 1..10_000 {
                state.store(change, SeqCst);
                changes.invalidate(ID);
                if let Some(Cached::Hit(found)) = cache.get(&digest(), &changes, NOW) {
                    assert_eq!(found.key.created_at.as_millis(), change);
                }
            }
        });
    }

    #[test]
    fn cache_of_no_bytes_stores_nothing() {
        let (cache, changes) = (KeyCache::new(0), Invalidations::default());
        cache.put(digest(), Some(found()), changes.version(), &changes, NOW);
        cache.known.run_pending_tasks();
        assert!(!is_kept(&cache, &changes, NOW));
    }
}
