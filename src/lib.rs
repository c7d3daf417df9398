//! Keyfob: users, API keys and a key-protected JSON API, with its pages in Rust too.
//!
//! Arrows point one way: `main → server → app → pages → ui → model`. The one way up is the body of a server function
//! in `pages`, which the macro strips from the browser's side.

// Code of an example or of the README works inside this crate too.
extern crate self as keyfob;

pub mod app;
#[cfg(feature = "ssr")]
pub mod endpoints;
pub mod error;
pub mod model;
#[allow(clippy::needless_pass_by_value, reason = "Leptos components and server functions take owned arguments")]
pub mod pages;
#[cfg(feature = "ssr")]
pub mod server;
#[allow(clippy::needless_pass_by_value, reason = "as for pages")]
pub mod ui;
/// The tables of Unicode are large: only the server has them, and only the server asks.
#[cfg(feature = "ssr")]
mod unicode;
#[cfg(not(feature = "ssr"))]
#[path = "unicode_absent.rs"]
mod unicode;
#[cfg(feature = "ssr")]
pub mod web;

/// Where the browser's side starts: takes over the page that the server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    // In a release it would only make the download larger.
    if cfg!(debug_assertions) {
        console_error_panic_hook::set_once();
    }
    let visit: Option<pages::PageData> =
        ui::browser::text_of(app::PAGE_DATA_ID).and_then(|json| serde_json::from_str(&json).ok());
    if let Some(visit) = visit {
        // Each call of a server function says for whom this page was rendered.
        if let Some(user) = &visit.user {
            let root = format!("{}{}", model::users::PAGE_USER_PATH, user.id);
            let _ = leptos::server_fn::client::try_set_server_url(Box::leak(root.into_boxed_str()));
        }
        leptos::mount::hydrate_body(move || app::App(app::AppProps { visit }));
        ui::browser::mark_running();
    }
}
