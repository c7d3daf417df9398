//! Connections for single statements, and transactions.

use std::time::Duration;

use deadpool::managed::Object;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Sqlite, Transaction};
use tokio::time::sleep;

use super::call::Call;
use super::error::{Class, class};
use super::invalidations::{APIS, Invalidations};
use super::pool;
use super::pool::{Pool, PooledConn};
use super::postgres::PgTransaction;
use super::{CHANNEL, Error, STATEMENT_TIMEOUT, retry, with_timeout};
use crate::model::keys::KeyId;
use crate::model::users::UserId;

/// How often a single statement runs at most.
const MAX_ATTEMPTS: u32 = 3;
/// How long to wait after a conflict; the second time twice as long.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// A connection for single statements.
pub enum Conn {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PooledConn),
    /// PostgreSQL behind a pooler. Each statement is a transaction, which may have another session.
    Pooler(PoolerConn),
}

/// Connections behind a pooler.
pub struct PoolerConn {
    pool: Pool,
    /// The transaction of the statement that runs now.
    tx: Option<PgTransaction>,
}

impl PoolerConn {
    /// Opens nothing yet.
    pub(super) const fn new(pool: Pool) -> Self {
        Self { pool, tx: None }
    }
}

/// A transaction. Dropped without [`Tx::commit`], it is rolled back.
pub struct Tx {
    on: Running,
    /// How long a statement may take.
    limit: Duration,
    invalidations: Invalidations,
    /// The ids of keys and users whose cached data the commit invalidates.
    invalidated: Vec<String>,
}

/// The connection of a transaction.
pub(super) enum Running {
    /// Begun IMMEDIATE.
    Sqlite(Transaction<'static, Sqlite>),
    /// READ COMMITTED.
    Postgres(PgTransaction, Session),
}

/// Properties of PostgreSQL sessions.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// Whether the server has NOTIFY. `CockroachDB` has not.
    pub(super) notifies: bool,
    /// Whether a pooler gives each transaction another session.
    pub(super) pooled: bool,
}

impl Session {
    /// Whether this process can LISTEN.
    pub const fn listens(self) -> bool {
        self.notifies && !self.pooled
    }
}

/// The connection that a query runs on.
pub enum Backend<'c> {
    /// SQLite.
    Sqlite(&'c mut SqliteConnection),
    /// PostgreSQL.
    Postgres(&'c mut PgConnection),
}

impl Conn {
    /// Begins the call of a statement.
    #[must_use]
    pub fn call(&self) -> Call {
        match self {
            Self::Sqlite(_) => Call::new(STATEMENT_TIMEOUT, false, true),
            Self::Postgres(_) => Call::new(STATEMENT_TIMEOUT, true, true),
            Self::Pooler(_) => Call::new(STATEMENT_TIMEOUT, true, false),
        }
    }

    /// Returns the connection for a statement.
    pub async fn start(&mut self, call: &mut Call) -> Result<Backend<'_>, sqlx::Error> {
        call.wrong.take().map_or(Ok(()), Err)?;
        call.tries += 1;
        Ok(match self {
            Self::Sqlite(conn) => Backend::Sqlite(conn),
            Self::Postgres(pooled) => {
                // Until the result is known: a request can be cancelled while it waits.
                pooled.healthy = false;
                Backend::Postgres(&mut pooled.conn)
            }
            Self::Pooler(PoolerConn { pool, tx }) => {
                // Boxed: rarely used, and large in the future of every request.
                let begin = Box::pin(PgTransaction::begin(pool, super::postgres::BEGIN_POOLED));
                Backend::Postgres(tx.insert(with_timeout(call.limit, begin).await?).conn()?)
            }
        })
    }

    /// Records the result of a statement, and commits it where it is its own transaction.
    pub async fn finish<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(pooled) => pooled.note(&done),
            Self::Pooler(PoolerConn { tx, .. }) => {
                if let Some(mut tx) = tx.take() {
                    tx.note(&done);
                    return match done {
                        Ok(found) => with_timeout(STATEMENT_TIMEOUT, Box::pin(tx.commit())).await.map(|()| found),
                        Err(error) => Err(error),
                    };
                }
            }
        }
        done
    }

    /// Whether to run the statement again, on another connection where this one is unusable.
    pub async fn repeats<T>(&mut self, call: &Call, done: &Result<T, sqlx::Error>) -> bool {
        let Err(error) = done else { return false };
        let class = class(error);
        let again = match class {
            Class::Conflict => call.tries < MAX_ATTEMPTS,
            // It did not run.
            Class::Stale | Class::ReadOnly => call.tries < 2,
            Class::Lost => call.reads && call.tries < 2,
            _ => false,
        };
        if !again {
            return false;
        }
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(_) | Self::Pooler(_) if class == Class::Conflict => {
                sleep(RETRY_DELAY * call.tries).await;
                true
            }
            Self::Postgres(pooled) => {
                let Some(pool) = Object::pool(pooled) else { return false };
                let Ok(other) = Box::pin(pool::acquire(&pool)).await else { return false };
                *pooled = other;
                true
            }
            Self::Pooler(_) => true,
        }
    }
}

impl Tx {
    /// A transaction that was just begun.
    pub(super) const fn new(on: Running, invalidations: Invalidations) -> Self {
        Self { on, limit: STATEMENT_TIMEOUT, invalidations, invalidated: Vec::new() }
    }

    /// Returns the driver's connection.
    pub fn backend(&mut self) -> Result<Backend<'_>, sqlx::Error> {
        Ok(match &mut self.on {
            Running::Sqlite(tx) => Backend::Sqlite(tx),
            Running::Postgres(tx, _) => Backend::Postgres(tx.conn()?),
        })
    }

    /// Begins the call of a statement.
    #[must_use]
    pub fn call(&self) -> Call {
        match &self.on {
            Running::Sqlite(_) => Call::new(self.limit, false, true),
            Running::Postgres(_, session) => Call::new(self.limit, true, !session.pooled),
        }
    }

    /// Returns the connection for a statement.
    pub fn start(&mut self, call: &mut Call) -> Result<Backend<'_>, sqlx::Error> {
        call.wrong.take().map_or(Ok(()), Err)?;
        self.backend()
    }

    /// Records the result of a statement.
    pub fn finish<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if let Running::Postgres(tx, _) = &mut self.on {
            tx.note(&done);
        }
        done
    }

    /// Disables timeouts, for work on whole tables.
    pub async fn disable_timeouts(&mut self) -> Result<(), sqlx::Error> {
        self.limit = Duration::from_hours(24);
        if let Running::Postgres(tx, _) = &mut self.on {
            let limits = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
            sqlx::raw_sql(limits).execute(tx.conn()?).await?;
        }
        Ok(())
    }

    /// Invalidates what is cached of a key: in this process with the commit, in others when they are notified. SQLite has
    /// no notifications: other processes poll the audit, so every change of a key has an event there.
    pub async fn invalidate_key(&mut self, id: &KeyId) -> Result<(), Error> {
        self.invalidate(id.as_str()).await
    }

    /// Like [`Tx::invalidate_key`], for all keys of a user.
    pub async fn invalidate_user(&mut self, id: &UserId) -> Result<(), Error> {
        self.invalidate(id.as_str()).await
    }

    /// Like [`Tx::invalidate_key`], for the registered APIs and all keys that name one.
    pub async fn invalidate_apis(&mut self) -> Result<(), Error> {
        self.invalidate(APIS).await
    }

    async fn invalidate(&mut self, id: &str) -> Result<(), Error> {
        if let Running::Postgres(tx, session) = &mut self.on
            && session.notifies
        {
            let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(id);
            let notified = with_timeout(self.limit, notify.persistent(!session.pooled).execute(tx.conn()?)).await;
            tx.note(&notified);
            notified?;
        }
        self.invalidated.push(id.to_owned());
        Ok(())
    }

    /// Commits.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        let Self { on, limit, invalidations, invalidated } = self;
        let done = with_timeout(limit, async {
            match on {
                Running::Sqlite(tx) => tx.commit().await,
                Running::Postgres(tx, _) => tx.commit().await,
            }
        });
        let done = done.await;
        // Any other failure may have come after the commit.
        if !done.as_ref().is_err_and(|error| class(error) == Class::Conflict) {
            retry::note_commit();
        }
        for id in &invalidated {
            invalidations.invalidate(id);
        }
        done
    }
}
