//! Cache of the registered APIs, so that forward authentication costs no query for them.

use std::sync::{Arc, PoisonError, RwLock};

use crate::error::AppError;
use crate::model::apis::Api;
use crate::model::time::Timestamp;
use crate::server::db::Db;
use crate::server::db::invalidations::{APIS, Version};

/// Cache of the registered APIs: at most 100, with 50 scopes each.
#[derive(Debug, Default)]
pub struct ApiCache {
    entry: RwLock<Option<Entry>>,
    /// Held while the database is read, so that many requests at once read it once.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Entry {
    apis: Arc<[Api]>,
    /// Changes before this version are in it.
    version: Version,
    read_at: Timestamp,
    until: Timestamp,
}

impl ApiCache {
    /// Returns the registered APIs by slug, read by `list` if they are not cached.
    pub async fn current<F: Future<Output = Result<Vec<Api>, AppError>>>(
        &self,
        db: &Db,
        now: Timestamp,
        list: impl FnOnce() -> F,
    ) -> Result<Arc<[Api]>, AppError> {
        if let Some(apis) = self.cached(db, now) {
            return Ok(apis);
        }
        let _reading = self.reading.lock().await;
        if let Some(apis) = self.cached(db, now) {
            return Ok(apis);
        }
        let changes = db.invalidations();
        // Read before the query: a change during the query is later.
        let version = changes.version();
        let apis: Arc<[Api]> = list().await?.into();
        let entry = Entry { apis: Arc::clone(&apis), version, read_at: now, until: now.plus(changes.ttl()) };
        *self.entry.write().unwrap_or_else(PoisonError::into_inner) = Some(entry);
        Ok(apis)
    }

    fn cached(&self, db: &Db, now: Timestamp) -> Option<Arc<[Api]>> {
        let entry = self.entry.read().unwrap_or_else(PoisonError::into_inner);
        let Entry { apis, version, read_at, until } = entry.as_ref()?;
        // A clock that was set back must not make an entry last.
        let is_fresh = now < *until && now >= *read_at;
        (is_fresh && db.invalidations().is_unchanged_since(*version, &[APIS])).then(|| Arc::clone(apis))
    }
}
