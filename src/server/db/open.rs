//! Opens the database. Each failure is one line for the operator.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use super::error::is_damage;
use super::inline_reader::InlineReader;
use super::invalidations::Invalidations;
use super::list_reader::ListReader;
use super::pool_stats::PoolMeter;
use super::ready::WriteProbe;
use super::servers::Servers;
use super::sqlite::{SqliteFile, must_be_there};
use super::{Db, postgres};

/// The reason why the database could not be opened, in one line for the operator.
#[derive(Debug)]
pub struct OpenError(pub String);

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

/// How long a change waits for the SQLite writer before it fails with 503. A longer queue would delay everything in it.
const WRITER_TIMEOUT: Duration = Duration::from_millis(500);

impl Db {
    /// Opens `sqlite://path` (made if missing, readable by its owner only) or `postgres://…`. Applies no migration.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        if is_postgres(url) {
            return postgres::open(Servers::parse(url)?).await;
        }
        if !url.starts_with("sqlite:") {
            return Err(OpenError("DATABASE_URL must begin with sqlite:// or postgres://.".to_owned()));
        }
        let SqliteFile { path, creates } = SqliteFile::parse(url)?.absolute();
        if !creates {
            must_be_there(&path)?;
        }
        open_file(&path).await
    }

    /// Opens an existing database for reading. It may be a standby of PostgreSQL.
    pub async fn open_to_read(url: &str) -> Result<Self, OpenError> {
        if is_postgres(url) {
            return postgres::open(Servers::parse(url)?.reads_only()).await;
        }
        Self::open_existing(url).await
    }

    /// Opens an existing database. Unlike [`Db::open`] it creates no file.
    pub async fn open_existing(url: &str) -> Result<Self, OpenError> {
        if let Some(file) = super::sqlite_file(url)? {
            must_be_there(&file)?;
        }
        Self::open(url).await
    }

    /// Locks an SQLite file for one server, until the returned file is dropped or the process ends. Other commands need no
    /// lock. PostgreSQL may have many servers.
    pub fn lock_for_server(&self) -> Result<Option<File>, OpenError> {
        let Self::Sqlite { write, .. } = self else { return Ok(None) };
        // By its real name: links may lead to it.
        let database = write.connect_options().get_filename().canonicalize();
        let failed = |error| OpenError(format!("cannot lock the database for this server: {error}."));
        let database = database.map_err(failed)?;
        let file = open_lock_file(&database, ".lock").map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError(format!(
                "another keyfob serve works on {}. Stop it first; for several servers use PostgreSQL.",
                database.display()
            ))),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

async fn open_file(file: &Path) -> Result<Db, OpenError> {
    let failed = |error: &dyn std::fmt::Display| {
        OpenError(format!("cannot open the database {}: {error}. Check DATABASE_URL.", file.display()))
    };
    create_private(file).map_err(|error| failed(&error))?;
    let opened = open_sqlite(SqliteConnectOptions::new().filename(file)).await;
    opened.map_err(|error| {
        if is_damage(&error) {
            OpenError(format!("the database {} is damaged: {error}. Restore a backup.", file.display()))
        } else {
            failed(&error)
        }
    })
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
    // Two processes that switch a new file to WAL at once would fail on a lock.
    let _lock = lock(options.get_filename()).await.map_err(sqlx::Error::Io)?;
    let write = SqlitePoolOptions::new().acquire_timeout(WRITER_TIMEOUT).test_before_acquire(false).max_connections(1);
    // After a failed COMMIT, as on a full disk, SQLite has rolled back but sqlx counts the transaction as open. Such a connection
    // could begin no other.
    let write = write.before_acquire(|conn, _| Box::pin(async { Ok(!conn.is_in_transaction()) }));
    // Creates a new file: on a busy disk that takes longer than the pool's timeout.
    let first = options.connect().await?;
    let write = write.connect_with(options.clone()).await?;
    let (inline_reader, lists) = (InlineReader::new(options.get_filename()), ListReader::new(options.get_filename()));
    first.close().await?;
    let (changes, probe, meter) = (Invalidations::default(), WriteProbe::default(), Arc::new(PoolMeter::default()));
    Ok(Db::Sqlite { write, meter, inline_reader, lists, changes, probe })
}

/// Locks the database against other processes that open or migrate it, until the file is dropped.
pub(super) async fn lock(database: &Path) -> std::io::Result<File> {
    let database = database.to_owned();
    let locked = tokio::task::spawn_blocking(move || {
        let file = open_lock_file(&database, ".migrate-lock")?;
        file.lock().map(|()| file)
    });
    locked.await.map_err(std::io::Error::other)?
}

/// Opens a lock file next to the database. It is never deleted: two processes could then hold the lock.
fn open_lock_file(database: &Path, suffix: &str) -> std::io::Result<File> {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    create_private(Path::new(&name))?;
    std::fs::OpenOptions::new().write(true).open(name)
}
