//! The headers that protect every answer, and what a page may load and run.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use leptos::nonce::Nonce;

use crate::server::config::Config;

/// For whatever is no page: a browser that is led to show it loads nothing and runs nothing.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// The headers that every answer has. One that an answer brings stays as it is: a page has a policy of its own.
#[derive(Clone, Debug)]
pub struct Headers(Arc<[(HeaderName, HeaderValue)]>);

impl Headers {
    /// Those of a server with these settings.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let mut headers = vec![
            (header::CONTENT_SECURITY_POLICY, NO_PAGE),
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
        // Said of a server that is reached by http, it would lock people out.
        if config.https() {
            headers.push((header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"));
        }
        Self(headers.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect())
    }

    /// Adds those that are missing, and to the type of a text its encoding.
    #[must_use]
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

/// What is served from a file says what it is, but not in which encoding (ASVS 5.0, 4.1.1).
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

/// The policy of a page: what this server sends, and of what stands in the page itself only the scripts with the nonce.
/// The WASM needs its word; styles in attributes and elements are not let in.
#[must_use]
pub fn page_policy(nonce: &Nonce, config: &Config) -> Option<HeaderValue> {
    // The script that reloads the page after a change listens on another port.
    let reload = if config.watch.is_some() { " ws:" } else { "" };
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; \
         font-src 'self'; connect-src 'self'{reload}; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
         object-src 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).ok()
}
