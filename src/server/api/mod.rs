//! The JSON API: its routes, and what all of them have in common.

mod body;
mod employees;
mod key;
mod leaked_keys;
mod problem;
mod verify;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get, post};
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
    let mut router = Router::new();
    // The same for a user's own and for a team's.
    for base in ["/pegasus/employees/api", "/a/{team}/employees/api"] {
        router = router
            .route(&format!("{base}/employees"), employees.clone())
            .route(&format!("{base}/employees/{{id}}"), employee.clone())
            .route(&format!("{base}/employee-data"), get(employees::aggregate_data))
            .route(&format!("{base}/{{*rest}}"), any(nothing));
    }
    router
        .route("/api/v1/me", get(key::me))
        .route("/api/v1/key", get(key::show).delete(key::revoke))
        .route("/api/v1/key/rotate", post(key::rotate))
        .route("/api/v1/verify", any(verify::verify))
        .route("/api/v1/leaked-keys", leaked_keys::route())
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
