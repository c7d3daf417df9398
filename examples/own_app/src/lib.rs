//! An app of its own that uses Keyfob as a library. Users, keys, sessions and their pages come from Keyfob. The app adds:
//!
//! | what | where |
//! |---|---|
//! | a table with its migration | [`MIGRATIONS`], `migrations/` |
//! | an API with scopes for keys | [`API`] |
//! | a page with a link in the navigation | [`pages`], [`links`] |
//! | endpoints that keys can call | [`api`] |

pub mod api;
pub mod notes;
pub mod pages;

use axum::Router;
use axum::routing::get;
use keyfob::model::own_link::OwnLink;
use keyfob::server::apis::own::{OwnApi, OwnScope};
use keyfob::server::db::OwnMigration;
use keyfob::server::state::AppState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The app's tables.
pub const MIGRATIONS: &[OwnMigration] =
    &[OwnMigration { version: 1, name: "notes", sql: include_str!("../migrations/0001_notes.sql") }];

/// What people can limit a key to.
pub const API: OwnApi = OwnApi {
    slug: "notes",
    name: "Notes",
    scopes: &[OwnScope::of::<api::NotesRead>(), OwnScope::of::<api::NotesWrite>()],
};

/// Links for the navigation of every page.
pub fn links() -> Vec<OwnLink> {
    vec![OwnLink { path: "/notes".to_owned(), label: "Notes".to_owned() }]
}

/// The app's routes. The endpoints of the API are in Keyfob's OpenAPI document too.
pub fn routes() -> OpenApiRouter<AppState> {
    let pages: Router<AppState> = Router::new().route("/notes", get(pages::show).post(pages::add));
    OpenApiRouter::new().routes(routes!(api::list, api::create)).routes(routes!(api::get)).merge(pages.into())
}
