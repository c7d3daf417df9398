//! Connections for single statements and transactions. A pool of sqlx asks a connection before and after each use whether it
//! is still there: on SQLite another trip to its thread, on PostgreSQL two more round trips for every query of every request.
//! This one asks only where the last use failed or was cut short, where another connection met a server that is gone or takes
//! no changes, or where the last check was long ago.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::error::class;
use super::servers::Servers;
use super::with_timeout;

/// How long a request waits for a connection, and how long opening one may take.
pub const ACQUIRE: Duration = Duration::from_secs(3);
/// After so long without use a connection is asked whether it is still there.
const IDLE: Duration = Duration::from_secs(5);
/// How long it may take to answer.
pub(super) const ANSWER: Duration = Duration::from_millis(300);
/// After so long it is replaced, so that after a change of servers the load spreads again.
const AGE: Duration = Duration::from_mins(30);

/// A pool of connections. Cheap to clone.
pub type Pool<C> = managed::Pool<ConnManager<C>>;
/// A connection taken from it.
pub type PooledConn<C> = Object<ConnManager<C>>;

/// What the pool needs to know of a kind of connection.
pub trait Lendable: Connection + Sized {
    /// Where connections of the kind come from.
    type Source: Send + Sync;
    /// After so long a connection that is in use is checked again.
    const CHECK_EVERY: Duration;

    /// Opens one.
    fn open(from: &Self::Source) -> impl Future<Output = Result<Self, sqlx::Error>> + Send;

    /// Checks that one answers, and does what it is for.
    fn check(&mut self, from: &Self::Source) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

impl Lendable for SqliteConnection {
    type Source = SqliteConnectOptions;
    /// A file does not become another one.
    const CHECK_EVERY: Duration = Duration::MAX;

    async fn open(from: &Self::Source) -> Result<Self, sqlx::Error> {
        from.connect().await
    }

    async fn check(&mut self, _: &Self::Source) -> Result<(), sqlx::Error> {
        self.ping().await
    }
}

impl Lendable for PgConnection {
    type Source = Servers;
    /// A server that became a standby still answers, with what was true before.
    const CHECK_EVERY: Duration = Duration::from_secs(2);

    async fn open(from: &Servers) -> Result<Self, sqlx::Error> {
        from.connect().await
    }

    async fn check(&mut self, from: &Servers) -> Result<(), sqlx::Error> {
        from.check(self).await
    }
}

/// Counts how often a server was found to be gone or read-only, for the pools of one database.
pub(super) type RecheckCounter = Arc<AtomicU64>;

/// A connection in the pool.
#[derive(Debug)]
pub struct Line<C> {
    /// The connection.
    pub conn: C,
    /// Whether its last use came to its end.
    pub(super) healthy: bool,
    /// Whether it must not be used again.
    pub(super) spoilt: bool,
    /// The doubts there were when it was checked.
    seen: u64,
    /// How old it was then.
    checked: Duration,
    rechecks: RecheckCounter,
}

impl<C> Line<C> {
    /// Notes how a use ended. An answer, be it a refusal, shows that the connection is sound.
    pub(super) fn note<T>(&mut self, done: &Result<T, sqlx::Error>) {
        self.healthy = matches!(done, Ok(_) | Err(sqlx::Error::Database(_) | sqlx::Error::RowNotFound));
        if let Err(error) = done {
            let class = class(error);
            self.spoilt |= class.spoils_connection();
            if class.casts_doubt() {
                self.healthy = false;
                self.rechecks.fetch_add(1, Relaxed);
            }
        }
    }
}

/// Opens connections, and sees to it that they are there.
pub struct ConnManager<C: Lendable> {
    from: C::Source,
    rechecks: RecheckCounter,
}

impl<C: Lendable> std::fmt::Debug for ConnManager<C> {
    // The options have the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnManager")
    }
}

impl<C: Lendable> managed::Manager for ConnManager<C> {
    type Type = Line<C>;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Line<C>, sqlx::Error> {
        let seen = self.rechecks.load(Relaxed);
        // Rarely used and large: in a box, it does not make every request's future larger.
        let conn = Box::pin(C::open(&self.from)).await?;
        let (rechecks, checked) = (self.rechecks.clone(), Duration::ZERO);
        Ok(Line { conn, healthy: true, spoilt: false, seen, checked, rechecks })
    }

    async fn recycle(&self, line: &mut Line<C>, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        let (age, rechecks) = (metrics.age(), self.rechecks.load(Relaxed));
        if line.spoilt || age > AGE {
            return Err(RecycleError::message("it is old, or must not be used again"));
        }
        let in_use = line.healthy && metrics.last_used() < IDLE;
        if in_use && line.seen == rechecks && age.saturating_sub(line.checked) < C::CHECK_EVERY {
            return Ok(());
        }
        with_timeout(ANSWER, Box::pin(line.conn.check(&self.from))).await?;
        (line.seen, line.checked, line.healthy) = (rechecks, age, true);
        Ok(())
    }
}

/// A pool of at most so many connections. The one used last is lent first, for it remembers most.
pub(super) async fn open<C: Lendable>(
    from: C::Source,
    rechecks: &RecheckCounter,
    most: usize,
) -> Result<Pool<C>, sqlx::Error> {
    let builder = Pool::builder(ConnManager { from, rechecks: rechecks.clone() });
    let builder = builder.max_size(most).queue_mode(QueueMode::Lifo).runtime(Runtime::Tokio1);
    let builder = builder.wait_timeout(Some(ACQUIRE)).create_timeout(Some(ACQUIRE));
    let pool = builder.build().map_err(|error| sqlx::Error::Configuration(error.into()))?;
    drop(acquire(&pool).await?);
    Ok(pool)
}

/// A connection, waited for if all are in use.
pub async fn acquire<C: Lendable>(pool: &Pool<C>) -> Result<PooledConn<C>, sqlx::Error> {
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => error,
        PoolError::Closed => sqlx::Error::PoolClosed,
        _ => sqlx::Error::PoolTimedOut,
    })
}

/// Closes the connections, each in order.
pub async fn close<C: Lendable>(pool: &Pool<C>) {
    while pool.status().available > 0 {
        let Ok(line) = pool.get().await else { break };
        // What the other side says to a goodbye changes nothing.
        let _ = Object::take(line).conn.close().await;
    }
    pool.close();
}
