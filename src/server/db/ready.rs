//! Whether the database answers, has its migrations, and accepts writes.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use tokio::sync::Mutex;

use super::error::{Class, class, read_only};
use super::{Db, fetch, with_timeout};
use crate::error::AppError;
use crate::server::clock::Stopwatch;

/// For how long an answer holds. Each one about SQLite is a commit, which waits for the disk.
const FRESH: Duration = Duration::from_millis(500);
/// How long a commit may take.
const COMMIT: Duration = Duration::from_secs(2);
/// Writes, and leaves nothing.
const WRITE: &str = "INSERT INTO locks (name) VALUES ('readyz'); DELETE FROM locks WHERE name = 'readyz'";

/// Whether an SQLite file accepts writes, as it was found last. One request at a time finds out. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Probe(Arc<Mutex<Option<Probed>>>);

#[derive(Clone, Copy, Debug)]
struct Probed {
    since: Stopwatch,
    writes: bool,
}

impl Probe {
    async fn writes(&self, write: &SqlitePool) -> bool {
        let mut last = self.0.lock().await;
        if let Some(Probed { since, writes }) = *last
            && since.elapsed() < FRESH
        {
            return writes;
        }
        let writes = match with_timeout(COMMIT, commit(write)).await {
            Ok(()) => true,
            // Others write.
            Err(error) if class(&error) == Class::Busy || is_late(&error) => true,
            Err(error) => {
                // Logs it.
                let _ = AppError::from(error);
                false
            }
        };
        *last = Some(Probed { since: Stopwatch::start(), writes });
        writes
    }
}

fn is_late(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == ErrorKind::TimedOut)
}

async fn commit(write: &SqlitePool) -> Result<(), sqlx::Error> {
    let mut tx = write.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(WRITE).execute(&mut *tx).await?;
    tx.commit().await
}

impl Db {
    /// Whether the database answers, holds all migrations of this program, and accepts writes.
    pub async fn ready(&self) -> Result<bool, AppError> {
        if !self.has_migrations().await? {
            return Ok(false);
        }
        if let Self::Sqlite { write, probe, .. } = self {
            return Ok(probe.writes(write).await);
        }
        let mut conn = self.read().await?;
        let (read_only_now,) = fetch!(conn, one(String,), "SELECT current_setting('transaction_read_only')")?;
        if read_only_now == "on" {
            // The connection is not used again, and the others are checked.
            conn.finish(Err::<(), _>(read_only())).await?;
        }
        Ok(true)
    }
}
