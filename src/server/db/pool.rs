//! Connections for single statements. A pool of sqlx asks a connection before and after each use whether it is still there:
//! on SQLite another trip to its thread, on PostgreSQL two more round trips for every query of every request. This one asks
//! only where the last use failed or was cut short, or was long ago.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use sqlx::Connection;

/// How long a request waits for a connection, and how long opening one may take.
pub const ACQUIRE: Duration = Duration::from_secs(3);
/// After so long without use a connection is asked whether it is still there.
const IDLE: Duration = Duration::from_secs(5);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_millis(300);
/// After so long it is opened anew, so that after a change of servers the load spreads again.
const AGE: Duration = Duration::from_mins(30);

/// A pool of connections for single statements. Cheap to clone.
pub type Pool<C> = managed::Pool<Opener<C>>;
/// A connection taken from it.
pub type Lent<C> = Object<Opener<C>>;

/// A connection in the pool.
#[derive(Debug)]
pub struct Line<C> {
    /// The connection.
    pub conn: C,
    /// Whether its last use came to its end.
    pub sound: bool,
}

/// Opens connections, and sees to it that they are there.
pub struct Opener<C: Connection>(C::Options);

impl<C: Connection> std::fmt::Debug for Opener<C> {
    // The options have the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener")
    }
}

impl<C: Connection> managed::Manager for Opener<C> {
    type Type = Line<C>;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Line<C>, sqlx::Error> {
        Ok(Line { conn: C::connect_with(&self.0).await?, sound: true })
    }

    async fn recycle(&self, line: &mut Line<C>, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() > AGE {
            return Err(RecycleError::message("it is old"));
        }
        if line.sound && metrics.last_used() < IDLE {
            return Ok(());
        }
        Ok(answers(&mut line.conn).await.map(|_| ())?)
    }
}

/// Whether a connection answers in time.
///
/// # Errors
/// If it does not.
pub async fn answers<C: Connection>(conn: &mut C) -> Result<bool, sqlx::Error> {
    super::within(ANSWER, conn.ping()).await.map(|()| true)
}

/// A pool of at most so many connections. The one used last is lent first, for it remembers most.
///
/// # Errors
/// If none can be opened.
pub async fn open<C: Connection>(options: C::Options, most: usize) -> Result<Pool<C>, sqlx::Error> {
    let builder = Pool::builder(Opener(options)).max_size(most).queue_mode(QueueMode::Lifo).runtime(Runtime::Tokio1);
    let builder = builder.wait_timeout(Some(ACQUIRE)).create_timeout(Some(ACQUIRE));
    let pool = builder.build().map_err(|error| sqlx::Error::Configuration(error.into()))?;
    drop(acquire(&pool).await?);
    Ok(pool)
}

/// A connection, waited for if all are in use.
///
/// # Errors
/// If none could be had in time.
pub async fn acquire<C: Connection>(pool: &Pool<C>) -> Result<Lent<C>, sqlx::Error> {
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => error,
        PoolError::Closed => sqlx::Error::PoolClosed,
        _ => sqlx::Error::PoolTimedOut,
    })
}

/// Closes the connections, each in order.
pub async fn close<C: Connection>(pool: &Pool<C>) {
    while pool.status().available > 0 {
        let Ok(line) = pool.get().await else { break };
        // What the other side says to a goodbye changes nothing.
        let _ = Object::take(line).conn.close().await;
    }
    pool.close();
}
