//! What stands around every endpoint.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use tower::{Layer, Service, ServiceExt};

use super::problem;
use super::problem::ErrorContext;
use super::verify;
use crate::server::auth::api_key_header;
use crate::server::request_context;
use crate::server::state::AppState;
use crate::web::middleware::csrf::csrf_layer;

/// Refuses a client that takes no JSON, and a change that another site asks a browser for; makes problem details of every
/// refusal, and lets nobody keep an answer. A request with a key is not asked where it comes from: no browser adds one by
/// itself, and the key alone decides.
#[derive(Clone, Debug)]
pub struct ApiLayer(pub AppState);

impl<S> Layer<S> for ApiLayer {
    type Service = ApiService<S>;

    fn layer(&self, inner: S) -> ApiService<S> {
        ApiService { state: self.0.clone(), inner }
    }
}

/// An endpoint with its [`ApiLayer`]. By hand and not by `from_fn`, which boxes and clones the endpoint for each request.
#[derive(Clone, Debug)]
pub struct ApiService<S> {
    state: AppState,
    inner: S,
}

impl<S> Service<Request> for ApiService<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        request_context::set_route(request.extensions());
        let (state, asked) = (self.state.clone(), ErrorContext::of(&request));
        let any_accept = request.uri().path() == verify::PATH;
        if !any_accept && let Err(error) = problem::check_accept(request.headers()) {
            return Box::pin(std::future::ready(Ok(finish(asked.refuse(&state, &error)))));
        }
        if api_key_header::is_present(request.headers(), state.config.api_key_header.as_ref()) {
            let run = self.inner.call(request);
            return Box::pin(async move { Ok(finish(asked.into_problem(&state, run.await?))) });
        }
        let run = csrf_layer(&state).layer(self.inner.clone()).oneshot(request);
        Box::pin(async move { Ok(finish(asked.into_problem(&state, run.await?))) })
    }
}

fn finish(mut response: Response) -> Response {
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
