//! What stands around every request, whatever it asks for: its id, its place among those that run, the time it may take, and an
//! answer where a handler panics. One service of our own, for as layers each of these would be boxed and cloned for each
//! route and each request: together half as much again as the rest of the check of a key.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Extensions, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Json, Router};
use futures_util::FutureExt;
use tower::{Layer, Service};
use tower_http::normalize_path::{NormalizePath, NormalizePathLayer};
use tracing::Instrument;

use super::auth::client::{self, Doubt};
use super::auth::secrets;
use super::headers::Headers;
use super::load::{self, Kind};
use super::log::{self, Shown, Subject};
use super::state::AppState;
use super::{MAX_BODY, answer_body, api, failure, page_user, request_body, takes_html};
use crate::error::AppError;

/// The server as a service: the routes, and what stands around them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Receive {
    state: AppState,
    headers: Headers,
    routes: NormalizePath<Router>,
}

impl Receive {
    /// Around these routes. Every path answers with and without its last slash.
    #[must_use]
    pub fn around(routes: Router, state: AppState) -> Self {
        let headers = Headers::of(&state.config);
        Self { state, headers, routes: NormalizePathLayer::trim_trailing_slash().layer(routes) }
    }

    async fn answer(mut self, mut request: Request) -> Response {
        let found = client::find(request.extensions(), request.headers(), &self.state.config.trusted_proxies);
        request.extensions_mut().insert(found.client);
        page_user::take_from_path(&mut request);
        let id = RequestId(secrets::make_request_id());
        request.extensions_mut().insert(id);
        DefaultBodyLimit::max(MAX_BODY).apply(&mut request);
        let (subject, version) = (Subject::of(&request, id), request.version());
        let mut response = subject.run(self.run(request, id, found.doubt)).await;
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
        }
        if self.state.load.is_stopping() && version < Version::HTTP_2 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.headers.add(response)
    }

    /// The answer of the routes, or of this where there is no place, no memory, no time left, or a panic.
    async fn run(&mut self, request: Request, id: RequestId, doubt: Option<Doubt>) -> Response {
        if let Some(doubt) = doubt {
            self.state.doubts.tell(&doubt, self.state.now());
        }
        let (state, from) = (&self.state, client::address(request.extensions()));
        let path = Shown(request.uri().path());
        let span = tracing::debug_span!("request", id = id.as_str(), method = %request.method(), %path);
        let kind = kind(&request);
        let taken = Taken::by(&request, kind);
        let of = from.and_then(|from| client::limited(from, &state.config.trusted_proxies));
        let Some(_place) = state.load.admit(kind) else { return refuse(state, id, taken, AppError::Unavailable) };
        let Ok((request, given_up)) = request_body::watch(request, state, (kind, of)) else {
            return refuse(state, id, taken, AppError::Unavailable);
        };
        if kind != Kind::Probe && state.load.answers.is_spent(of) {
            return refuse(state, id, taken, AppError::Unavailable);
        }
        let run = AssertUnwindSafe(self.routes.call(request)).catch_unwind();
        let response = match load::in_time(load::TIME, run.instrument(span)).await {
            // Each extractor has its own word for a body that it could not read.
            Some(Ok(Ok(_))) if given_up.is_some_and(|given_up| given_up.get()) => {
                refuse(state, id, taken, AppError::Unavailable)
            }
            Some(Ok(Ok(response))) => response,
            Some(Err(_)) => {
                log::request().in_scope(|| tracing::error!("a request broke off: see the panic before this line"));
                refuse(state, id, taken, AppError::Internal)
            }
            None => refuse(state, id, taken, AppError::Unavailable),
        };
        log::note(state, &response, from);
        answer_body::count(response, &state.load.answers, of)
    }
}

impl<B> Service<Request<B>> for Receive
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

/// The id of a request: in the answer's `X-Request-Id`, in problem details and in the log.
#[derive(Clone, Copy, Debug)]
pub struct RequestId([u8; 32]);

impl RequestId {
    /// Of the request that has these extensions.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self([b'0'; 32]))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn kind(request: &Request) -> Kind {
    match request.uri().path().trim_end_matches('/') {
        "/fn/sign_in" | "/fn/sign_up" => Kind::SignIn,
        path if path.starts_with("/fn/") || path.starts_with("/admin/fn/") => Kind::Form,
        "/healthz" | "/readyz" => Kind::Probe,
        _ => Kind::Other,
    }
}

/// In which form a client takes a refusal that no handler has a part in.
#[derive(Clone, Copy)]
enum Taken {
    Page,
    Function,
    Problem,
}

impl Taken {
    fn by(request: &Request, kind: Kind) -> Self {
        match kind {
            _ if takes_html(request.headers()) => Self::Page,
            Kind::SignIn | Kind::Form => Self::Function,
            Kind::Probe | Kind::Other => Self::Problem,
        }
    }
}

/// Says what went wrong outside of every handler: too many requests run, this one took too long, or it panicked.
fn refuse(state: &AppState, id: RequestId, taken: Taken, error: AppError) -> Response {
    let status = StatusCode::from_u16(error.code().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let wait = error.retry_after();
    let mut response = match taken {
        Taken::Page => failure(state, (id, None), error),
        Taken::Function => (status, Json(error)).into_response(),
        Taken::Problem => api::problem(state, id.as_str(), &error),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = wait {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
