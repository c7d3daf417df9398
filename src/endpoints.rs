//! Your own endpoints: the one place to add them.

use utoipa_axum::router::OpenApiRouter;

use crate::server::state::AppState;

/// Returns the endpoints that the server has in addition to Keyfob's; none by default.
///
/// A handler is protected by what its signature names: [`Caller`](crate::server::auth::Caller),
/// [`Scoped`](crate::server::auth::Scoped) or [`Superuser`](crate::server::auth::Superuser). The server blocks cross-origin
/// changes, renders the errors of these extractors as problems, and leaves the handler's own answer as it is.
///
/// The endpoint of `examples/protected_endpoint.rs` can be pasted here as it is. `examples/own_app`
/// passes its routes to [`serve`](crate::web::serve::serve). A plain `axum::Router` works too; then the endpoints are
/// not in the OpenAPI document:
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use keyfob::server::auth::Caller;
/// use keyfob::server::state::AppState;
/// use utoipa_axum::router::OpenApiRouter;
///
/// async fn hello(caller: Caller) -> String {
///     format!("Hello, {}", caller.user().label())
/// }
///
/// pub fn routes() -> OpenApiRouter<AppState> {
///     Router::new().route("/api/hello", get(hello)).into()
/// }
/// ```
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
}
