//! The browser's files: WASM, JavaScript and CSS, under a name that changes with their content.

use std::path::Path;

use axum::Router;
use axum::http::{HeaderValue, Response, StatusCode, header};
use leptos::prelude::LeptosOptions;
use sha2::{Digest, Sha256};
use tower::ServiceBuilder;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

/// Where the browser's files are, and under which version.
#[derive(Clone, Debug)]
pub struct Site {
    /// What Leptos wants to know of them.
    pub options: LeptosOptions,
    /// A path that changes when any of them does: `/v-3f2a9c01`. Browsers may keep what is under it for ever.
    pub version: String,
}

impl Site {
    /// Reads the folder that cargo-leptos wrote.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        let options = LeptosOptions::builder()
            .output_name("keyfob")
            .site_root(root.display().to_string())
            .site_pkg_dir("pkg")
            .build();
        let mut content = Sha256::new();
        for name in ["keyfob.js", "keyfob.wasm", "keyfob.css"] {
            match std::fs::read(root.join("pkg").join(name)) {
                Ok(bytes) => content.update(bytes),
                Err(error) => tracing::warn!(%error, "no {name} in {}/pkg: pages work, but plainly", root.display()),
            }
        }
        let digest = content.finalize();
        let version = format!("/v-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
        Self { options, version }
    }

    /// The path of the style sheet.
    #[must_use]
    pub fn stylesheet(&self) -> String {
        format!("{}/pkg/keyfob.css", self.version)
    }

    /// Serves the files, compressed beforehand where the browser takes it.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let root = Path::new(&*self.options.site_root);
        let files = |folder: &Path| ServeDir::new(folder).precompressed_br().append_index_html_on_directories(false);
        let keep = |response: &Response<_>| {
            let found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
            Some(HeaderValue::from_static(if found { "public, max-age=31536000, immutable" } else { "no-store" }))
        };
        let keep = SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, keep);
        let pkg = ServiceBuilder::new().layer(keep).service(files(&root.join("pkg")));
        let icon = |name| tower_http::services::ServeFile::new(root.join(name));
        Router::new()
            .nest_service(&format!("{}/pkg", self.version), pkg)
            .route_service("/favicon.svg", icon("favicon.svg"))
            .route_service("/favicon.ico", icon("favicon.svg"))
            .route_service("/robots.txt", icon("robots.txt"))
    }
}
