//! Keyfob with one more endpoint, which an API key protects.
//!
//! ```text
//! cargo run --example protected_endpoint
//! curl http://localhost:8000/api/hello -H "Authorization: Api-Key <your-api-key>"
//! ```
//!
//! In this repository, the code between the markers goes into `src/endpoints.rs`, the one place for your own endpoints.

// README: begin
use axum::Json;
use keyfob::model::keys::scope::EmployeesRead;
use keyfob::server::auth::Scoped;
use keyfob::server::state::AppState;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Greet the caller
#[utoipa::path(
    get,
    path = "/api/hello",
    security(("api_key" = ["employees:read"])),
    responses((status = 200, body = String))
)]
async fn hello(caller: Scoped<EmployeesRead>) -> Json<String> {
    Json(format!("Hello, {}", caller.user().label()))
}

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(hello))
}
// README: end

use std::error::Error;
use std::net::TcpListener;

use clap::Parser;
use keyfob::server::clock::Clock;
use keyfob::server::config::Config;
use keyfob::server::db::Db;
use keyfob::web::serve::serve;

/// The settings of `keyfob serve`.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    config: Config,
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://data/keyfob.db")]
    database_url: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Options { config, database_url } = Options::parse();
    config.check()?;
    let listener = TcpListener::bind(config.addr)?;
    let db = Db::open(&database_url).await?;
    db.migrate().await?;
    let state = AppState::new(db, config, Clock::system());
    serve(listener, state, routes()).await?;
    Ok(())
}
