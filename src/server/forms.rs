//! Forms as a browser without JavaScript sends them.

use std::sync::{Arc, OnceLock};

use axum::http::Uri;
use axum::http::request::Parts;
use leptos::server_fn::error::ServerFnUrlError;
use url::{Position, Url};

use super::state::AppState;
use super::told;
use crate::error::AppError;
use crate::model::told::Told;

/// How many fields a form may have: more than any of ours, keys to revoke among them. The page that asks for the password has as
/// many.
const MAX_FIELDS: usize = 200;

/// Whether a form has more fields than any of this site.
pub fn has_too_many_fields(body: &[u8]) -> bool {
    url::form_urlencoded::parse(body).nth(MAX_FIELDS).is_some()
}

/// The first value of a field; empty if there is none.
pub fn value(body: &[u8], wanted: &str) -> String {
    let found = url::form_urlencoded::parse(body).find(|(name, _)| name == wanted);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The page with the form of a server function that signs in or up.
pub fn entrance(function: &str) -> Option<&'static str> {
    match function {
        "/fn/sign_in" => Some("/sign-in"),
        "/fn/sign_up" => Some("/sign-up"),
        _ => None,
    }
}

/// What the server function that is running was refused for.
#[derive(Clone, Default)]
pub struct Failure(Arc<OnceLock<AppError>>);

impl Failure {
    /// Notes it.
    pub fn set(&self, error: &AppError) {
        let _ = self.0.set(error.clone());
    }

    /// It, if it was refused.
    pub fn get(&self) -> Option<&AppError> {
        self.0.get()
    }
}

/// Of a sign-in or sign-up that was one too many: the address of the page with the form, with what is wrong and what was typed but
/// the password, and after how many seconds to try again. The page is the answer, not a redirect to it, for that would have another
/// status, and the email address in the browser's history.
pub fn again(state: &AppState, parts: &Parts, body: &[u8], error: &AppError) -> Option<(Uri, Told, u32)> {
    let AppError::TooManyTries { seconds } = error else { return None };
    let function = parts.uri.path();
    let form = entrance(function)?;
    let address = ServerFnUrlError::new(function, error.clone()).to_url(&format!("{}{form}", state.config.origin()));
    let (address, told) = told::take_from(address.ok()?.as_str())?;
    let mut url = Url::parse(&address).ok()?;
    for field in ["email", "next"] {
        url.query_pairs_mut().append_pair(field, &value(body, field));
    }
    Some((url[Position::BeforePath..].parse().ok()?, told, *seconds))
}
