//! Bounds how many long reads of one owner run and wait at once, so that no account keeps all others waiting.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{AppError, Limit};

/// How many reads of an owner run at once.
pub const MAX_RUNNING: usize = 2;
/// How many more may wait for their turn, until the deadline of their request. The next is refused at once: each that waits
/// holds one of the 256 places that all requests share.
pub const MAX_WAITING: usize = 30;
/// A turn ends within the second as a rule.
const TOO_MANY_READS: AppError = AppError::RateLimited { limit: Limit::ConcurrentReads, retry_after: 1 };

/// Who reads just now. Has an entry for each owner as long as a request of theirs runs or waits, and so is bounded by the
/// number of requests that run at once. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct OwnerConcurrencyLimit(Arc<Mutex<HashMap<String, OwnerQueue>>>);

#[derive(Debug)]
struct OwnerQueue {
    running: Arc<Semaphore>,
    /// How many run and wait.
    all: usize,
}

/// A turn to read, until it is dropped.
#[derive(Debug)]
pub struct ReadPermit {
    _running: OwnedSemaphorePermit,
    _place: QueueSlot,
}

/// A place among those that run and wait.
#[derive(Debug)]
struct QueueSlot {
    limit: OwnerConcurrencyLimit,
    owner: String,
}

impl OwnerConcurrencyLimit {
    /// Takes a turn, and waits for it where others of the same owner run.
    ///
    /// # Errors
    /// [`AppError::RateLimited`] if too many of the owner wait already.
    pub async fn acquire(&self, owner: &str) -> Result<ReadPermit, AppError> {
        let (running, place) = self.enter(owner)?;
        let running = running.acquire_owned().await.map_err(|_| AppError::Unavailable)?;
        Ok(ReadPermit { _running: running, _place: place })
    }

    /// Takes a turn of an owner, and one of the user who asks where that is another: who is in many teams has no more for that.
    ///
    /// # Errors
    /// As [`OwnerConcurrencyLimit::take`].
    pub async fn acquire_both(&self, owner: &str, user: &str) -> Result<(ReadPermit, Option<ReadPermit>), AppError> {
        let of_owner = self.acquire(owner).await?;
        let of_user = if owner == user { None } else { Some(self.acquire(user).await?) };
        Ok((of_owner, of_user))
    }

    fn enter(&self, owner: &str) -> Result<(Arc<Semaphore>, QueueSlot), AppError> {
        let mut lines = self.lines();
        let new = || OwnerQueue { running: Arc::new(Semaphore::new(MAX_RUNNING)), all: 0 };
        let line = lines.entry(owner.to_owned()).or_insert_with(new);
        if line.all >= MAX_RUNNING + MAX_WAITING {
            return Err(TOO_MANY_READS);
        }
        line.all += 1;
        Ok((Arc::clone(&line.running), QueueSlot { limit: self.clone(), owner: owner.to_owned() }))
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<String, OwnerQueue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        if let Entry::Occupied(mut line) = self.limit.lines().entry(std::mem::take(&mut self.owner)) {
            line.get_mut().all -= 1;
            if line.get().all == 0 {
                line.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn two_run_at_once_others_wait_and_one_too_many_is_refused() {
        let turns = OwnerConcurrencyLimit::default();
        let (first, second) = (turns.acquire("ada").await.unwrap(), turns.acquire("ada").await.unwrap());
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(turns.acquire("ada"))).collect();
        for wait in &mut waiting {
            assert!(wait.now_or_never().is_none(), "a third runs");
        }
        assert_eq!(turns.acquire("ada").await.unwrap_err(), TOO_MANY_READS);
        assert!(turns.acquire("bob").now_or_never().is_some(), "another owner waits");
        drop(first);
        let third = waiting.remove(0).now_or_never().expect("a turn is free").unwrap();
        assert!(waiting[0].as_mut().now_or_never().is_none());
        drop((second, third, waiting));
        assert!(turns.lines().is_empty(), "{:?}", turns.lines());
    }
}
