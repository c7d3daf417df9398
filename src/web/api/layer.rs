//! Middleware around every endpoint of the JSON API.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::cors::CorsLayer;

use super::cors::{cors_layer, is_cors_request};
use super::problem::PROBLEM_JSON;
use super::verify;
use crate::error::AppError;
use crate::server::auth::api_key_header;
use crate::server::request_context;
use crate::server::state::AppState;
use crate::web::middleware::csrf::csrf_layer;

/// Renders errors of the endpoints as problems, blocks cross-origin changes by a session, and adds `Cache-Control: no-store`
/// where an answer has no such header. The answer of a handler stays as it is. Adds the headers of CORS where the operator allows
/// other origins.
///
/// A request with a key needs no check of its origin: browsers add no key by themselves, and the key alone decides.
#[derive(Clone, Debug)]
pub struct ApiLayer {
    state: AppState,
    /// Whether clients must accept JSON.
    is_json_only: bool,
    cors: Option<CorsLayer>,
}

impl ApiLayer {
    /// Wraps Keyfob's endpoints, which answer in JSON only.
    pub fn for_keyfob(state: &AppState) -> Self {
        Self { state: state.clone(), is_json_only: true, cors: cors_layer(&state.config) }
    }

    /// Wraps endpoints that a developer adds; they may answer in any format.
    pub fn for_own_endpoints(state: &AppState) -> Self {
        Self { state: state.clone(), is_json_only: false, cors: cors_layer(&state.config) }
    }
}

impl<S> Layer<S> for ApiLayer {
    type Service = ApiService<S>;

    fn layer(&self, inner: S) -> ApiService<S> {
        ApiService { layer: self.clone(), inner }
    }
}

/// Endpoint with its [`ApiLayer`]. Written by hand: `from_fn` boxes and clones the endpoint for each request.
#[derive(Clone, Debug)]
pub struct ApiService<S> {
    layer: ApiLayer,
    inner: S,
}

type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl<S> ApiService<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    fn answer(&mut self, request: Request) -> ResponseFuture {
        let state = &self.layer.state;
        // A proxy passes on to `verify` what its client accepts from another server.
        let is_json_only = self.layer.is_json_only && request.uri().path() != verify::PATH;
        if is_json_only && let Err(error) = check_accept(request.headers()) {
            return Box::pin(std::future::ready(Ok(error.into_response())));
        }
        if api_key_header::is_present(request.headers(), state.config.api_key_header.as_ref()) {
            let run = self.inner.call(request);
            return Box::pin(async move { Ok(forbid_storing(run.await?)) });
        }
        let run = csrf_layer(state).layer(self.inner.clone()).oneshot(request);
        Box::pin(async move { Ok(forbid_storing(run.await?)) })
    }
}

impl<S> Service<Request> for ApiService<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> ResponseFuture {
        request_context::enter_api();
        request_context::set_route(request.extensions());
        let Some(cors) = self.layer.cors.clone().filter(|_| is_cors_request(&request)) else {
            return self.answer(request);
        };
        let mut service = self.clone();
        Box::pin(cors.layer(service_fn(move |request| service.answer(request))).oneshot(request))
    }
}

/// Adds `Cache-Control: no-store` to an answer without such a header.
pub fn forbid_storing(mut response: Response) -> Response {
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Rejects a client that accepts no JSON.
fn check_accept(headers: &HeaderMap) -> Result<(), AppError> {
    let mut wanted = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok()).peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    let takes_json = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|part| matches!(part.strip_prefix("q="), Some("0" | "0.0" | "0.00" | "0.000")));
        !refused && matches!(kind.as_str(), "*/*" | "application/*" | "application/json" | PROBLEM_JSON)
    };
    if wanted.flat_map(|value| value.split(',')).any(takes_json) { Ok(()) } else { Err(AppError::NotAcceptable) }
}
