//! Argon2id hashes, imported hashes until their users sign in, and the check for common passwords.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};

use super::django_hash::{DjangoHash, take_time};
use crate::error::AppError;

/// Characters scored by zxcvbn at each end of a password. Its time grows with the cube of the length: 100 hostile characters
/// took 0.5 s, 35 times as long as these.
const SCORED_CHARS: usize = 24;
/// Characters of the email address that are looked for in a password.
const EMAIL_CHARS: usize = 100;
/// Parts of the email address that are looked for in a password.
const EMAIL_PARTS: usize = 16;

/// Hash that the password of an unknown account is checked against, so that it takes as long. It is a constant, because making
/// it takes 19 MB and doubles the time of the first sign-in.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$ZaSx1Yg0mJEsJFP/lyrvdg$YiMKAtD1OMsXmpsGetw6JIuxukwdmKuINNa+Z+GWRW0";

/// Result of a password check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Wrong password, or unknown account.
    Wrong,
    Right,
    /// Right, but the stored hash has old parameters or is imported. Holds the hash to replace it with.
    RightButOutdated(String),
}

/// Whether a password falls within 10^6 guesses. A long password is common only if both of its ends are.
pub(super) fn is_common(password: &str, email: &str) -> bool {
    let email: String = email.chars().take(EMAIL_CHARS).collect();
    let local = email.split('@').next().unwrap_or_default();
    let parts = email.split(['@', '.', '+', '-', '_']).take(EMAIL_PARTS);
    let known_words: Vec<_> = parts.chain([&email, local, "keyfob"]).collect();
    let is_weak = |text: &str| zxcvbn::zxcvbn(text, &known_words).score() < zxcvbn::Score::Two;
    let chars: Vec<_> = password.chars().collect();
    let start: String = chars.iter().take(SCORED_CHARS).collect();
    let end: String = chars.iter().skip(chars.len().saturating_sub(SCORED_CHARS)).collect();
    is_weak(&start) && (chars.len() <= SCORED_CHARS || is_weak(&end))
}

pub(super) fn hash(password: &str) -> Result<String, AppError> {
    let hash: argon2::password_hash::Result<PasswordHash> = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| {
        tracing::error!(%error, "password hashing failed");
        AppError::Internal
    })
}

/// Checks a password against the stored hash; `None` for an unknown account. `padding` is the cost of the slowest imported hash:
/// every wrong password takes that long, so that the time does not tell whose hash is imported.
pub(super) fn verify(password: &str, stored: Option<&str>, padding: u32) -> Result<Verdict, AppError> {
    if let Some(imported) = stored.and_then(|stored| DjangoHash::parse(stored).ok()) {
        return verify_imported(password, &imported, padding);
    }
    let Some(stored) = stored.and_then(|stored| PasswordHash::new(stored).ok()) else {
        verify_dummy(password);
        take_time(password, padding);
        return Ok(Verdict::Wrong);
    };
    if Argon2::default().verify_password(password.as_bytes(), &stored).is_err() {
        take_time(password, padding);
        return Ok(Verdict::Wrong);
    }
    let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
    let is_current = Params::try_from(&stored).is_ok_and(|params| costs(&params) == costs(&Params::default()));
    if is_current { Ok(Verdict::Right) } else { hash(password).map(Verdict::RightButOutdated) }
}

fn verify_imported(password: &str, imported: &DjangoHash<'_>, padding: u32) -> Result<Verdict, AppError> {
    if imported.verify(password) {
        return hash(password).map(Verdict::RightButOutdated);
    }
    verify_dummy(password);
    take_time(password, padding.saturating_sub(imported.cost()));
    Ok(Verdict::Wrong)
}

/// Takes the time of a check against a current hash.
fn verify_dummy(password: &str) {
    if let Ok(dummy) = PasswordHash::new(DUMMY_HASH) {
        let _ = Argon2::default().verify_password(password.as_bytes(), &dummy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_argon2id_with_owasp_parameters() {
        assert!(hash("correct horse").unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    }

    #[test]
    fn password_of_an_unknown_account_is_wrong() {
        let stored = hash("correct horse").unwrap();
        assert_eq!(verify("correct horse", Some(&stored), 0), Ok(Verdict::Right));
        assert_eq!(verify("Correct horse", Some(&stored), 0), Ok(Verdict::Wrong));
        assert_eq!(verify("nobody has this password", None, 0), Ok(Verdict::Wrong));
        assert_eq!(verify("", Some("not a hash"), 0), Ok(Verdict::Wrong));
    }

    #[test]
    fn dummy_hash_has_current_parameters() {
        assert_eq!(verify("nobody has this password", Some(DUMMY_HASH), 0), Ok(Verdict::Right));
    }

    #[test]
    fn hash_with_old_parameters_is_replaced() {
        let weak =
            Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let stored: PasswordHash = weak.hash_password(b"correct horse").unwrap();
        let Ok(Verdict::RightButOutdated(new)) = verify("correct horse", Some(&stored.to_string()), 0) else {
            panic!()
        };
        assert_eq!(verify("correct horse", Some(&new), 0), Ok(Verdict::Right));
    }

    #[test]
    fn imported_hash_is_replaced() {
        let imported = "pbkdf2_sha256$2600$Xc81mPq0Zz1a$oExdehbHXh0tvaGXpWZABXpwxwFfaT/qtaIAtk6lTXY=";
        assert_eq!(verify("Pbkdf2 password", Some(imported), 5000), Ok(Verdict::Wrong));
        let Ok(Verdict::RightButOutdated(new)) = verify("Pbkdf2 password 2", Some(imported), 0) else { panic!() };
        assert!(new.starts_with("$argon2id$"));
        assert_eq!(verify("Pbkdf2 password 2", Some(&new), 0), Ok(Verdict::Right));
    }

    /// Prints the times; only a person can judge them on a machine that does other work.
    #[test]
    #[ignore = "measures"]
    fn wrong_password_takes_as_long_for_an_imported_hash() {
        let imported = "pbkdf2_sha256$1000000$nh5UZ2TcALZKFuJ7nNXqZU$Un/Ln2uTunIThqKnWVVsTbwy8Yb/IBbye7dSorpu174=";
        let current = hash("correct horse").unwrap();
        for (name, stored, padding) in [
            ("unknown, nothing imported", None, 0),
            ("imported", Some(imported), 1_000_000),
            ("current", Some(current.as_str()), 1_000_000),
            ("unknown", None, 1_000_000),
        ] {
            let begin = std::time::Instant::now();
            (0..5).for_each(|_| assert_eq!(verify("wrong", stored, padding), Ok(Verdict::Wrong)));
            println!("{name}: {:?}", begin.elapsed() / 5);
        }
    }

    #[test]
    fn common_passwords_and_own_address_are_common() {
        for common in ["password", "12345678", "qwertyuiop", "ada.lovelace", "keyfob12"] {
            assert!(is_common(common, "ada.lovelace@example.com"), "{common}");
        }
        assert!(!is_common("correct horse battery", "ada@example.com"));
    }

    #[test]
    fn long_password_is_common_only_if_both_ends_are() {
        let (common, good) = ("password".repeat(8), "correct horse battery st");
        assert!(is_common(&common, "ada@example.com"));
        assert!(!is_common(&format!("{good}{common}"), "ada@example.com"));
        assert!(!is_common(&format!("{common}{good}"), "ada@example.com"));
    }
}
