//! Health checks: `/healthz` and `/readyz`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::server::state::AppState;

/// Answers `/healthz`: the process runs.
pub async fn alive() -> &'static str {
    "alive\n"
}

/// Answers `/readyz`: the database answers, accepts writes and is migrated, and the server does not shut down.
pub async fn ready(State(state): State<AppState>) -> Response {
    if state.admission.is_stopping() {
        let headers = [(header::RETRY_AFTER, "2"), (header::CONNECTION, "close")];
        return (StatusCode::SERVICE_UNAVAILABLE, headers, "stopping\n").into_response();
    }
    match state.db.ready().await {
        Ok(true) => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")], "not ready\n").into_response(),
    }
}
