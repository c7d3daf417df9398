//! The cookie of a browser that has signed in to an account. It signs nobody in: it only tells that browser from strangers, so
//! that those who guess the account's password from elsewhere do not make its owner wait (OWASP, device cookies).
//!
//! Nothing of it is stored: it is a random number, and the HMAC-SHA-256 of it and the account under the account's password hash. So it ends with the
//! password, and nobody can make one who does not know the hash.

use axum::http::HeaderMap;
use axum_extra::extract::cookie::CookieJar;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::random;
use super::sessions::bare_cookie;
use crate::model::users::UserId;
use crate::server::config::Config;

/// For how long a browser keeps it.
const KEPT: time::Duration = time::Duration::days(365);

fn name(config: &Config) -> &'static str {
    // With https no other host can set it.
    if config.https() { "__Host-keyfob_device" } else { "keyfob_device" }
}

/// The cookie for a browser that has just signed in to the account, which has this password hash.
#[must_use]
pub fn cookie(config: &Config, user: &UserId, password_hash: &str) -> Option<String> {
    let nonce = random::make_nonce();
    let mac = random::hex(&sign(&nonce, user, password_hash)?.finalize().into_bytes());
    Some(bare_cookie(config, (name(config), format!("{nonce}.{mac}")), KEPT))
}

/// The number of the browser's cookie, if that is one of the account, which has this password hash.
#[must_use]
pub fn find(config: &Config, headers: &HeaderMap, (user, password_hash): (&UserId, &str)) -> Option<String> {
    let jar = CookieJar::from_headers(headers);
    let (nonce, mac) = jar.get(name(config))?.value().split_once('.')?;
    // One way to write it and no other.
    if mac.len() != 64 || !mac.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    let mac: Vec<_> = mac.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?;
    sign(nonce, user, password_hash)?.verify_slice(&mac).ok()?;
    Some(nonce.to_owned())
}

/// Always some: HMAC takes keys of any length.
fn sign(nonce: &str, user: &UserId, password_hash: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(password_hash.as_bytes()).ok()?;
    mac.update(user.as_str().as_bytes());
    mac.update(nonce.as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;
    use crate::server::config::tests::config;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";

    fn user(text: &str) -> UserId {
        UserId::parse(text).unwrap()
    }

    fn number_of(cookie: &str, account: (&UserId, &str)) -> Option<String> {
        let headers = [(header::COOKIE, HeaderValue::from_str(cookie).unwrap())].into_iter().collect();
        find(&config("https://a.example").unwrap(), &headers, account)
    }

    #[test]
    fn a_cookie_is_of_one_account_and_one_password_and_cannot_be_changed() {
        let ada = user("01890000-0000-7000-8000-000000000000");
        let made = cookie(&config("https://a.example").unwrap(), &ada, HASH).unwrap();
        let made = made.split(';').next().unwrap();
        let (nonce, mac) = made.split_once('=').unwrap().1.split_once('.').unwrap();
        assert_eq!(number_of(made, (&ada, HASH)).as_deref(), Some(nonce));
        assert_eq!(number_of(made, (&ada, &HASH.replace("aGFzaA", "bGFzaA"))), None);
        assert_eq!(number_of(made, (&user("01890000-0000-7000-8000-000000000001"), HASH)), None);
        for wrong in [
            &made.replace(nonce, &"0".repeat(32)),
            &made[..made.len() - 2],
            &made[..made.len() - 1],
            &format!("{made}00"),
            &made.replace(mac, &mac.to_uppercase()),
            &format!("__Host-keyfob_device=.{mac}"),
            &format!("keyfob_device={nonce}.{mac}"),
            &format!("__Host-keyfob_device={nonce}"),
            "__Host-keyfob_device=.",
            "__Host-keyfob_device=a.zz",
        ] {
            assert_eq!(number_of(wrong, (&ada, HASH)), None, "{wrong}");
        }
    }
}
