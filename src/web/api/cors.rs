//! Cross-origin resource sharing: pages of other origins may call the JSON API with a key.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::verify;
use crate::server::config::{Config, CorsOrigins};

/// How long a browser may keep the answer to a preflight.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(1);

/// Headers of an answer that a page may read, besides those that it may always read.
const EXPOSED: [HeaderName; 5] = [
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-request-id"),
    header::RETRY_AFTER,
    header::LOCATION,
];

/// Returns the layer for the origins of `KEYFOB_CORS_ORIGINS`; `None` without any. It never allows credentials, so a browser
/// hides every answer to a request that carried a cookie.
pub fn cors_layer(config: &Config) -> Option<CorsLayer> {
    let origins = match config.cors_origins.as_ref()? {
        CorsOrigins::Any => AllowOrigin::any(),
        CorsOrigins::Only(origins) => AllowOrigin::list(origins.clone()),
    };
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let layer = CorsLayer::new().allow_origin(origins).allow_methods(methods).max_age(PREFLIGHT_MAX_AGE);
    // A wildcard doesn't include Authorization, and an own endpoint may read any header.
    Some(layer.allow_headers(AllowHeaders::mirror_request()).expose_headers(EXPOSED))
}

/// Whether a page sent the request, or its preflight. [`CorsLayer`] answers every `OPTIONS` itself, also one that an own endpoint
/// handles. At the verify endpoint that would let a proxy forward a request without a key.
pub fn is_cors_request(request: &Request) -> bool {
    let (headers, is_options) = (request.headers(), request.method() == Method::OPTIONS);
    let is_preflight = || headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    headers.contains_key(header::ORIGIN) && request.uri().path() != verify::PATH && (!is_options || is_preflight())
}
