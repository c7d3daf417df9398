//! Refusals in the log: for whoever has to see attempts to get in, or to do what one may not (ASVS 5.0, 16.3.2 and 16.3.3).

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

use axum::response::Response;

use super::audit;
use super::auth::secrets::PresentedKey;
use super::state::AppState;
use super::windows::{Addresses, MINUTE};
use crate::error::AppError;
use crate::model::time::Timestamp;

/// How many an address gets into the log in a minute, so that nobody fills a disk by asking.
const MOST: u32 = 20;
/// How many bytes of a path are written.
const PATH_MAX: usize = 200;

/// How many refusals of each address were written lately. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Refusals(Addresses);

impl Default for Refusals {
    fn default() -> Self {
        Self(Addresses::of(MINUTE))
    }
}

impl Refusals {
    /// Throws away what is over.
    pub fn forget(&self, now: Timestamp) {
        self.0.forget(now);
    }
}

/// Writes that a request was refused, if this is the answer to one that was: 401, 403, 429, and 404 where superusers would
/// find something. The span of the request says which it was, and who asked where that is known.
pub fn note(state: &AppState, response: &Response, from: Option<IpAddr>) {
    let Some(error) = response.extensions().get::<AppError>() else { return };
    let code = error.code();
    if matches!(code.status, 401 | 403 | 429) && state.refusals.0.spend(from, MOST, state.now()).is_ok() {
        tracing::info!(from = audit::text(from), code = code.code, "a request was refused");
    }
}

/// A path as it may be written: whoever sends a key in one, where none belongs, shall not find it in the log.
pub struct Shown<'a>(pub &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut left = PATH_MAX;
        for (n, part) in self.0.split('/').enumerate() {
            let part = if PresentedKey::parse(part.as_bytes()).is_some() { "(a key)" } else { part };
            let part = &part[..part.floor_char_boundary(left)];
            f.write_str(if n > 0 { "/" } else { "" })?;
            f.write_str(part)?;
            left = left.saturating_sub(part.len() + 1);
            if left == 0 {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::super::auth::secrets::make_key;
    use super::*;

    #[test]
    fn a_path_is_written_without_the_keys_in_it_and_not_at_any_length() {
        let made = make_key("kf");
        let key = made.key.expose_secret();
        assert_eq!(Shown("/a/acme_b/employees/").to_string(), "/a/acme_b/employees/");
        assert_eq!(Shown(&format!("/api/{key}/{key}")).to_string(), "/api/(a key)/(a key)");
        for long in ["/a".repeat(1000), format!("/{}", "ä".repeat(1000)), format!("{}/{key}", "/a".repeat(90))] {
            let shown = Shown(&long).to_string();
            assert!((180..=PATH_MAX).contains(&shown.len()) && !shown.contains(&key[..20]), "{shown}");
        }
    }
}
