//! Passwords: Argon2id on threads that let all others go first, at most on half of the cores at a time and a bounded queue
//! before that, so that signing in never slows the checking of keys. Each user has one place in the queue and a limit per minute,
//! also for right passwords: a user who knows their own must not keep all others from signing in.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, oneshot};

use super::key_format::Digest;
use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::time::Timestamp;
use crate::model::users::{PASSWORD_MAX, UserId, password_length};
use crate::server::rate_limits::FixedWindowLimiter;
use crate::server::{background_thread, request_context};

/// How many may wait for their turn; the next is told to come back.
pub const QUEUE: usize = 32;
/// How many passwords of one user are looked at in a minute, right or wrong.
pub const MAX_PER_MINUTE: u32 = 30;
/// How many characters zxcvbn looks at, of the beginning and, where that is common, of the end. Its time grows with the cube of
/// the length: 100 hostile characters took 0.5 s, and 35 times as long as these.
const LOOKED_AT: usize = 24;
/// How many characters of an email address are looked for in a password, and how many of its parts.
const LOOKED_AT_OF_ADDRESS: usize = 100;
const PARTS: usize = 16;

/// What an unknown email's password is held against, made with today's parameters so that it takes as long. It stands here, for
/// to make it takes 19 MB, and at the first sign-in twice the time.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$ZaSx1Yg0mJEsJFP/lyrvdg$YiMKAtD1OMsXmpsGetw6JIuxukwdmKuINNa+Z+GWRW0";

/// The hasher and its queue.
#[derive(Clone, Debug)]
pub struct Passwords {
    queue: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    /// Who has a place in the queue.
    queued: Queued,
    spent: FixedWindowLimiter<String>,
}

/// Whose password is looked at. What strangers try on an account counts apart from what its user does: they must not make the
/// user wait.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// Of a user, by a session or by a browser that has signed in to the account before.
    User(&'a UserId),
    /// Of an account, made-up or not, by its email address as it was typed.
    Account(&'a str),
}

type Queued = Arc<Mutex<HashSet<String>>>;

/// The one place of a user in the queue, for as long as a password of theirs is hashed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Turn {
    passwords: Passwords,
    place: Arc<Place>,
    began: Timestamp,
}

#[derive(Debug)]
struct Place {
    queued: Queued,
    whose: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.queued).remove(&self.whose);
    }
}

fn lock(queued: &Queued) -> MutexGuard<'_, HashSet<String>> {
    queued.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turn {
    /// As [`Passwords::hash`].
    ///
    /// # Errors
    /// As [`Passwords::hash`].
    pub async fn hash(&self, password: SecretString, field: &'static str, about: String) -> Result<String, AppError> {
        self.passwords.hash_in(Some(Arc::clone(&self.place)), password, (field, about)).await
    }

    /// Checks a password against the stored hash; `None` for an unknown account takes as long.
    ///
    /// # Errors
    /// [`AppError::TooManyTries`] if too many of the user were checked in the last minute; [`AppError::Unavailable`] if too many
    /// wait.
    pub async fn verify(&self, password: SecretString, stored: Option<String>) -> Result<Verdict, AppError> {
        let spent = self.passwords.spent.try_acquire(&self.place.whose, MAX_PER_MINUTE, self.began);
        spent.map_err(|seconds| AppError::TooManyTries { seconds })?;
        let place = Some(Arc::clone(&self.place));
        self.passwords.run(place, move || verify(password.expose_secret(), stored.as_deref())).await?
    }
}

/// What came of checking a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not the password, or there is no such account.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, and this is its hash with today's parameters, to be stored in place of the old one.
    RightButOld(String),
}

impl Passwords {
    /// On half of the cores at a time: the other half is for whoever needs no password.
    #[must_use]
    pub fn new() -> Self {
        let cores = (std::thread::available_parallelism().map_or(1, std::num::NonZero::get) / 2).max(1);
        Self {
            queue: Arc::new(Semaphore::new(cores + QUEUE)),
            cores: Arc::new(Semaphore::new(cores)),
            queued: Queued::default(),
            spent: FixedWindowLimiter::default(),
        }
    }

    /// Takes the place of a user in the queue.
    ///
    /// # Errors
    /// [`AppError::TooManyTries`] if the user has it already.
    pub fn turn(&self, whose: Whose<'_>, now: Timestamp) -> Result<Turn, AppError> {
        let whose = match whose {
            Whose::User(id) => id.to_string(),
            // What was typed may be long, or a password.
            Whose::Account(email) => Digest::of(&email.trim().to_lowercase()).hex(),
        };
        if !lock(&self.queued).insert(whose.clone()) {
            return Err(AppError::TooManyTries { seconds: 1 });
        }
        let place = Arc::new(Place { queued: Arc::clone(&self.queued), whose });
        Ok(Turn { passwords: self.clone(), place, began: now })
    }

    /// Forgets what is over of what was counted; for a server to do again and again.
    pub fn evict_expired(&self, now: Timestamp) {
        self.spent.evict_expired(now);
    }

    /// Checks a new password and hashes it. `field` is the name under which errors stand, `about` what an attacker would
    /// try first, such as the email address.
    ///
    /// # Errors
    /// [`AppError::Invalid`] if it is too short, too long or too common; [`AppError::Unavailable`] if too many wait.
    pub async fn hash(&self, password: SecretString, field: &'static str, about: String) -> Result<String, AppError> {
        self.hash_in(None, password, (field, about)).await
    }

    async fn hash_in(
        &self,
        place: Option<Arc<Place>>,
        password: SecretString,
        (field, about): (&'static str, String),
    ) -> Result<String, AppError> {
        password_length(password.expose_secret()).map_err(|sentence| FieldErrors::one(field, sentence))?;
        self.run(place, move || {
            if is_common(password.expose_secret(), &about) {
                let sentence = "This password is among the first that are tried. Choose another, such as four words.";
                return Err(FieldErrors::one(field, sentence).into());
            }
            hash(password.expose_secret())
        })
        .await?
    }

    async fn run<T: Send + 'static>(
        &self,
        place: Option<Arc<Place>>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let waiting = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| AppError::Unavailable)?;
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|_| AppError::Unavailable)?;
        let (done, outcome) = oneshot::channel();
        let thread = background_thread::spawn("password", move || {
            // Held to the end of the work, also when the one who asked has gone; and free when they hear of it.
            let outcome = work();
            drop((waiting, core, place));
            let _ = done.send(outcome);
        });
        if let Err(error) = thread {
            request_context::current_span()
                .in_scope(|| tracing::error!(%error, "no thread could be made to hash a password"));
            return Err(AppError::Unavailable);
        }
        outcome.await.map_err(|_| {
            request_context::current_span().in_scope(|| tracing::error!("hashing a password broke off"));
            AppError::Internal
        })
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

/// Refuses a password that is too long to be anybody's, before it is looked at.
///
/// # Errors
/// [`AppError::Invalid`] at `field`.
pub fn check_not_too_long(password: &SecretString, field: &str) -> Result<(), AppError> {
    let count = password.expose_secret().chars().count();
    if count <= PASSWORD_MAX {
        return Ok(());
    }
    // The forms did that up to version 0.1, and so did those that set the password.
    let sentence = format!(
        "A password has at most {PASSWORD_MAX} characters; this has {count}. If it was cut when it was set, try its first \
         {PASSWORD_MAX}."
    );
    Err(FieldErrors::one(field, sentence).into())
}

/// Whether a password would fall within 10^6 guesses. A long one by its beginning or by its end: if either of them would not,
/// the whole does not.
fn is_common(password: &str, about: &str) -> bool {
    let about: String = about.chars().take(LOOKED_AT_OF_ADDRESS).collect();
    let local = about.split('@').next().unwrap_or_default();
    let parts: Vec<_> = about.split(['@', '.', '+', '-', '_']).take(PARTS).chain([&about, local, "keyfob"]).collect();
    let falls = |text: &str| zxcvbn::zxcvbn(text, &parts).score() < zxcvbn::Score::Two;
    let chars: Vec<_> = password.chars().collect();
    let (beginning, end) = (chars.iter().take(LOOKED_AT), chars.iter().skip(chars.len().saturating_sub(LOOKED_AT)));
    falls(&beginning.collect::<String>()) && (chars.len() <= LOOKED_AT || falls(&end.collect::<String>()))
}

fn hash(password: &str) -> Result<String, AppError> {
    let hash: argon2::password_hash::Result<PasswordHash> = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| {
        tracing::error!(%error, "a password could not be hashed");
        AppError::Internal
    })
}

fn verify(password: &str, stored: Option<&str>) -> Result<Verdict, AppError> {
    let known = stored.and_then(|stored| PasswordHash::new(stored).ok());
    let Some(known) = known else {
        if let Ok(nobody) = PasswordHash::new(NOBODY) {
            let _ = Argon2::default().verify_password(password.as_bytes(), &nobody);
        }
        return Ok(Verdict::Wrong);
    };
    if Argon2::default().verify_password(password.as_bytes(), &known).is_err() {
        return Ok(Verdict::Wrong);
    }
    let today = Params::default();
    let current = Params::try_from(&known).is_ok_and(|params| {
        (params.m_cost(), params.t_cost(), params.p_cost()) == (today.m_cost(), today.t_cost(), today.p_cost())
    });
    if current { Ok(Verdict::Right) } else { hash(password).map(Verdict::RightButOld) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_hash_is_argon2id_with_the_parameters_of_owasp() {
        assert!(hash("correct horse").unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    }

    #[test]
    fn a_password_is_right_or_wrong_and_nobody_is_wrong() {
        let stored = hash("correct horse").unwrap();
        assert_eq!(verify("correct horse", Some(&stored)), Ok(Verdict::Right));
        assert_eq!(verify("Correct horse", Some(&stored)), Ok(Verdict::Wrong));
        assert_eq!(verify("nobody has this password", None), Ok(Verdict::Wrong));
        assert_eq!(verify("", Some("not a hash")), Ok(Verdict::Wrong));
    }

    #[test]
    fn nobodys_hash_takes_as_long_as_anybodys() {
        assert_eq!(verify("nobody has this password", Some(NOBODY)), Ok(Verdict::Right));
    }

    #[test]
    fn a_hash_with_old_parameters_is_made_anew() {
        let weak =
            Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let stored: PasswordHash = weak.hash_password(b"correct horse").unwrap();
        let Ok(Verdict::RightButOld(new)) = verify("correct horse", Some(&stored.to_string())) else { panic!() };
        assert_eq!(verify("correct horse", Some(&new)), Ok(Verdict::Right));
    }

    #[test]
    fn common_passwords_and_the_own_address_are_refused() {
        for common in ["password", "12345678", "qwertyuiop", "ada.lovelace", "keyfob12"] {
            assert!(is_common(common, "ada.lovelace@example.com"), "{common}");
        }
        assert!(!is_common("correct horse battery", "ada@example.com"));
    }

    #[test]
    fn a_long_password_is_common_if_both_its_ends_are() {
        let (common, good) = ("password".repeat(8), "correct horse battery st");
        assert!(is_common(&common, "ada@example.com"));
        assert!(!is_common(&format!("{good}{common}"), "ada@example.com"));
        assert!(!is_common(&format!("{common}{good}"), "ada@example.com"));
    }

    #[tokio::test]
    async fn a_user_has_one_place_in_the_queue_and_so_many_turns_a_minute() {
        let (passwords, ada) = (Passwords::new(), UserId::parse("0190a1b2-0000-7000-8000-000000000001").unwrap());
        let turn = || passwords.turn(Whose::User(&ada), NOW);
        let held = turn().unwrap();
        let also = held.clone();
        assert_eq!(turn().unwrap_err(), AppError::TooManyTries { seconds: 1 });
        assert!(passwords.turn(Whose::Account("ada@example.com"), NOW).is_ok(), "strangers count apart");
        drop(held);
        assert!(turn().is_err(), "it is still at work");
        drop(also);
        let checked = async |now| passwords.turn(Whose::User(&ada), now).unwrap().verify("x".into(), None).await;
        for _ in 0..MAX_PER_MINUTE {
            assert_eq!(checked(NOW).await, Ok(Verdict::Wrong));
        }
        assert_eq!(checked(NOW).await, Err(AppError::TooManyTries { seconds: 60 }));
        assert!(lock(&passwords.queued).is_empty());
        assert_eq!(checked(NOW.plus(60_000)).await, Ok(Verdict::Wrong));
    }

    #[test]
    fn an_account_has_one_place_however_its_address_is_typed() {
        let passwords = Passwords::new();
        let _held = passwords.turn(Whose::Account("ada@example.com"), NOW).unwrap();
        assert!(passwords.turn(Whose::Account(" Ada@Example.com"), NOW).is_err());
        assert!(passwords.turn(Whose::Account("bob@example.com"), NOW).is_ok());
    }

    #[tokio::test]
    async fn when_too_many_wait_the_next_is_told_to_come_back() {
        let passwords = Passwords::new();
        let all = u32::try_from(passwords.queue.available_permits()).unwrap();
        let _held = passwords.queue.acquire_many(all).await.unwrap();
        let turn = passwords.turn(Whose::Account("ada@example.com"), NOW).unwrap();
        assert_eq!(turn.verify("a".into(), None).await, Err(AppError::Unavailable));
    }
}
