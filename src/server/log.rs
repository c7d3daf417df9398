//! Which request a line of the log belongs to, and the lines that tell of refusals: for whoever has to see attempts to get in,
//! or to do what one may not (ASVS 5.0, 16.3.2 and 16.3.3).

use std::cell::OnceCell;
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{Method, Uri};
use axum::response::Response;
use tracing::Span;

use super::audit;
use super::auth::secrets::PresentedKey;
use super::receive::RequestId;
use super::state::AppState;
use super::windows::{Addresses, MINUTE};
use crate::error::AppError;
use crate::model::time::Timestamp;
use crate::model::users::User;

/// How many an address gets into the log in a minute, so that nobody fills a disk by asking.
const MOST: u32 = 20;
/// How many bytes of a path are written.
const PATH_MAX: usize = 200;

tokio::task_local! {
    static HERE: Subject;
}

/// What the log says of a request. No span is made before there is something to say: to make one for each request takes a tenth
/// of the time of a check of a key.
pub struct Subject {
    id: RequestId,
    method: Method,
    uri: Uri,
    user: OnceCell<String>,
    key: OnceCell<String>,
}

impl Subject {
    /// Of this request.
    #[must_use]
    pub fn of(request: &Request, id: RequestId) -> Self {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Self { id, method, uri, user: OnceCell::new(), key: OnceCell::new() }
    }

    /// Runs what answers it. No `async fn`, for that would have room for the answer twice.
    pub fn run<F: Future>(self, answer: F) -> impl Future<Output = F::Output> {
        HERE.scope(self, answer)
    }
}

/// The span for what there is to say of the request that is being answered; none outside of one.
#[must_use]
pub fn request() -> Span {
    let span = HERE.try_with(|subject| {
        let (id, method, path) = (subject.id.as_str(), &subject.method, Shown(subject.uri.path()));
        tracing::error_span!("request", id, %method, %path, user = subject.user.get(), key = subject.key.get())
    });
    span.unwrap_or_else(|_| Span::none())
}

/// Notes who asks, for what there is to say.
pub fn name_user(user: &User) {
    let _ = HERE.try_with(|subject| subject.user.set(user.id.to_string()));
}

/// Notes the public beginning of the key that came with the request.
pub fn name_key(prefix: &str) {
    let _ = HERE.try_with(|subject| subject.key.set(prefix.to_owned()));
}

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
/// find something.
pub fn note(state: &AppState, response: &Response, from: Option<IpAddr>) {
    let Some(error) = response.extensions().get::<AppError>() else { return };
    if error.is_refusal() && state.refusals.0.spend(from, MOST, state.now()).is_ok() {
        let (from, code) = (audit::text(from), error.code().code);
        request().in_scope(|| tracing::info!(from, code, "a request was refused"));
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
