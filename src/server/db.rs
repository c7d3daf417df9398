//! The database: SQLite or PostgreSQL behind one SQL text. A query is written once and runs on either by one macro.

pub mod changes;
mod conn;
mod errors;
mod migrate;
mod near;
mod open;
pub mod pool;
pub mod row;
pub mod rows;

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{PgPool, SqlitePool};

use self::changes::Changes;
use self::conn::Running;
pub use self::conn::{Backend, Conn, Tx};
pub use self::errors::is_taken;
pub use self::migrate::{Migrated, migrated, migrations};
use self::near::Near;
pub use self::open::{OpenError, sqlite_file};
use self::pool::Pool;
use self::row::{Arg, Row};
use crate::error::AppError;

/// The channel on which PostgreSQL tells other processes what changed.
pub const CHANNEL: &str = "keyfob";

/// An open database. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// One writing connection and several that only read.
    Sqlite {
        /// The readers.
        read: Pool<SqliteConnection>,
        /// The one writer.
        write: SqlitePool,
        /// For [`Db::rows`].
        near: Near,
        /// What changed lately.
        changes: Changes,
    },
    /// Connections for single statements, and some for transactions.
    Postgres {
        /// For single statements.
        statements: Pool<PgConnection>,
        /// For transactions.
        transactions: PgPool,
        /// What changed lately.
        changes: Changes,
        /// Whether this server can tell other processes what changed. `CockroachDB` cannot.
        notifies: bool,
    },
}

/// How long a statement of a request may take. A server that is cut off says nothing, and nobody else ends the wait.
const LIMIT: Duration = Duration::from_secs(5);

/// Does work that must end in time.
///
/// # Errors
/// As the work, and if it does not.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = |_| sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time"));
    tokio::time::timeout(limit, work).await.map_err(late)?
}

fn is_sound<T>(done: &Result<T, sqlx::Error>) -> bool {
    matches!(done, Ok(_) | Err(sqlx::Error::Database(_) | sqlx::Error::RowNotFound))
}

/// Runs a statement and gives the number of rows that it changed: `execute!(conn, "UPDATE …", a, b)`.
macro_rules! execute {
    ($on:expr, $sql:expr $(, $arg:expr)* $(,)?) => {{
        let limit = $on.limit();
        let done = match $on.backend() {
            $crate::server::db::Backend::Sqlite(conn) => {
                let done = sqlx::query::<sqlx::Sqlite>($sql)$(.bind($arg))*.execute(conn);
                $crate::server::db::within(limit, done).await.map(|done| done.rows_affected())
            }
            $crate::server::db::Backend::Postgres(conn) => {
                let done = sqlx::query::<sqlx::Postgres>($sql)$(.bind($arg))*.execute(conn);
                $crate::server::db::within(limit, done).await.map(|done| done.rows_affected())
            }
        };
        $on.note(&done);
        done
    }};
}
pub(crate) use execute;

/// Fetches rows as a type: `fetch!(conn, all User, "SELECT …", a)`, with `one`, `optional` or `all`.
macro_rules! fetch {
    ($on:expr, one $row:ty, $($rest:tt)*) => { $crate::server::db::fetch!(@ $on, fetch_one, $row, $($rest)*) };
    ($on:expr, optional $row:ty, $($rest:tt)*) => { $crate::server::db::fetch!(@ $on, fetch_optional, $row, $($rest)*) };
    ($on:expr, all $row:ty, $($rest:tt)*) => { $crate::server::db::fetch!(@ $on, fetch_all, $row, $($rest)*) };
    (@ $on:expr, $method:ident, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {{
        let limit = $on.limit();
        let found = match $on.backend() {
            $crate::server::db::Backend::Sqlite(conn) => {
                let found = sqlx::query_as::<sqlx::Sqlite, $row>($sql)$(.bind($arg))*.$method(conn);
                $crate::server::db::within(limit, found).await
            }
            $crate::server::db::Backend::Postgres(conn) => {
                let found = sqlx::query_as::<sqlx::Postgres, $row>($sql)$(.bind($arg))*.$method(conn);
                $crate::server::db::within(limit, found).await
            }
        };
        $on.note(&found);
        found
    }};
}
pub(crate) use fetch;

/// The pattern of LIKE for texts in lower case that contain this one; empty for an empty one.
#[must_use]
pub fn like(text: &str) -> String {
    let text = text.trim().to_lowercase();
    if text.is_empty() {
        return text;
    }
    let mut pattern = String::from("%");
    for c in text.chars().filter(|c| *c != '\0') {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}

impl Db {
    /// What changed lately.
    #[must_use]
    pub const fn changes(&self) -> &Changes {
        match self {
            Self::Sqlite { changes, .. } | Self::Postgres { changes, .. } => changes,
        }
    }

    /// A connection to read by.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if none could be had in time.
    pub async fn read(&self) -> Result<Conn, AppError> {
        Ok(match self {
            Self::Sqlite { read, .. } => Conn::Sqlite(pool::acquire(read).await?),
            Self::Postgres { statements, .. } => Conn::Postgres(pool::acquire(statements).await?),
        })
    }

    /// The rows that a query gives, read on SQLite without leaving the thread. For queries that an index answers and whose
    /// result is small: what reads much would hold up others, and goes by [`fetch!`].
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if the database does not answer; and what `read` says.
    pub async fn rows<T>(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
        read: impl Fn(Row<'_>) -> Result<T, AppError>,
    ) -> Result<Vec<T>, AppError> {
        let statements = match self {
            Self::Sqlite { read: pool, .. } if pool.is_closed() => return Err(sqlx::Error::PoolClosed.into()),
            Self::Sqlite { near, .. } => return near.rows((sql, args), read),
            Self::Postgres { statements, .. } => statements,
        };
        let mut line = pool::acquire(statements).await?;
        line.sound = false;
        let query = args.iter().fold(sqlx::query(sql), |query, arg| match *arg {
            Arg::Text(text) => query.bind(text),
            Arg::Number(number) => query.bind(number),
            Arg::Flag(flag) => query.bind(flag),
        });
        let found = within(LIMIT, query.fetch_all(&mut line.conn)).await;
        line.sound = is_sound(&found);
        found?.iter().map(|row| read(Row::Postgres(row))).collect()
    }

    /// The same for a query that gives one row at most.
    ///
    /// # Errors
    /// As [`Db::rows`].
    pub async fn row<T>(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
        read: impl Fn(Row<'_>) -> Result<T, AppError>,
    ) -> Result<Option<T>, AppError> {
        Ok(self.rows(sql, args, read).await?.pop())
    }

    /// A connection for one statement that writes.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if none could be had in time.
    pub async fn write(&self) -> Result<Conn, AppError> {
        Ok(match self {
            Self::Sqlite { write, .. } => Conn::SqliteWriter(write.acquire().await?),
            Self::Postgres { statements, .. } => Conn::Postgres(pool::acquire(statements).await?),
        })
    }

    /// A transaction that writes.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if none could be had in time.
    pub async fn begin(&self) -> Result<Tx, AppError> {
        let on = within(LIMIT, async {
            Ok(match self {
                // A transaction that reads first and writes later fails at once where another writer was between.
                Self::Sqlite { write, .. } => Running::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?),
                Self::Postgres { transactions, notifies, .. } => {
                    Running::Postgres(transactions.begin().await?, *notifies)
                }
            })
        });
        Ok(Tx::new(on.await?, self.changes().clone()))
    }

    /// A transaction that reads the database as it stands at its first query, whatever others write meanwhile. On SQLite it
    /// has this process's one writer to itself: it is for commands, not for requests.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if none could be had in time.
    pub async fn snapshot(&self) -> Result<Tx, AppError> {
        let on = match self {
            Self::Sqlite { write, .. } => Running::Sqlite(write.begin_with("BEGIN").await?),
            Self::Postgres { transactions, .. } => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Running::Postgres(transactions.begin_with(begin).await?, false)
            }
        };
        Ok(Tx::new(on, self.changes().clone()))
    }

    /// Closes all connections, after what they are doing.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write, .. } => {
                pool::close(read).await;
                // The connections of `near` outlive this, so that closing the others does not empty the log into the file.
                let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(write).await;
                write.close().await;
            }
            Self::Postgres { statements, transactions, .. } => {
                pool::close(statements).await;
                transactions.close().await;
            }
        }
    }
}
