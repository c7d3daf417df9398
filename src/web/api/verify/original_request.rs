//! The request that the client sent to the proxy, as the proxy describes it in headers.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method};
use ipnet::IpNet;

use crate::model::fields::FieldError;
use crate::server::auth::client_ip::is_trusted;
use crate::server::request_context;

/// A header by which a proxy reports something, as errors name it. Finding it by its parsed name costs half.
struct Reporter {
    shown: &'static str,
    name: HeaderName,
}

/// Headers of Caddy and Traefik, and those that are usual with nginx.
static METHOD_HEADERS: [Reporter; 2] = [
    Reporter { shown: "X-Forwarded-Method", name: HeaderName::from_static("x-forwarded-method") },
    Reporter { shown: "X-Original-Method", name: HeaderName::from_static("x-original-method") },
];
static URI_HEADERS: [Reporter; 2] = [
    Reporter { shown: "X-Forwarded-Uri", name: HeaderName::from_static("x-forwarded-uri") },
    Reporter { shown: "X-Original-Uri", name: HeaderName::from_static("x-original-uri") },
];
/// Longest method, in bytes.
const METHOD_MAX: usize = 32;
/// Longest path and query, in bytes.
const URI_MAX: usize = 8 * 1024;

/// Request that the proxy is about to forward.
#[derive(Debug)]
pub struct OriginalRequest {
    /// Whether the method is GET, HEAD, OPTIONS or TRACE.
    pub is_safe: bool,
    /// Method and URI that a trusted proxy reports, for the log.
    reported: Option<(Method, String)>,
}

impl OriginalRequest {
    /// Reads the headers of the proxy. A trusted proxy's method replaces the method of the subrequest. From any other address it
    /// can only narrow the rights: then both methods must be safe.
    pub fn parse(parts: &Parts, trusted_proxies: &[IpNet]) -> Result<Self, FieldError> {
        let method = find_method(&parts.headers)?;
        let uri = find_one(&parts.headers, &URI_HEADERS, URI_MAX)?;
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let own = &parts.method;
        if !peer.is_some_and(|peer| is_trusted(peer, trusted_proxies)) {
            let is_safe = own.is_safe() && method.is_none_or(|method| method.is_safe());
            return Ok(Self { is_safe, reported: None });
        }
        let is_safe = method.as_ref().unwrap_or(own).is_safe();
        let reported = uri.map(|uri| (method.unwrap_or_else(|| own.clone()), uri.to_owned()));
        Ok(Self { is_safe, reported })
    }

    /// Adds the method and the path to the log lines of the running request.
    pub fn log(&self) {
        if let Some((method, uri)) = &self.reported {
            request_context::set_original(method, uri);
        }
    }
}

fn find_method(headers: &HeaderMap) -> Result<Option<Method>, FieldError> {
    let Some(text) = find_one(headers, &METHOD_HEADERS, METHOD_MAX)? else { return Ok(None) };
    let error = || FieldError::new(METHOD_HEADERS[0].shown, "Send the name of a method, such as GET.");
    Method::from_bytes(text.as_bytes()).map(Some).map_err(|_| error())
}

/// Returns the value of two headers with the same meaning. If both are there they must agree: one of them may be the client's.
fn find_one<'a>(
    headers: &'a HeaderMap,
    reporters: &'static [Reporter; 2],
    max: usize,
) -> Result<Option<&'a str>, FieldError> {
    // Mostly there is none. A look at each name is faster than a search for two.
    if !headers.keys().any(|name| reporters.iter().any(|reporter| reporter.name == *name)) {
        return Ok(None);
    }
    let mut found: Option<&str> = None;
    for Reporter { shown, name } in reporters {
        let mut values = headers.get_all(name).into_iter();
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            return Err(FieldError::new(shown, "Send this header once."));
        }
        if value.len() > max {
            return Err(FieldError::new(shown, format!("Send at most {max} bytes.")));
        }
        let text = value.to_str().map_err(|_| FieldError::new(shown, "Send printable ASCII only."))?;
        if found.is_some_and(|found| found != text) {
            return Err(FieldError::new(shown, format!("{} has another value. Send one of them.", reporters[0].shown)));
        }
        found = Some(text);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Request};

    use super::*;

    const PROXY: [u8; 4] = [10, 0, 0, 1];
    const STRANGER: [u8; 4] = [192, 0, 2, 1];

    fn parse(peer: [u8; 4], method: &str, lines: &[(&str, &[u8])]) -> Result<bool, &'static str> {
        let (mut parts, ()) = Request::builder().method(method).body(()).unwrap().into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::from((peer, 1))));
        for (name, value) in lines {
            parts.headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        let parsed = OriginalRequest::parse(&parts, &["10.0.0.0/8".parse().unwrap()]);
        parsed.map(|original| original.is_safe).map_err(|error| error.field)
    }

    #[test]
    fn method_of_a_trusted_proxy_counts() {
        for name in METHOD_HEADERS.iter().map(|header| header.shown) {
            assert_eq!(parse(PROXY, "GET", &[(name, b"DELETE")]), Ok(false));
            assert_eq!(parse(PROXY, "POST", &[(name, b"GET")]), Ok(true));
            assert_eq!(parse(PROXY, "GET", &[(name, b"get")]), Ok(false));
        }
        assert_eq!(parse(PROXY, "GET", &[]), Ok(true));
        assert_eq!(parse(PROXY, "POST", &[]), Ok(false));
        let both = [("X-Forwarded-Method", &b"HEAD"[..]), ("X-Original-Method", b"HEAD")];
        assert_eq!(parse(PROXY, "POST", &both), Ok(true));
    }

    #[test]
    fn method_of_anyone_else_only_narrows() {
        for (own, reported, is_safe) in [("GET", "GET", true), ("GET", "POST", false), ("POST", "GET", false)] {
            assert_eq!(parse(STRANGER, own, &[("X-Original-Method", reported.as_bytes())]), Ok(is_safe));
        }
    }

    #[test]
    fn unclear_headers_are_rejected() {
        for peer in [PROXY, STRANGER] {
            for name in METHOD_HEADERS.iter().map(|header| header.shown) {
                for value in [&b""[..], b"GET POST", b"G\xc3\x8bT", &[b'A'; METHOD_MAX + 1]] {
                    assert!(parse(peer, "GET", &[(name, value)]).is_err(), "{name} {value:?}");
                }
                assert_eq!(parse(peer, "GET", &[(name, b"GET"), (name, b"GET")]), Err(name));
            }
            for name in URI_HEADERS.iter().map(|header| header.shown) {
                assert_eq!(parse(peer, "GET", &[(name, &[b'/'; URI_MAX])]), Ok(true));
                assert_eq!(parse(peer, "GET", &[(name, &[b'/'; URI_MAX + 1])]), Err(name));
                assert_eq!(parse(peer, "GET", &[(name, b"/\xff")]), Err(name));
                assert_eq!(parse(peer, "GET", &[(name, b"/a"), (name, b"/a")]), Err(name));
            }
            let differ = [("X-Forwarded-Method", &b"POST"[..]), ("X-Original-Method", b"GET")];
            assert_eq!(parse(peer, "GET", &differ), Err("X-Original-Method"));
            let differ = [("X-Original-Uri", &b"/a"[..]), ("X-Forwarded-Uri", b"/b")];
            assert_eq!(parse(peer, "GET", &differ), Err("X-Original-Uri"));
        }
    }
}
