//! What keys may do, remembered for some seconds, so that a key in steady use costs no query. Holds no secret: a key is
//! known by its digest. Whatever changes puts what is remembered of it out of date at once; see
//! [`Changes`](crate::server::db::invalidations::Changes).

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::model::keys::{KeyContext, KeyFacts};
use crate::model::time::Timestamp;
use crate::model::users::User;
use crate::server::auth::key_format::Digest;
use crate::server::db::invalidations::{Invalidations, TTL, Version};

/// How much room the keys of a server may take, in bytes.
pub const BYTES: u64 = 24 * 1024 * 1024;
/// How many unknown keys are remembered.
const UNKNOWN: u64 = 10_000;
/// For how long, in milliseconds.
const NEGATIVE_TTL: i64 = 1000;
/// What the cache itself needs for an entry, in bytes; measured with 100,000 of them.
const OVERHEAD: usize = 400;

/// Key as the database stores it, valid or not. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    pub user: Arc<User>,
    pub key: Arc<KeyFacts>,
    /// What the key's validity depends on.
    pub standing: KeyContext,
    /// Requests per minute that an administrator allows.
    pub rate: Option<u32>,
}

/// Cache of keys and of unknown keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyCache {
    known: Cache<Digest, Arc<Entry>>,
    unknown: Cache<Digest, Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    found: Option<KeyRecord>,
    /// The point before which all changes are in it.
    epoch: Version,
    read_at: Timestamp,
    until: Timestamp,
}

/// What is remembered.
#[derive(Clone, Debug)]
pub enum Cached {
    /// A key. Whether it is valid is to be asked each time.
    Hit(KeyRecord),
    /// There is no such key.
    NegativeHit,
}

impl KeyCache {
    /// A cache of so many bytes; of 0 it remembers nothing.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        // Entries end by the server's clock, see `get`; these times only take them out of the memory.
        let life = |millis: i64| Duration::from_millis(millis.cast_unsigned());
        let known = Cache::builder().max_capacity(bytes).weigher(|_, entry: &Arc<Entry>| entry.size());
        let unknown = Cache::builder().max_capacity(if bytes == 0 { 0 } else { UNKNOWN });
        Self { known: known.time_to_live(life(TTL)).build(), unknown: unknown.time_to_live(life(NEGATIVE_TTL)).build() }
    }

    /// What is remembered of a digest and is still so.
    #[must_use]
    pub fn get(&self, digest: &Digest, changes: &Invalidations, now: Timestamp) -> Option<Cached> {
        let entry = self.known.get(digest).or_else(|| self.unknown.get(digest))?;
        // A clock that was set back must not make an entry last.
        if now >= entry.until || now < entry.read_at {
            return None;
        }
        let Some(found) = &entry.found else {
            return changes.is_unchanged_since(entry.epoch, ["", ""]).then_some(Cached::NegativeHit);
        };
        let ids = [found.key.id.as_str(), found.user.id.as_str()];
        changes.is_unchanged_since(entry.epoch, ids).then(|| Cached::Hit(found.clone()))
    }

    /// Remembers what the database said of a digest. `epoch` is the point noted before it was asked: a change that came
    /// while it answered puts the entry out of date before it is written.
    pub fn put(
        &self,
        digest: Digest,
        found: Option<KeyRecord>,
        (epoch, changes): (Version, &Invalidations),
        now: Timestamp,
    ) {
        let (cache, life) = match &found {
            Some(_) => (&self.known, changes.ttl()),
            None => (&self.unknown, NEGATIVE_TTL),
        };
        cache.insert(digest, Arc::new(Entry { found, epoch, read_at: now, until: now.plus(life) }));
    }
}

impl Entry {
    fn size(&self) -> u32 {
        let texts = self.found.as_ref().map_or(0, |KeyRecord { user, key, .. }| {
            let texts = [user.id.as_str(), &user.email, &user.name, key.id.as_str(), key.name.as_str(), &key.prefix];
            let shared = size_of_val(&**user) + size_of_val(&**key);
            texts.map(str::len).iter().sum::<usize>() + shared
        });
        u32::try_from(size_of::<Self>() + texts + OVERHEAD).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::keys::{Access, KeyContext, KeyFacts, KeyId, KeyName};
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
        let standing = KeyContext { user_active: true, in_team: false, old_secret_until: None };
        KeyRecord { user: Arc::new(user), key: Arc::new(key), standing, rate: None }
    }

    fn digest() -> Digest {
        Digest::of("a key")
    }

    fn is_kept(cache: &KeyCache, changes: &Invalidations, now: Timestamp) -> bool {
        cache.get(&digest(), changes, now).is_some()
    }

    #[test]
    fn a_key_is_remembered_for_five_seconds_while_changes_are_heard_and_for_one_otherwise() {
        for (heard, life) in [(true, 5000), (false, 1000)] {
            let (cache, changes) = (KeyCache::new(BYTES), Invalidations::default());
            changes.set_connected(heard);
            cache.put(digest(), Some(found()), (changes.version(), &changes), NOW);
            assert!(is_kept(&cache, &changes, NOW.plus(life - 1)));
            assert!(!is_kept(&cache, &changes, NOW.plus(life)));
            assert!(!is_kept(&cache, &changes, NOW.plus(-1)), "a clock that was set back");
        }
    }

    #[test]
    fn an_unknown_key_is_remembered_for_one_second() {
        let (cache, changes) = (KeyCache::new(BYTES), Invalidations::default());
        changes.set_connected(true);
        cache.put(digest(), None, (changes.version(), &changes), NOW);
        assert!(matches!(cache.get(&digest(), &changes, NOW.plus(999)), Some(Cached::NegativeHit)));
        assert!(!is_kept(&cache, &changes, NOW.plus(1000)));
    }

    #[test]
    fn a_look_up_that_began_before_a_change_never_puts_the_old_state_back() {
        let (cache, changes) = (KeyCache::new(BYTES), Invalidations::default());
        for id in [ID, "01890000-0000-7000-8000-000000000001"] {
            // The look-up begins, reads the old state, and is slow to come back; meanwhile the change is made.
            let epoch = changes.version();
            let old = found();
            changes.invalidate(id);
            cache.put(digest(), Some(old), (epoch, &changes), NOW);
            assert!(!is_kept(&cache, &changes, NOW), "{id}");
            cache.put(digest(), Some(found()), (changes.version(), &changes), NOW);
            assert!(is_kept(&cache, &changes, NOW), "{id}");
        }
    }

    #[test]
    fn whoever_sees_a_change_done_never_gets_the_old_state_whatever_happens_beside_it() {
        use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
        let (cache, changes, state) = (KeyCache::new(BYTES), Invalidations::default(), AtomicI64::new(0));
        // The key's creation time stands for its state; look-ups and changes go on side by side.
        let look_up = || {
            let epoch = changes.version();
            let mut found = found();
            let read = state.load(SeqCst);
            Arc::make_mut(&mut found.key).created_at = Timestamp::from_millis(read);
            std::thread::yield_now();
            cache.put(digest(), Some(found), (epoch, &changes), NOW);
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
    fn a_cache_of_no_bytes_remembers_nothing() {
        let (cache, changes) = (KeyCache::new(0), Invalidations::default());
        cache.put(digest(), Some(found()), (changes.version(), &changes), NOW);
        cache.known.run_pending_tasks();
        assert!(!is_kept(&cache, &changes, NOW));
    }
}
