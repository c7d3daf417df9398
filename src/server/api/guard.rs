//! What stands around every endpoint.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use tower::{Layer, Service, ServiceExt};

use super::problem::{self, Asked};
use super::verify;
use crate::server::auth::credentials;
use crate::server::state::AppState;
use crate::server::{csrf, log};

/// Refuses a client that takes no JSON, and a change that another site asks a browser for; makes problem details of every
/// refusal, and lets nobody keep an answer. A request with a key is not asked where it comes from: no browser adds one by
/// itself, and the key alone decides.
#[derive(Clone, Debug)]
pub struct Guard(pub AppState);

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { state: self.0.clone(), inner }
    }
}

/// An endpoint with its [`Guard`]. By hand and not by `from_fn`, which boxes and clones the endpoint for each request.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    state: AppState,
    inner: S,
}

impl<S> Service<Request> for Guarded<S>
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
        log::name_route(request.extensions());
        let (state, asked) = (self.state.clone(), Asked::of(&request));
        let any_accept = request.uri().path() == verify::PATH;
        if !any_accept && let Err(error) = problem::check_accept(request.headers()) {
            return Box::pin(std::future::ready(Ok(finish(asked.refuse(&state, &error)))));
        }
        if credentials::has_key(request.headers(), state.config.api_key_header.as_ref()) {
            let run = self.inner.call(request);
            return Box::pin(async move { Ok(finish(asked.explain(&state, run.await?))) });
        }
        let run = csrf(&state).layer(self.inner.clone()).oneshot(request);
        Box::pin(async move { Ok(finish(asked.explain(&state, run.await?))) })
    }
}

fn finish(mut response: Response) -> Response {
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
