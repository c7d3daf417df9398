//! Look-ups of keys for addresses that presented too many unknown ones. They go on, for there may be a valid key among many
//! made-up ones of the same address; but only few at a time, so that made-up keys never keep the database busy. Keys that were
//! found before do not wait.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::AppError;
use crate::server::auth::key_format::Digest;

/// How many look-ups of such addresses run at a time.
const MAX_RUNNING: usize = 2;
/// How many more may wait: few of the requests that may run at once.
const MAX_WAITING: usize = 32;
/// How many keys that were found are remembered, the ones used last. Measured: 5 MB.
const MAX_FOUND: usize = 50_000;

/// The turns of look-ups, and which keys need none.
#[derive(Debug)]
pub struct Lookups {
    running: Semaphore,
    waiting: Semaphore,
    found: Mutex<LruCache<Digest, ()>>,
}

/// A turn. The next one comes when this is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    _running: SemaphorePermit<'a>,
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            running: Semaphore::new(MAX_RUNNING),
            waiting: Semaphore::new(MAX_WAITING),
            found: Mutex::new(LruCache::new(MAX_FOUND)),
        }
    }
}

impl Lookups {
    fn found(&self) -> MutexGuard<'_, LruCache<Digest, ()>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that there is such a key. What it may do is not remembered.
    pub fn note_found(&self, digest: Digest) {
        self.found().insert(digest, ());
    }

    /// Waits for a turn to look a key up; `None` for one that was found before.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if too many wait.
    pub async fn turn(&self, digest: &Digest) -> Result<Option<Turn<'_>>, AppError> {
        if self.found().contains_key(digest) {
            return Ok(None);
        }
        if let Ok(running) = self.running.try_acquire() {
            return Ok(Some(Turn { _running: running }));
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| AppError::Unavailable)?;
        let running = self.running.acquire().await.map_err(|_| AppError::Unavailable)?;
        Ok(Some(Turn { _running: running }))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn few_run_some_wait_and_the_rest_is_refused() {
        let (lookups, unknown) = (Lookups::default(), Digest::of("made up"));
        let turns: Vec<_> = (0..MAX_RUNNING).map(|_| lookups.turn(&unknown).now_or_never().unwrap().unwrap()).collect();
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(lookups.turn(&unknown))).collect();
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()));
        assert_eq!(lookups.turn(&unknown).now_or_never().unwrap().err(), Some(AppError::Unavailable));
        drop(turns);
        for turn in &mut waiting {
            assert!(turn.as_mut().now_or_never().unwrap().unwrap().is_some());
        }
    }

    #[test]
    fn a_key_that_was_found_never_waits() {
        let (lookups, unknown, known) = (Lookups::default(), Digest::of("made up"), Digest::of("a key"));
        lookups.note_found(known);
        let _turns: Vec<_> = (0..MAX_RUNNING).map(|_| lookups.turn(&unknown).now_or_never().unwrap()).collect();
        assert!(lookups.turn(&unknown).now_or_never().is_none());
        assert!(lookups.turn(&known).now_or_never().unwrap().unwrap().is_none());
    }

    #[test]
    fn a_bounded_number_of_keys_is_remembered() {
        let lookups = Lookups::default();
        (0..MAX_FOUND + 10).for_each(|n| lookups.note_found(Digest::of(&n.to_string())));
        assert_eq!(lookups.found().len(), MAX_FOUND);
        assert!(!lookups.found().contains_key(&Digest::of("0")));
    }
}
