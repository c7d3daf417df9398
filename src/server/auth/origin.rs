//! Where a request of a browser comes from, and where the browser goes on: a page of this site or not, over https or not.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use url::Url;

use crate::error::AppError;
use crate::model::link::link;
use crate::model::redact::redact;
use crate::server::config::{Config, is_loopback};
use crate::server::state::AppState;

/// The longest address that a sign-in goes back to, in bytes; of a longer one the path is kept.
const NEXT_MAX: usize = 2_000;

/// Whether the page that a request comes from is of this site: by the public address, or by the one that it was sent to.
pub fn is_this_site(state: &AppState, headers: &HeaderMap) -> bool {
    let Some(page) = referrer(headers) else { return false };
    page.origin().ascii_serialization() == state.config.origin() || is_sent_to(headers, &page)
}

/// The page that a request comes from.
pub fn referrer(headers: &HeaderMap) -> Option<Url> {
    Url::parse(text(headers, header::REFERER)?).ok()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the request was sent to the host that a page is on.
fn is_sent_to(headers: &HeaderMap, page: &Url) -> bool {
    let origin = page.origin().ascii_serialization();
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some() && authority == text(headers, header::HOST)
}

/// The page of this site that a browser shows over plain http although people reach the server by https. A browser drops the
/// cookie of a session there. Told by what browsers say of their own address, for a proxy that ends TLS need not say that it
/// does. `None` where nobody can know.
fn plain_http_page(config: &Config, headers: &HeaderMap) -> Option<Url> {
    if !config.https() || says_https(headers) {
        return None;
    }
    let origin = text(headers, header::ORIGIN).and_then(|origin| Url::parse(origin).ok());
    let page = origin.or_else(|| referrer(headers).filter(|page| is_sent_to(headers, page)));
    page.filter(|page| page.scheme() == "http")
}

/// Whether a proxy says that the browser came by https. A client that makes this up changes only its own page.
fn says_https(headers: &HeaderMap) -> bool {
    let scheme = text(headers, HeaderName::from_static("x-forwarded-proto")).and_then(|list| list.split(',').next());
    let forwarded = text(headers, header::FORWARDED).map(str::to_ascii_lowercase).unwrap_or_default();
    scheme.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
        || forwarded.split([',', ';']).any(|part| matches!(part.trim(), "proto=https" | "proto=\"https\""))
}

/// The address to sign in at, for a page that was opened over plain http.
pub fn secure_origin(config: &Config, headers: &HeaderMap) -> Option<String> {
    plain_http_page(config, headers).map(|_| config.origin())
}

/// Refuses a sign-in that the browser would not keep. On their own machine most browsers do keep it.
///
/// # Errors
/// [`AppError::HttpsNeeded`].
pub fn check_https(config: &Config, headers: &HeaderMap) -> Result<(), AppError> {
    match plain_http_page(config, headers) {
        Some(page) if !is_loopback(&page) => Err(AppError::HttpsNeeded),
        _ => Ok(()),
    }
}

/// The page that a sign-in goes back to: a path and its query, without what the page before said of a form.
pub fn next(path: &str, query: Option<&str>) -> String {
    let query = query.unwrap_or_default().split('&');
    let kept: Vec<_> = query.filter(|part| !part.is_empty() && !part.starts_with("__")).collect();
    let whole = format!("{path}?{}", kept.join("&"));
    let next = if kept.is_empty() || whole.len() > NEXT_MAX { path } else { &whole };
    redact(next).into_owned()
}

/// The address of the page to sign in, which goes on to this one.
pub fn sign_in_for(uri: &Uri) -> String {
    link("/sign-in", [("next", next(uri.path(), uri.query()).as_str())])
}

/// The page with the form that a sign-in or sign-up came from, and where it goes on: what a browser is sent back to, for it may
/// have said nothing of the page, or have the answer to an earlier try before it.
pub fn entrance(state: &AppState, headers: &HeaderMap, (function, body): (&str, &[u8])) -> Option<HeaderValue> {
    let (path, next) = (form_page(function)?, form_field(body, "next"));
    let from = referrer(headers).filter(|_| is_this_site(state, headers));
    if next.is_empty() && from.as_ref().is_some_and(|page| page.path() == path) {
        return None;
    }
    let form = link(path, [("next", next.as_str())]);
    let page = from.unwrap_or_else(|| state.config.public_url.clone()).join(&form).ok()?;
    HeaderValue::try_from(page.as_str()).ok()
}

/// Whether a page of another origin made this request, by `Sec-Fetch-Site`, or in a browser without it by `Origin`. `origin` is
/// the public address of this server. Programs send neither header.
pub(crate) fn comes_from_elsewhere(headers: &HeaderMap, origin: &str) -> bool {
    let value = |name| headers.get(name).map(|value| value.to_str().unwrap_or("not text"));
    match (value(HeaderName::from_static("sec-fetch-site")), value(header::ORIGIN)) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(sent)) => {
            let authority = sent.split_once("://").map(|(_, authority)| authority);
            sent != origin && authority != value(header::HOST)
        }
        (None, None) => false,
    }
}

/// The first value of a field; empty if there is none.
pub fn form_field(body: &[u8], wanted: &str) -> String {
    let found = url::form_urlencoded::parse(body).find(|(name, _)| name == wanted);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The page with the form of a server function that signs in or up.
pub fn form_page(function: &str) -> Option<&'static str> {
    match function {
        "/fn/sign_in" => Some("/sign-in"),
        "/fn/sign_up" => Some("/sign-up"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::tests::config;

    fn page(lines: &[(&'static str, &str)]) -> Option<String> {
        let headers =
            lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        plain_http_page(&config("https://keys.example.com").unwrap(), &headers)
            .map(|page| page.host_str().unwrap().to_owned())
    }

    #[test]
    fn plain_http_is_told_by_the_address_that_the_browser_names() {
        assert_eq!(page(&[("origin", "http://keys.example.com:8000")]).as_deref(), Some("keys.example.com"));
        assert_eq!(
            page(&[("host", "10.0.0.5:8000"), ("referer", "http://10.0.0.5:8000/sign-in")]).as_deref(),
            Some("10.0.0.5")
        );
        for known_or_unknown in [
            &[][..],
            &[("origin", "https://keys.example.com")],
            &[("origin", "null")],
            &[("host", "127.0.0.1:8000"), ("referer", "http://other.example/")],
            &[("host", "keys.example.com"), ("x-forwarded-proto", "http")],
            &[("origin", "http://keys.example.com"), ("x-forwarded-proto", "https")],
            &[("origin", "http://keys.example.com"), ("forwarded", "for=192.0.2.7;Proto=https")],
        ] {
            assert_eq!(page(known_or_unknown), None, "{known_or_unknown:?}");
        }
        let headers = [(header::ORIGIN, HeaderValue::from_static("http://localhost:8000"))].into_iter().collect();
        assert!(plain_http_page(&config("http://localhost:8000").unwrap(), &headers).is_none());
    }

    #[test]
    fn a_sign_in_goes_back_to_path_and_query_without_what_a_form_was_told() {
        assert_eq!(next("/profile", None), "/profile");
        assert_eq!(next("/profile", Some("")), "/profile");
        assert_eq!(next("/a/red", Some("revoke=1&__path=/fn/x&__err=y&leave=")), "/a/red?revoke=1&leave=");
        assert_eq!(next("/a", Some(&"x".repeat(3000))), "/a");
    }
}
