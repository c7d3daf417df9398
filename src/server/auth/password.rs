//! Queue and limits around password hashing.
//!
//! Argon2id runs on low-priority threads, on at most half of the cores, with a bounded queue, so that signing in never slows
//! key checks down. Each user has one slot in the queue and a limit per minute, even for right passwords: a user who knows
//! their own password must not keep others from signing in.

use std::collections::HashSet;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::django_hash::DjangoHash;
use super::key_format::Digest;
pub use super::password_hash::Verdict;
use super::password_hash::{hash, is_common, verify};
use crate::error::{AppError, Limit};
use crate::model::fields::FieldErrors;
use crate::model::time::Timestamp;
use crate::model::users::{PASSWORD_MAX, UserId, password_length};
use crate::server::clock::Stopwatch;
use crate::server::metrics::histogram::{Histogram, HistogramSnapshot};
use crate::server::rate_limits::FixedWindowLimiter;
use crate::server::{background_thread, request_context};

/// Passwords that can wait; further ones are rejected.
pub const MAX_QUEUED: usize = 32;
/// Keys that can wait to be checked against a slow imported hash.
const MAX_KEYS_WAITING: usize = 32;
/// Passwords of one user that are checked per minute, right or wrong.
pub const MAX_CHECKS_PER_MINUTE: u32 = 30;

/// Password hasher with its queue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Passwords {
    queue: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    max_running: usize,
    figures: Arc<Figures>,
    /// One imported hash at a time that needs much memory.
    memory: Arc<Semaphore>,
    key_turns: Arc<KeyTurns>,
    slots: TakenSlots,
    checks: FixedWindowLimiter<String>,
}

#[derive(Debug, Default)]
struct Figures {
    waits: Histogram,
    rejections: AtomicU64,
}

/// State of the queue, for metrics.
#[derive(Clone, Copy, Debug)]
pub struct QueueStats {
    pub running: usize,
    pub waiting: usize,
    /// Passwords that may wait.
    pub limit: usize,
    /// Passwords that found the queue full.
    pub rejections: u64,
    /// Times that passwords waited for a core.
    pub waits: HistogramSnapshot,
}

/// Owner of a slot in the queue. Attempts by strangers have a slot apart from the user's own, so that they cannot block it.
#[derive(Clone, Copy, Debug)]
pub enum SlotOwner<'a> {
    /// A user with a session or a device cookie.
    User(&'a UserId),
    /// Strangers who typed this email address, of a known account or not.
    Email(&'a str),
}

/// Keys that are checked against a slow imported hash: one at a time.
#[derive(Debug)]
struct KeyTurns {
    running: Semaphore,
    waiting: Semaphore,
}

impl Default for KeyTurns {
    fn default() -> Self {
        Self { running: Semaphore::new(1), waiting: Semaphore::new(MAX_KEYS_WAITING) }
    }
}

/// Permission to check one key against a slow imported hash.
#[derive(Debug)]
pub struct KeyTurn<'a> {
    passwords: &'a Passwords,
    _running: SemaphorePermit<'a>,
}

impl KeyTurn<'_> {
    /// Whether a stored hash is that of this key.
    pub async fn verify(&self, key: SecretString, stored: String) -> Result<bool, AppError> {
        let work = move || DjangoHash::parse(&stored).is_ok_and(|hash| hash.verify(key.expose_secret()));
        self.passwords.run(None, true, work).await
    }
}

type TakenSlots = Arc<Mutex<HashSet<String>>>;

/// A user's one slot in the queue, held while their password is hashed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HashSlot {
    passwords: Passwords,
    guard: Arc<SlotGuard>,
    taken_at: Timestamp,
}

#[derive(Debug)]
struct SlotGuard {
    slots: TakenSlots,
    owner: String,
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        lock(&self.slots).remove(&self.owner);
    }
}

fn lock(slots: &TakenSlots) -> MutexGuard<'_, HashSet<String>> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HashSlot {
    /// Like [`Passwords::hash`], in this slot.
    pub async fn hash(&self, password: SecretString, field: &'static str, email: String) -> Result<String, AppError> {
        self.passwords.hash_in(Some(Arc::clone(&self.guard)), password, field, email).await
    }

    /// Checks a password against the stored hash. `None`, for an unknown account, takes as long. `padding` is the cost of the
    /// slowest imported hash: a wrong password takes as long for every account.
    ///
    /// # Errors
    /// [`AppError::RateLimited`] above [`MAX_CHECKS_PER_MINUTE`], [`AppError::Unavailable`] if the queue is full.
    pub async fn verify(
        &self,
        password: SecretString,
        stored: Option<String>,
        padding: u32,
    ) -> Result<Verdict, AppError> {
        let acquired = self.passwords.checks.try_acquire(&self.guard.owner, MAX_CHECKS_PER_MINUTE, self.taken_at);
        acquired.map_err(|retry_after| AppError::RateLimited { limit: Limit::PasswordChecks, retry_after })?;
        let guard = Some(Arc::clone(&self.guard));
        let much_memory = stored
            .as_deref()
            .is_some_and(|stored| DjangoHash::parse(stored).is_ok_and(|imported| imported.needs_much_memory()));
        let work = move || verify(password.expose_secret(), stored.as_deref(), padding);
        self.passwords.run(guard, much_memory, work).await?
    }
}

impl Default for Passwords {
    /// Uses half of the cores, so that requests without a password keep the other half.
    fn default() -> Self {
        let cores = (std::thread::available_parallelism().map_or(1, NonZero::get) / 2).max(1);
        Self {
            queue: Arc::new(Semaphore::new(cores + MAX_QUEUED)),
            cores: Arc::new(Semaphore::new(cores)),
            max_running: cores,
            figures: Arc::default(),
            memory: Arc::new(Semaphore::new(1)),
            key_turns: Arc::default(),
            slots: TakenSlots::default(),
            checks: FixedWindowLimiter::default(),
        }
    }
}

impl Passwords {
    /// Takes the owner's slot in the queue.
    ///
    /// # Errors
    /// [`AppError::RateLimited`] if the slot is taken.
    pub fn take_slot(&self, owner: SlotOwner<'_>, now: Timestamp) -> Result<HashSlot, AppError> {
        let owner = match owner {
            SlotOwner::User(id) => id.to_string(),
            // Hashed, because the typed text can be long, or a password.
            SlotOwner::Email(email) => Digest::of(&email.trim().to_lowercase()).hex(),
        };
        if !lock(&self.slots).insert(owner.clone()) {
            return Err(AppError::RateLimited { limit: Limit::ConcurrentPasswordChecks, retry_after: 1 });
        }
        let guard = Arc::new(SlotGuard { slots: Arc::clone(&self.slots), owner });
        Ok(HashSlot { passwords: self.clone(), guard, taken_at: now })
    }

    /// Returns the state of the queue.
    pub fn queue_stats(&self) -> QueueStats {
        let queued = (self.max_running + MAX_QUEUED).saturating_sub(self.queue.available_permits());
        let running = self.max_running.saturating_sub(self.cores.available_permits());
        let (rejections, waits) = (self.figures.rejections.load(Relaxed), self.figures.waits.snapshot());
        QueueStats { running, waiting: queued.saturating_sub(running), limit: MAX_QUEUED, rejections, waits }
    }

    /// Deletes expired counts. The server calls it periodically.
    pub fn evict_expired(&self, now: Timestamp) {
        self.checks.evict_expired(now);
    }

    /// Hashes a new password after checking it. `field` is the form field of the errors; the password must not resemble the
    /// email address.
    ///
    /// # Errors
    /// [`AppError::Invalid`] if it is too short, too long or too common; [`AppError::Unavailable`] if the queue is full.
    pub async fn hash(&self, password: SecretString, field: &'static str, email: String) -> Result<String, AppError> {
        self.hash_in(None, password, field, email).await
    }

    async fn hash_in(
        &self,
        guard: Option<Arc<SlotGuard>>,
        password: SecretString,
        field: &'static str,
        email: String,
    ) -> Result<String, AppError> {
        password_length(password.expose_secret()).map_err(|sentence| FieldErrors::one(field, sentence))?;
        self.run(guard, false, move || {
            if is_common(password.expose_secret(), &email) {
                let sentence = "This password is too easy to guess. Choose another, such as four random words.";
                return Err(FieldErrors::one(field, sentence).into());
            }
            hash(password.expose_secret())
        })
        .await?
    }

    /// Waits for the turn to check a key against a slow imported hash. One check runs at a time and few wait, so that made-up keys
    /// never keep passwords from the queue.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if too many wait.
    pub async fn key_turn(&self) -> Result<KeyTurn<'_>, AppError> {
        let _waiting = self.key_turns.waiting.try_acquire().map_err(|_| AppError::Unavailable)?;
        let running = self.key_turns.running.acquire().await.map_err(|_| AppError::Unavailable)?;
        Ok(KeyTurn { passwords: self, _running: running })
    }

    /// Runs work on a background thread, once the queue has room and a core is free.
    async fn run<T: Send + 'static>(
        &self,
        guard: Option<Arc<SlotGuard>>,
        much_memory: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| {
            self.figures.rejections.fetch_add(1, Relaxed);
            AppError::Unavailable
        })?;
        let began = Stopwatch::start();
        let memory = if much_memory {
            Some(Arc::clone(&self.memory).acquire_owned().await.map_err(|_| AppError::Unavailable)?)
        } else {
            None
        };
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|_| AppError::Unavailable)?;
        self.figures.waits.observe(began.elapsed());
        let (sender, receiver) = oneshot::channel();
        let thread = background_thread::spawn("password", move || {
            // Held until the work ends, even if the request is gone, and released before the result is sent.
            let result = work();
            drop((queued, memory, core, guard));
            let _ = sender.send(result);
        });
        if let Err(error) = thread {
            request_context::current_span()
                .in_scope(|| tracing::error!(%error, "cannot start a thread to hash a password"));
            return Err(AppError::Unavailable);
        }
        receiver.await.map_err(|_| {
            request_context::current_span().in_scope(|| tracing::error!("password hashing panicked"));
            AppError::Internal
        })
    }
}

/// Rejects a password that is longer than any stored one, before it is checked.
///
/// # Errors
/// [`AppError::Invalid`] at `field`.
pub fn check_max_length(password: &SecretString, field: &str) -> Result<(), AppError> {
    let count = password.expose_secret().chars().count();
    if count <= PASSWORD_MAX {
        return Ok(());
    }
    // Up to version 0.1, the forms shortened longer passwords.
    let sentence = format!(
        "A password has at most {PASSWORD_MAX} characters, and this one has {count}. If a form shortened it when you set it, \
         try its first {PASSWORD_MAX}."
    );
    Err(FieldErrors::one(field, sentence).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[tokio::test]
    async fn user_has_one_slot_and_a_limit_per_minute() {
        let (passwords, ada) = (Passwords::default(), UserId::parse("0190a1b2-0000-7000-8000-000000000001").unwrap());
        let take = || passwords.take_slot(SlotOwner::User(&ada), NOW);
        let held = take().unwrap();
        let also = held.clone();
        assert_eq!(
            take().unwrap_err(),
            AppError::RateLimited { limit: Limit::ConcurrentPasswordChecks, retry_after: 1 }
        );
        assert!(passwords.take_slot(SlotOwner::Email("ada@example.com"), NOW).is_ok(), "strangers have their own slot");
        drop(held);
        assert!(take().is_err(), "the clone still holds it");
        drop(also);
        let checked =
            async |now| passwords.take_slot(SlotOwner::User(&ada), now).unwrap().verify("x".into(), None, 0).await;
        for _ in 0..MAX_CHECKS_PER_MINUTE {
            assert_eq!(checked(NOW).await, Ok(Verdict::Wrong));
        }
        assert_eq!(checked(NOW).await, Err(AppError::RateLimited { limit: Limit::PasswordChecks, retry_after: 60 }));
        assert!(lock(&passwords.slots).is_empty());
        passwords.evict_expired(NOW.plus(59_999));
        assert!(checked(NOW).await.is_err(), "the minute is not over");
        passwords.evict_expired(NOW.plus(60_000));
        assert_eq!(checked(NOW).await, Ok(Verdict::Wrong), "the count is deleted");
        assert_eq!(checked(NOW.plus(60_000)).await, Ok(Verdict::Wrong));
    }

    #[tokio::test]
    async fn state_of_the_queue_tells_running_from_waiting() {
        let passwords = Passwords::default();
        let stats = || {
            let stats = passwords.queue_stats();
            (stats.running, stats.waiting)
        };
        assert_eq!(stats(), (0, 0));
        let running = u32::try_from(passwords.max_running).unwrap();
        let _queued = passwords.queue.acquire_many(running + 3).await.unwrap();
        let _running = passwords.cores.acquire_many(running).await.unwrap();
        assert_eq!(stats(), (passwords.max_running, 3));
    }

    #[test]
    fn email_is_normalised_for_its_slot() {
        let passwords = Passwords::default();
        let _held = passwords.take_slot(SlotOwner::Email("ada@example.com"), NOW).unwrap();
        assert!(passwords.take_slot(SlotOwner::Email(" Ada@Example.com"), NOW).is_err());
        assert!(passwords.take_slot(SlotOwner::Email("bob@example.com"), NOW).is_ok());
    }

    #[tokio::test]
    async fn keys_wait_in_a_line_of_their_own() {
        let passwords = Passwords::default();
        let turn = passwords.key_turn().await.unwrap();
        let mut waiting: Vec<_> = (0..MAX_KEYS_WAITING).map(|_| Box::pin(passwords.key_turn())).collect();
        for turn in &mut waiting {
            assert!(futures_util::poll!(turn).is_pending());
        }
        assert_eq!(passwords.key_turn().await.err(), Some(AppError::Unavailable));
        let slot = passwords.take_slot(SlotOwner::Email("ada@example.com"), NOW).unwrap();
        assert_eq!(slot.verify("a".into(), None, 0).await, Ok(Verdict::Wrong), "a password does not wait for them");
        drop(turn);
        assert!(waiting.remove(0).await.is_ok());
    }

    #[tokio::test]
    async fn full_queue_rejects_the_next() {
        let passwords = Passwords::default();
        let all = u32::try_from(passwords.queue.available_permits()).unwrap();
        let _held = passwords.queue.acquire_many(all).await.unwrap();
        let slot = passwords.take_slot(SlotOwner::Email("ada@example.com"), NOW).unwrap();
        assert_eq!(slot.verify("a".into(), None, 0).await, Err(AppError::Unavailable));
    }
}
