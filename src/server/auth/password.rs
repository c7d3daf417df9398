//! Passwords: Argon2id on threads that let all others go first, at most on half of the cores at a time and a bounded queue
//! before that, so that signing in never slows the checking of keys.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, oneshot};

use crate::error::AppError;
use crate::model::fields::FieldErrors;
use crate::model::users::password_length;
use crate::server::log;

/// How many may wait for their turn; the next is told to come back.
pub const QUEUE: usize = 32;

/// What an unknown email's password is held against, made with today's parameters so that it takes as long. It stands here, for
/// to make it takes 19 MB, and at the first sign-in twice the time.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$ZaSx1Yg0mJEsJFP/lyrvdg$YiMKAtD1OMsXmpsGetw6JIuxukwdmKuINNa+Z+GWRW0";

/// The hasher and its queue.
#[derive(Clone, Debug)]
pub struct Passwords {
    queue: Arc<Semaphore>,
    cores: Arc<Semaphore>,
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
        Self { queue: Arc::new(Semaphore::new(cores + QUEUE)), cores: Arc::new(Semaphore::new(cores)) }
    }

    /// Checks a new password and hashes it. `field` is the name under which errors stand, `about` what an attacker would
    /// try first, such as the email address.
    ///
    /// # Errors
    /// [`AppError::Invalid`] if it is too short, too long or too common; [`AppError::Unavailable`] if too many wait.
    pub async fn hash(&self, password: SecretString, field: &'static str, about: String) -> Result<String, AppError> {
        password_length(password.expose_secret()).map_err(|sentence| FieldErrors::one(field, sentence))?;
        self.run(move || {
            if is_common(password.expose_secret(), &about) {
                let sentence = "This password is among the first that are tried. Choose another, such as four words.";
                return Err(FieldErrors::one(field, sentence).into());
            }
            hash(password.expose_secret())
        })
        .await?
    }

    /// Checks a password against the stored hash; `None` for an unknown account takes as long.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if too many wait.
    pub async fn verify(&self, password: SecretString, stored: Option<String>) -> Result<Verdict, AppError> {
        self.run(move || verify(password.expose_secret(), stored.as_deref())).await?
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, AppError> {
        let waiting = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| AppError::Unavailable)?;
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|_| AppError::Unavailable)?;
        let (done, outcome) = oneshot::channel();
        // One of its own each time: a thread that has given way cannot go back, and making one is nothing beside the work.
        let thread = std::thread::Builder::new().name("password".to_owned()).spawn(move || {
            // Held to the end of the work, also when the one who asked has gone.
            let _held = (waiting, core);
            give_way();
            let _ = done.send(work());
        });
        if let Err(error) = thread {
            log::request().in_scope(|| tracing::error!(%error, "no thread could be made to hash a password"));
            return Err(AppError::Unavailable);
        }
        outcome.await.map_err(|_| {
            log::request().in_scope(|| tracing::error!("hashing a password broke off"));
            AppError::Internal
        })
    }
}

/// How far a thread that hashes stands back: the others have ten times its share of a core where both want all of it, and
/// do not wait for it to end its slice. Further back, nobody could sign in while keys are checked as fast as they can be.
#[cfg(target_os = "linux")]
const STAND_BACK: i32 = 10;

/// Lets the other threads go before this one.
fn give_way() {
    // Elsewhere than on Linux it would be the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, STAND_BACK) {
        tracing::debug!(%error, "a thread that hashes a password does not give way");
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a password would fall within 10^6 guesses.
fn is_common(password: &str, about: &str) -> bool {
    let parts: Vec<&str> = about
        .split(['@', '.', '+', '-', '_'])
        .chain([about, about.split('@').next().unwrap_or_default(), "keyfob"])
        .collect();
    zxcvbn::zxcvbn(password, &parts).score() < zxcvbn::Score::Two
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

    #[tokio::test]
    async fn when_too_many_wait_the_next_is_told_to_come_back() {
        let passwords = Passwords::new();
        let all = u32::try_from(passwords.queue.available_permits()).unwrap();
        let _held = passwords.queue.acquire_many(all).await.unwrap();
        let refused = passwords.verify("a".into(), None).await;
        assert_eq!(refused, Err(AppError::Unavailable));
    }
}
