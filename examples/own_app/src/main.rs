//! The program: Keyfob's settings, its server, and the app's routes.

use std::error::Error;
use std::net::TcpListener;

use clap::Parser;
use keyfob::server::clock::Clock;
use keyfob::server::config::Config;
use keyfob::server::db::Db;
use keyfob::server::state::AppState;
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
    let Options { mut config, database_url } = Options::parse();
    config.check()?;
    config.own_links = own_app::links();
    let listener = TcpListener::bind(config.addr)?;
    let db = Db::open(&database_url).await?;
    let _lock = db.lock_for_server()?;
    db.migrate().await?;
    db.migrate_own(own_app::MIGRATIONS).await?;
    let clock = Clock::system();
    own_app::API.register(&db, clock.now()).await?;
    println!("The app is at {}", config.origin());
    serve(listener, AppState::new(db, config, clock), own_app::routes()).await?;
    Ok(())
}
