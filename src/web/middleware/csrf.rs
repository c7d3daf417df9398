//! Cross-site request forgery protection by request headers (OWASP, Fetch Metadata).

use axum::response::{IntoResponse, Response};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::error::AppError;
use crate::server::state::AppState;

/// Returns the check that a change comes from a page of this site: by `Sec-Fetch-Site`, or by `Origin` against `Host`.
pub fn csrf_layer(state: &AppState) -> CsrfLayer<fn(ProtectionError) -> Response> {
    let reject: fn(ProtectionError) -> Response = |_| AppError::CrossOrigin.into_response();
    let layer = CsrfLayer::new().with_rejection_response(reject);
    // A proxy may set its own Host; browsers still send the public address as Origin.
    layer.clone().add_trusted_origin(state.config.origin()).unwrap_or(layer)
}
