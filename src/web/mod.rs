//! The HTTP server: middleware, routes, rendering and the JSON API.

mod admin;
pub mod api;
pub mod assets;
pub mod docs;
pub mod error_response;
mod health;
pub mod listener;
pub mod metrics;
pub mod middleware;
pub mod no_js;
pub mod page_request;
pub mod pages;
mod reset_password;
pub mod router;
pub mod security_txt;
pub mod serve;
mod server_fn;
mod shutdown;
pub mod ssr;
mod wire;
