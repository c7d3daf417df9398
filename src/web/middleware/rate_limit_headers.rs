//! The headers `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{AppError, Limit};
use crate::server::request_context::KeyQuota;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Adds what is left of the limit of the key that a request came with.
pub fn add(headers: &mut HeaderMap, quota: KeyQuota) {
    let KeyQuota { limit, remaining, reset_after } = quota;
    insert(headers, limit, remaining, reset_after);
}

/// Adds that nothing is left of the limit that a request exceeded.
pub fn add_exceeded(headers: &mut HeaderMap, error: &AppError) {
    if let AppError::RateLimited { limit, retry_after } = error {
        insert(headers, *limit, 0, *retry_after);
    }
}

fn insert(headers: &mut HeaderMap, limit: Limit, remaining: u32, reset_after: u32) {
    let Some(quota) = limit.quota() else { return };
    let name = limit.name();
    let policy = format!("\"{name}\";q={};w={}", quota.requests, quota.window_seconds);
    for (header, value) in
        [(RATE_LIMIT, format!("\"{name}\";r={remaining};t={reset_after}")), (RATE_LIMIT_POLICY, policy)]
    {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(header, value);
        }
    }
}
