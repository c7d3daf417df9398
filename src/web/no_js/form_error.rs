//! What was wrong with a form that a browser without JavaScript sent: a cookie keeps it until the page that the browser is sent back
//! to. The address does not, for a link could then put any words into our alerts.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum_extra::extract::cookie::CookieJar;
use url::Url;

use crate::model::form_error::FormError;
use crate::server::auth::sessions::http_only_cookie;
use crate::server::config::Config;

/// How long a browser has to ask for the page.
const KEPT: time::Duration = time::Duration::minutes(1);
/// The longest that is kept, in bytes. Browsers drop cookies of more than 4 kB.
const MAX: usize = 3000;
/// Between the function and the error. In neither of them.
const BETWEEN: char = '~';

fn name(config: &Config) -> &'static str {
    if config.https() { "__Host-keyfob-told" } else { "keyfob-told" }
}

/// What Leptos has put into an address, and the address without it.
#[must_use]
pub fn take_from(address: &str) -> Option<(String, FormError)> {
    let url = Url::parse(address).ok()?;
    let value = |wanted: &str| {
        let values = url.query_pairs().filter(|(name, _)| name == wanted);
        values.last().map(|(_, value)| value.into_owned())
    };
    let told = FormError { function: value("__path")?, error: value("__err")? };
    let (page, query) = address.split_once('?')?;
    let rest: Vec<_> =
        query.split('&').filter(|pair| !pair.starts_with("__path=") && !pair.starts_with("__err=")).collect();
    Some((if rest.is_empty() { page.to_owned() } else { format!("{page}?{}", rest.join("&")) }, told))
}

/// Moves what is wrong from the address that a form is answered with to a cookie.
#[must_use]
pub fn keep(config: &Config, mut response: Response) -> Response {
    let address = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some((address, told)) = address.and_then(take_from) else { return response };
    let value = format!("{}{BETWEEN}{}", told.function, told.error);
    let headers = response.headers_mut();
    if let Ok(address) = HeaderValue::try_from(address) {
        headers.insert(header::LOCATION, address);
    }
    if value.len() <= MAX {
        append(headers, &http_only_cookie(config, name(config), value, KEPT));
    }
    response
}

/// What the cookie of a request tells.
#[must_use]
pub fn read(config: &Config, headers: &HeaderMap) -> Option<FormError> {
    let jar = CookieJar::from_headers(headers);
    let (function, error) = jar.get(name(config))?.value().split_once(BETWEEN)?;
    Some(FormError { function: function.to_owned(), error: error.to_owned() })
}

/// Takes the cookie away from a browser that has one: what it says is shown once.
pub fn forget(config: &Config, response: &mut Response) {
    append(response.headers_mut(), &http_only_cookie(config, name(config), String::new(), time::Duration::ZERO));
}

fn append(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        headers.append(header::SET_COOKIE, cookie);
    }
}
