//! The database: SQLite or PostgreSQL behind one SQL text. A query is written once and runs on either by one macro.

pub mod changes;
mod migrate;
mod near;
mod open;
pub mod pool;
pub mod row;
pub mod rows;

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use self::changes::Changes;
use self::near::Near;
use self::pool::{Lent, Pool};
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

/// A connection taken from a pool, for single statements.
pub enum Conn {
    /// To read from SQLite.
    Sqlite(Lent<SqliteConnection>),
    /// The one that writes to SQLite.
    SqliteWriter(PoolConnection<Sqlite>),
    /// Of PostgreSQL.
    Postgres(Lent<PgConnection>),
}

/// A transaction that may write. Dropped without [`Tx::commit`], it changes nothing.
pub struct Tx {
    on: Running,
    /// How long a statement may take.
    limit: Duration,
    changes: Changes,
    /// The keys and users of which something changed that keys depend on.
    changed: Vec<String>,
}

enum Running {
    /// Begun IMMEDIATE.
    Sqlite(Transaction<'static, Sqlite>),
    /// READ COMMITTED; and whether it can tell other processes what changed.
    Postgres(Transaction<'static, Postgres>, bool),
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

/// What a query runs on.
pub enum Backend<'c> {
    /// SQLite.
    Sqlite(&'c mut SqliteConnection),
    /// PostgreSQL.
    Postgres(&'c mut PgConnection),
}

impl Conn {
    /// What the query macros run on.
    pub fn backend(&mut self) -> Backend<'_> {
        match self {
            Self::Sqlite(line) => {
                // Until it is known how this use ends: a request can be cut short while it waits.
                line.sound = false;
                Backend::Sqlite(&mut line.conn)
            }
            Self::SqliteWriter(conn) => Backend::Sqlite(conn),
            Self::Postgres(line) => {
                line.sound = false;
                Backend::Postgres(&mut line.conn)
            }
        }
    }

    /// How long a statement may take.
    #[must_use]
    pub const fn limit(&self) -> Duration {
        LIMIT
    }

    /// Notes how a statement ended: an answer, be it a refusal, shows that the connection is sound.
    pub fn note<T>(&mut self, done: &Result<T, sqlx::Error>) {
        match self {
            Self::Sqlite(line) => line.sound = is_sound(done),
            Self::SqliteWriter(_) => {}
            Self::Postgres(line) => line.sound = is_sound(done),
        }
    }
}

fn is_sound<T>(done: &Result<T, sqlx::Error>) -> bool {
    matches!(done, Ok(_) | Err(sqlx::Error::Database(_) | sqlx::Error::RowNotFound))
}

impl Tx {
    /// What the query macros run on.
    pub fn backend(&mut self) -> Backend<'_> {
        match &mut self.on {
            Running::Sqlite(tx) => Backend::Sqlite(tx),
            Running::Postgres(tx, _) => Backend::Postgres(tx),
        }
    }

    /// Lets statements take as long as they need, for the work that goes over whole tables.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn take_time(&mut self) -> Result<(), sqlx::Error> {
        self.limit = Duration::from_hours(24);
        if let Running::Postgres(tx, _) = &mut self.on {
            let limits = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
            sqlx::raw_sql(limits).execute(&mut **tx).await?;
        }
        Ok(())
    }

    /// How long a statement may take.
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.limit
    }

    /// For the query macros: a transaction's connection is looked after by its pool.
    pub const fn note<T>(&mut self, _: &Result<T, sqlx::Error>) {}

    /// Notes that something changed on which a key depends, or all keys of a user. Nobody keeps what they knew of it: in
    /// this process from the commit on, in others as soon as they hear of it.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn changed(&mut self, id: &str) -> Result<(), sqlx::Error> {
        if let Running::Postgres(tx, true) = &mut self.on {
            let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(id);
            within(self.limit, notify.execute(&mut **tx)).await?;
        }
        self.changed.push(id.to_owned());
        Ok(())
    }

    /// Makes the changes last.
    ///
    /// # Errors
    /// Whatever the database says; then nothing was changed.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        let Self { on, limit, changes, changed } = self;
        let done = within(limit, async {
            match on {
                Running::Sqlite(tx) => tx.commit().await,
                Running::Postgres(tx, _) => tx.commit().await,
            }
        });
        let done = done.await;
        // Also after a failure: it may have come after the commit.
        for id in &changed {
            changes.note(id);
        }
        done
    }
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

pub use self::migrate::{Migrated, migrated, migrations};
pub use self::open::{OpenError, sqlite_file};

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
        Ok(self.transaction(on.await?))
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
        Ok(self.transaction(on))
    }

    fn transaction(&self, on: Running) -> Tx {
        Tx { on, limit: LIMIT, changes: self.changes().clone(), changed: Vec::new() }
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

impl From<sqlx::Error> for AppError {
    /// Logs the cause, once; no text of it reaches a client.
    fn from(error: sqlx::Error) -> Self {
        if is_damage(&error) {
            tracing::error!(%error, "the database is damaged: stop the server and run keyfob doctor");
            Self::Unavailable
        } else if is_outage(&error) {
            tracing::warn!(%error, "the database did not answer");
            Self::Unavailable
        } else {
            tracing::error!(%error, "a query failed");
            Self::Internal
        }
    }
}

impl From<rusqlite::Error> for AppError {
    /// As for sqlx's.
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|error| error.extended_code.cast_unsigned());
        if code.is_some_and(is_damage_to_sqlite) {
            tracing::error!(%error, "the database is damaged: stop the server and run keyfob doctor");
            Self::Unavailable
        } else if code.is_some_and(is_outage_of_sqlite) {
            tracing::warn!(%error, "the database did not answer");
            Self::Unavailable
        } else {
            tracing::error!(%error, "a query failed");
            Self::Internal
        }
    }
}

/// SQLite's codes, the low byte of an extended one: 5 busy, 6 locked, 8 read-only, 10 I/O, 13 full, 14 open.
const fn is_outage_of_sqlite(code: u32) -> bool {
    matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14)
}

/// SQLite's codes: 11 corrupt, 26 not a database.
const fn is_damage_to_sqlite(code: u32) -> bool {
    matches!(code & 0xff, 11 | 26)
}

/// Whether what a file of SQLite holds is not what SQLite has written.
fn is_damage(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let is_sqlite = error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some();
    is_sqlite && error.code().and_then(|code| code.parse().ok()).is_some_and(is_damage_to_sqlite)
}

/// Whether the database is away, locked, full or read-only, rather than the query wrong.
fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // PostgreSQL's classes: 08 connection, 53 resources, 55P03 lock, 57 shut down or timed out.
            let postgres = code.len() == 5 && ["08", "53", "55P03", "57"].iter().any(|class| code.starts_with(class));
            let sqlite = code.parse().is_ok_and(is_outage_of_sqlite);
            if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() { postgres } else { sqlite }
        }),
        _ => false,
    }
}

/// Whether a unique index refused the row. Never by the index's name: SQLite tells none.
#[must_use]
pub fn is_taken(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.is_unique_violation())
}
