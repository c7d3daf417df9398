//! The database: SQLite or PostgreSQL behind one SQL text. A query is written once and runs on either by one macro.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use crate::error::AppError;

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.set_locking(false); // The lock is ours: sqlx's does nothing on SQLite, and outlives a failure on PostgreSQL.
    migrator
});

/// Names the advisory lock that migrations on PostgreSQL are taken under; any number that nobody else uses.
const MIGRATION_LOCK: i64 = 0x006b_6579_666f_6200;

/// An open database. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// One writing connection and several that only read.
    Sqlite {
        /// The readers.
        read: SqlitePool,
        /// The one writer.
        write: SqlitePool,
    },
    /// One pool for all.
    Postgres(PgPool),
}

/// A connection taken from the pool.
pub enum Conn {
    /// Of SQLite.
    Sqlite(PoolConnection<Sqlite>),
    /// Of PostgreSQL.
    Postgres(PoolConnection<Postgres>),
}

/// A transaction. Dropped without [`Tx::commit`], it changes nothing.
pub enum Tx {
    /// Of SQLite, begun IMMEDIATE if it may write.
    Sqlite(Transaction<'static, Sqlite>),
    /// Of PostgreSQL, READ COMMITTED if it may write.
    Postgres(Transaction<'static, Postgres>),
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
            Self::Sqlite(conn) => Backend::Sqlite(conn),
            Self::Postgres(conn) => Backend::Postgres(conn),
        }
    }
}

impl Tx {
    /// What the query macros run on.
    pub fn backend(&mut self) -> Backend<'_> {
        match self {
            Self::Sqlite(tx) => Backend::Sqlite(tx),
            Self::Postgres(tx) => Backend::Postgres(tx),
        }
    }

    /// Makes the changes last.
    ///
    /// # Errors
    /// Whatever the database says; then nothing was changed.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}

/// Runs a statement and gives the number of rows that it changed: `execute!(conn, "UPDATE …", a, b)`.
macro_rules! execute {
    ($on:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $on.backend() {
            $crate::server::db::Backend::Sqlite(conn) => sqlx::query::<sqlx::Sqlite>($sql)
                $(.bind($arg))*.execute(conn).await.map(|done| done.rows_affected()),
            $crate::server::db::Backend::Postgres(conn) => sqlx::query::<sqlx::Postgres>($sql)
                $(.bind($arg))*.execute(conn).await.map(|done| done.rows_affected()),
        }
    };
}
pub(crate) use execute;

/// Fetches rows as a type: `fetch!(conn, all User, "SELECT …", a)`, with `one`, `optional` or `all`.
macro_rules! fetch {
    ($on:expr, one $row:ty, $($rest:tt)*) => { $crate::server::db::fetch!(@ $on, fetch_one, $row, $($rest)*) };
    ($on:expr, optional $row:ty, $($rest:tt)*) => { $crate::server::db::fetch!(@ $on, fetch_optional, $row, $($rest)*) };
    ($on:expr, all $row:ty, $($rest:tt)*) => { $crate::server::db::fetch!(@ $on, fetch_all, $row, $($rest)*) };
    (@ $on:expr, $method:ident, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $on.backend() {
            $crate::server::db::Backend::Sqlite(conn) => sqlx::query_as::<sqlx::Sqlite, $row>($sql)
                $(.bind($arg))*.$method(conn).await,
            $crate::server::db::Backend::Postgres(conn) => sqlx::query_as::<sqlx::Postgres, $row>($sql)
                $(.bind($arg))*.$method(conn).await,
        }
    };
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

/// Why the database could not be opened, in one line for the operator.
#[derive(Debug)]
pub struct OpenError(pub String);

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

impl Db {
    /// Opens `sqlite://path` (made if missing, readable by its owner only) or `postgres://…`. Applies no migration.
    ///
    /// # Errors
    /// One line that says what is wrong and what to do.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let failed = |error: sqlx::Error| OpenError(format!("cannot open the database: {error}. Check DATABASE_URL."));
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return open_postgres(url).await.map_err(failed);
        }
        if !url.starts_with("sqlite:") {
            return Err(OpenError("DATABASE_URL must begin with sqlite:// or postgres://.".to_owned()));
        }
        let options = SqliteConnectOptions::from_str(url).map_err(failed)?;
        let file = options.get_filename().to_owned();
        create_private(&file).map_err(|error| {
            OpenError(format!("cannot open the database {}: {error}. Check DATABASE_URL.", file.display()))
        })?;
        open_sqlite(options).await.map_err(|error| {
            OpenError(format!("cannot open the database {}: {error}. Check DATABASE_URL.", file.display()))
        })
    }

    /// Applies the migrations that are missing, under a lock, so that any number of processes may start at once.
    ///
    /// # Errors
    /// One line; for a database that is newer than this program, too.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        match self {
            Self::Sqlite { write, .. } => migrate_sqlite(write).await,
            Self::Postgres(pool) => migrate_postgres(pool).await,
        }
    }

    /// A connection to read by.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if none could be had in time.
    pub async fn read(&self) -> Result<Conn, AppError> {
        Ok(match self {
            Self::Sqlite { read, .. } => Conn::Sqlite(read.acquire().await?),
            Self::Postgres(pool) => Conn::Postgres(pool.acquire().await?),
        })
    }

    /// A connection for one statement that writes.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if none could be had in time.
    pub async fn write(&self) -> Result<Conn, AppError> {
        Ok(match self {
            Self::Sqlite { write, .. } => Conn::Sqlite(write.acquire().await?),
            Self::Postgres(pool) => Conn::Postgres(pool.acquire().await?),
        })
    }

    /// A transaction that writes.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if none could be had in time.
    pub async fn begin(&self) -> Result<Tx, AppError> {
        Ok(match self {
            // A transaction that reads first and writes later fails at once where another writer was between.
            Self::Sqlite { write, .. } => Tx::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }

    /// A transaction that reads the database as it stands at its first query, whatever others write meanwhile. On SQLite it
    /// has this process's one writer to itself: it is for commands, not for requests.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if none could be had in time.
    pub async fn snapshot(&self) -> Result<Tx, AppError> {
        Ok(match self {
            Self::Sqlite { write, .. } => Tx::Sqlite(write.begin_with("BEGIN").await?),
            Self::Postgres(pool) => {
                Tx::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
        })
    }

    /// Whether the database answers and holds all migrations of this program.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if it does not answer.
    pub async fn ready(&self) -> Result<bool, AppError> {
        let mut conn = self.read().await?;
        let (applied,) = fetch!(conn, one(i64,), "SELECT COUNT(*) FROM _sqlx_migrations WHERE success")?;
        // More than all: a newer program has migrated it, and migrations only expand.
        Ok(usize::try_from(applied).is_ok_and(|applied| applied >= MIGRATOR.iter().count()))
    }

    /// Closes all connections, after what they are doing.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// The migrations of this program, in order: version and checksum, as a database keeps them.
pub fn migrations() -> impl Iterator<Item = (i64, Vec<u8>)> {
    MIGRATOR.iter().map(|migration| (migration.version, migration.checksum.to_vec()))
}

/// Makes the file with mode 0600 in a folder with mode 0700, where they are missing.
fn create_private(file: &Path) -> std::io::Result<()> {
    let mut folder = std::fs::DirBuilder::new();
    let mut open = std::fs::OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        folder.mode(0o700);
        open.mode(0o600);
    }
    if let Some(parent) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        folder.recursive(true).create(parent)?;
    }
    open.append(true).create(true).open(file).map(|_| ())
}

async fn open_sqlite(options: SqliteConnectOptions) -> Result<Db, sqlx::Error> {
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        // FULL: in WAL mode anything less can lose the last commits when the power fails.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5));
    // Two that make a new file WAL at once would meet a lock that nobody waits for.
    let _lock = lock(options.get_filename()).await.map_err(sqlx::Error::Io)?;
    let pool = || SqlitePoolOptions::new().acquire_timeout(Duration::from_secs(3)).test_before_acquire(false);
    let write = pool().max_connections(1).connect_with(options.clone()).await?;
    // Each is a thread; more than there are cores, so that a query can be handed over while others run.
    let read = pool().max_connections(8).connect_with(options.read_only(true)).await?;
    Ok(Db::Sqlite { read, write })
}

async fn open_postgres(url: &str) -> Result<Db, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?.application_name("keyfob").options([
        ("client_min_messages", "warning"),
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ]);
    let pool = PgPoolOptions::new().max_connections(20).acquire_timeout(Duration::from_secs(3));
    pool.connect_with(options).await.map(Db::Postgres)
}

/// Locks the file beside the database, until it is dropped, against other processes that open or migrate.
async fn lock(database: &Path) -> std::io::Result<std::fs::File> {
    let mut name = database.as_os_str().to_owned();
    name.push(".migrate-lock");
    let path = PathBuf::from(name);
    let locked = tokio::task::spawn_blocking(move || {
        create_private(&path)?;
        let file = std::fs::OpenOptions::new().write(true).open(&path)?;
        file.lock().map(|()| file)
    });
    locked.await.map_err(std::io::Error::other)?
}

async fn migrate_sqlite(pool: &SqlitePool) -> Result<(), OpenError> {
    let _lock = lock(pool.connect_options().get_filename())
        .await
        .map_err(|error| OpenError(format!("cannot lock the database for its migrations: {error}.")))?;
    MIGRATOR.run(pool).await.map_err(|error| migration_failed(&error))
}

async fn migrate_postgres(pool: &PgPool) -> Result<(), OpenError> {
    // A connection of its own: the lock belongs to the session, and ends with it whatever happens.
    let options = pool.connect_options().as_ref().clone().options([("statement_timeout", "0"), ("lock_timeout", "0")]);
    let failed = |error: sqlx::Error| OpenError(format!("cannot lock the database for its migrations: {error}."));
    let mut conn = PgConnection::connect_with(&options).await.map_err(failed)?;
    for attempt in 0.. {
        // Trying again and again, not waiting: a waiting lock holds up CREATE INDEX CONCURRENTLY.
        let locked = sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)").bind(MIGRATION_LOCK);
        if locked.fetch_one(&mut conn).await.map_err(failed)? {
            break;
        }
        if attempt == 600 {
            return Err(OpenError("another process has held the migration lock for a minute. Is it stuck?".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let done = MIGRATOR.run(&mut conn).await;
    let closed = conn.close().await;
    done.map_err(|error| migration_failed(&error))?;
    closed.map_err(failed)
}

fn migration_failed(error: &sqlx::migrate::MigrateError) -> OpenError {
    use sqlx::migrate::MigrateError::{VersionMismatch, VersionMissing};
    OpenError(match error {
        VersionMissing(version) => format!(
            "the database is newer than this program: it holds migration {version}. Start a newer keyfob, or restore a backup."
        ),
        VersionMismatch(version) => {
            format!(
                "migration {version} of the database is not the one of this program. Start the keyfob that made it."
            )
        }
        other => format!("a migration failed: {other}. Nothing of it was kept."),
    })
}

impl From<sqlx::Error> for AppError {
    /// Logs the cause, once; no text of it reaches a client.
    fn from(error: sqlx::Error) -> Self {
        if is_outage(&error) {
            tracing::warn!(%error, "the database did not answer");
            Self::Unavailable
        } else {
            tracing::error!(%error, "a query failed");
            Self::Internal
        }
    }
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
            // SQLite's codes, the low byte of an extended one: 5 busy, 6 locked, 8 read-only, 10 I/O, 13 full, 14 open.
            let sqlite = code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14));
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
