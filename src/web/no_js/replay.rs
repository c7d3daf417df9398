//! Renders a form again after an error, for browsers without JavaScript.

use axum::http::Uri;
use axum::http::request::Parts;
use leptos::server_fn::error::ServerFnUrlError;
use url::{Position, Url};

use super::error_cookie::{self, NoJsError};
use crate::error::AppError;
use crate::server::auth::origin::{form_field, login_form_path};
use crate::server::state::AppState;

/// Fields in a form: more than any form of this site has. The password page repeats all of them.
const MAX_FIELDS: usize = 200;

/// Whether a form has more fields than any form of this site.
pub fn has_too_many_fields(body: &[u8]) -> bool {
    url::form_urlencoded::parse(body).nth(MAX_FIELDS).is_some()
}

/// Returns the page of a rate-limited sign-in or sign-up, with the error, the typed values except the password, and the seconds
/// for `Retry-After`. The page is rendered instead of a redirect, which would lose the status and put the email address into the
/// browser's history.
pub fn rerender_form(state: &AppState, parts: &Parts, body: &[u8], error: &AppError) -> Option<(Uri, NoJsError, u32)> {
    let AppError::RateLimited { retry_after, .. } = error else { return None };
    let function = parts.uri.path();
    let form = login_form_path(function)?;
    let address = ServerFnUrlError::new(function, error.clone()).to_url(&format!("{}{form}", state.config.origin()));
    let (address, told) = error_cookie::take_from(address.ok()?.as_str())?;
    let mut url = Url::parse(&address).ok()?;
    for field in ["email", "next"] {
        url.query_pairs_mut().append_pair(field, &form_field(body, field));
    }
    Some((url[Position::BeforePath..].parse().ok()?, told, *retry_after))
}
