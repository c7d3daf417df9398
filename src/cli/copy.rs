//! `keyfob copy`

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use keyfob::server::db::{Db, OpenError};
use keyfob::server::maintenance::copy::{CopyError, copy};

use super::CommandError;

#[derive(Args)]
pub struct Databases {
    /// Database to read: `sqlite://path` or `postgres://...`
    #[arg(long, value_name = "URL")]
    from: String,
    /// Empty database to fill, of either kind; a missing SQLite file is created
    #[arg(long, value_name = "URL")]
    to: String,
}

impl From<CopyError> for CommandError {
    fn from(refused: CopyError) -> Self {
        match refused {
            CopyError::Failed(error) => error.into(),
            other => Self(other.to_string()),
        }
    }
}

pub async fn run(Databases { from, to }: Databases) -> Result<(), CommandError> {
    let named = |flag| move |OpenError(error)| CommandError(error.replace("DATABASE_URL", flag));
    let source = Db::open_to_read(&from).await.map_err(named("--from"))?;
    let target = Db::open(&to).await.map_err(named("--to"))?;
    // Draws on stderr, if that is a terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}%, {eta} to go") {
        bar.set_style(style);
    }
    let copied = copy(&source, &target, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    let copied = copied.await?;
    bar.finish_and_clear();
    source.close().await;
    target.close().await;
    eprintln!("{:<10} {:>12}  digest", "table", "rows");
    for (table, contents) in copied {
        eprintln!("{:<10} {:>12}  {}", table.name, contents.rows, contents.short());
    }
    eprintln!("Copied and verified: every table has the same rows and digest as its source.");
    Ok(())
}
