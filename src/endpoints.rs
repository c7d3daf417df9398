//! Your own endpoints: the one place to add them.

use utoipa_axum::router::OpenApiRouter;

use crate::server::state::AppState;

/// Returns the endpoints that the server has in addition to Keyfob's; none by default.
///
/// A handler is protected by what its signature names: [`Caller`](crate::server::auth::Caller),
/// [`Scoped`](crate::server::auth::Scoped) or [`Superuser`](crate::server::auth::Superuser). The server blocks cross-origin
/// changes, renders the errors of these extractors as problems, and leaves the handler's own answer as it is.
///
/// `examples/protected_endpoint.rs` is a complete program; its endpoint can be pasted here as it is:
///
/// ```ignore
/// pub fn routes() -> OpenApiRouter<AppState> {
///     OpenApiRouter::new().routes(routes!(hello))
/// }
/// ```
///
/// A plain `axum::Router` works too, with `.into()`; then the endpoints are not in the OpenAPI document.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
}
