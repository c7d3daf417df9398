//! Errors of forms without JavaScript. A cookie keeps the error and what was typed until the page after the redirect. The URL does
//! not, because any link could then put words into an alert, and the browser's history would keep what was typed.

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use axum_extra::extract::cookie::CookieJar;
use serde::{Deserialize, Serialize};
use url::{Position, Url};

use crate::error::AppError;
use crate::model::sent_form::SentForm;
use crate::server::auth::sessions::http_only_cookie;
use crate::server::config::Config;
use crate::ui::feedback::FailedForm;

/// The error of a form. A cookie carries it to the page of the form.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NoJsError {
    /// The path that the form was sent to.
    pub action: String,
    pub error: AppError,
    /// The page of the form, with its query. No other page shows the error: its form can be about something else.
    page: String,
    /// The fields that the form shows again.
    pub typed: Vec<(String, String)>,
}

impl NoJsError {
    /// Returns the error of a form, to be shown at `page`.
    pub fn new(error: &AppError, page: &str, form: &SentForm) -> Self {
        // Who reads the page next can be somebody else.
        let is_theirs = !matches!(error, AppError::AccountChanged | AppError::CredentialsMissing);
        let typed = if is_theirs { form.shown_again() } else { Vec::new() };
        Self { action: form.action.clone(), error: error.clone(), page: page.to_owned(), typed }
    }
}

impl From<NoJsError> for FailedForm {
    fn from(NoJsError { action, error, typed, .. }: NoJsError) -> Self {
        Self { action, error, typed }
    }
}

/// Lifetime of the cookie: time to read what was wrong and to go back to the form.
const COOKIE_TTL: time::Duration = time::Duration::minutes(5);
/// Longest cookie, in bytes. Browsers drop cookies of more than 4 kB.
const MAX_SIZE: usize = 4000;

fn name(config: &Config) -> &'static str {
    if config.https() { "__Host-keyfob-told" } else { "keyfob-told" }
}

/// Moves the error of a form from the `Location` of a response, where Leptos puts it, into a cookie.
pub fn keep(config: &Config, mut response: Response, (form, error): (&SentForm, &AppError)) -> Response {
    let address = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(page) = address.and_then(without_error) else { return response };
    if let Ok(address) = HeaderValue::try_from(page.as_str()) {
        response.headers_mut().insert(header::LOCATION, address);
    }
    set(config, &mut response, NoJsError::new(error, &page[Position::BeforePath..], form));
    response
}

/// Returns the address without the error that Leptos has put into its query.
fn without_error(address: &str) -> Option<Url> {
    let mut url = Url::parse(address).ok()?;
    let is_kept = |pair: &&str| !pair.starts_with("__path=") && !pair.starts_with("__err=");
    let query = url.query()?.split('&').filter(is_kept).collect::<Vec<_>>().join("&");
    url.set_query((!query.is_empty()).then_some(&query));
    Some(url)
}

/// Puts an error into a cookie, without the longest fields if it is too long.
pub fn set(config: &Config, response: &mut Response, mut error: NoJsError) {
    error.typed.sort_by_key(|(_, value)| value.len());
    // Encoding is repeated below, so it must be of a bounded size.
    let mut size = 0;
    error.typed.retain(|(field, value)| {
        size += field.len() + value.len();
        size <= MAX_SIZE
    });
    loop {
        let value = serde_json::to_string(&error).unwrap_or_default();
        let cookie = http_only_cookie(config, name(config), value, COOKIE_TTL);
        if cookie.len() <= MAX_SIZE {
            return append(response.headers_mut(), &cookie);
        }
        if error.typed.pop().is_none() {
            return;
        }
    }
}

/// Whether a request has the cookie.
pub fn is_set(config: &Config, headers: &HeaderMap) -> bool {
    CookieJar::from_headers(headers).get(name(config)).is_some()
}

/// Returns the error in the cookie of a request for the page of the form.
pub fn read(config: &Config, headers: &HeaderMap, uri: &Uri) -> Option<NoJsError> {
    let jar = CookieJar::from_headers(headers);
    let error: NoJsError = serde_json::from_str(jar.get(name(config))?.value()).ok()?;
    let page = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    (error.page == page).then_some(error)
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
