//! `keyfob backup`

use std::path::PathBuf;

use clap::Args;
use keyfob::server::maintenance::backup::backup;

use super::{CommandError, Database};

#[derive(Args)]
pub struct Backup {
    #[command(flatten)]
    database: Database,
    /// New file to write; its folder must exist, and the file must not
    file: PathBuf,
}

pub async fn run(Backup { database, file }: Backup) -> Result<(), CommandError> {
    let to = file.clone();
    let copied = tokio::task::spawn_blocking(move || backup(&database.database_url, &to)).await;
    copied.map_err(|error| error.to_string())?.map_err(|refused| refused.to_string())?;
    eprintln!(
        "Backed up to {}. To restore it, stop the server and put this file in place of the database.",
        file.display()
    );
    Ok(())
}
