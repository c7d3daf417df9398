//! Password hashes of Django. An import keeps them until their users sign in. This module verifies them; it makes none.

use std::num::NonZeroU32;

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::pbkdf2;
use sha2::{Digest as _, Sha256};

use super::random::hex;

/// Longest hash in bytes. Django's column has 128 characters.
const MAX_HASH_LEN: usize = 256;
/// Highest number of PBKDF2 iterations: five times Django's own today.
const MAX_ITERATIONS: u32 = 5_000_000;
/// Most memory of Argon2 in KiB. Django's own is 100 MiB.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// Most passes of Argon2 over its memory.
const MAX_PASSES: u32 = 16;
/// Highest cost of bcrypt, an exponent of two. Django's own is 12.
const MAX_BCRYPT_COST: u32 = 15;
/// Iterations of PBKDF2 with SHA-256 that take as long as one with SHA-1. Measured on x86-64 with SHA instructions: 0.145 µs.
const ITERATIONS_PER_SHA1: u32 = 2;
/// Iterations that take as long as one pass of Argon2 over a KiB. Measured: 5.7.
const ITERATIONS_PER_KIB: u32 = 6;
/// Iterations that take as long as one round of bcrypt. Measured: 380.
const ITERATIONS_PER_ROUND: u32 = 380;

/// Why a stored text is no hash that can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DjangoHashError {
    /// Django's mark of an account without a password.
    Unusable,
    /// Another scheme, or damaged.
    Unknown,
    /// Its parameters need more time or memory than a sign-in may take.
    TooCostly,
}

/// A hash as Django stores it: `pbkdf2_sha256$…`, `pbkdf2_sha1$…`, `argon2$…`, `bcrypt_sha256$…` or `bcrypt$…`.
pub struct DjangoHash<'a>(Scheme<'a>);

enum Scheme<'a> {
    Pbkdf2 { algorithm: pbkdf2::Algorithm, iterations: NonZeroU32, salt: &'a str, derived: Vec<u8>, cost: u32 },
    Argon2 { phc: Box<PasswordHash>, memory_kib: u32, passes: u32 },
    Bcrypt { hash: &'a str, cost: u32, prehashed: bool },
}

impl<'a> DjangoHash<'a> {
    /// Parses a stored hash.
    pub fn parse(stored: &'a str) -> Result<Self, DjangoHashError> {
        if stored.is_empty() || stored.starts_with('!') {
            return Err(DjangoHashError::Unusable);
        }
        let fits = stored.len() <= MAX_HASH_LEN;
        let (scheme, rest) = stored.split_once('$').filter(|_| fits).ok_or(DjangoHashError::Unknown)?;
        let scheme = match scheme {
            "pbkdf2_sha256" => pbkdf2_scheme(pbkdf2::PBKDF2_HMAC_SHA256, rest),
            "pbkdf2_sha1" => pbkdf2_scheme(pbkdf2::PBKDF2_HMAC_SHA1, rest),
            "argon2" => argon2_scheme(&stored["argon2".len()..]),
            "bcrypt_sha256" => bcrypt_scheme(rest, true),
            "bcrypt" => bcrypt_scheme(rest, false),
            _ => Err(DjangoHashError::Unknown),
        };
        scheme.map(Self)
    }

    /// Whether this is the hash of a password. Takes up to seconds, so it belongs on a background thread.
    pub fn verify(&self, password: &str) -> bool {
        match &self.0 {
            Scheme::Pbkdf2 { algorithm, iterations, salt, derived, .. } => {
                pbkdf2::verify(*algorithm, *iterations, salt.as_bytes(), password.as_bytes(), derived).is_ok()
            }
            Scheme::Argon2 { phc, .. } => Argon2::default().verify_password(password.as_bytes(), &**phc).is_ok(),
            Scheme::Bcrypt { hash, prehashed: true, .. } => {
                // Django does so because bcrypt reads 72 bytes of a password.
                bcrypt::verify(hex(&Sha256::digest(password)), hash).unwrap_or(false)
            }
            Scheme::Bcrypt { hash, prehashed: false, .. } => bcrypt::verify(password, hash).unwrap_or(false),
        }
    }

    /// Returns the time that a check takes, in iterations of PBKDF2 with SHA-256. Exact for those, about right for others.
    pub fn cost(&self) -> u32 {
        match &self.0 {
            Scheme::Pbkdf2 { cost, .. } => *cost,
            Scheme::Argon2 { memory_kib, passes, .. } => {
                memory_kib.saturating_mul(*passes).saturating_mul(ITERATIONS_PER_KIB)
            }
            Scheme::Bcrypt { cost, .. } => ITERATIONS_PER_ROUND.saturating_mul(1 << cost),
        }
    }

    /// Whether a check needs so much memory that one at a time is enough.
    pub fn needs_much_memory(&self) -> bool {
        matches!(self.0, Scheme::Argon2 { memory_kib, .. } if memory_kib > Params::DEFAULT_M_COST)
    }
}

/// Parses `1000000$salt$hash`.
fn pbkdf2_scheme(algorithm: pbkdf2::Algorithm, rest: &str) -> Result<Scheme<'_>, DjangoHashError> {
    let mut parts = rest.split('$');
    let (Some(iterations), Some(salt), Some(derived), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(DjangoHashError::Unknown);
    };
    let is_sha1 = algorithm == pbkdf2::PBKDF2_HMAC_SHA1;
    let (len, factor) = if is_sha1 { (20, ITERATIONS_PER_SHA1) } else { (32, 1) };
    let iterations: NonZeroU32 = iterations.parse().map_err(|_| DjangoHashError::Unknown)?;
    let derived = STANDARD.decode(derived).ok().filter(|derived| derived.len() == len);
    let derived = derived.ok_or(DjangoHashError::Unknown)?;
    if iterations.get() > MAX_ITERATIONS {
        return Err(DjangoHashError::TooCostly);
    }
    Ok(Scheme::Pbkdf2 { algorithm, iterations, salt, derived, cost: iterations.get().saturating_mul(factor) })
}

/// Parses `$argon2id$v=19$m=102400,t=2,p=8$salt$hash`.
fn argon2_scheme(phc: &str) -> Result<Scheme<'_>, DjangoHashError> {
    let phc = PasswordHash::new(phc).map_err(|_| DjangoHashError::Unknown)?;
    let params = Params::try_from(&phc).map_err(|_| DjangoHashError::Unknown)?;
    let (memory_kib, passes) = (params.m_cost(), params.t_cost());
    if memory_kib > MAX_MEMORY_KIB || passes > MAX_PASSES {
        return Err(DjangoHashError::TooCostly);
    }
    Ok(Scheme::Argon2 { phc: Box::new(phc), memory_kib, passes })
}

/// Parses `$2b$12$salt and hash`.
fn bcrypt_scheme(hash: &str, prehashed: bool) -> Result<Scheme<'_>, DjangoHashError> {
    let parts: bcrypt::HashParts = hash.parse().map_err(|_| DjangoHashError::Unknown)?;
    let cost = parts.get_cost();
    if cost > MAX_BCRYPT_COST {
        return Err(DjangoHashError::TooCostly);
    }
    Ok(Scheme::Bcrypt { hash, cost, prehashed })
}

/// Takes the time of this many iterations of PBKDF2 with SHA-256.
pub fn take_time(password: &str, iterations: u32) {
    if let Some(iterations) = NonZeroU32::new(iterations.min(MAX_ITERATIONS)) {
        let mut derived = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, b"no salt", password.as_bytes(), &mut derived);
        std::hint::black_box(derived);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::server::clock::Stopwatch;

    /// Hashes that Django made: see the script next to them.
    fn vectors() -> Vec<(String, Option<String>, String)> {
        let secrets: Value = serde_json::from_str(include_str!("../../../tests/fixtures/django/secrets.json")).unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let hashes = secrets["hashes"].as_object().unwrap().iter();
        hashes.map(|(name, made)| (name.clone(), text(&made["password"]), text(&made["hash"]).unwrap())).collect()
    }

    #[test]
    fn what_is_no_hash_is_rejected() {
        use DjangoHashError::{TooCostly, Unknown, Unusable};
        for (stored, error) in [
            ("", Unusable),
            ("!", Unusable),
            ("!zzwYwaPLuVWoZxYQPnxHFCrHaSOBDQwKEnOQDqHl", Unusable),
            ("none", Unknown),
            ("plain text", Unknown),
            ("md5$salt$0cc175b9c0f1b6a831c399e269772661", Unknown),
            ("pbkdf2_sha256$", Unknown),
            ("pbkdf2_sha256$0$salt$oExdehbHXh0tvaGXpWZABXpwxwFfaT/qtaIAtk6lTXY=", Unknown),
            ("pbkdf2_sha256$-1$salt$oExdehbHXh0tvaGXpWZABXpwxwFfaT/qtaIAtk6lTXY=", Unknown),
            ("pbkdf2_sha256$1$salt$oExdehbHXh0tvaGXpWZABXpwxwFfaT/qtaIAtk6l", Unknown),
            ("pbkdf2_sha256$1$salt$oExdehbHXh0tvaGXpWZABXpwxwFfaT/qtaIAtk6lTXY=$", Unknown),
            ("pbkdf2_sha1$1$salt$oExdehbHXh0tvaGXpWZABXpwxwFfaT/qtaIAtk6lTXY=", Unknown),
            ("pbkdf2_sha256$5000001$salt$oExdehbHXh0tvaGXpWZABXpwxwFfaT/qtaIAtk6lTXY=", TooCostly),
            ("argon2$", Unknown),
            ("argon2$argon2id$v=19$m=262145,t=2,p=8$SkRtQWtrMXk1em5oRXZsd3dYR0d3WA$Fw1Bor+ZRdEqU8EAs5OSAw", TooCostly),
            ("argon2$argon2id$v=19$m=1024,t=17,p=8$SkRtQWtrMXk1em5oRXZsd3dYR0d3WA$Fw1Bor+ZRdEqU8EAs5OSAw", TooCostly),
            ("bcrypt$$2b$05$short", Unknown),
            ("bcrypt$", Unknown),
            ("bcrypt$$2b$16$pKVHVe6pkPjAOsLyMB81/uyMj0nqJ/dENx8WPVyNtH/pgwJaPU.f6", TooCostly),
            (&"pbkdf2_sha256$1$".repeat(40), Unknown),
        ] {
            assert_eq!(DjangoHash::parse(stored).err(), Some(error), "{stored}");
        }
    }

    #[test]
    fn hash_at_a_limit_is_accepted() {
        for stored in [
            "pbkdf2_sha256$5000000$salt$oExdehbHXh0tvaGXpWZABXpwxwFfaT/qtaIAtk6lTXY=",
            "argon2$argon2id$v=19$m=262144,t=16,p=8$SkRtQWtrMXk1em5oRXZsd3dYR0d3WA$Fw1Bor+ZRdEqU8EAs5OSAw",
            "bcrypt$$2b$15$pKVHVe6pkPjAOsLyMB81/uyMj0nqJ/dENx8WPVyNtH/pgwJaPU.f6",
        ] {
            assert_eq!(DjangoHash::parse(stored).err(), None, "{stored}");
        }
    }

    /// A million iterations take 145 ms where they were measured. No processor does one in 10 ns.
    #[test]
    fn time_is_taken() {
        let stopwatch = Stopwatch::start();
        take_time("password", 1_000_000);
        assert!(stopwatch.elapsed().as_millis() >= 10);
    }

    #[test]
    fn password_is_right_only_for_its_own_hash() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 8);
        for (name, password, stored) in &vectors {
            let Ok(hash) = DjangoHash::parse(stored) else {
                assert!(["scrypt", "unusable"].contains(&name.as_str()), "{name}");
                continue;
            };
            let password = password.as_deref().unwrap();
            assert!(hash.verify(password), "{name}");
            for wrong in ["", &format!("{password}x"), &password.to_uppercase()] {
                // bcrypt without SHA-256 would accept an addition after 72 bytes; this password is shorter.
                assert!(!hash.verify(wrong), "{name}: {wrong}");
            }
        }
    }

    #[test]
    fn cost_is_in_iterations() {
        let cost = |wanted: &str| {
            let (_, _, stored) = vectors().into_iter().find(|(name, ..)| name == wanted).unwrap();
            let hash = DjangoHash::parse(&stored).unwrap();
            (hash.cost(), hash.needs_much_memory())
        };
        assert_eq!(cost("pbkdf2 of today"), (1_000_000, false));
        assert_eq!(cost("pbkdf2 with sha1"), (2600 * ITERATIONS_PER_SHA1, false));
        assert_eq!(cost("argon2"), (102_400 * 2 * ITERATIONS_PER_KIB, true));
        assert_eq!(cost("bcrypt"), (ITERATIONS_PER_ROUND * 32, false));
    }
}
