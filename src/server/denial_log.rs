//! Log lines about denied requests (ASVS 5.0, 16.3.2 and 16.3.3), at most 20 a minute for each client address.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use axum::response::Response;

use super::audit;
use super::auth::client_ip::ProxyWarning;
use super::rate_limits::{IpRateLimiter, MINUTE};
use super::request_context::current_span;
use super::state::AppState;
use crate::error::{AppError, Limit};
use crate::model::time::Timestamp;

/// Log lines per client address and minute.
const MAX_LINES: u32 = 20;

/// How many refusals of each address were written lately. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DenialLogLimiter(IpRateLimiter);

impl Default for DenialLogLimiter {
    fn default() -> Self {
        Self(IpRateLimiter::of(MINUTE))
    }
}

impl DenialLogLimiter {
    /// Throws away what is over.
    pub fn evict_expired(&self, now: Timestamp) {
        self.0.evict_expired(now);
    }
}

/// Writes that a request was refused, if this is the answer to one that was: 401, 403, 429, and 404 where superusers would
/// find something.
pub fn log_denied(state: &AppState, response: &Response, from: Option<IpAddr>) {
    let Some(error) = response.extensions().get::<AppError>() else { return };
    if error.is_refusal() && state.denials.0.try_acquire(from, MAX_LINES, state.now()).is_ok() {
        let (from, code, limit) = (audit::text(from), error.code().code, error.limit().map(Limit::name));
        current_span().in_scope(|| tracing::info!(from, code, limit, "request denied"));
    }
}

/// What is strange about the addresses that proxies tell: written once a minute, for it comes with each request.
#[derive(Debug, Default)]
pub struct ProxyWarnings {
    untrusted: AtomicI64,
    unreadable: AtomicI64,
}

impl ProxyWarnings {
    /// Writes it, unless something of the kind was written in the last minute.
    pub fn tell(&self, warning: &ProxyWarning, now: Timestamp) {
        let last = match warning {
            ProxyWarning::Untrusted(_) => &self.untrusted,
            ProxyWarning::Unreadable(_) => &self.unreadable,
        };
        let (before, now) = (last.load(Relaxed), now.as_millis());
        let is_over = now >= before + MINUTE || now < before;
        if !is_over || last.compare_exchange(before, now, Relaxed, Relaxed).is_err() {
            return;
        }
        let request = current_span();
        let _request = request.enter();
        match warning {
            ProxyWarning::Untrusted(from) => tracing::warn!(
                %from,
                "headers of a proxy come from an address that is not in KEYFOB_TRUSTED_PROXIES: they do not count"
            ),
            ProxyWarning::Unreadable(hop) => {
                tracing::warn!(hop, "a trusted proxy sent an address in X-Forwarded-For that cannot be read");
            }
        }
    }
}
