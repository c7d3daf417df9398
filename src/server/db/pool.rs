//! Connection pool of PostgreSQL, for single statements and transactions. sqlx's own pool pings a connection before and after
//! each use: two more round trips for every query. This one checks a connection only after a use that failed or was cancelled,
//! after another connection met a lost or read-only server, and after an interval.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::error::class;
use super::pool_stats::{PoolMeter, PoolStats};
use super::servers::Servers;
use super::with_timeout;

/// How long a request waits for a connection, and how long opening one may take.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for longer is checked before its next use.
const MAX_IDLE: Duration = Duration::from_secs(5);
/// How long a check may take.
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_millis(300);
/// An older connection is replaced, so that load spreads again after a change of servers.
const MAX_AGE: Duration = Duration::from_mins(30);

/// A connection in use is checked again after this time: a server that became a standby still answers, with old data.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// A pool of connections. Cheap to clone.
pub type Pool = managed::Pool<ConnManager>;
/// A connection taken from it.
pub type PooledConn = Object<ConnManager>;

/// Counts how often a server was found to be gone or read-only, for the pools of one database.
pub(super) type RecheckCounter = Arc<AtomicU64>;

/// A connection in the pool.
#[derive(Debug)]
pub struct Pooled {
    pub conn: PgConnection,
    /// Whether its last use was completed.
    pub(super) healthy: bool,
    /// Whether it must not be used again.
    pub(super) spoilt: bool,
    /// The value of `rechecks` when it was checked.
    seen: u64,
    /// Its age then.
    checked: Duration,
    rechecks: RecheckCounter,
}

impl Pooled {
    /// Records the result of a use. Any answer of the server, also an error, shows that the connection works.
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

/// Opens and checks connections.
pub struct ConnManager {
    servers: Servers,
    rechecks: RecheckCounter,
    meter: PoolMeter,
}

impl std::fmt::Debug for ConnManager {
    // The servers have the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnManager")
    }
}

impl managed::Manager for ConnManager {
    type Type = Pooled;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Pooled, sqlx::Error> {
        let seen = self.rechecks.load(Relaxed);
        // Rarely used and large: in a box, it does not make every request's future larger.
        let conn = Box::pin(self.servers.connect()).await?;
        let (rechecks, checked) = (self.rechecks.clone(), Duration::ZERO);
        Ok(Pooled { conn, healthy: true, spoilt: false, seen, checked, rechecks })
    }

    async fn recycle(&self, pooled: &mut Pooled, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        let (age, rechecks) = (metrics.age(), self.rechecks.load(Relaxed));
        if pooled.spoilt || age > MAX_AGE {
            return Err(RecycleError::message("too old or spoilt"));
        }
        let in_use = pooled.healthy && metrics.last_used() < MAX_IDLE;
        if in_use && pooled.seen == rechecks && age.saturating_sub(pooled.checked) < CHECK_INTERVAL {
            return Ok(());
        }
        with_timeout(CHECK_TIMEOUT, Box::pin(self.servers.check(&mut pooled.conn))).await?;
        (pooled.seen, pooled.checked, pooled.healthy) = (rechecks, age, true);
        Ok(())
    }
}

/// Opens a pool. The connection that was used last is reused first: its caches are warm.
pub(super) async fn open(servers: Servers, rechecks: &RecheckCounter, max_size: usize) -> Result<Pool, sqlx::Error> {
    let builder = Pool::builder(ConnManager { servers, rechecks: rechecks.clone(), meter: PoolMeter::default() });
    let builder = builder.max_size(max_size).queue_mode(QueueMode::Lifo).runtime(Runtime::Tokio1);
    let builder = builder.wait_timeout(Some(ACQUIRE_TIMEOUT)).create_timeout(Some(ACQUIRE_TIMEOUT));
    let pool = builder.build().map_err(|error| sqlx::Error::Configuration(error.into()))?;
    drop(acquire(&pool).await?);
    Ok(pool)
}

/// Takes a connection, and waits if all are in use.
pub async fn acquire(pool: &Pool) -> Result<PooledConn, sqlx::Error> {
    pool.manager().meter.measure(pool.get()).await.map_err(|error| match error {
        PoolError::Backend(error) => error,
        PoolError::Closed => sqlx::Error::PoolClosed,
        _ => sqlx::Error::PoolTimedOut,
    })
}

/// Returns the state of a pool.
pub(super) fn stats(name: &'static str, pool: &Pool) -> PoolStats {
    let status = pool.status();
    let in_use = status.size.saturating_sub(status.available);
    pool.manager().meter.stats(name, in_use, status.size - in_use, status.max_size)
}

/// Closes the pool and its connections.
pub async fn close(pool: &Pool) {
    while pool.status().available > 0 {
        let Ok(pooled) = pool.get().await else { break };
        // The connection is gone either way.
        let _ = Object::take(pooled).conn.close().await;
    }
    pool.close();
}
