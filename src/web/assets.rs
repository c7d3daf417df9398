//! Static files of the browser side: WASM, JavaScript, CSS and icons.

use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use tower::ServiceBuilder;
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, TokioBackend};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::server::site::{EMBEDDED, Site};

/// Response header with the build of a file. The start script of the page compares it with its own; see `app.rs`.
const VERSION: HeaderName = HeaderName::from_static("x-site-version");

/// Returns the routes of the static files, precompressed where the browser accepts it.
pub fn routes<S: Clone + Send + Sync + 'static>(site: &Site) -> Router<S> {
    match site.folder() {
        Some(folder) => routes_of(site, folder, &TokioBackend),
        None => routes_of(site, Path::new(""), &*EMBEDDED),
    }
}

fn routes_of<S: Clone + Send + Sync + 'static>(site: &Site, root: &Path, backend: &impl Backend) -> Router<S> {
    let files = |folder: &Path| {
        let files = ServeDir::with_backend(folder, backend.clone()).precompressed_br();
        files.append_index_html_on_directories(false)
    };
    let keep = |found: &'static str| {
        let keep = move |response: &Response<_>| {
            let is_found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
            Some(HeaderValue::from_static(if is_found { found } else { "no-store" }))
        };
        SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, keep)
    };
    let version = SetResponseHeaderLayer::overriding(VERSION, HeaderValue::from_str(&site.version).ok());
    let pkg = |found| ServiceBuilder::new().layer(keep(found)).layer(version.clone()).service(files(&root.join("pkg")));
    let icon = ServiceBuilder::new().map_request(|mut request: Request| {
        *request.uri_mut() = Uri::from_static("/favicon.svg");
        request
    });
    let by_name = ServiceBuilder::new().map_request(|mut request: Request| {
        let name = request.uri().path().rsplit('/').next().unwrap_or_default();
        if let Ok(uri) = format!("/{name}").parse() {
            *request.uri_mut() = uri;
        }
        request
    });
    Router::new()
        .nest_service(&format!("{}/pkg", site.version), pkg("public, max-age=31536000, immutable"))
        // During a rolling upgrade, a page of one server may request files from another.
        .route_service("/v-{version}/pkg/{file}", by_name.service(pkg("no-cache")))
        .route_service("/favicon.svg", files(root))
        .route_service("/favicon.ico", icon.service(files(root)))
        .route_service("/robots.txt", files(root))
        .route_service("/profile-light.webp", files(root))
        .route_service("/profile-dark.webp", files(root))
        .route_service("/profile-phone-light.webp", files(root))
        .route_service("/profile-phone-dark.webp", files(root))
}
