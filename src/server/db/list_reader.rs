//! Reads SQLite on threads of lower priority: searches, sums, pages far from the first. A read is interrupted after a timeout,
//! and when its request ends.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, Error};
use tokio::sync::{Semaphore, oneshot};

use super::pool_stats::{PoolMeter, PoolStats};
use super::query::Mapper;
use super::row::Param;
use super::{inline_reader, pool, with_timeout};
use crate::error::AppError;
use crate::server::background_thread;

/// How many reads run at once, each with a thread and a connection.
const MAX_RUNNING: usize = 4;
/// Steps of SQLite's virtual machine between two checks for an interruption: well below a millisecond.
const CHECK_STEPS: i32 = 1_000;

/// The threads and their connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ListReader {
    file: Arc<Path>,
    running: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
    meter: Arc<PoolMeter>,
}

/// A query for a thread.
struct Job<T> {
    sql: &'static str,
    params: Vec<Value>,
    map: Mapper<T>,
    wanted: Arc<AtomicBool>,
}

/// Interrupts a query when the caller drops it.
struct InterruptOnDrop(Arc<AtomicBool>);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl ListReader {
    /// Opens nothing yet.
    pub fn new(file: &Path) -> Self {
        Self {
            file: file.into(),
            running: Arc::new(Semaphore::new(MAX_RUNNING)),
            idle: Arc::default(),
            meter: Arc::default(),
        }
    }

    /// Returns the rows of a query. After `limit` it is interrupted.
    pub async fn query<T: Send + 'static>(
        &self,
        limit: Duration,
        sql: &'static str,
        params: &[Param<'_>],
        map: Mapper<T>,
    ) -> Result<Vec<T>, AppError> {
        tracing::debug!(target: "sqlx::query", summary = sql, "as sqlx tells its own");
        let running = Arc::clone(&self.running).acquire_owned();
        let running = async { running.await.map_err(|_| sqlx::Error::PoolClosed) };
        let running = self.meter.measure(with_timeout(pool::ACQUIRE_TIMEOUT, running)).await?;
        let wanted = InterruptOnDrop(Arc::new(AtomicBool::new(true)));
        let job = Job { sql, params: params.iter().map(Value::from).collect(), map, wanted: Arc::clone(&wanted.0) };
        let (done, outcome) = oneshot::channel();
        let reader = self.clone();
        let thread = background_thread::spawn("list", move || {
            let found = reader.run(job);
            drop(running);
            let _ = done.send(found);
        });
        thread.map_err(sqlx::Error::Io)?;
        with_timeout(limit, async { outcome.await.map_err(|_| sqlx::Error::WorkerCrashed) }).await??
    }

    /// Runs a query. The outer error is SQLite's, the inner one that of `map`.
    fn run<T>(&self, Job { sql, params, map, wanted }: Job<T>) -> Result<Result<Vec<T>, AppError>, Error> {
        let idle = self.idle().pop();
        let connection = idle.map_or_else(|| inline_reader::open(&self.file), Ok)?;
        connection.progress_handler(CHECK_STEPS, Some(move || !wanted.load(Ordering::Relaxed)))?;
        let found = inline_reader::run(&connection, sql, &params, map);
        self.idle().push(connection);
        found
    }

    /// Returns the state of the threads and their connections.
    pub fn stats(&self) -> PoolStats {
        let in_use = MAX_RUNNING.saturating_sub(self.running.available_permits());
        self.meter.stats("lists", in_use, self.idle().len(), MAX_RUNNING)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::db::row::{Row, params};

    const ENDLESS: &str =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) AS count FROM n";

    fn number(row: Row<'_>) -> Result<i64, AppError> {
        row.get("count")
    }

    fn reader() -> (tempfile::TempDir, ListReader) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.db");
        Connection::open(&file).unwrap().execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);").unwrap();
        (folder, ListReader::new(&file))
    }

    async fn all_are_free(reader: &ListReader) -> bool {
        let all = u32::try_from(MAX_RUNNING).unwrap();
        let free = reader.running.acquire_many(all);
        tokio::time::timeout(Duration::from_secs(5), free).await.is_ok()
    }

    #[tokio::test]
    async fn connection_is_reused() {
        let (_folder, reader) = reader();
        let sql = "SELECT COUNT(*) AS count FROM t WHERE a >= $1";
        for (least, count) in [(1_i64, 2), (2, 1), (3, 0)] {
            let found = reader.query(Duration::from_secs(5), sql, params![least], number).await;
            assert_eq!(found, Ok(vec![count]));
        }
        assert!(all_are_free(&reader).await);
        assert_eq!(reader.idle().len(), 1);
    }

    #[tokio::test]
    async fn statement_is_interrupted_after_its_timeout() {
        let (_folder, reader) = reader();
        for _ in 0..2 * MAX_RUNNING {
            let found = reader.query(Duration::from_millis(20), ENDLESS, &[], number).await;
            assert_eq!(found, Err(AppError::Unavailable));
        }
        assert!(all_are_free(&reader).await, "a statement goes on");
    }

    #[tokio::test]
    async fn statement_is_interrupted_when_its_caller_ends() {
        let (_folder, reader) = reader();
        let waiting = tokio::time::timeout(
            Duration::from_millis(20),
            reader.query(Duration::from_hours(1), ENDLESS, &[], number),
        );
        assert!(waiting.await.is_err());
        assert!(all_are_free(&reader).await, "a statement goes on");
    }
}
