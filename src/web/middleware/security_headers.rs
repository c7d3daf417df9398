//! Security headers of every response, and the content security policy of pages.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use leptos::nonce::Nonce;

use crate::server::config::Config;

/// Policy of everything that is not a page: nothing loads and nothing runs.
const DEFAULT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Headers that every response has, unless a handler set its own: pages have their own policy.
#[derive(Clone, Debug)]
pub struct SecurityHeaders(Arc<[(HeaderName, HeaderValue)]>);

impl SecurityHeaders {
    /// Returns the headers for these settings.
    pub fn of(config: &Config) -> Self {
        let mut headers = vec![
            (header::CONTENT_SECURITY_POLICY, DEFAULT_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (
                HeaderName::from_static("permissions-policy"),
                "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
            ),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
        ];
        // On a server that is reached by http, it would lock people out.
        if config.https() {
            headers.push((header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"));
        }
        Self(headers.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect())
    }

    /// Adds the headers that are missing, and the encoding to a text type.
    pub fn add(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.reserve(self.0.len());
        for (name, value) in &*self.0 {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        if let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(with_encoding) {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        response
    }
}

/// Static files name their type, but not their encoding (ASVS 5.0, 4.1.1).
fn with_encoding(kind: &HeaderValue) -> Option<HeaderValue> {
    let whole = match kind.as_bytes() {
        b"text/css" => "text/css; charset=utf-8",
        b"text/javascript" => "text/javascript; charset=utf-8",
        b"text/plain" => "text/plain; charset=utf-8",
        b"image/svg+xml" => "image/svg+xml; charset=utf-8",
        _ => return None,
    };
    Some(HeaderValue::from_static(whole))
}

/// Returns the policy of a page: files of this server, and inline scripts with the nonce. WASM needs its own keyword; inline
/// styles are blocked.
pub fn page_policy(nonce: &Nonce, config: &Config) -> Option<HeaderValue> {
    // The script that reloads the page during development listens on another port.
    let reload = if config.watch.is_some() { " ws:" } else { "" };
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; \
         font-src 'self'; connect-src 'self'{reload}; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
         object-src 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).ok()
}
