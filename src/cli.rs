//! The commands. Results go to stdout, all else to stderr; a refusal is one line that says why and what to do.

mod backup;
mod copy;
mod doctor;
mod healthcheck;
mod keys;
mod seed;
mod teams;
mod users;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, Write};
use std::net::TcpListener;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use keyfob::error::AppError;
use keyfob::model::redact::{contains_key, redact};
use keyfob::server::config::{Config, LogFormat};
use keyfob::server::db::{Db, OpenError};
use keyfob::server::log_format::{Stderr, one_line};
use keyfob::server::users as accounts;
use keyfob::server::{clock::Clock, state::AppState};
use keyfob::web::api::document;
use keyfob::web::serve::serve;
use tracing_subscriber::EnvFilter;

/// Users, API keys and a key-protected JSON API
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the pages and the API; applies migrations first. The default
    Serve(Box<Serve>),
    /// Apply migrations and end
    Migrate(Database),
    /// Make and change accounts
    #[command(subcommand)]
    User(users::UserCommand),
    /// Make, list and revoke keys
    #[command(subcommand)]
    Key(keys::KeyCommand),
    /// List teams, and repair one that has no active admin left
    #[command(subcommand)]
    Team(teams::TeamCommand),
    /// Make up users, keys and employees, for benchmarks and demos; prints one working key per line
    Seed(seed::Seed),
    /// Copy everything into another database that is empty, of either kind; stop the server on the first one before
    ///
    /// All accounts, sessions, keys, teams, employees, usage and the audit go over, and every key keeps working. What is
    /// written while this runs stays behind: stop the server, copy, then start it with the new `DATABASE_URL`. The copy is
    /// read back and compared before it is kept; whatever fails leaves the new database empty and the old one as it was.
    ///
    /// Others on this machine may see a password that stands on the command line: leave it out of the URL and set `PGPASSWORD`.
    Copy(copy::Databases),
    /// Copy a live SQLite database into a new file; restoring is stopping the server and putting that file in place of its own
    ///
    /// The copy is the database as it stood at one moment, whatever is written meanwhile, and is checked before this ends.
    /// The server goes on. For PostgreSQL there is `pg_dump`.
    Backup(backup::Backup),
    /// Ask the server on this machine whether it is alive, for containers: exit code 0 or 1
    Healthcheck(healthcheck::Healthcheck),
    /// Look for what is wrong with this installation and say what to do; give it the settings that the server gets
    Doctor(Box<Serve>),
    /// Print the description of the API, OpenAPI 3.1; a running server has its own at /api/openapi.json
    Openapi,
}

#[derive(clap::Args)]
struct Serve {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    config: Config,
}

/// Which database a command works on.
#[derive(clap::Args)]
pub struct Database {
    /// `sqlite://path` or `postgres://...`
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://data/keyfob.db", hide_env_values = true)]
    database_url: String,
}

impl Database {
    /// Opens it, with all migrations applied.
    async fn open(&self) -> Result<Db, OpenError> {
        let db = Db::open(&self.database_url).await?;
        db.migrate().await?;
        Ok(db)
    }
}

/// Why a command was refused, in one line.
pub struct CommandError(String);

impl std::fmt::Display for CommandError {
    /// One line, whatever was given on the command line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&one_line(&self.0))
    }
}

impl From<String> for CommandError {
    fn from(sentence: String) -> Self {
        Self(sentence)
    }
}

impl From<OpenError> for CommandError {
    fn from(error: OpenError) -> Self {
        Self(error.to_string())
    }
}

impl From<AppError> for CommandError {
    fn from(error: AppError) -> Self {
        Self(match error {
            AppError::Internal | AppError::Unavailable => {
                format!("{} The lines above have the cause.", error.code().title)
            }
            other => other.detail(),
        })
    }
}

/// Reads the command line. What is wrong with it is said as clap says it, with exit code 2; but for a variable of the
/// environment, which is a setting.
///
/// # Errors
/// One line that names the variable that is wrong.
pub fn parse() -> Result<Cli, CommandError> {
    let matches = without_empty_variables(Cli::command()).try_get_matches();
    let parsed =
        matches.and_then(|found| Cli::from_arg_matches(&found).map_err(|error| error.format(&mut Cli::command())));
    parsed.map_err(|error| {
        if error.kind() == ErrorKind::DisplayHelp {
            // The help names every variable, those that are empty too.
            Cli::command().get_matches();
        }
        wrong_variable(&error).unwrap_or_else(|| exit(&error))
    })
}

/// Takes empty variables for unset ones, as Compose sets them: `KEYFOB_TRUSTED_PROXIES=`.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| if is_empty(&arg) { arg.env(None::<&'static str>) } else { arg });
    command.mut_subcommands(without_empty_variables)
}

/// Ends as clap does. What it says of a wrong argument repeats it, but not a key in it.
fn exit(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    if !contains_key(&text) {
        error.exit();
    }
    let _ = write!(std::io::stderr(), "{}", redact(&text));
    std::process::exit(error.exit_code());
}

fn wrong_variable(error: &clap::Error) -> Option<CommandError> {
    let text = |kind| error.get(kind).map(ToString::to_string);
    let argument = text(ContextKind::InvalidArg)?;
    let flag = argument.split_whitespace().next()?.trim_start_matches('-');
    if std::env::args().any(|given| given.trim_start_matches('-').split('=').next() == Some(flag)) {
        return None;
    }
    let command = Cli::command();
    let commands = command.get_subcommands().flat_map(clap::Command::get_subcommands).chain(command.get_subcommands());
    let mut arguments = commands.chain([&command]).flat_map(clap::Command::get_arguments);
    let variable = arguments.find(|arg| arg.get_long() == Some(flag))?.get_env()?.to_string_lossy().into_owned();
    let why = match (std::error::Error::source(error), text(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(valid)) => format!("use one of {valid}"),
        (None, None) => "see keyfob serve --help".to_owned(),
    };
    Some(CommandError(format!("{variable} is {:?}: {why}.", text(ContextKind::InvalidValue).unwrap_or_default())))
}

/// Runs a command.
///
/// # Errors
/// If it was refused.
pub async fn run(cli: Cli) -> Result<(), CommandError> {
    let command = cli.command.unwrap_or(Command::Serve(Box::new(cli.serve)));
    if !matches!(command, Command::Serve(_)) {
        // A statement that takes long is worth a line on a server; a command has the time that it needs.
        log("warn,sqlx=error", LogFormat::Text)?;
    }
    match command {
        Command::Serve(options) => start(*options).await,
        Command::Migrate(database) => {
            database.open().await?.close().await;
            eprintln!("The database has all migrations.");
            Ok(())
        }
        Command::User(command) => users::run(command).await,
        Command::Key(command) => keys::run(command).await,
        Command::Team(command) => teams::run(command).await,
        Command::Seed(options) => seed::run(options).await,
        Command::Copy(databases) => copy::run(databases).await,
        Command::Backup(options) => backup::run(options).await,
        Command::Healthcheck(options) => healthcheck::run(options).await,
        Command::Doctor(options) => doctor::run(&options.database.database_url, &options.config).await,
        Command::Openapi => openapi(),
    }
}

/// The document of a server with the default settings.
fn openapi() -> Result<(), CommandError> {
    let document = document("http://localhost:8000", "session").to_pretty_json();
    println!("{}", document.map_err(|error| format!("cannot write the document: {error}."))?);
    Ok(())
}

async fn start(Serve { database, config }: Serve) -> Result<(), CommandError> {
    config.check()?;
    log(&config.log, config.log_format)?;
    // The port first: if it is taken, nothing else has happened yet.
    let listener = TcpListener::bind(config.addr)
        .map_err(|error| format!("cannot listen on {}: {error}. Set KEYFOB_ADDR to another address.", config.addr))?;
    let db = Db::open(&database.database_url).await?;
    let _alone = db.lock_for_server()?;
    db.migrate().await?;
    eprintln!("Keyfob is at {}", config.origin());
    if !accounts::is_any(&db).await? {
        eprintln!(
            "There is no account yet. Make the first superuser: keyfob user create --email you@example.com --superuser \
             --password-stdin"
        );
    }
    let state = AppState::new(db, config, Clock::system());
    serve(listener, state, axum::Router::new())
        .await
        .map_err(|error| CommandError(format!("the server stopped: {error}.")))
}

/// # Errors
/// One line, if the filter cannot be read.
fn log(filter: &str, format: LogFormat) -> Result<(), CommandError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| format!("KEYFOB_LOG is {filter:?}: {error}. Use error, warn, info, debug or trace."))?;
    let ansi = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Stderr { json: matches!(format, LogFormat::Json), ansi })
        // It would be told on standard error, and a program that cannot write there, as on a full disk, panics.
        .log_internal_errors(false)
        .with_ansi(ansi);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        // A message may hold what a client sent.
        let _ = writeln!(std::io::stderr(), "{}", one_line(&panic.to_string().replace('\n', " ")));
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            let _ = writeln!(std::io::stderr(), "{trace}");
        }
    }));
    Ok(())
}

/// The first line of standard input: a password. From the keyboard it is asked for.
fn password_from_stdin() -> Result<secrecy::SecretString, CommandError> {
    if std::io::stdin().is_terminal() {
        eprintln!("Type the password and press Enter. It is shown as you type.");
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| format!("cannot read the password: {error}."))?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}
