//! Limits the long reads of one owner that run and wait, so that one account cannot delay the others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{AppError, Limit};

/// Reads of one owner that run at once.
pub const MAX_RUNNING: usize = 2;
/// Reads of one owner that wait, at most until the deadline of their request. The next is rejected: each waiting read holds
/// one of the 256 permits that all requests share.
pub const MAX_WAITING: usize = 14;
/// A permit is usually free again within a second.
const TOO_MANY_READS: AppError = AppError::RateLimited { limit: Limit::ConcurrentReads, retry_after: 1 };

/// Concurrency limit for each owner. It has an entry only while a request of that owner runs or waits. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct OwnerConcurrencyLimit(Arc<Mutex<HashMap<String, OwnerQueue>>>);

#[derive(Debug)]
struct OwnerQueue {
    running: Arc<Semaphore>,
    /// Reads that run or wait.
    all: usize,
}

/// Permit to read. Dropping it releases it.
#[derive(Debug)]
pub struct ReadPermit {
    _running: OwnedSemaphorePermit,
    _place: QueueSlot,
}

/// Slot of a read that runs or waits.
#[derive(Debug)]
struct QueueSlot {
    limit: OwnerConcurrencyLimit,
    owner: String,
}

impl OwnerConcurrencyLimit {
    /// Waits for a permit.
    ///
    /// # Errors
    /// [`AppError::RateLimited`] if too many reads of the owner wait already.
    pub async fn acquire(&self, owner: &str) -> Result<ReadPermit, AppError> {
        let (running, place) = self.enter(owner)?;
        let running = running.acquire_owned().await.map_err(|_| AppError::Unavailable)?;
        Ok(ReadPermit { _running: running, _place: place })
    }

    /// Waits for a permit of the owner, and for one of the user if they differ: membership in many teams gives no more permits.
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
