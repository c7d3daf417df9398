//! `keyfob serve`, and the set-up of logging for all commands.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, Write};
use std::net::TcpListener;

use clap::Args;
use keyfob::otlp::Exporter;
use keyfob::server::clock::Clock;
use keyfob::server::config::{Config, LogFormat};
use keyfob::server::db::Db;
use keyfob::server::log_format::{Stderr, one_line, parse_filter};
use keyfob::server::state::AppState;
use keyfob::server::users;
use keyfob::web::metrics;
use keyfob::web::serve::serve_both;

use super::{CommandError, Database};

#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub config: Config,
}

/// Serves until the program is stopped.
pub async fn run(Serve { database, mut config }: Serve) -> Result<(), CommandError> {
    config.check()?;
    init_logging(&config.log, config.log_format)?;
    // The ports first: if one is taken, nothing else has happened yet.
    let listener = TcpListener::bind(config.addr)
        .map_err(|error| format!("cannot listen on {}: {error}. Set KEYFOB_ADDR to another address.", config.addr))?;
    config.exporter = Exporter::from_env()?;
    let metrics = metrics::bind(config.metrics_addr).map_err(|error| error.to_string())?;
    let db = Db::open(&database.database_url).await?;
    let _lock = db.lock_for_server()?;
    db.migrate().await?;
    eprintln!("Keyfob is at {}", config.origin());
    if !users::any_exist(&db).await? {
        eprintln!(
            "There are no users yet. Create the first superuser: keyfob user create --email you@example.com --superuser \
             --password-stdin"
        );
    }
    let state = AppState::new(db, config, Clock::system());
    serve_both(listener, metrics, state, keyfob::endpoints::routes())
        .await
        .map_err(|error| CommandError(format!("the server stopped: {error}.")))
}

/// Sends log lines and panics to stderr.
pub fn init_logging(filter: &str, format: LogFormat) -> Result<(), CommandError> {
    let filter = parse_filter(filter)
        .map_err(|error| format!("KEYFOB_LOG is {filter:?}: {error}. Use error, warn, info, debug or trace."))?;
    let ansi = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Stderr { json: matches!(format, LogFormat::Json), ansi })
        // Internal errors go to stderr with a macro that panics if it cannot write, as on a full disk.
        .log_internal_errors(false)
        .with_ansi(ansi);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        // One line, because a panic message can contain what a client sent.
        let _ = writeln!(std::io::stderr(), "{}", one_line(&panic.to_string().replace('\n', " ")));
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            let _ = writeln!(std::io::stderr(), "{trace}");
        }
    }));
    Ok(())
}
