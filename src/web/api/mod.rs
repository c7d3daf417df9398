//! The JSON API and its description.

mod body;
mod cors;
mod docs;
mod employees;
mod key;
mod layer;
mod leaked_keys;
mod openapi;
pub mod problem;
mod verify;
pub mod verify_fast_path;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::routing::any;
use tower::util::MapRequestLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use self::layer::ApiLayer;
use crate::error::AppError;
use crate::server::auth::sessions;
use crate::server::request_context;
use crate::server::state::AppState;
use crate::web::error_response::method_not_allowed;

/// Route of a handler, with its description.
macro_rules! endpoint {
    ($origin:ident, $($handler:ident)::+) => {
        openapi::describe(routes!($($handler)::+), &$($handler)::+, $origin)
    };
}

/// Returns Keyfob's endpoints. Each handler names in its signature who may call it, and the description follows.
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

/// Returns the endpoints of employees, for the paths of a user and of a team.
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

/// Returns the description of the API (OpenAPI 3.1) for a server at `origin`, such as `http://localhost:8000`. `cookie` is
/// the name of the session cookie.
#[must_use]
pub fn document(origin: &str, cookie: &str, own: impl Into<OpenApiRouter<AppState>>) -> OpenApi {
    openapi::finish(endpoints(origin).into_openapi(), own.into().into_openapi(), origin, cookie)
}

/// Returns the routes of the API: Keyfob's endpoints, the developer's `own` ones, and the description of both.
pub fn routes(state: &AppState, own: OpenApiRouter<AppState>) -> Router<AppState> {
    let origin = state.config.origin();
    let (keyfob, api) = endpoints(&origin).split_for_parts();
    let (own, own_api) = own.split_for_parts();
    let api = openapi::finish(api, own_api, &origin, sessions::cookie_name(&state.config));
    let keyfob = keyfob
        .route("/pegasus", any(not_found))
        .route("/pegasus/{*rest}", any(not_found))
        .route("/a/{team}/employees/api/{*rest}", any(not_found))
        .route("/api", any(not_found))
        .route("/api/{*rest}", any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(ApiLayer::for_keyfob(state));
    let own = own.method_not_allowed_fallback(method_not_allowed).layer(ApiLayer::for_own_endpoints(state));
    let docs = docs::routes(api)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(MapRequestLayer::new(|request: Request| {
            request_context::enter_api();
            request_context::set_route(request.extensions());
            request
        }));
    keyfob.merge(own).merge(docs)
}

async fn not_found() -> AppError {
    AppError::NotFound
}
