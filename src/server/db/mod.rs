//! The database: SQLite or PostgreSQL behind one SQL text. `query.rs` is how the rest of the server reads and writes.

pub mod bulk;
mod call;
mod conn;
pub mod error;
pub mod fold;
mod inline_reader;
pub mod invalidations;
mod list_reader;
mod migrate;
mod model_types;
mod open;
pub mod pool;
mod pool_stats;
mod postgres;
mod query;
mod ready;
pub mod retry;
pub mod row;
mod servers;
mod sqlite;
pub mod subscription;

use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;

pub use self::conn::{Backend, Conn, Session, Tx};
use self::conn::{PoolerConn, Running};
pub use self::error::is_unique_violation;
use self::fold::fold;
use self::inline_reader::InlineReader;
use self::invalidations::Invalidations;
use self::list_reader::ListReader;
pub use self::migrate::{OwnMigration, SchemaState, migrated, migrations};
pub use self::open::OpenError;
use self::pool::Pool;
use self::pool_stats::{PoolMeter, PoolStats};
use self::postgres::{BEGIN, BEGIN_POOLED, BEGIN_SNAPSHOT, PgTransaction};
pub use self::query::Mapper;
use self::ready::WriteProbe;
pub use self::servers::Servers;
pub use self::sqlite::sqlite_file;
use crate::error::AppError;

/// An error of the database. It becomes an [`AppError`] where nobody looks at it; that logs its cause.
pub type Error = sqlx::Error;

/// The NOTIFY channel on which servers announce changes.
pub const CHANNEL: &str = "keyfob";

/// An open database. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    Sqlite {
        /// One connection: SQLite has one writer at a time.
        write: SqlitePool,
        meter: Arc<PoolMeter>,
        /// For [`Db::query_inline`] and lookups.
        inline_reader: InlineReader,
        /// For [`Db::query`].
        lists: ListReader,
        changes: Invalidations,
        probe: WriteProbe,
    },
    Postgres {
        statements: Pool,
        transactions: Pool,
        servers: Servers,
        changes: Invalidations,
        session: Session,
    },
}

/// How long a statement of a request may take. A server behind a broken network never answers.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs work with a timeout.
pub(crate) async fn with_timeout<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = |_| sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time"));
    tokio::time::timeout(limit, work).await.map_err(late)?
}

/// The longest text that is searched for, in characters: one more than the longest that there can be, an email address.
const SEARCH_MAX: usize = 255;

/// The pattern of LIKE for folded texts that contain this one; empty for an empty one.
#[must_use]
pub fn like(text: &str) -> String {
    let text = fold(text.trim());
    if text.is_empty() {
        return text;
    }
    let mut pattern = String::from("%");
    for c in text.chars().filter(|c| *c != '\0').take(SEARCH_MAX) {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}

impl Db {
    pub const fn invalidations(&self) -> &Invalidations {
        match self {
            Self::Sqlite { changes, .. } | Self::Postgres { changes, .. } => changes,
        }
    }

    /// Whether a pooler is between this program and PostgreSQL.
    #[must_use]
    pub const fn is_pooled(&self) -> bool {
        matches!(self, Self::Postgres { session: Session { pooled: true, .. }, .. })
    }

    /// Whether this database reports the changes of other processes.
    pub const fn reports_changes(&self) -> bool {
        match self {
            Self::Sqlite { .. } => true,
            Self::Postgres { session, .. } => session.listens(),
        }
    }

    /// Returns the state of the pools.
    pub fn pool_stats(&self) -> [PoolStats; 2] {
        match self {
            Self::Sqlite { write, meter, lists, .. } => {
                let (open, idle) = (write.size() as usize, write.num_idle());
                [meter.stats("writer", open.saturating_sub(idle), idle, 1), lists.stats()]
            }
            Self::Postgres { statements, transactions, .. } => {
                [pool::stats("statements", statements), pool::stats("transactions", transactions)]
            }
        }
    }

    /// A connection for one statement that writes. The futures are in boxes, as that of a query of PostgreSQL.
    async fn write(&self) -> Result<Conn, Error> {
        Ok(match self {
            Self::Sqlite { write, meter, .. } => Conn::Sqlite(Box::pin(meter.measure(write.acquire())).await?),
            Self::Postgres { statements, session, .. } => Box::pin(postgres_conn(statements, *session)).await?,
        })
    }

    /// A transaction that writes.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if none could be had in time.
    pub async fn begin(&self) -> Result<Tx, AppError> {
        let on = with_timeout(STATEMENT_TIMEOUT, async {
            Ok(match self {
                // A transaction that reads first and writes later fails at once where another writer was between.
                Self::Sqlite { write, meter, .. } => {
                    Running::Sqlite(meter.measure(write.begin_with("BEGIN IMMEDIATE")).await?)
                }
                Self::Postgres { transactions, session, .. } => {
                    let begin = if session.pooled { BEGIN_POOLED } else { BEGIN };
                    Running::Postgres(PgTransaction::begin(transactions, begin).await?, *session)
                }
            })
        });
        // In a box, as a query of PostgreSQL.
        let on = Box::pin(on);
        Ok(Tx::new(on.await?, self.invalidations().clone()))
    }

    /// A transaction that reads the database as it stands at its first query, whatever others write meanwhile. On SQLite it
    /// has this process's one writer to itself: it is for commands, not for requests.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] if none could be had in time.
    pub async fn snapshot(&self) -> Result<Tx, AppError> {
        let on = match self {
            Self::Sqlite { write, .. } => Running::Sqlite(write.begin_with("BEGIN").await?),
            Self::Postgres { transactions, session, .. } => {
                Running::Postgres(PgTransaction::begin(transactions, BEGIN_SNAPSHOT).await?, *session)
            }
        };
        Ok(Tx::new(on, self.invalidations().clone()))
    }

    /// Closes all connections, after what they are doing.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { write, .. } => {
                // The connections of the inline reader outlive this, so that closing the others does not empty the log into the file.
                let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(write).await;
                write.close().await;
            }
            Self::Postgres { statements, transactions, .. } => {
                pool::close(statements).await;
                pool::close(transactions).await;
            }
        }
    }
}

async fn postgres_conn(statements: &Pool, session: Session) -> Result<Conn, sqlx::Error> {
    Ok(if session.pooled {
        Conn::Pooler(PoolerConn::new(statements.clone()))
    } else {
        Conn::Postgres(pool::acquire(statements).await?)
    })
}
