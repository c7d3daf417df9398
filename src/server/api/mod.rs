//! The JSON API: its routes, and what all of them have in common.

mod body;
mod employees;
mod problem;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::auth::credentials;
use super::state::AppState;
use crate::error::AppError;

/// The routes of the API. Each handler names in its signature who may call it. To add one of your own, merge its router
/// here, and refusals, the check of the origin and the headers are the same for it.
pub fn routes(state: &AppState, own: Router<AppState>) -> Router<AppState> {
    let employees = get(employees::list).post(employees::create);
    let employee = get(employees::get).put(employees::replace).patch(employees::update).delete(employees::delete);
    Router::new()
        .route("/pegasus/employees/api/employees", employees)
        .route("/pegasus/employees/api/employees/{id}", employee)
        .route("/pegasus/employees/api/employee-data", get(employees::aggregate_data))
        .route("/pegasus", any(nothing))
        .route("/pegasus/{*rest}", any(nothing))
        .route("/api", any(nothing))
        .route("/api/{*rest}", any(nothing))
        .merge(own)
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(state.clone(), check_origin))
        .layer(from_fn_with_state(state.clone(), problem::render))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

async fn nothing() -> AppError {
    AppError::NotFound
}

/// Refuses a change that another site asks a browser for. A request with a key is let by: no browser adds one by itself,
/// and the key alone decides.
async fn check_origin(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if credentials::has_key(request.headers(), state.config.api_key_header.as_ref()) {
        return next.run(request).await;
    }
    let checked = tower::Layer::layer(&super::csrf(&state), next);
    checked.oneshot(request).await.unwrap_or_else(|never| match never {})
}
