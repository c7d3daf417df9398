//! Origin checks of browser requests, and the addresses around signing in.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use url::Url;

use crate::error::AppError;
use crate::model::link::link;
use crate::model::redact::redact;
use crate::server::config::{Config, is_loopback};

/// Longest address to return to after signing in, in bytes. A longer one loses its query.
const RETURN_PATH_MAX: usize = 2_000;

/// Whether the referring page is on this site, by the public address or by the request's host.
pub fn is_same_site(config: &Config, headers: &HeaderMap) -> bool {
    let Some(page) = referrer(headers) else { return false };
    page.origin().ascii_serialization() == config.origin() || is_on_request_host(headers, &page)
}

/// Returns the page that a request comes from.
pub fn referrer(headers: &HeaderMap) -> Option<Url> {
    Url::parse(header_text(headers, header::REFERER)?).ok()
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the request was sent to the host of this page.
fn is_on_request_host(headers: &HeaderMap, page: &Url) -> bool {
    let origin = page.origin().ascii_serialization();
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some() && authority == header_text(headers, header::HOST)
}

/// Returns the page if a browser shows it over plain http although the public address is https. Such a browser drops the
/// session cookie. The check uses what the browser sends, because a TLS proxy doesn't always announce itself.
fn plain_http_page(config: &Config, headers: &HeaderMap) -> Option<Url> {
    if !config.https() || is_forwarded_https(headers) {
        return None;
    }
    let origin = header_text(headers, header::ORIGIN).and_then(|origin| Url::parse(origin).ok());
    let page = origin.or_else(|| referrer(headers).filter(|page| is_on_request_host(headers, page)));
    page.filter(|page| page.scheme() == "http")
}

/// Whether a proxy reports https. A client that forges this only changes its own page.
fn is_forwarded_https(headers: &HeaderMap) -> bool {
    let scheme =
        header_text(headers, HeaderName::from_static("x-forwarded-proto")).and_then(|list| list.split(',').next());
    let forwarded = header_text(headers, header::FORWARDED).map(str::to_ascii_lowercase).unwrap_or_default();
    scheme.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
        || forwarded.split([',', ';']).any(|part| matches!(part.trim(), "proto=https" | "proto=\"https\""))
}

/// Returns the https address to sign in at, for a page that was opened over plain http.
pub fn secure_origin(config: &Config, headers: &HeaderMap) -> Option<String> {
    plain_http_page(config, headers).map(|_| config.origin())
}

/// Rejects a sign-in whose cookie the browser would drop, with [`AppError::HttpsNeeded`]. Browsers keep it on loopback.
pub fn check_https(config: &Config, headers: &HeaderMap) -> Result<(), AppError> {
    match plain_http_page(config, headers) {
        Some(page) if !is_loopback(&page) => Err(AppError::HttpsNeeded),
        _ => Ok(()),
    }
}

/// Returns the path and query to return to after signing in, without the state of a form (`__` parameters).
pub fn return_path(path: &str, query: Option<&str>) -> String {
    let query = query.unwrap_or_default().split('&');
    let kept: Vec<_> = query.filter(|part| !part.is_empty() && !part.starts_with("__")).collect();
    let whole = format!("{path}?{}", kept.join("&"));
    let kept = if kept.is_empty() || whole.len() > RETURN_PATH_MAX { path } else { &whole };
    redact(kept).into_owned()
}

/// Returns the address of the sign-in page that leads back to this page.
pub fn login_redirect_target(uri: &Uri) -> String {
    link("/sign-in", [("next", return_path(uri.path(), uri.query()).as_str())])
}

/// Returns the address of the form that a sign-in or sign-up came from, with its `next`. `None` if the referrer is that page
/// already. The referrer can be missing, or be the answer to an earlier attempt.
pub fn login_form_url(config: &Config, headers: &HeaderMap, function: &str, body: &[u8]) -> Option<HeaderValue> {
    let (path, next) = (login_form_path(function)?, form_field(body, "next"));
    let from = referrer(headers).filter(|_| is_same_site(config, headers));
    if next.is_empty() && from.as_ref().is_some_and(|page| page.path() == path) {
        return None;
    }
    let form = link(path, [("next", next.as_str())]);
    let page = from.unwrap_or_else(|| config.public_url.clone()).join(&form).ok()?;
    HeaderValue::try_from(page.as_str()).ok()
}

/// Whether a page of another origin sent this request, by `Sec-Fetch-Site`, or by `Origin` in older browsers. `origin` is the
/// public address of this server. Programs send neither header.
pub(crate) fn is_cross_origin(headers: &HeaderMap, origin: &str) -> bool {
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

/// Returns the first value of a form field, or an empty text.
pub fn form_field(body: &[u8], wanted: &str) -> String {
    let found = url::form_urlencoded::parse(body).find(|(name, _)| name == wanted);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Returns the page of the form for a server function that signs in or up.
pub fn login_form_path(function: &str) -> Option<&'static str> {
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

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn page(lines: &[(&'static str, &str)]) -> Option<String> {
        plain_http_page(&config("https://keys.example.com").unwrap(), &headers(lines))
            .map(|page| page.host_str().unwrap().to_owned())
    }

    #[test]
    fn path_to_return_to_keeps_a_query_of_up_to_2000_characters() {
        let path = |len: usize| return_path("/teams", Some(&format!("q={}", "x".repeat(len - "/teams?q=".len()))));
        assert_eq!((path(2000).len(), path(2001).as_str()), (2000, "/teams"));
        assert_eq!(return_path("/teams", Some("__err=x&a=1&&__path=y")), "/teams?a=1");
    }

    #[test]
    fn older_browsers_are_cross_origin_by_origin_and_host() {
        let crosses = |lines: &[_]| is_cross_origin(&headers(lines), "https://keys.example.com");
        let (host, other) = (("host", "keys.example.com"), ("host", "10.0.0.5:8000"));
        assert!(!crosses(&[("origin", "https://keys.example.com"), other]), "the public address");
        assert!(!crosses(&[("origin", "http://10.0.0.5:8000"), other]), "the host that was asked");
        assert!(crosses(&[("origin", "https://evil.example"), host]) && crosses(&[("origin", "null"), host]));
        assert!(!crosses(&[host]), "a program");
        assert!(crosses(&[("sec-fetch-site", "cross-site"), ("origin", "https://keys.example.com"), host]));
        assert!(crosses(&[("sec-fetch-site", "same-site"), host]) && !crosses(&[("sec-fetch-site", "none"), host]));
    }

    #[test]
    fn plain_http_is_detected_from_browser_headers() {
        assert_eq!(page(&[("origin", "http://keys.example.com:8000")]).as_deref(), Some("keys.example.com"));
        assert_eq!(
            page(&[("host", "10.0.0.5:8000"), ("referer", "http://10.0.0.5:8000/sign-in")]).as_deref(),
            Some("10.0.0.5")
        );
        for secure_or_unknown in [
            &[][..],
            &[("origin", "https://keys.example.com")],
            &[("origin", "null")],
            &[("host", "127.0.0.1:8000"), ("referer", "http://other.example/")],
            &[("host", "keys.example.com"), ("x-forwarded-proto", "http")],
            &[("origin", "http://keys.example.com"), ("x-forwarded-proto", "https")],
            &[("origin", "http://keys.example.com"), ("forwarded", "for=192.0.2.7;Proto=https")],
        ] {
            assert_eq!(page(secure_or_unknown), None, "{secure_or_unknown:?}");
        }
        let headers = [(header::ORIGIN, HeaderValue::from_static("http://localhost:8000"))].into_iter().collect();
        assert!(plain_http_page(&config("http://localhost:8000").unwrap(), &headers).is_none());
    }

    #[test]
    fn return_path_keeps_the_query_without_form_state() {
        assert_eq!(return_path("/profile", None), "/profile");
        assert_eq!(return_path("/profile", Some("")), "/profile");
        assert_eq!(return_path("/a/red", Some("revoke=1&__path=/fn/x&__err=y&leave=")), "/a/red?revoke=1&leave=");
        assert_eq!(return_path("/a", Some(&"x".repeat(3000))), "/a");
    }
}
