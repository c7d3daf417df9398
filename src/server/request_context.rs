//! Context of the running request, for log lines and error responses.

use std::cell::{Cell, OnceCell};
use std::net::IpAddr;

use axum::extract::{MatchedPath, Request};
use axum::http::{Extensions, HeaderMap, Method, Uri};
use tracing::Span;

use super::auth::random;
use super::log_format::RedactedPath;
use super::metrics::labels::Credential;
use super::rate_limits::Remaining;
use super::trace_context::TraceContext;
use crate::error::Limit;
use crate::model::theme::Theme;
use crate::model::users::User;

/// Longest logged HTTP method, in bytes. A client may make one up.
const METHOD_MAX: usize = 20;

/// Route in metrics of a request that matched none: an unknown path, or a request that was turned away before.
const UNMATCHED: &str = "unmatched";

/// Id of a request: in `X-Request-Id`, in problem details and in the log.
#[derive(Clone, Copy, Debug)]
pub struct RequestId([u8; 32]);

impl RequestId {
    /// Makes a random id.
    pub fn random() -> Self {
        Self(random::make_request_id())
    }

    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Form in which the client of a request reads errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorFormat {
    /// An HTML page.
    Page,
    /// The error as JSON, as Leptos has it for a server function.
    ServerFunction,
    /// The error as the program of a page decodes it: see [`wire`](crate::model::wire).
    Wire,
    /// Problem details (RFC 9457).
    Problem,
}

/// Rest of a key's rate limit, for the response headers.
#[derive(Clone, Copy, Debug)]
pub struct KeyQuota {
    pub limit: Limit,
    pub remaining: u32,
    pub reset_after: u32,
}

impl KeyQuota {
    /// Describes the outcome of counting a request.
    pub fn new(limit: Limit, acquired: Result<Remaining, u32>) -> Self {
        let left = acquired.unwrap_or_else(|reset_after| Remaining { requests: 0, reset_after });
        Self { limit, remaining: left.requests, reset_after: left.reset_after }
    }
}

tokio::task_local! {
    // In a box, because it is moved at the beginning and the end of each poll.
    static CONTEXT: Box<RequestContext>;
}

/// What the server knows about the running request. Handlers and extractors add to it as they learn more.
///
/// A tracing span is made only when there is something to log: a span for each request costs a tenth of a key check.
pub struct RequestContext {
    id: RequestId,
    method: Method,
    uri: Uri,
    client_ip: Option<IpAddr>,
    error_format: Cell<ErrorFormat>,
    route: OnceCell<MatchedPath>,
    /// Label of the route that is set without the router: `assets`, or the path of the verify endpoint.
    route_name: Cell<Option<&'static str>>,
    credential: Cell<Credential>,
    /// Whether the prefix of an accepted key is kept, for the access log.
    keeps_key: bool,
    /// In a box, because few requests have one.
    trace: Option<Box<TraceContext>>,
    user: OnceCell<String>,
    key_prefix: OnceCell<String>,
    /// Method and path of the request that a proxy asks about.
    original: OnceCell<String>,
    key_quota: Cell<Option<KeyQuota>>,
    is_denial_logged: Cell<bool>,
    theme: Cell<Theme>,
}

impl RequestContext {
    /// Describes a request that has just arrived.
    pub fn new(request: &Request, client_ip: Option<IpAddr>, error_format: ErrorFormat) -> Self {
        Self {
            id: RequestId::random(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            client_ip,
            error_format: Cell::new(error_format),
            route: OnceCell::new(),
            route_name: Cell::new(None),
            credential: Cell::new(Credential::None),
            keeps_key: false,
            trace: None,
            user: OnceCell::new(),
            key_prefix: OnceCell::new(),
            original: OnceCell::new(),
            key_quota: Cell::new(None),
            is_denial_logged: Cell::new(false),
            theme: Cell::default(),
        }
    }

    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Notes the trace that the request belongs to.
    pub fn set_trace(&mut self, trace: Option<TraceContext>) {
        self.trace = trace.map(Box::new);
    }

    /// Notes that the prefix of an accepted key is wanted.
    pub const fn keep_key(&mut self) {
        self.keeps_key = true;
    }

    /// Returns the pattern that the path matched, or the name in its place.
    fn route(&self) -> Option<&str> {
        self.route.get().map(MatchedPath::as_str).or(self.route_name.get())
    }

    /// Runs the future that answers the request. Not an `async fn`: that would reserve space for the future twice.
    pub fn run<F: Future>(self, answer: F) -> impl Future<Output = F::Output> {
        CONTEXT.scope(Box::new(self), answer)
    }
}

fn with<R>(read: impl FnOnce(&RequestContext) -> R) -> Option<R> {
    CONTEXT.try_with(|context| read(context)).ok()
}

/// Returns the id of the running request.
pub fn id() -> RequestId {
    with(|context| context.id).unwrap_or(RequestId([b'0'; 32]))
}

/// Returns the address of the client, where it is known.
pub fn client_ip() -> Option<IpAddr> {
    with(|context| context.client_ip).flatten()
}

/// Returns the form in which errors are rendered.
pub fn error_format() -> ErrorFormat {
    with(|context| context.error_format.get()).unwrap_or(ErrorFormat::Problem)
}

/// Returns what is left of the rate limit of the key; `None` without a key or a limit.
pub fn key_quota() -> Option<KeyQuota> {
    with(|context| context.key_quota.get()).flatten()
}

/// Returns a span with the fields of the running request; an empty span outside of one.
pub fn current_span() -> Span {
    let span = with(|context| {
        let (id, path) = (context.id.as_str(), RedactedPath(context.uri.path()));
        let (method, original) = (shorten(&context.method), context.original.get());
        let (route, user, key) = (context.route(), context.user.get(), context.key_prefix.get());
        let trace_id = context.trace.as_ref().map(|trace| trace.trace_id_text());
        tracing::error_span!("request", id, method, %path, route, user, key, original, trace_id)
    });
    span.unwrap_or_else(Span::none)
}

fn shorten(method: &Method) -> &str {
    let method = method.as_str();
    &method[..method.len().min(METHOD_MAX)]
}

/// Returns the colours in which a page is rendered.
pub fn theme() -> Theme {
    with(|context| context.theme.get()).unwrap_or_default()
}

/// Notes the colours that the reader chose.
pub fn set_theme(theme: Theme) {
    with(|context| context.theme.set(theme));
}

/// Notes that a handler of the JSON API answers: its errors are problems.
pub fn enter_api() {
    with(|context| context.error_format.set(ErrorFormat::Problem));
}

/// Notes the user who sent the request.
pub fn set_user(user: &User) {
    with(|context| context.user.set(user.id.to_string()));
}

/// Notes the route that the router has found.
pub fn set_route(extensions: &Extensions) {
    if let Some(route) = extensions.get::<MatchedPath>() {
        with(|context| context.route.set(route.clone()));
    }
}

/// Whether the prefix of an accepted key is wanted.
pub fn keeps_key() -> bool {
    with(|context| context.keeps_key).unwrap_or(false)
}

/// Returns the headers `traceparent` and `tracestate` for a request to another service, so that it joins the trace of the running
/// request; none where the request belongs to no trace.
pub fn trace_headers() -> HeaderMap {
    with(|context| context.trace.as_ref().map(|trace| trace.outgoing())).flatten().unwrap_or_default()
}

/// Notes the label of a route without the router.
pub fn set_route_name(name: &'static str) {
    with(|context| context.route_name.set(Some(name)));
}

/// Notes how the caller authenticates.
pub fn set_credential(credential: Credential) {
    with(|context| context.credential.set(credential));
}

/// The running request, as it is counted and logged.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    pub id: &'a str,
    pub method: &'a Method,
    /// Pattern that the path matched, or one of the fixed names.
    pub route: &'a str,
    pub credential: Credential,
    /// Public prefix of the key.
    pub key: Option<&'a str>,
    pub trace: Option<&'a TraceContext>,
}

impl Summary<'_> {
    /// Returns the method as the log shows it.
    pub fn short_method(&self) -> &str {
        shorten(self.method)
    }
}

/// Passes on what is known of the running request.
pub fn summarize(read: impl FnOnce(Summary<'_>)) {
    with(|context| {
        let route = context.route().unwrap_or(UNMATCHED);
        let trace = context.trace.as_deref();
        let (id, method, credential) = (context.id.as_str(), &context.method, context.credential.get());
        let key = context.key_prefix.get().map(String::as_str);
        read(Summary { id, method, route, credential, key, trace });
    });
}

/// Notes the public prefix of the key that came with the request.
pub fn set_key(prefix: &str) {
    with(|context| context.key_prefix.set(prefix.to_owned()));
}

/// Notes the request that a trusted proxy asks about. The log shows its path without the query.
pub fn set_original(method: &Method, uri: &str) {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    with(|context| context.original.set(format!("{} {}", shorten(method), RedactedPath(path))));
}

/// Notes what is left of the rate limit of the key.
pub fn set_key_quota(quota: KeyQuota) {
    with(|context| context.key_quota.set(Some(quota)));
}

/// Notes that the denial of the running request is logged. Returns whether it was logged before.
pub fn mark_denial_logged() -> bool {
    with(|context| context.is_denial_logged.replace(true)).unwrap_or(false)
}
