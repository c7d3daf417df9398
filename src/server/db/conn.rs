//! What statements run on: a connection for single ones, or a transaction.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Postgres, Sqlite, Transaction};

use super::changes::Changes;
use super::pool::Lent;
use super::{CHANNEL, LIMIT, is_sound, within};

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

/// What a transaction runs on.
pub(super) enum Running {
    /// Begun IMMEDIATE.
    Sqlite(Transaction<'static, Sqlite>),
    /// READ COMMITTED; and whether it can tell other processes what changed.
    Postgres(Transaction<'static, Postgres>, bool),
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

impl Tx {
    /// A transaction that was just begun.
    pub(super) const fn new(on: Running, changes: Changes) -> Self {
        Self { on, limit: LIMIT, changes, changed: Vec::new() }
    }

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
