//! Every route of the server.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::OpenApiRouter;

use super::admin::{audit_csv, require_superuser, search, search_keys};
use super::health::{alive, ready};
use super::middleware::Edge;
use super::middleware::csrf::csrf_layer;
use super::no_js::reauth::require_password;
use super::no_js::reveal_once::{create_key_without_javascript, rotate_key_without_javascript};
use super::server_fn::server_function;
use super::{api, assets, pages, security_txt};
use crate::server::auth::SessionMemo;
use crate::server::request_context;
use crate::server::state::AppState;

/// Returns the service with every route. `own` holds the endpoints that a developer adds; see [`crate::endpoints`].
pub fn router(state: AppState, own: impl Into<OpenApiRouter<AppState>>) -> Edge {
    let admin = Router::new()
        .route("/admin/keys", get(pages::admin_keys).post(search_keys))
        .route("/admin/users", get(pages::admin_users).post(search))
        .route("/admin/audit", get(pages::admin_audit).post(search))
        .route("/admin/audit.csv", get(audit_csv))
        .route("/admin/fn/{name}", post(server_function))
        .layer(from_fn_with_state(state.clone(), require_superuser));
    let pages = pages::routes()
        .route("/fn/{name}", post(server_function))
        .route("/profile/keys", post(create_key_without_javascript).get(|| async { Redirect::to("/profile") }))
        .route("/profile/keys/rotate", post(rotate_key_without_javascript).get(|| async { Redirect::to("/profile") }))
        .merge(admin)
        .fallback(pages::not_found)
        .layer(from_fn_with_state(state.clone(), require_password))
        .layer(from_fn(remember_session))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(csrf_layer(&state));

    let routes = Router::new()
        .merge(api::routes(&state, own.into()))
        .merge(assets::routes(&state.site))
        .merge(security_txt::routes(&state))
        .merge(pages)
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .with_state(state.clone());
    Edge::new(routes, state)
}

async fn remember_session(mut request: Request, next: Next) -> Response {
    request_context::set_route(request.extensions());
    request.extensions_mut().insert(SessionMemo::default());
    next.run(request).await
}
