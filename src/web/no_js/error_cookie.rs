//! Errors of forms without JavaScript. A cookie keeps the error until the page after the redirect. The URL does not, because any
//! link could then put words into an alert.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum_extra::extract::cookie::CookieJar;
use leptos::server_fn::error::ServerFnUrlError;
use url::Url;

use crate::error::AppError;
use crate::server::auth::sessions::http_only_cookie;
use crate::server::config::Config;
use crate::ui::feedback::FailedForm;

/// The error of a form. A cookie carries it to the page that shows it.
#[derive(Clone, Debug)]
pub struct NoJsError {
    /// The path of the server function.
    pub function: String,
    /// The error in the encoding of Leptos.
    pub error: String,
}

impl From<NoJsError> for FailedForm {
    fn from(NoJsError { function, error }: NoJsError) -> Self {
        Self { action: function, error: ServerFnUrlError::<AppError>::decode_err(&error) }
    }
}

/// Lifetime of the cookie: time to load the page after the redirect.
const COOKIE_TTL: time::Duration = time::Duration::minutes(1);
/// Longest stored error, in bytes. Browsers drop cookies of more than 4 kB.
const MAX_SIZE: usize = 3000;
/// Separates the function from the error. Neither contains it.
const SEPARATOR: char = '~';

fn name(config: &Config) -> &'static str {
    if config.https() { "__Host-keyfob-told" } else { "keyfob-told" }
}

/// Returns the error that Leptos has put into a URL, and the URL without it.
pub fn take_from(address: &str) -> Option<(String, NoJsError)> {
    let url = Url::parse(address).ok()?;
    let value = |wanted: &str| {
        let values = url.query_pairs().filter(|(name, _)| name == wanted);
        values.last().map(|(_, value)| value.into_owned())
    };
    let error = NoJsError { function: value("__path")?, error: value("__err")? };
    let (page, query) = address.split_once('?')?;
    let rest: Vec<_> =
        query.split('&').filter(|pair| !pair.starts_with("__path=") && !pair.starts_with("__err=")).collect();
    Some((if rest.is_empty() { page.to_owned() } else { format!("{page}?{}", rest.join("&")) }, error))
}

/// Moves the error from the `Location` of a response into a cookie.
pub fn keep(config: &Config, mut response: Response) -> Response {
    let address = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some((address, error)) = address.and_then(take_from) else { return response };
    let value = format!("{}{SEPARATOR}{}", error.function, error.error);
    let headers = response.headers_mut();
    if let Ok(address) = HeaderValue::try_from(address) {
        headers.insert(header::LOCATION, address);
    }
    if value.len() <= MAX_SIZE {
        append(headers, &http_only_cookie(config, name(config), value, COOKIE_TTL));
    }
    response
}

/// Returns the error in the cookie of a request.
pub fn read(config: &Config, headers: &HeaderMap) -> Option<NoJsError> {
    let jar = CookieJar::from_headers(headers);
    let (function, error) = jar.get(name(config))?.value().split_once(SEPARATOR)?;
    Some(NoJsError { function: function.to_owned(), error: error.to_owned() })
}

/// Deletes the cookie: the error is shown once.
pub fn forget(config: &Config, response: &mut Response) {
    append(response.headers_mut(), &http_only_cookie(config, name(config), String::new(), time::Duration::ZERO));
}

fn append(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        headers.append(header::SET_COOKIE, cookie);
    }
}
