//! Middleware applied to every request.

pub mod csrf;
mod observe;
pub mod rate_limit_headers;
pub mod request_body;
pub mod response_body;
pub mod security_headers;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, Method, Version, header};
use axum::response::Response;
use futures_util::FutureExt;
use tower::Service;
use tracing::Instrument;

use self::observe::Observer;
use self::security_headers::SecurityHeaders;
use super::error_response::{render, with_state};
use crate::error::AppError;
use crate::server::admission;
use crate::server::admission::RequestClass;
use crate::server::auth::client_ip;
use crate::server::auth::client_ip::ProxyWarning;
use crate::server::auth::page_user;
use crate::server::leptos_context::{accepts_html, accepts_wire};
use crate::server::log_format::RedactedPath;
use crate::server::metrics::labels::Rejection;
use crate::server::request_context::{self, ErrorFormat, RequestContext};
use crate::server::state::AppState;
use crate::server::trace_context::TraceContext;

/// Outermost service of the server. Cheap to clone. In this order, outermost first:
///
/// 1. security headers and `X-Request-Id`
/// 2. client address and [`RequestContext`]
/// 3. admission control and the memory budgets of both bodies
/// 4. deadline and panics
///
/// One hand-written service instead of a stack of tower-http layers. Each of those answers in its own words: `TimeoutLayer`
/// with an empty body and `CatchPanicLayer` before the format of the error is known, so both responses would be rendered a
/// second time. `CatchPanicLayer` and `RequestBodyLimitLayer` box the body once more, and the nine headers would be nine nested
/// futures. As layers of the router, axum boxed and cloned each of them for each route, which cost half of a key check.
#[derive(Clone, Debug)]
pub struct Edge<S> {
    state: AppState,
    headers: SecurityHeaders,
    routes: S,
}

/// The routes that [`Edge`] wraps. They are always ready, as a router is.
pub trait Routes:
    Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Routes for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

// A static, because a name is checked byte by byte where it is made at run time.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl<S: Routes> Edge<S> {
    /// Wraps the routes.
    pub fn new(routes: S, state: AppState) -> Self {
        let headers = SecurityHeaders::of(&state.config);
        Self { state, headers, routes }
    }

    async fn answer(mut self, mut request: Request) -> Response {
        let caller = TraceContext::extract(request.headers());
        let observer = Observer::start(&self.state, caller.as_ref());
        let found = client_ip::resolve(request.extensions(), request.headers(), &self.state.config.trusted_proxies);
        request.extensions_mut().insert(found.client);
        page_user::extract_from_path(&mut request);
        if !request.body().is_end_stream() {
            DefaultBodyLimit::max(admission::MAX_BODY_SIZE).apply(&mut request);
        }
        let (class, version) = (request_class(&request), request.version());
        let is_head = request.method() == Method::HEAD;
        let mut context = RequestContext::new(&request, found.client.0, error_format(&request, class));
        if observer.as_ref().is_some_and(|observer| observer.is_logged) {
            context.keep_key();
        }
        context.set_trace(observer.as_ref().and_then(|observer| observer.trace(caller.as_ref())).or(caller));
        let (id, state) = (context.id(), self.state.clone());
        let answer = with_state(state, self.observe(observer, request, class, found.warning));
        let mut response = context.run(answer).await;
        if is_head {
            drop_body(&mut response);
        }
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(&REQUEST_ID, value);
        }
        if self.state.admission.is_stopping() && version < Version::HTTP_2 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.headers.add(response)
    }

    /// Answers a request, and counts it.
    async fn observe(
        &mut self,
        observer: Option<Observer>,
        request: Request,
        class: RequestClass,
        warning: Option<ProxyWarning>,
    ) -> Response {
        let response = self.admit(request, class, warning).await;
        if let Some(observer) = observer {
            observer.finish(&self.state, response.status());
        }
        response
    }

    /// Runs the routes, unless the server is overloaded, and bounds the memory of both bodies.
    async fn admit(&mut self, request: Request, class: RequestClass, warning: Option<ProxyWarning>) -> Response {
        if let Some(warning) = warning {
            self.state.proxy_warnings.tell(&warning, self.state.now());
        }
        let (state, format) = (&self.state, request_context::error_format());
        let rejected = |reason| {
            if let Some(metrics) = &state.metrics {
                metrics.count_rejection(reason);
            }
            render(state, &AppError::Unavailable, format)
        };
        let limited = |ip| client_ip::quota_network(ip, &state.config.trusted_proxies);
        let quota_ip = request_context::client_ip().and_then(limited);
        let Some(_permit) = state.admission.admit(class) else { return rejected(Rejection::Overload) };
        let Ok((request, given_up)) = request_body::watch(request, state, (class, quota_ip)) else {
            return rejected(Rejection::RequestMemory);
        };
        if class != RequestClass::Probe && state.admission.answers.is_spent(quota_ip) {
            return rejected(Rejection::ResponseMemory);
        }
        let response = match run_routes(&mut self.routes, request).await {
            // Extractors have different answers to a body that could not be read.
            Ok(_) if given_up.is_some_and(|given_up| given_up.get()) => rejected(Rejection::RequestMemory),
            Ok(response) => response,
            Err(AppError::Unavailable) => rejected(Rejection::Timeout),
            Err(error) => render(state, &error, format),
        };
        let mut response = response_body::count(response, &state.admission.answers, quota_ip);
        if let Some(quota) = request_context::key_quota() {
            rate_limit_headers::add(response.headers_mut(), quota);
        }
        response
    }
}

/// Runs the routes until the deadline, and catches a panic.
async fn run_routes(routes: &mut impl Routes, request: Request) -> Result<Response, AppError> {
    let (id, path) = (request_context::id(), RedactedPath(request.uri().path()));
    let span = tracing::debug_span!("request", id = id.as_str(), method = %request.method(), %path);
    let run = AssertUnwindSafe(routes.call(request)).catch_unwind().instrument(span);
    match admission::with_timeout(admission::REQUEST_TIMEOUT, run).await {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Err(_)) => {
            request_context::current_span().in_scope(|| tracing::error!("handler panicked"));
            Err(AppError::Internal)
        }
        None => Err(AppError::Unavailable),
    }
}

/// Removes the body of an answer to HEAD, and keeps its length (RFC 9110, 9.3.2). hyper does so over HTTP/1.1 only, and axum only
/// for answers of its routes.
fn drop_body(response: &mut Response) {
    let size = std::mem::take(response.body_mut()).size_hint().exact().filter(|size| *size > 0);
    if let Some(size) = size {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(size.into());
    }
}

impl<B, S> Service<Request<B>> for Edge<S>
where
    S: Routes,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request.map(Body::new)).await) })
    }
}

fn request_class(request: &Request) -> RequestClass {
    match request.uri().path().trim_end_matches('/') {
        "/fn/sign_in" | "/fn/sign_up" => RequestClass::SignIn,
        path if path.starts_with("/fn/") || path.starts_with("/admin/fn/") => RequestClass::Form,
        "/healthz" | "/readyz" => RequestClass::Probe,
        _ => RequestClass::Other,
    }
}

/// Returns the form in which the client reads an error, before a route is known.
fn error_format(request: &Request, class: RequestClass) -> ErrorFormat {
    match class {
        _ if accepts_html(request.headers()) => ErrorFormat::Page,
        _ if accepts_wire(request.headers()) => ErrorFormat::Wire,
        RequestClass::SignIn | RequestClass::Form => ErrorFormat::ServerFunction,
        RequestClass::Probe | RequestClass::Other => ErrorFormat::Problem,
    }
}
