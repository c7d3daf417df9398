//! Log lines about denied requests (ASVS 5.0, 16.3.2 and 16.3.3), at most 20 a minute for each client address.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::audit;
use super::auth::client_ip::ProxyWarning;
use super::rate_limits::{IpRateLimiter, MINUTE};
use super::request_context::{self, current_span};
use super::state::AppState;
use crate::error::{AppError, Limit};
use crate::model::time::Timestamp;

/// Log lines per client address and minute.
const MAX_LINES: u32 = 20;

/// Counts the log lines for each client address. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DenialLogLimiter(IpRateLimiter);

impl Default for DenialLogLimiter {
    fn default() -> Self {
        Self(IpRateLimiter::of(MINUTE))
    }
}

impl DenialLogLimiter {
    /// Drops the counts of minutes that have ended.
    pub fn evict_expired(&self, now: Timestamp) {
        self.0.evict_expired(now);
    }
}

/// Logs and counts an error that denies the running request (401, 403 or 429), once for each request.
pub fn log_denied(state: &AppState, error: &AppError) {
    if !error.is_refusal() || request_context::mark_denial_logged() {
        return;
    }
    if let (Some(metrics), Some(limit)) = (&state.metrics, error.limit()) {
        metrics.count_limit(limit);
    }
    let from = request_context::client_ip();
    if state.denials.0.try_acquire(from, MAX_LINES, state.now()).is_ok() {
        let (from, code, limit) = (audit::text(from), error.code().code, error.limit().map(Limit::name));
        current_span().in_scope(|| tracing::info!(from, code, limit, "request denied"));
    }
}

/// Limits warnings about forwarding headers to one a minute: they come with every request.
#[derive(Debug, Default)]
pub struct ProxyWarnings {
    untrusted: AtomicI64,
    unreadable: AtomicI64,
}

impl ProxyWarnings {
    /// Logs a warning, unless one of its kind was logged in the last minute.
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
