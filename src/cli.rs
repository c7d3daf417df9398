//! Command line: parsing and dispatch. Results go to stdout, everything else to stderr. A command that fails prints one line
//! that says why and what to do.

mod apis;
mod backup;
mod copy;
mod docs;
mod doctor;
mod healthcheck;
mod import;
mod keys;
mod seed;
mod serve;
mod teams;
mod users;

use std::fmt;
use std::io::{IsTerminal, Write};

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use keyfob::endpoints;
use keyfob::error::AppError;
use keyfob::model::redact::{contains_key, redact};
use keyfob::server::config::LogFormat;
use keyfob::server::db::{Db, OpenError};
use keyfob::server::log_format::one_line;
use keyfob::web::api::document;

use self::serve::{Serve, init_logging};

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
    /// Apply migrations, then serve the pages and the API (the default)
    Serve(Box<Serve>),
    /// Apply migrations and exit
    Migrate(Database),
    /// Create and manage users
    #[command(subcommand)]
    User(users::UserCommand),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Key(keys::KeyCommand),
    /// Register, list and remove the APIs that Keyfob protects
    #[command(subcommand)]
    Api(apis::ApiCommand),
    /// List teams, and rescue a team without an active admin
    #[command(subcommand)]
    Team(teams::TeamCommand),
    /// Create demo users, keys and employees, and print one working key per line
    Seed(seed::Seed),
    /// Import users, API keys and teams of another program
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Copy all data into an empty database of either kind
    ///
    /// Stop the server, run this command, then start the server with the new `DATABASE_URL`. Data that is written during the
    /// copy is missed.
    ///
    /// Copies users, sessions, keys, teams, employees, usage and the audit; every key keeps working. The command compares both
    /// databases before it keeps the copy. If anything fails, the new database stays empty and the old one unchanged.
    ///
    /// Other users of this machine can see a password on the command line. Leave it out of the URL and set `PGPASSWORD`.
    Copy(copy::Databases),
    /// Back up a live SQLite database into a new file
    ///
    /// The server keeps running. The copy is the database at one moment, and is checked before the command ends. To restore it,
    /// stop the server and put the file in place of the database. For PostgreSQL, use `pg_dump`.
    Backup(backup::Backup),
    /// Check whether the server on this machine is alive (exit code 0 or 1)
    Healthcheck(healthcheck::Healthcheck),
    /// Check this installation and say how to fix problems; takes the same settings as `serve`
    Doctor(Box<Serve>),
    /// Print the OpenAPI 3.1 document; a running server has its own at /api/openapi.json
    Openapi,
}

/// Database that a command works on.
#[derive(clap::Args)]
pub struct Database {
    /// Database to use: `sqlite://path` or `postgres://...`
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://data/keyfob.db", hide_env_values = true)]
    database_url: String,
}

impl Database {
    /// Opens the database and applies all migrations.
    async fn open(&self) -> Result<Db, OpenError> {
        let db = Db::open(&self.database_url).await?;
        db.migrate().await?;
        Ok(db)
    }
}

/// Why a command failed, as one line.
pub struct CommandError(String);

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
                format!("{} See the lines above for the cause.", error.code().title)
            }
            other => other.detail(),
        })
    }
}

/// Parses the command line. Wrong arguments end the program with clap's message and exit code 2; a wrong environment variable
/// is an error like any other.
pub fn parse() -> Result<Cli, CommandError> {
    let matches = without_empty_variables(Cli::command()).try_get_matches();
    let parsed =
        matches.and_then(|found| Cli::from_arg_matches(&found).map_err(|error| error.format(&mut Cli::command())));
    parsed.map_err(|error| {
        if error.kind() == ErrorKind::DisplayHelp {
            // The help lists empty variables too, so parse again with all of them.
            Cli::command().get_matches();
        }
        wrong_variable(&error).unwrap_or_else(|| exit(&error))
    })
}

/// Treats empty variables as unset, because Compose sets them: `KEYFOB_TRUSTED_PROXIES=`.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| if is_empty(&arg) { arg.env(None::<&'static str>) } else { arg });
    command.mut_subcommands(without_empty_variables)
}

/// Exits like clap, but without a key in the message, which repeats the argument.
fn exit(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    if !contains_key(&text) {
        error.exit();
    }
    let _ = write!(std::io::stderr(), "{}", redact(&text));
    std::process::exit(error.exit_code());
}

/// Returns the error that names the environment variable, if the wrong value came from one.
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
pub async fn run(cli: Cli) -> Result<(), CommandError> {
    let command = cli.command.unwrap_or(Command::Serve(Box::new(cli.serve)));
    if !matches!(command, Command::Serve(_)) {
        // Slow statements are worth a log line on a server, but not in a command.
        init_logging("warn,sqlx=error", LogFormat::Text)?;
    }
    match command {
        Command::Serve(options) => serve::run(*options).await,
        Command::Migrate(database) => migrate(&database).await,
        Command::User(command) => users::run(command).await,
        Command::Key(command) => keys::run(command).await,
        Command::Api(command) => apis::run(command).await,
        Command::Team(command) => teams::run(command).await,
        Command::Seed(options) => seed::run(options).await,
        Command::Import(command) => import::run(command).await,
        Command::Copy(databases) => copy::run(databases).await,
        Command::Backup(options) => backup::run(options).await,
        Command::Healthcheck(options) => healthcheck::run(options).await,
        Command::Doctor(options) => doctor::run(&options.database.database_url, &options.config).await,
        Command::Openapi => print_openapi(),
    }
}

async fn migrate(database: &Database) -> Result<(), CommandError> {
    database.open().await?.close().await;
    eprintln!("The database is up to date.");
    Ok(())
}

/// Prints the document of a server with the default settings.
fn print_openapi() -> Result<(), CommandError> {
    let document = document("http://localhost:8000", "session", endpoints::routes()).to_pretty_json();
    println!("{}", document.map_err(|error| format!("cannot write the document: {error}."))?);
    Ok(())
}

/// Reads a password from the first line of standard input.
fn password_from_stdin() -> Result<secrecy::SecretString, CommandError> {
    if std::io::stdin().is_terminal() {
        eprintln!("Type the password and press Enter. It is visible while you type.");
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| format!("cannot read the password: {error}."))?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use clap_complete::Shell;

    use super::{Cli, CommandFactory};

    /// Writes them into the folder `KEYFOB_MANUAL`, for `make dist`.
    #[test]
    fn every_command_has_a_man_page_and_completions() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = std::env::var_os("KEYFOB_MANUAL").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
        let (pages, completions) = (folder.join("man"), folder.join("completions"));
        std::fs::create_dir_all(&pages).unwrap();
        std::fs::create_dir_all(&completions).unwrap();
        clap_mangen::generate_to(Cli::command(), &pages).unwrap();
        let files = [Shell::Bash, Shell::Fish, Shell::Zsh]
            .map(|shell| clap_complete::generate_to(shell, &mut Cli::command(), "keyfob", &completions).unwrap());
        for file in files {
            assert_contains(&file, &["serve", "revoke", "public-url"]);
        }
        assert_contains(&pages.join("keyfob.1"), &["KEYFOB_ADDR"]);
        assert_contains(&pages.join("keyfob-user-create.1"), &["password"]);
        let mut commands = vec![("keyfob".to_owned(), Cli::command())];
        while let Some((name, command)) = commands.pop() {
            assert!(pages.join(format!("{name}.1")).is_file(), "{name} has no man page");
            let subcommands = command.get_subcommands().cloned();
            commands.extend(subcommands.map(|command| (format!("{name}-{}", command.get_name()), command)));
        }
    }

    fn assert_contains(file: &Path, words: &[&str]) {
        let text = std::fs::read_to_string(file).unwrap();
        for word in words {
            assert!(text.contains(word), "{} lacks {word}", file.display());
        }
    }
}
