//! Every route of the server.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use tower::Layer;
use tower::util::MapRequestLayer;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::normalize_path::{NormalizePath, NormalizePathLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::OpenApiRouter;

use super::admin::{audit_csv, require_superuser, search, search_keys};
use super::api::verify_fast_path::VerifyFastPath;
use super::health::{alive, ready};
use super::middleware::Edge;
use super::middleware::csrf::csrf_layer;
use super::no_js::reauth::require_password;
use super::no_js::reveal_once::{create_key, rotate_key};
use super::server_fn::server_function;
use super::{api, assets, docs, pages, reset_password, security_txt};
use crate::model::wire::VERSION_HEADER;
use crate::server::auth::SessionMemo;
use crate::server::state::AppState;
use crate::server::{request_context, theme};

/// Quality of the compression of pages. Brotli's default of 11 takes many times as long.
const COMPRESSION_QUALITY: i32 = 4;

/// The server as one service. Every path answers with and without a trailing slash.
pub type WebService = Edge<VerifyFastPath<NormalizePath<Router>>>;

/// Returns the service with every route. `own` holds the endpoints that a developer adds; see [`crate::endpoints`].
pub fn router(state: AppState, own: impl Into<OpenApiRouter<AppState>>) -> WebService {
    let admin = Router::new()
        .route("/admin/keys", get(pages::admin_keys).post(search_keys))
        .route("/admin/users", get(pages::admin_users).post(search))
        .route("/admin/apis", get(pages::admin_apis))
        .route("/admin/audit", get(pages::admin_audit).post(search))
        .route("/admin/audit.csv", get(audit_csv))
        .route("/admin/fn/{name}", post(server_function))
        .layer(from_fn_with_state(state.clone(), require_superuser));
    let pages = pages::routes()
        .merge(docs::routes())
        .merge(admin)
        .fallback(pages::not_found)
        .layer(CompressionLayer::new().quality(CompressionLevel::Precise(COMPRESSION_QUALITY)))
        // Not compressed, because a response may show a new key or link: its size would tell something of it (BREACH).
        .route("/fn/{name}", post(server_function))
        .route(
            "/admin/users/reset-link",
            post(reset_password::create_link)
                .get(|| async { Redirect::to("/admin/users") })
                .layer(from_fn_with_state(state.clone(), require_superuser)),
        )
        .route("/profile/keys", post(create_key).get(|| async { Redirect::to("/profile") }))
        .route("/profile/keys/rotate", post(rotate_key).get(|| async { Redirect::to("/profile") }))
        .layer(from_fn_with_state(state.clone(), require_password))
        .layer(from_fn_with_state(state.clone(), enter_page))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(csrf_layer(&state));

    let assets = assets::routes(&state.site).layer(MapRequestLayer::new(|request: Request| {
        request_context::set_route_name("assets");
        request
    }));
    let others = security_txt::routes(&state).route("/healthz", get(alive)).route("/readyz", get(ready));
    let others = others.layer(MapRequestLayer::new(|request: Request| {
        request_context::set_route(request.extensions());
        request
    }));
    let routes = Router::new()
        .merge(api::routes(&state, own.into()))
        .merge(assets)
        .merge(others)
        .merge(pages)
        .with_state(state.clone());
    let routes = NormalizePathLayer::trim_trailing_slash().layer(routes);
    Edge::new(VerifyFastPath::new(state.clone(), routes), state)
}

/// Notes what the handlers of pages and forms need. Answers 409 to a page whose program came from a server of another version: its
/// data may not fit. The program then loads the document, or sends its form as one.
async fn enter_page(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    if request.headers().get(VERSION_HEADER).is_some_and(|version| version.as_bytes() != state.site.version.as_bytes())
    {
        return StatusCode::CONFLICT.into_response();
    }
    request_context::set_route(request.extensions());
    request_context::set_theme(theme::read(request.headers()));
    request.extensions_mut().insert(SessionMemo::default());
    next.run(request).await
}
