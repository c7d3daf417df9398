//! What is known about the request that is being answered, for log lines and error responses.

use std::cell::{Cell, OnceCell};

use axum::extract::{MatchedPath, Request};
use axum::http::{Extensions, Method, Uri};
use tracing::Span;

use super::auth::random;
use super::log_format::RedactedPath;
use super::rate_limits::Remaining;
use crate::model::users::User;

/// Longest logged HTTP method, in bytes. A client may make one up.
const METHOD_MAX: usize = 20;

/// The id of a request: in the answer's `X-Request-Id`, in problem details and in the log.
#[derive(Clone, Copy, Debug)]
pub struct RequestId([u8; 32]);

impl RequestId {
    /// Makes a random id.
    #[must_use]
    pub fn random() -> Self {
        Self(random::make_request_id())
    }

    /// Of the request that has these extensions.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self([b'0'; 32]))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

tokio::task_local! {
    static CONTEXT: RequestContext;
}

/// Rest of a key's rate limit, for the response headers.
#[derive(Clone, Copy, Debug)]
pub struct KeyQuota {
    pub per_minute: u32,
    pub remaining: u32,
    pub reset_after: u32,
}

impl KeyQuota {
    /// Describes the outcome of counting a request.
    pub fn new(per_minute: u32, acquired: Result<Remaining, u32>) -> Self {
        let left = acquired.unwrap_or_else(|reset_after| Remaining { requests: 0, reset_after });
        Self { per_minute, remaining: left.requests, reset_after: left.reset_after }
    }
}

/// What the log says of a request. No span is made before there is something to say: to make one for each request takes a tenth
/// of the time of a check of a key.
pub struct RequestContext {
    id: RequestId,
    method: Method,
    uri: Uri,
    route: OnceCell<MatchedPath>,
    user: OnceCell<String>,
    key: OnceCell<String>,
    key_quota: Cell<Option<KeyQuota>>,
}

impl RequestContext {
    /// Of this request.
    #[must_use]
    pub fn of(request: &Request, id: RequestId) -> Self {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Self {
            id,
            method,
            uri,
            route: OnceCell::new(),
            user: OnceCell::new(),
            key: OnceCell::new(),
            key_quota: Cell::new(None),
        }
    }

    /// Runs what answers it. No `async fn`, for that would have room for the answer twice.
    pub fn run<F: Future>(self, answer: F) -> impl Future<Output = F::Output> {
        CONTEXT.scope(self, answer)
    }
}

/// The span for what there is to say of the request that is being answered; none outside of one.
#[must_use]
pub fn current_span() -> Span {
    let span = CONTEXT.try_with(|subject| {
        let (id, method, path) = (subject.id.as_str(), subject.method.as_str(), RedactedPath(subject.uri.path()));
        let (method, route) = (&method[..method.len().min(METHOD_MAX)], subject.route.get().map(MatchedPath::as_str));
        tracing::error_span!("request", id, method, %path, route, user = subject.user.get(), key = subject.key.get())
    });
    span.unwrap_or_else(|_| Span::none())
}

/// Notes who asks, for what there is to say.
pub fn set_user(user: &User) {
    let _ = CONTEXT.try_with(|subject| subject.user.set(user.id.to_string()));
}

/// Notes the pattern of the path, once the router has found it.
pub fn set_route(extensions: &Extensions) {
    if let Some(route) = extensions.get::<MatchedPath>() {
        let _ = CONTEXT.try_with(|subject| subject.route.set(route.clone()));
    }
}

/// Notes the public beginning of the key that came with the request.
pub fn set_key(prefix: &str) {
    let _ = CONTEXT.try_with(|subject| subject.key.set(prefix.to_owned()));
}

/// Notes what is left of the rate limit of the key.
pub fn set_key_quota(quota: KeyQuota) {
    let _ = CONTEXT.try_with(|context| context.key_quota.set(Some(quota)));
}

/// Returns what is left of the rate limit of the key; `None` without a key or a limit.
pub fn key_quota() -> Option<KeyQuota> {
    CONTEXT.try_with(|context| context.key_quota.get()).ok().flatten()
}
