//! The documentation at `/docs`: the Markdown files of `docs/`, which are embedded in the program.
//!
//! A page is the same for everyone but for the theme, so browsers keep it and ask whether it changed.

mod document;
mod library;
mod markdown;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use leptos::prelude::{Owner, RenderHtml, provide_context};
use sha2::{Digest, Sha256};

use self::document::document;
pub use self::library::{Library, Page, library};
pub use self::markdown::{resolve, slug};
use super::pages::not_found;
use crate::server::request_context;
use crate::server::state::AppState;

/// Content security policy of the pages: no script runs. The one form is the theme's.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// Returns the routes of the pages. `/docs/errors` is one of the application's pages.
pub fn routes() -> Router<AppState> {
    Router::new().route("/docs", get(start)).route("/docs/{page}", get(page))
}

async fn start(State(state): State<AppState>, headers: HeaderMap) -> Response {
    respond(&state, &headers, library().start())
}

async fn page(Path(name): Path<String>, State(state): State<AppState>, parts: Parts) -> Response {
    match library().find(&name) {
        Some(page) => respond(&state, &parts.headers, page),
        None => not_found(State(state), parts).await,
    }
}

/// Responds with a page, or with 304 if the browser has it.
fn respond(state: &AppState, headers: &HeaderMap, page: &'static Page) -> Response {
    let html = Owner::new().with(|| {
        provide_context(request_context::theme());
        document(page, state.site.stylesheet()).to_html()
    });
    let html = format!("<!DOCTYPE html>{html}");
    let digest = Sha256::digest(&html);
    // Weak, because the compressed form has the same tag.
    let tag = format!(
        "W/\"{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}\"",
        digest[0], digest[1], digest[2], digest[3], digest[4], digest[5]
    );
    let is_known = headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| contains(tags, &tag));
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::ETAG, HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("W/\"\""))),
    ];
    if is_known { (StatusCode::NOT_MODIFIED, headers).into_response() } else { (headers, Html(html)).into_response() }
}

fn contains(tags: &HeaderValue, tag: &str) -> bool {
    tags.to_str().is_ok_and(|tags| tags.split(',').any(|known| known.trim() == tag || known.trim() == "*"))
}
