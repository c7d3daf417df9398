//! The format of API keys: how they are generated, parsed and hashed.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use super::random::{hex, random_bytes};
use crate::model::redact::{candidates, redact};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX_LEN: usize = 8;
const SECRET_LEN: usize = 32;
const CHECKSUM_LEN: usize = 6;
/// The length of a secret of djangorestframework-api-key: 32, or more where a project said so.
const IMPORTED_SECRET_LEN: std::ops::RangeInclusive<usize> = 32..=64;

/// Longest brand, in characters.
pub const BRAND_MAX: usize = 8;

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFormatError {
    Form,
    Checksum,
}

/// A well-formed key with a correct checksum, or one in the form of djangorestframework-api-key. It may not exist.
pub struct PresentedKey<'a>(&'a str);

impl<'a> PresentedKey<'a> {
    /// Parses `kf_` + 8 + `_` + 32 + 6 base62 characters, of which the last 6 are the checksum. Accepts any brand of 2 to 8
    /// lower-case letters, so that keys outlive a change of brand. Accepts imported keys too: 8 + `.` + at least 32.
    pub fn parse(raw: &'a [u8]) -> Option<Self> {
        Self::check(raw).ok()
    }

    /// Like [`Self::parse`], and says what is wrong.
    pub fn check(raw: &'a [u8]) -> Result<Self, KeyFormatError> {
        let Some(key) = Self::match_form(raw) else {
            return Self::match_imported_form(raw).map(Self).ok_or(KeyFormatError::Form);
        };
        let (body, sum) = key.split_at(key.len() - CHECKSUM_LEN);
        if checksum(body) == sum.as_bytes() { Ok(Self(key)) } else { Err(KeyFormatError::Checksum) }
    }

    /// Whether a text has the form of a key, whatever its checksum.
    pub(super) fn has_key_form(raw: &[u8]) -> bool {
        PresentedKey::match_form(raw).or_else(|| PresentedKey::match_imported_form(raw)).is_some()
    }

    /// Whether the key has the form of djangorestframework-api-key.
    pub fn is_imported(&self) -> bool {
        is_imported_prefix(self.prefix())
    }

    fn match_form(raw: &'a [u8]) -> Option<&'a str> {
        let key = std::str::from_utf8(raw).ok()?;
        let (brand, rest) = key.split_once('_')?;
        let (public, secret) = rest.split_once('_')?;
        let fits = (2..=BRAND_MAX).contains(&brand.len())
            && brand.bytes().all(|b| b.is_ascii_lowercase())
            && public.len() == PREFIX_LEN
            && secret.len() == SECRET_LEN + CHECKSUM_LEN
            && public.bytes().chain(secret.bytes()).all(|b| b.is_ascii_alphanumeric());
        fits.then_some(key)
    }

    /// Matches `prefix.secret`. It has no checksum, so a typing error is an unknown key.
    fn match_imported_form(raw: &'a [u8]) -> Option<&'a str> {
        let key = std::str::from_utf8(raw).ok()?;
        let (public, secret) = key.split_once('.')?;
        let fits = public.len() == PREFIX_LEN
            && IMPORTED_SECRET_LEN.contains(&secret.len())
            && public.bytes().chain(secret.bytes()).all(|b| b.is_ascii_alphanumeric());
        fits.then_some(key)
    }

    /// Returns the public prefix: `kf_8Qw3ZkPa`. That of an imported key includes its dot: `8Qw3ZkPa.`.
    pub fn prefix(&self) -> &'a str {
        match self.0.rsplit_once('_') {
            Some((prefix, _)) => prefix,
            None => self.0.split_inclusive('.').next().unwrap_or_default(),
        }
    }

    /// Returns the whole key, secret included.
    pub(in crate::server) fn text(&self) -> &'a str {
        self.0
    }

    /// Returns the digest that identifies the key in the database.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0)
    }
}

/// Returns the stored prefix of an imported key, whose dot tells it from others: `8Qw3ZkPa.`. `None` for text that is none.
pub fn imported_prefix(public: &str) -> Option<String> {
    let fits = public.len() == PREFIX_LEN && public.bytes().all(|b| b.is_ascii_alphanumeric());
    fits.then(|| format!("{public}."))
}

/// Whether a stored prefix is that of an imported key.
pub fn is_imported_prefix(prefix: &str) -> bool {
    prefix.ends_with('.')
}

/// A key found in a longer text.
pub struct FoundKey {
    pub prefix: String,
    pub digest: Digest,
}

/// Finds the keys in a text, whatever surrounds them.
pub fn find_keys(text: &str) -> Vec<FoundKey> {
    let candidates = candidates(text);
    let keys = candidates.iter().filter_map(|text| PresentedKey::parse(text.as_bytes()));
    keys.map(|key| FoundKey { prefix: key.prefix().to_owned(), digest: key.digest() }).collect()
}

/// Returns the text to search for: the public prefix where a key was pasted.
pub fn search_term(text: &str) -> String {
    match find_keys(text).into_iter().next() {
        Some(key) => key.prefix,
        None => redact(text).into_owned(),
    }
}

/// SHA-256 of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes a text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Returns the form that the database stores.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// A newly generated key.
pub struct GeneratedKey {
    pub key: SecretString,
    /// Public prefix: `kf_8Qw3ZkPa`.
    pub prefix: String,
    /// Digest to store.
    pub digest: String,
}

/// Makes a key with 190 random bits after the public prefix.
pub fn make_key(brand: &str) -> GeneratedKey {
    make_secret_for(&format!("{brand}_{}", base62(PREFIX_LEN)))
}

/// Makes a new secret for a key that keeps its public prefix.
pub fn make_secret_for(prefix: &str) -> GeneratedKey {
    let body = format!("{prefix}_{}", base62(SECRET_LEN));
    let sum = checksum(&body);
    let key = body + &String::from_utf8_lossy(&sum);
    GeneratedKey { digest: digest(&key), key: key.into(), prefix: prefix.to_owned() }
}

/// Hashes a key or session secret with SHA-256, in hex. A fast hash is safe for secrets of more than 112 bits (ASVS 5.0,
/// 6.5.2).
pub fn digest_of(secret: &SecretString) -> String {
    digest(secret.expose_secret())
}

fn digest(text: &str) -> String {
    Digest::of(text).hex()
}

/// Returns the CRC-32 of a text in base62, left-padded with 0.
fn checksum(text: &str) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(text.as_bytes()) as usize;
    let mut sum = [b'0'; CHECKSUM_LEN];
    for digit in sum.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    sum
}

/// Returns random characters, all equally likely: bytes from the last multiple of 62 up are discarded.
fn base62(len: usize) -> String {
    let mut text = String::with_capacity(len);
    while text.len() < len {
        let fair =
            random_bytes::<64>().into_iter().filter(|b| *b < 248).map(|b| char::from(BASE62[usize::from(b % 62)]));
        text.extend(fair.take(len - text.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use regex::bytes::Regex;

    use super::*;

    fn key() -> String {
        make_key("kf").key.expose_secret().to_owned()
    }

    #[test]
    fn generated_key_has_the_published_form_and_parses() {
        let form = regex::Regex::new("^kf_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}$").unwrap();
        for _ in 0..200 {
            let made = make_key("kf");
            let key = made.key.expose_secret();
            assert!(form.is_match(key));
            assert!(key.starts_with(&made.prefix));
            assert_eq!(PresentedKey::parse(key.as_bytes()).unwrap().digest().hex(), made.digest);
        }
    }

    #[test]
    fn every_random_character_is_equally_likely() {
        let text = base62(620_000);
        assert_eq!(text.len(), 620_000);
        for character in BASE62 {
            // 10,000 expected, with a standard deviation of 99.
            let count = text.bytes().filter(|byte| byte == character).count();
            assert!((9_500..10_500).contains(&count), "{count} times {}", char::from(*character));
        }
    }

    #[test]
    fn checksum_is_padded_base62_crc32() {
        // CRC-32 of "123456789" is the standard's check value 0xCBF43926 = 3421780262.
        assert_eq!(&checksum("123456789"), b"3jZRME");
        assert_eq!(&checksum(""), b"000000");
    }

    #[test]
    fn every_typing_error_is_malformed() {
        for _ in 0..20 {
            let key = key().into_bytes();
            for at in 0..key.len() {
                let mut wrong = key.clone();
                for byte in (0..=255).filter(|byte| *byte != key[at]) {
                    wrong[at] = byte;
                    assert!(PresentedKey::parse(&wrong).is_none(), "{byte} at {at} of {key:?}");
                }
                wrong[at] = key[at];
                wrong.swap(at, (at + 1) % key.len());
                assert!(wrong == key || PresentedKey::parse(&wrong).is_none(), "{at} of {key:?}");
            }
        }
    }

    #[test]
    fn cut_longer_or_upper_case_key_is_malformed() {
        let key = key();
        for wrong in [&key[1..], &key[..key.len() - 1], &format!("{key}0"), &key.to_uppercase(), &format!(" {key}")] {
            assert!(PresentedKey::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn imported_key_has_8_and_32_characters_with_a_dot() {
        let text = "OcgvSBeR.9WIYJpbbAq7RP7o7cYcpWVGb1prEN2SJ";
        let key = PresentedKey::parse(text.as_bytes()).unwrap();
        assert_eq!((key.prefix(), key.is_imported()), ("OcgvSBeR.", true));
        assert_eq!(key.digest(), Digest::of(text));
        assert!(PresentedKey::has_key_form(text.as_bytes()));
        assert!(!PresentedKey::parse(self::key().as_bytes()).unwrap().is_imported());
        let long = format!("{text}{text}").replacen('.', "", 2);
        for junk in [
            &text[1..],
            &text[..40],
            &text.replace('.', "_"),
            &text.replace('.', ".."),
            &text.replace('J', "."),
            &text.replace('J', "_"),
            &text.replace('J', "é"),
            &format!("x{text}"),
            &format!("{text} "),
            &format!("{text}{}", "x".repeat(33)),
            &long,
        ] {
            assert!(PresentedKey::parse(junk.as_bytes()).is_none(), "{junk}");
            assert!(!PresentedKey::has_key_form(junk.as_bytes()), "{junk}");
        }
        assert!(PresentedKey::parse(format!("{text}{}", "x".repeat(32)).as_bytes()).is_some());
        assert_eq!(imported_prefix("OcgvSBeR").as_deref(), Some("OcgvSBeR."));
        assert_eq!((imported_prefix("OcgvSBe."), imported_prefix("OcgvSBeRx")), (None, None));
    }

    #[test]
    fn key_of_an_older_brand_parses() {
        let made = make_key("acme");
        assert!(PresentedKey::parse(made.key.expose_secret().as_bytes()).is_some());
    }

    /// The published grammar with a bitwise checksum, to compare the parser with.
    fn is_key(raw: &[u8]) -> bool {
        static FORM: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"\A[a-z]{2,8}_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}\z").unwrap());
        let (body, sum) = raw.split_at(raw.len().saturating_sub(6));
        let crc = !body.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
        });
        let digit = |c: &u8| BASE62.iter().position(|digit| digit == c).unwrap() as u64;
        FORM.is_match(raw) && sum.iter().fold(0, |sum, c| sum * 62 + digit(c)) == u64::from(crc)
    }

    /// Keys with up to three bytes changed, removed, added or swapped.
    fn nearly_keys() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![any::<u8>(), proptest::sample::select(b"kf_-0Zz \t\n".to_vec())];
        let change = (0..4_u8, any::<proptest::sample::Index>(), byte, any::<proptest::sample::Index>());
        let changes = proptest::collection::vec(change, 0..4);
        ("[a-z]{1,9}", any::<[u8; 40]>(), any::<bool>(), changes).prop_map(|(brand, random, sound, changes)| {
            let text: String = random.iter().map(|b| char::from(BASE62[usize::from(b % 62)])).collect();
            let body = format!("{brand}_{}_{}", &text[..8], &text[8..]);
            let sum = if sound { checksum(&body) } else { *b"000000" };
            let mut key = [body.as_bytes(), &sum].concat();
            for (what, at, byte, to) in changes {
                let at = at.index(key.len());
                match what {
                    0 => key[at] = byte,
                    1 => drop(key.remove(at)),
                    2 => key.insert(at, byte),
                    _ => key.swap(at, to.index(at + 1)),
                }
            }
            key
        })
    }

    // `make fuzz` runs these with many more cases.
    proptest! {
        #[test]
        fn random_bytes_never_panic_or_parse(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(PresentedKey::parse(&bytes).is_none());
        }

        #[test]
        fn parser_follows_the_published_grammar(raw in nearly_keys()) {
            let parsed = PresentedKey::parse(&raw);
            prop_assert_eq!(parsed.is_some(), is_key(&raw));
            if let Some(key) = parsed {
                prop_assert_eq!(key.digest().hex(), hex(&Sha256::digest(&raw)));
            }
        }

        #[test]
        fn wrong_checksum_never_parses(raw in "kf_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}") {
            let right = checksum(&raw[..raw.len() - 6]);
            prop_assert_eq!(PresentedKey::parse(raw.as_bytes()).is_some(), raw.as_bytes().ends_with(&right));
        }
    }
}
