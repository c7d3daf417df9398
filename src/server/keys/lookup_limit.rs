//! Concurrency limit for key lookups of addresses that presented too many unknown keys. A valid key may come from the same
//! address, so its lookups continue, a few at a time. Keys that were found before do not wait.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::AppError;
use crate::server::auth::key_format::Digest;

/// How many of these lookups run at a time.
const MAX_RUNNING: usize = 2;
/// How many more may wait: a small part of the requests that may run at once.
const MAX_WAITING: usize = 32;
/// How many keys that were found are kept, least recently used first out. Measured: 5 MB.
const MAX_FOUND: usize = 50_000;

/// The limit, and the keys that it does not apply to.
#[derive(Debug)]
pub struct LookupLimiter {
    running: Semaphore,
    waiting: Semaphore,
    found: Mutex<LruCache<Digest, ()>>,
}

/// Permission for one lookup, until it is dropped.
#[derive(Debug)]
pub struct LookupPermit<'a> {
    _running: SemaphorePermit<'a>,
}

impl Default for LookupLimiter {
    fn default() -> Self {
        Self {
            running: Semaphore::new(MAX_RUNNING),
            waiting: Semaphore::new(MAX_WAITING),
            found: Mutex::new(LruCache::new(MAX_FOUND)),
        }
    }
}

impl LookupLimiter {
    fn found(&self) -> MutexGuard<'_, LruCache<Digest, ()>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps that there is a key with this digest, and nothing else of it.
    pub fn note_found(&self, digest: Digest) {
        self.found().insert(digest, ());
    }

    /// Waits for a permit; `None` for a key that was found before. Fails with [`AppError::Unavailable`] if too many wait.
    pub async fn acquire(&self, digest: &Digest) -> Result<Option<LookupPermit<'_>>, AppError> {
        if self.found().contains_key(digest) {
            return Ok(None);
        }
        if let Ok(running) = self.running.try_acquire() {
            return Ok(Some(LookupPermit { _running: running }));
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| AppError::Unavailable)?;
        let running = self.running.acquire().await.map_err(|_| AppError::Unavailable)?;
        Ok(Some(LookupPermit { _running: running }))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn few_run_some_wait_and_the_rest_is_rejected() {
        let (limiter, unknown) = (LookupLimiter::default(), Digest::of("made up"));
        let permits: Vec<_> =
            (0..MAX_RUNNING).map(|_| limiter.acquire(&unknown).now_or_never().unwrap().unwrap()).collect();
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(limiter.acquire(&unknown))).collect();
        assert!(waiting.iter_mut().all(|permit| permit.as_mut().now_or_never().is_none()));
        assert_eq!(limiter.acquire(&unknown).now_or_never().unwrap().err(), Some(AppError::Unavailable));
        drop(permits);
        for permit in &mut waiting {
            assert!(permit.as_mut().now_or_never().unwrap().unwrap().is_some());
        }
    }

    #[test]
    fn found_key_never_waits() {
        let (limiter, unknown, known) = (LookupLimiter::default(), Digest::of("made up"), Digest::of("a key"));
        limiter.note_found(known);
        let _permits: Vec<_> = (0..MAX_RUNNING).map(|_| limiter.acquire(&unknown).now_or_never().unwrap()).collect();
        assert!(limiter.acquire(&unknown).now_or_never().is_none());
        assert!(limiter.acquire(&known).now_or_never().unwrap().unwrap().is_none());
    }

    #[test]
    fn number_of_found_keys_is_bounded() {
        let limiter = LookupLimiter::default();
        (0..MAX_FOUND + 10).for_each(|n| limiter.note_found(Digest::of(&n.to_string())));
        assert_eq!(limiter.found().len(), MAX_FOUND);
        assert!(!limiter.found().contains_key(&Digest::of("0")));
    }
}
