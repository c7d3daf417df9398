//! `keyfob key`

use std::io::{IsTerminal, Read};

use clap::{Args, Subcommand};
use keyfob::model::keys::{Access, ApiLimit, KeyEntry, KeyName, KeySpec, Scopes, complete};
use keyfob::model::time::Timestamp;
use keyfob::model::users::{Email, User};
use keyfob::server::apis;
use keyfob::server::audit::Actor;
use keyfob::server::auth::key_format::{KeyFormatError, PresentedKey};
use keyfob::server::clock::Clock;
use keyfob::server::config::KeyConfig;
use keyfob::server::db::Db;
use keyfob::server::keys;
use keyfob::server::keys::Request;
use keyfob::server::{teams, users};

use super::{CommandError, Database};

/// Longest input of `keyfob key check`; a key has at most 56 characters.
const MAX_CHECKED_BYTES: u64 = 1024;

#[derive(Subcommand)]
pub enum KeyCommand {
    /// Create a key and print it alone on standard output
    Create(Create),
    /// List a user's keys, including revoked ones
    List {
        #[command(flatten)]
        database: Database,
        /// Email address of the user
        #[arg(long)]
        user: String,
    },
    /// Check the form and the checksum of a key that is read from standard input, without a database
    ///
    /// Prints the public prefix. The exit code is 0 for a key, 1 for anything else. A key that passes may be unknown, expired or
    /// revoked: only a server knows.
    Check,
    /// Revoke a key; this cannot be undone
    Revoke {
        #[command(flatten)]
        database: Database,
        /// Prefix as the pages show it, such as `kf_8Qw3ZkPa`, or id
        prefix_or_id: String,
    },
}

#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    config: KeyConfig,
    /// Email address of the user
    #[arg(long)]
    user: String,
    /// Name of the key
    #[arg(long)]
    name: String,
    /// Time until the key expires: 90d, 24h, 15m, 2s
    #[arg(long, default_value = "90d", value_parser = humantime::parse_duration)]
    expires_in: std::time::Duration,
    /// Never expire
    #[arg(long, conflicts_with = "expires_in")]
    no_expiry: bool,
    /// Allow reading only
    #[arg(long)]
    read_only: bool,
    /// Grant only this scope, such as employees:read or one of a registered API; repeatable
    #[arg(long, conflicts_with = "read_only")]
    scope: Vec<String>,
    /// Limit the key to this registered API, by its slug
    #[arg(long, conflicts_with_all = ["read_only", "scope"])]
    api: Option<String>,
    /// Limit the key to this team, by its slug
    #[arg(long)]
    team: Option<String>,
}

pub async fn run(command: KeyCommand) -> Result<(), CommandError> {
    let now = Clock::system().now();
    match command {
        KeyCommand::Create(options) => create(options, now).await,
        KeyCommand::Check => check(),
        KeyCommand::List { database, user } => list(&database.open().await?, &user, now).await,
        KeyCommand::Revoke { database, prefix_or_id } => revoke(&database.open().await?, &prefix_or_id, now).await,
    }
}

async fn create(options: Create, now: Timestamp) -> Result<(), CommandError> {
    let millis = i64::try_from(options.expires_in.as_millis()).unwrap_or(i64::MAX);
    let expires_at = (!options.no_expiry).then(|| now.plus(millis));
    let name = KeyName::parse(&options.name)?;
    let db = options.database.open().await?;
    let access = access(&db, &options).await?;
    let user = find_user(&db, &options.user).await?;
    let team = match &options.team {
        Some(slug) => Some(teams::find(&db, &user.id, slug).await.map_err(|_| not_in_team(slug))?.team.id),
        None => None,
    };
    let spec = KeySpec { name, expires_at, access, team };
    let request = Request { user: &user.id, form: None, spec };
    let made = keys::create(&db, &options.config, request, &Actor::operator(now)).await?;
    println!("{}", made.key);
    eprintln!("Created the key {}. It is shown only once.", made.facts.prefix);
    Ok(())
}

fn check() -> Result<(), CommandError> {
    if std::io::stdin().is_terminal() {
        eprintln!("Paste the key, press Enter, then Ctrl-D. It is visible.");
    }
    let mut text = Vec::new();
    std::io::stdin()
        .take(MAX_CHECKED_BYTES)
        .read_to_end(&mut text)
        .map_err(|error| format!("cannot read the key: {error}."))?;
    let key = PresentedKey::check(text.trim_ascii()).map_err(|error| match error {
        KeyFormatError::Form if text.trim_ascii().is_empty() => {
            "there is no key on standard input. Use: keyfob key check < FILE".to_owned()
        }
        KeyFormatError::Form => "this does not have the form of a key, such as kf_8Qw3ZkPa_ and 38 more letters and \
                                 digits. Pass the key alone, as the server printed it."
            .to_owned(),
        KeyFormatError::Checksum => "this has the form of a key, but its checksum is wrong. Look for a typing error; \
                                     otherwise it is a made-up key."
            .to_owned(),
    })?;
    println!("{}", key.prefix());
    Ok(())
}

/// Returns the access that the options name. What is registered is looked up.
async fn access(db: &Db, options: &Create) -> Result<Access, CommandError> {
    let access = match (&options.api, options.read_only, options.scope.is_empty()) {
        (Some(slug), ..) => Access::Api(Some(ApiLimit { slug: slug.clone(), name: String::new() })),
        (None, true, _) => Access::ReadOnly,
        (None, false, true) => Access::Full,
        (None, false, false) => Access::Only(
            Scopes::parse(options.scope.iter().map(String::as_str))
                .map_err(|_| format!("there is no such scope. Use one of {}.", Scopes::list()))?,
        ),
    };
    if !access.names_apis() {
        return Ok(access);
    }
    complete(access, &apis::list(db).await?).map_err(|_| {
        CommandError("there is no such API or scope. `keyfob api list` lists the registered ones.".to_owned())
    })
}

fn not_in_team(slug: &str) -> CommandError {
    CommandError(format!("the user is not in a team {slug}. `keyfob team list` shows all teams."))
}

async fn list(db: &Db, email: &str, now: Timestamp) -> Result<(), CommandError> {
    let user = find_user(db, email).await?;
    let show = |entry: KeyEntry| {
        let key = entry.key;
        let expires = key.expires_at.map_or_else(|| "never".to_owned(), Timestamp::rfc3339);
        let (status, access) = (key.status(now).label(), key.access.label());
        println!("{}\t{status}\t{access}\t{expires}\t{}\t{}", key.prefix, key.id, key.name.as_str());
    };
    Ok(keys::list(db, &user.id, now, show).await?)
}

async fn revoke(db: &Db, prefix_or_id: &str, now: Timestamp) -> Result<(), CommandError> {
    let found = keys::find(db, prefix_or_id).await?;
    let Some((id, user)) = found else {
        return Err(CommandError(
            "there is no key with this prefix or id. `keyfob key list --user E` lists them.".to_owned(),
        ));
    };
    if !keys::revoke(db, &user, &id, &Actor::operator(now)).await? {
        return Err(CommandError("this key is already revoked.".to_owned()));
    }
    eprintln!("Revoked the key.");
    Ok(())
}

async fn find_user(db: &Db, email: &str) -> Result<User, CommandError> {
    let email = Email::to_find(email)?;
    users::find(db, &email).await?.ok_or_else(|| super::users::unknown_user(&email))
}
