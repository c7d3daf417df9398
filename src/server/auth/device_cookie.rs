//! Cookie that marks a browser as one that has signed in to the account before (OWASP device cookies).
//!
//! It doesn't sign anyone in. It keeps failed guesses by strangers from delaying the account's owner. The server stores
//! nothing: the cookie is a nonce and its HMAC-SHA-256 under the password hash, so a new password invalidates it.

use axum::http::HeaderMap;
use axum_extra::extract::cookie::CookieJar;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::random;
use super::sessions::http_only_cookie;
use crate::model::users::UserId;
use crate::server::config::Config;

const MAX_AGE: time::Duration = time::Duration::days(365);

fn cookie_name(config: &Config) -> &'static str {
    // With https, `__Host-` keeps other hosts from setting it.
    if config.https() { "__Host-keyfob_device" } else { "keyfob_device" }
}

/// Makes the cookie for a browser that has just signed in.
pub fn create(config: &Config, user: &UserId, password_hash: &str) -> Option<String> {
    let nonce = random::make_nonce();
    let mac = random::hex(&compute_mac(&nonce, user, password_hash)?.finalize().into_bytes());
    Some(http_only_cookie(config, cookie_name(config), format!("{nonce}.{mac}"), MAX_AGE))
}

/// Returns the nonce of the browser's cookie if it was made for this account and password hash.
pub fn verify(config: &Config, headers: &HeaderMap, user: &UserId, password_hash: &str) -> Option<String> {
    let jar = CookieJar::from_headers(headers);
    let (nonce, mac) = jar.get(cookie_name(config))?.value().split_once('.')?;
    // Only lower-case hex: one cookie has one form.
    if mac.len() != 64 || !mac.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    let mac: Vec<_> = mac.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?;
    compute_mac(nonce, user, password_hash)?.verify_slice(&mac).ok()?;
    Some(nonce.to_owned())
}

/// Always returns a MAC, because HMAC takes keys of any length.
fn compute_mac(nonce: &str, user: &UserId, password_hash: &str) -> Option<Hmac<Sha256>> {
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

    fn verified(cookie: &str, user: &UserId, password_hash: &str) -> Option<String> {
        let headers = [(header::COOKIE, HeaderValue::from_str(cookie).unwrap())].into_iter().collect();
        verify(&config("https://a.example").unwrap(), &headers, user, password_hash)
    }

    #[test]
    fn cookie_belongs_to_one_account_and_password() {
        let ada = user("01890000-0000-7000-8000-000000000000");
        let made = create(&config("https://a.example").unwrap(), &ada, HASH).unwrap();
        let made = made.split(';').next().unwrap();
        let (nonce, mac) = made.split_once('=').unwrap().1.split_once('.').unwrap();
        assert_eq!(verified(made, &ada, HASH).as_deref(), Some(nonce));
        assert_eq!(verified(made, &ada, &HASH.replace("aGFzaA", "bGFzaA")), None);
        assert_eq!(verified(made, &user("01890000-0000-7000-8000-000000000001"), HASH), None);
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
            assert_eq!(verified(wrong, &ada, HASH), None, "{wrong}");
        }
    }
}
