//! The OpenAPI document and Swagger UI, a page to try the API. Both are public.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, serve};

use crate::error::AppError;
use crate::server::state::AppState;

/// The page. Its paths are absolute, because it answers with and without its last slash.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Keyfob API</title>
<link rel="icon" href="/favicon.svg">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
<link rel="stylesheet" href="/api/docs/index.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. What it shows is in <a href="/api/openapi.json">openapi.json</a>.</noscript>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/swagger-initializer.js"></script>
</body>
</html>
"#;

/// Content security policy of the page: files of this server, and the images in Swagger UI's style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const INITIALIZER: &str = "swagger-initializer.js";

/// Starts Swagger UI. Its own script needs the preset with a top bar, another 250 kB. Without a validator, which would send the
/// document to another server.
const START: &str = r##"window.ui = SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: "none",
  tryItOutEnabled: true,
  displayRequestDuration: true,
});
"##;

/// Returns the routes of the document, of the page, and of the files that it loads.
pub fn routes(api: OpenApi) -> Router<AppState> {
    let api = Arc::new(api);
    Router::new()
        .route("/api/openapi.json", get(async move || Json(Arc::clone(&api)).into_response()))
        .route("/api/docs", get(([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE))))
        .route("/api/docs/{file}", get(file))
}

/// Returns a file of Swagger UI. Browsers may cache it for an hour.
async fn file(Path(name): Path<String>) -> Result<Response, AppError> {
    let keep = (header::CACHE_CONTROL, "public, max-age=3600".to_owned());
    if name == INITIALIZER {
        return Ok(([(header::CONTENT_TYPE, "text/javascript".to_owned()), keep], START).into_response());
    }
    let file = serve(&name, Arc::new(Config::from("/api/openapi.json"))).ok().flatten().ok_or(AppError::NotFound)?;
    Ok(([(header::CONTENT_TYPE, file.content_type), keep], file.bytes.into_owned()).into_response())
}
