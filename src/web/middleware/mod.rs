//! What stands around every request, whatever it asks for: its id, its place among those that run, the time it may take, and an
//! answer where a handler panics. One service of our own, for as layers each of these would be boxed and cloned for each
//! route and each request: together half as much again as the rest of the check of a key.

pub mod csrf;
pub mod rate_limit_headers;
pub mod request_body;
pub mod response_body;
pub mod security_headers;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Json, Router};
use futures_util::FutureExt;
use tower::{Layer, Service};
use tower_http::normalize_path::{NormalizePath, NormalizePathLayer};
use tracing::Instrument;

use self::security_headers::Headers;
use super::api;
use crate::error::AppError;
use crate::server::admission;
use crate::server::admission::RequestClass;
use crate::server::auth::client_ip;
use crate::server::auth::client_ip::ProxyWarning;
use crate::server::auth::page_user;
use crate::server::denial_log;
use crate::server::leptos_context::accepts_html;
use crate::server::log_format::RedactedPath;
use crate::server::request_context::{self, RequestContext, RequestId};
use crate::server::state::AppState;
use crate::web::ssr::error_page;

/// The server as a service: the routes, and what stands around them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Middleware {
    state: AppState,
    headers: Headers,
    routes: NormalizePath<Router>,
}

impl Middleware {
    /// Around these routes. Every path answers with and without its last slash.
    #[must_use]
    pub fn new(routes: Router, state: AppState) -> Self {
        let headers = Headers::of(&state.config);
        Self { state, headers, routes: NormalizePathLayer::trim_trailing_slash().layer(routes) }
    }

    async fn answer(mut self, mut request: Request) -> Response {
        let found = client_ip::resolve(request.extensions(), request.headers(), &self.state.config.trusted_proxies);
        request.extensions_mut().insert(found.client);
        page_user::extract_from_path(&mut request);
        let id = RequestId::random();
        request.extensions_mut().insert(id);
        DefaultBodyLimit::max(admission::MAX_BODY_SIZE).apply(&mut request);
        let (subject, version) = (RequestContext::of(&request, id), request.version());
        let mut response = subject.run(self.run(request, id, found.warning)).await;
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
        }
        if self.state.admission.is_stopping() && version < Version::HTTP_2 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.headers.add(response)
    }

    /// The answer of the routes, or of this where there is no place, no memory, no time left, or a panic.
    async fn run(&mut self, request: Request, id: RequestId, warning: Option<ProxyWarning>) -> Response {
        if let Some(warning) = warning {
            self.state.proxy_warnings.tell(&warning, self.state.now());
        }
        let (state, from) = (&self.state, client_ip::client_ip(request.extensions()));
        let path = RedactedPath(request.uri().path());
        let span = tracing::debug_span!("request", id = id.as_str(), method = %request.method(), %path);
        let kind = kind(&request);
        let format = ErrorFormat::by(&request, kind);
        let of = from.and_then(|from| client_ip::quota_network(from, &state.config.trusted_proxies));
        let Some(_place) = state.admission.admit(kind) else { return refuse(state, id, format, AppError::Unavailable) };
        let Ok((request, given_up)) = request_body::watch(request, state, (kind, of)) else {
            return refuse(state, id, format, AppError::Unavailable);
        };
        if kind != RequestClass::Probe && state.admission.answers.is_spent(of) {
            return refuse(state, id, format, AppError::Unavailable);
        }
        let run = AssertUnwindSafe(self.routes.call(request)).catch_unwind();
        let response = match admission::with_timeout(admission::REQUEST_TIMEOUT, run.instrument(span)).await {
            // Each extractor has its own word for a body that it could not read.
            Some(Ok(Ok(_))) if given_up.is_some_and(|given_up| given_up.get()) => {
                refuse(state, id, format, AppError::Unavailable)
            }
            Some(Ok(Ok(response))) => response,
            Some(Err(_)) => {
                request_context::current_span().in_scope(|| tracing::error!("handler panicked"));
                refuse(state, id, format, AppError::Internal)
            }
            None => refuse(state, id, format, AppError::Unavailable),
        };
        denial_log::log_denied(state, &response, from);
        let mut response = response_body::count(response, &state.admission.answers, of);
        if let Some(quota) = request_context::key_quota() {
            rate_limit_headers::add(response.headers_mut(), quota);
        }
        response
    }
}

impl<B> Service<Request<B>> for Middleware
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request.map(Body::new)).await) })
    }
}

fn kind(request: &Request) -> RequestClass {
    match request.uri().path().trim_end_matches('/') {
        "/fn/sign_in" | "/fn/sign_up" => RequestClass::SignIn,
        path if path.starts_with("/fn/") || path.starts_with("/admin/fn/") => RequestClass::Form,
        "/healthz" | "/readyz" => RequestClass::Probe,
        _ => RequestClass::Other,
    }
}

/// In which form a client takes a refusal that no handler has a part in.
#[derive(Clone, Copy)]
enum ErrorFormat {
    Page,
    Function,
    Problem,
}

impl ErrorFormat {
    fn by(request: &Request, kind: RequestClass) -> Self {
        match kind {
            _ if accepts_html(request.headers()) => Self::Page,
            RequestClass::SignIn | RequestClass::Form => Self::Function,
            RequestClass::Probe | RequestClass::Other => Self::Problem,
        }
    }
}

/// Says what went wrong outside of every handler: too many requests run, this one took too long, or it panicked.
fn refuse(state: &AppState, id: RequestId, format: ErrorFormat, error: AppError) -> Response {
    let status = StatusCode::from_u16(error.code().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let wait = error.retry_after();
    let mut response = match format {
        ErrorFormat::Page => error_page(state, (id, None), error),
        ErrorFormat::Function => (status, Json(error)).into_response(),
        ErrorFormat::Problem => api::problem(state, id.as_str(), &error),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = wait {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
