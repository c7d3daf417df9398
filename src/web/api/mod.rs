//! The JSON API: its routes, and what all of them have in common.

mod body;
mod docs;
mod employees;
mod key;
mod layer;
mod leaked_keys;
mod openapi;
mod problem;
mod verify;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use self::layer::ApiLayer;
use crate::error::AppError;
use crate::server::auth::sessions;
use crate::server::state::AppState;

pub use self::problem::body as problem;

/// The route of a handler, with all that the document says of it.
macro_rules! endpoint {
    ($origin:ident, $($handler:ident)::+) => {
        openapi::describe(routes!($($handler)::+), &$($handler)::+, $origin)
    };
}

/// The endpoints. Each handler names in its signature who may call it, and the document says the same.
fn endpoints(origin: &str) -> OpenApiRouter<AppState> {
    let mut of_team = employees(origin);
    openapi::of_team(of_team.get_openapi_mut(), origin);
    OpenApiRouter::default()
        .nest("/pegasus/employees/api", employees(origin))
        .nest("/a/{team}/employees/api", of_team)
        .routes(endpoint!(origin, key::me))
        .routes(endpoint!(origin, key::show))
        .routes(endpoint!(origin, key::revoke))
        .routes(endpoint!(origin, key::rotate))
        .routes(endpoint!(origin, verify::verify).map(|_| any(verify::verify)))
        .routes(endpoint!(origin, leaked_keys::report))
}

/// The same for a user's own and for a team's.
fn employees(origin: &str) -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(endpoint!(origin, employees::list))
        .routes(endpoint!(origin, employees::create))
        .routes(endpoint!(origin, employees::get))
        .routes(endpoint!(origin, employees::replace))
        .routes(endpoint!(origin, employees::update))
        .routes(endpoint!(origin, employees::delete))
        .routes(endpoint!(origin, employees::aggregate_data))
}

/// The description of the API, OpenAPI 3.1, of a server that people reach at `origin`, as `http://localhost:8000`. `cookie`
/// is the name of its session's.
#[must_use]
pub fn document(origin: &str, cookie: &str) -> OpenApi {
    openapi::finish(endpoints(origin).into_openapi(), origin, cookie)
}

/// The routes of the API. To add one of your own, merge its router here, and refusals, the check of the origin and the
/// headers are the same for it.
pub fn routes(state: &AppState, own: Router<AppState>) -> Router<AppState> {
    let origin = state.config.origin();
    let (router, api) = endpoints(&origin).split_for_parts();
    let api = openapi::finish(api, &origin, sessions::cookie_name(&state.config));
    let docs = docs::routes(api)
        .layer(from_fn_with_state(state.clone(), problem::into_problem))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    router
        .route("/pegasus", any(nothing))
        .route("/pegasus/{*rest}", any(nothing))
        .route("/a/{team}/employees/api/{*rest}", any(nothing))
        .route("/api", any(nothing))
        .route("/api/{*rest}", any(nothing))
        .merge(own)
        .layer(ApiLayer(state.clone()))
        .merge(docs)
}

async fn nothing() -> AppError {
    AppError::NotFound
}
