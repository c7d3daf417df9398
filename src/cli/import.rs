//! `keyfob import`

use std::fs::File;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use keyfob::server::audit::Actor;
use keyfob::server::clock::Clock;
use keyfob::server::db::{Db, SchemaState, migrated};
use keyfob::server::import::{Dump, import};

use super::{CommandError, Database};

#[derive(Subcommand)]
pub enum ImportCommand {
    /// Import users, API keys and teams of a Django project, such as Pegasus
    ///
    /// Reads the JSON of `python manage.py dumpdata`: users of any model, keys of djangorestframework-api-key that belong to a
    /// user, teams and memberships. Passwords and keys go on working.
    ///
    /// The command prints what it took, and what it skipped and why. It changes no account, key or team that exists. If
    /// anything fails, nothing is imported.
    Drf(Drf),
}

#[derive(Args)]
pub struct Drf {
    #[command(flatten)]
    database: Database,
    /// File of `dumpdata`, in JSON
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Print what would be imported, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Model of the users, such as `users.customuser`, if the file has several
    #[arg(long, value_name = "APP.MODEL")]
    user_model: Option<String>,
}

pub async fn run(command: ImportCommand) -> Result<(), CommandError> {
    let ImportCommand::Drf(Drf { database, from, dry_run, user_model }) = command;
    let file = File::open(&from).map_err(|error| format!("cannot open {}: {error}.", from.display()))?;
    let dump = Dump::read(file, user_model.as_deref()).map_err(|error| error.to_string())?;
    let db = if dry_run { open_unchanged(&database).await? } else { database.open().await? };
    let report = import(&db, dump, dry_run, &Actor::operator(Clock::system().now())).await?;
    db.close().await;
    print!("{report}");
    if dry_run {
        eprintln!("This was a dry run: nothing was changed.");
    } else {
        eprintln!("Imported. Delete {}: it has password hashes.", from.display());
    }
    Ok(())
}

/// Opens the database without applying migrations.
async fn open_unchanged(database: &Database) -> Result<Db, CommandError> {
    let db = Db::open_existing(&database.database_url).await?;
    let mut tx = db.snapshot().await?;
    let refusal = match migrated(&mut tx).await? {
        SchemaState::UpToDate => return Ok(db),
        SchemaState::Pending => "the database lacks migrations of this program. Run keyfob migrate.",
        SchemaState::Newer => "the database is newer than this program. Start a newer keyfob.",
    };
    Err(CommandError(refusal.to_owned()))
}
