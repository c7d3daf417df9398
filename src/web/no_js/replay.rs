//! Forms as a browser without JavaScript sends them.

use axum::http::Uri;
use axum::http::request::Parts;
use leptos::server_fn::error::ServerFnUrlError;
use url::{Position, Url};

use super::form_error;
use crate::error::AppError;
use crate::model::form_error::FormError;
use crate::server::auth::origin::{form_field, login_form_path};
use crate::server::state::AppState;

/// How many fields a form may have: more than any of ours, keys to revoke among them. The page that asks for the password has as
/// many.
const MAX_FIELDS: usize = 200;

/// Whether a form has more fields than any of this site.
pub fn has_too_many_fields(body: &[u8]) -> bool {
    url::form_urlencoded::parse(body).nth(MAX_FIELDS).is_some()
}

/// Of a sign-in or sign-up that was one too many: the address of the page with the form, with what is wrong and what was typed but
/// the password, and after how many seconds to try again. The page is the answer, not a redirect to it, for that would have another
/// status, and the email address in the browser's history.
pub fn rerender_form(state: &AppState, parts: &Parts, body: &[u8], error: &AppError) -> Option<(Uri, FormError, u32)> {
    let AppError::RateLimited { retry_after, .. } = error else { return None };
    let function = parts.uri.path();
    let form = login_form_path(function)?;
    let address = ServerFnUrlError::new(function, error.clone()).to_url(&format!("{}{form}", state.config.origin()));
    let (address, told) = form_error::take_from(address.ok()?.as_str())?;
    let mut url = Url::parse(&address).ok()?;
    for field in ["email", "next"] {
        url.query_pairs_mut().append_pair(field, &form_field(body, field));
    }
    Some((url[Position::BeforePath..].parse().ok()?, told, *retry_after))
}
