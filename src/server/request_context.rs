//! What is known about the request that is being answered, for log lines and error responses.

use std::cell::OnceCell;

use axum::extract::{MatchedPath, Request};
use axum::http::{Extensions, Method, Uri};
use tracing::Span;

use super::auth::random;
use super::log_format::RedactedPath;
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

/// What the log says of a request. No span is made before there is something to say: to make one for each request takes a tenth
/// of the time of a check of a key.
pub struct RequestContext {
    id: RequestId,
    method: Method,
    uri: Uri,
    route: OnceCell<MatchedPath>,
    user: OnceCell<String>,
    key: OnceCell<String>,
}

impl RequestContext {
    /// Of this request.
    #[must_use]
    pub fn of(request: &Request, id: RequestId) -> Self {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Self { id, method, uri, route: OnceCell::new(), user: OnceCell::new(), key: OnceCell::new() }
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
