//! `keyfob api`

use clap::{Args, Subcommand};
use keyfob::model::apis::{Api, ApiForm, NewScope};
use keyfob::server::apis;
use keyfob::server::apis::Registrar;
use keyfob::server::audit::Actor;
use keyfob::server::clock::Clock;

use super::{CommandError, Database};

#[derive(Subcommand)]
pub enum ApiCommand {
    /// Register an API that Keyfob protects, with its scopes
    Add(Add),
    /// List the registered APIs: slug, requests per minute and key, scopes, name
    List(Database),
    /// Remove an API; keys that are limited to it stop working
    Remove {
        #[command(flatten)]
        database: Database,
        /// Slug of the API, such as billing
        slug: String,
    },
}

#[derive(Args)]
pub struct Add {
    #[command(flatten)]
    database: Database,
    /// Slug: the first part of the names of its scopes
    #[arg(long)]
    slug: String,
    /// Name on pages
    #[arg(long)]
    name: String,
    /// What the API is for
    #[arg(long, default_value = "")]
    description: String,
    /// Requests per minute and key; no limit if left out
    #[arg(long)]
    rate: Option<u32>,
    /// Scope that changes something, such as pay; read-only keys lack it; repeatable
    #[arg(long, value_name = "NAME")]
    scope: Vec<String>,
    /// Scope that only reads, such as invoices; repeatable
    #[arg(long, value_name = "NAME")]
    read_scope: Vec<String>,
}

pub async fn run(command: ApiCommand) -> Result<(), CommandError> {
    match command {
        ApiCommand::Add(options) => add(options).await,
        ApiCommand::List(database) => {
            for api in apis::list(&database.open().await?).await? {
                println!("{}", line(&api));
            }
            Ok(())
        }
        ApiCommand::Remove { database, slug } => remove(&database, &slug).await,
    }
}

async fn add(options: Add) -> Result<(), CommandError> {
    let Add { database, slug, name, description, rate, scope, read_scope } = options;
    let write = scope.iter().map(|name| (name, "write"));
    let scopes = write.chain(read_scope.iter().map(|name| (name, "read")));
    let invalid = |error| CommandError::from(keyfob::error::AppError::Invalid(error));
    let scopes: Result<Vec<_>, _> = scopes.map(|(name, kind)| NewScope::parse(&slug, name, kind)).collect();
    let form = ApiForm { slug, name, description, rate: rate.map(|rate| rate.to_string()).unwrap_or_default() };
    let db = database.open().await?;
    let by = Actor::operator(Clock::system().now());
    apis::add_with_scopes(&db, Registrar::Operator, &form, &scopes.map_err(invalid)?, &by).await?;
    eprintln!("Registered the API {}.", form.slug.trim());
    Ok(())
}

async fn remove(database: &Database, slug: &str) -> Result<(), CommandError> {
    let (db, now) = (database.open().await?, Clock::system().now());
    let known = apis::list(&db).await?;
    let api = apis::find(&known, slug)
        .ok_or_else(|| format!("there is no API {slug:?}. `keyfob api list` lists the registered APIs."))?;
    let affected = apis::count_affected(&db, &api.id, now).await?;
    apis::remove(&db, Registrar::Operator, api.id.as_str(), &Actor::operator(now)).await?;
    eprintln!("Removed the API {slug}. Keys that lost it or its scopes: {}.", affected.count);
    Ok(())
}

fn line(api: &Api) -> String {
    let rate = api.rate.map_or_else(|| "no limit".to_owned(), |rate| format!("{rate}/min"));
    let scope = |scope: &keyfob::model::apis::ApiScope| format!("{} ({})", scope.name, scope.kind().to_lowercase());
    let scopes: Vec<_> = api.scopes.iter().map(scope).collect();
    format!("{}\t{rate}\t{}\t{}", api.slug, scopes.join(" "), api.name)
}
