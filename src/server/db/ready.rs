//! Readiness: the database answers, has all migrations, and accepts writes.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use tokio::sync::Mutex;

use super::error::{Class, class, read_only};
use super::query::fetch_on;
use super::{Db, postgres_conn, with_timeout};
use crate::error::AppError;
use crate::server::clock::Stopwatch;

/// How long a result is reused. On SQLite each probe is a commit, which waits for the disk.
const PROBE_TTL: Duration = Duration::from_millis(500);
/// How long a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Writes a row and deletes it.
const PROBE: &str = "INSERT INTO locks (name) VALUES ('readyz'); DELETE FROM locks WHERE name = 'readyz'";

/// The last known answer to whether an SQLite file accepts writes. One request at a time probes. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct WriteProbe(Arc<Mutex<Option<ProbeResult>>>);

#[derive(Clone, Copy, Debug)]
struct ProbeResult {
    since: Stopwatch,
    writes: bool,
}

impl WriteProbe {
    async fn writes(&self, write: &SqlitePool) -> bool {
        let mut last = self.0.lock().await;
        if let Some(ProbeResult { since, writes }) = *last
            && since.elapsed() < PROBE_TTL
        {
            return writes;
        }
        let writes = match with_timeout(PROBE_TIMEOUT, commit(write)).await {
            Ok(()) => true,
            // Another process writes.
            Err(error) if class(&error) == Class::Busy || is_late(&error) => true,
            Err(error) => {
                // Logs it.
                let _ = AppError::from(error);
                false
            }
        };
        *last = Some(ProbeResult { since: Stopwatch::start(), writes });
        writes
    }
}

fn is_late(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == ErrorKind::TimedOut)
}

async fn commit(write: &SqlitePool) -> Result<(), sqlx::Error> {
    let mut tx = write.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(PROBE).execute(&mut *tx).await?;
    tx.commit().await
}

impl Db {
    /// Whether the database answers, holds all migrations of this program, and accepts writes.
    pub async fn ready(&self) -> Result<bool, AppError> {
        if !self.has_migrations().await? {
            return Ok(false);
        }
        let (statements, session) = match self {
            Self::Sqlite { write, probe, .. } => return Ok(probe.writes(write).await),
            Self::Postgres { statements, session, .. } => (statements, *session),
        };
        let mut conn = postgres_conn(statements, session).await?;
        let call = conn.call();
        let rows = fetch_on(&mut conn, call, "SELECT current_setting('transaction_read_only') AS read_only").await?;
        if rows.map(|row| row.get::<String>("read_only"))? == ["on"] {
            // The connection is not used again, and the others are checked.
            conn.finish(Err::<(), _>(read_only())).await?;
        }
        Ok(true)
    }
}
