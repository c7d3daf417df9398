//! The browser's files: WASM, JavaScript and CSS, under a name that changes with their content. They are in a folder, or part of
//! the program.

mod embedded;

use std::io;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use leptos::prelude::LeptosOptions;
use sha2::{Digest, Sha256};
use tower::ServiceBuilder;
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, TokioBackend};
use tower_http::set_header::SetResponseHeaderLayer;

use self::embedded::Embedded;

/// The files that `make dist` makes part of the program; none in any other build.
static EMBEDDED: Embedded = Embedded(include!(concat!(env!("OUT_DIR"), "/site.rs")));

/// Says of which version a file is. By it a page knows the program that it was made for from another one: see `app.rs`.
const VERSION: HeaderName = HeaderName::from_static("x-site-version");

/// Where the browser's files are, and under which version.
#[derive(Clone, Debug)]
pub struct Site {
    /// What Leptos wants to know of them.
    pub options: LeptosOptions,
    /// A path that changes when any of them does: `/v-3f2a9c01`. Browsers may keep what is under it for ever.
    pub version: String,
    /// The folder; none where they are part of the program.
    folder: Option<PathBuf>,
}

impl Site {
    /// The files that are part of the program, or else those in the folder that cargo-leptos wrote.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        let folder = EMBEDDED.0.is_empty().then(|| root.to_owned());
        let options = LeptosOptions::builder()
            .output_name("keyfob")
            .site_root(root.display().to_string())
            .site_pkg_dir("pkg")
            .build();
        let mut content = Sha256::new();
        for name in ["keyfob.js", "keyfob.wasm", "keyfob.css"] {
            match read(folder.as_deref(), &Path::new("pkg").join(name)) {
                Ok(bytes) => content.update(bytes),
                Err(error) => tracing::warn!(%error, "no {name} in {}/pkg: pages work, but plainly", root.display()),
            }
        }
        let digest = content.finalize();
        let version = format!("/v-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
        Self { options, version, folder }
    }

    /// The path of the style sheet.
    #[must_use]
    pub fn stylesheet(&self) -> String {
        format!("{}/pkg/keyfob.css", self.version)
    }

    /// Serves the files, compressed beforehand where the browser takes it.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        match &self.folder {
            Some(folder) => self.routes_of(folder, &TokioBackend),
            None => self.routes_of(Path::new(""), &EMBEDDED),
        }
    }

    fn routes_of<S: Clone + Send + Sync + 'static>(&self, root: &Path, backend: &impl Backend) -> Router<S> {
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
        let version = SetResponseHeaderLayer::overriding(VERSION, HeaderValue::from_str(&self.version).ok());
        let pkg =
            |found| ServiceBuilder::new().layer(keep(found)).layer(version.clone()).service(files(&root.join("pkg")));
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
            .nest_service(&format!("{}/pkg", self.version), pkg("public, max-age=31536000, immutable"))
            // While servers are upgraded one by one, the page of one asks another: with these files it looks as it should.
            .route_service("/v-{version}/pkg/{file}", by_name.service(pkg("no-cache")))
            .route_service("/favicon.svg", files(root))
            .route_service("/favicon.ico", icon.service(files(root)))
            .route_service("/robots.txt", files(root))
    }
}

fn read(folder: Option<&Path>, path: &Path) -> io::Result<Vec<u8>> {
    match folder {
        Some(folder) => std::fs::read(folder.join(path)),
        None => EMBEDDED.read(path).map(<[u8]>::to_vec),
    }
}
