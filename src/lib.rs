//! Keyfob: users, API keys and a key-protected JSON API, with its pages in Rust too.
//!
//! An app of your own needs these (`examples/own_app` uses all of them):
//!
//! | for | item |
//! |---|---|
//! | settings, database, server | `server::config::Config`, `server::db::Db`, `server::state::AppState`, `web::serve::serve` |
//! | own tables | `server::db::OwnMigration`, `Db::migrate_own`, `Db::query`, `params!` |
//! | own endpoints | `server::auth::{Caller, Scoped, Superuser}`, `error::AppError` |
//! | own scopes | `model::keys::RequiredScope`, `server::apis::own::OwnApi` |
//! | requests to other services | `server::request_context::trace_headers` |
//! | own pages | `web::page_request::UserPage`, `model::own_link::OwnLink` |
//!
//! Everything else is public for Keyfob's own binary and tests, and may change in any version.
//!
//! Imports point one way: `main → cli → web → app → pages → server → model`. The body of a server function in `pages` may name
//! the server: the macro strips it from the browser's side.

// Code of an example or of the README works inside this crate too.
extern crate self as keyfob;

pub mod app;
#[cfg(feature = "ssr")]
pub mod endpoints;
pub mod error;
pub mod model;
/// Export of traces, behind the feature `otlp`.
#[cfg(all(feature = "ssr", feature = "otlp"))]
pub mod otlp;
#[cfg(all(feature = "ssr", not(feature = "otlp")))]
#[path = "otlp_absent.rs"]
pub mod otlp;
#[allow(clippy::needless_pass_by_value, reason = "Leptos components and server functions take owned arguments")]
pub mod pages;
#[cfg(feature = "ssr")]
pub mod server;
#[allow(clippy::needless_pass_by_value, reason = "as for pages")]
pub mod ui;
/// The Unicode tables are large, and only the server needs them.
#[cfg(feature = "ssr")]
mod unicode;
#[cfg(not(feature = "ssr"))]
#[path = "unicode_absent.rs"]
mod unicode;
#[cfg(feature = "ssr")]
pub mod web;

/// Entry point of the browser's side: takes over the page that the server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    // A release leaves it out to keep the download small.
    if cfg!(debug_assertions) {
        console_error_panic_hook::set_once();
    }
    let data: Option<pages::PageData> =
        ui::browser::text_of(ui::navigate::PAGE_DATA_ID).and_then(|text| model::wire::decode_text(&text));
    if let Some(data) = data {
        leptos::mount::hydrate_body(move || app::App(app::AppProps { data }));
        ui::browser::mark_running();
    }
}
