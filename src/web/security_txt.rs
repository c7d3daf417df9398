//! Security contact: `/.well-known/security.txt` (RFC 9116), where `KEYFOB_SECURITY_CONTACT` is set.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::routing::get;
use url::Url;

use crate::model::time::DAY;
use crate::server::state::AppState;

const PATH: &str = "/.well-known/security.txt";
/// Validity of the file, in days. It is generated for each request.
const VALID_DAYS: i64 = 90;

/// Returns the route of the file; none without a contact.
pub fn routes(state: &AppState) -> Router<AppState> {
    match state.config.security_contact.clone() {
        Some(contact) => {
            Router::new().route(PATH, get(async move |State(state): State<AppState>| file(&state, &contact)))
        }
        None => Router::new(),
    }
}

fn file(state: &AppState, contact: &Url) -> ([(HeaderName, HeaderValue); 2], String) {
    let expires = state.now().plus(VALID_DAYS * DAY).rfc3339();
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let keep = (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    let origin = state.config.origin();
    ([kind, keep], format!("Contact: {contact}\nExpires: {expires}\nCanonical: {origin}{PATH}\n"))
}
