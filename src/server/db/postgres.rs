//! PostgreSQL: transactions, and session settings with and without a pooler.

use deadpool::managed::Object;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::runtime::Handle;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::conn::Session;
use super::error::{Class, class};
use super::invalidations::Invalidations;
use super::open::OpenError;
use super::pool;
use super::pool::{CHECK_TIMEOUT, Pool, PooledConn, RecheckCounter};
use super::servers::Servers;
use super::{Db, with_timeout};

/// How many connections run single statements.
const MAX_STATEMENT_CONNECTIONS: usize = 16;
/// How many connections run transactions.
const MAX_TRANSACTION_CONNECTIONS: usize = 4;

/// Begins a transaction that may write.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// Begins one that reads the database as it stands at its first query.
pub(super) const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Like [`BEGIN`], behind a pooler: each transaction may have another session without our settings.
pub(super) const BEGIN_POOLED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL client_min_messages = warning; \
    SET LOCAL statement_timeout = 5000; SET LOCAL lock_timeout = 2000; \
    SET LOCAL idle_in_transaction_session_timeout = 10007";

/// An unusual value of `idle_in_transaction_session_timeout`. A session that has it has all our settings.
const MARK: &str = "10007";

/// The settings of a session.
fn settings(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("keyfob").options([
        ("client_min_messages", "warning"),
        ("default_transaction_isolation", "read committed"),
        ("statement_timeout", "5000"),
        ("lock_timeout", "2000"),
        ("idle_in_transaction_session_timeout", MARK),
    ])
}

/// A pooler passes on few settings, and rejects or ignores the rest.
fn settings_of_pooled(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("keyfob").extra_float_digits(None)
}

/// Opens the database, and detects a pooler by whether our settings arrive.
pub(super) async fn open(servers: Servers) -> Result<Db, OpenError> {
    let explained = |error: sqlx::Error| servers.explain(&error);
    let direct = servers.with(settings);
    let found = match direct.connect().await {
        Ok(mut conn) => Some(examine(&mut conn).await.map_err(explained)?),
        Err(error) if refuses_settings(&error) => None,
        Err(error) => return Err(explained(error)),
    };
    let rechecks = RecheckCounter::default();
    let (servers, found) = match found {
        Some(found) if found.mark.as_deref() == Some(MARK) => {
            // Otherwise PostgreSQL plans most queries at each execution, which costs more than running them.
            let plan = |options: PgConnectOptions| options.options([("plan_cache_mode", "force_generic_plan")]);
            (if found.plans_once { direct.with(plan) } else { direct }, found)
        }
        _ if servers.has_options() => {
            return Err(OpenError(
                "DATABASE_URL or PGOPTIONS has options, and the pooler in front of PostgreSQL does not pass them on. Set them by \
                 ALTER ROLE ... SET, or name PostgreSQL itself in DATABASE_URL."
                    .to_owned(),
            ));
        }
        _ => {
            let pooled = servers.with(settings_of_pooled);
            let mut conn = pooled.connect().await.map_err(explained)?;
            let found = examine(&mut conn).await.map_err(explained)?;
            (pooled, Found { mark: None, ..found })
        }
    };
    let statements = pool::open(servers.clone(), &rechecks, MAX_STATEMENT_CONNECTIONS)
        .await
        .map_err(|error| servers.explain(&error))?;
    let transactions = pool::open(servers.clone(), &rechecks, MAX_TRANSACTION_CONNECTIONS)
        .await
        .map_err(|error| servers.explain(&error))?;
    let session = Session { notifies: found.notifies, pooled: found.mark.is_none() };
    Ok(Db::Postgres { statements, transactions, servers, changes: Invalidations::default(), session })
}

/// Whether a pooler rejected the settings of a session: `unsupported startup parameter: options`.
fn refuses_settings(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error)
        if error.code().as_deref() == Some("08P01") && error.message().contains("startup parameter"))
}

/// Properties of a server.
#[derive(sqlx::FromRow)]
struct Found {
    notifies: bool,
    plans_once: bool,
    mark: Option<String>,
}

async fn examine(conn: &mut PgConnection) -> Result<Found, sqlx::Error> {
    let sql = "SELECT (SELECT COUNT(*) > 0 FROM pg_catalog.pg_proc WHERE proname = 'pg_notify') AS notifies, \
               CAST(current_setting('server_version_num') AS BIGINT) >= 120000 AS plans_once, \
               (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'idle_in_transaction_session_timeout') AS mark";
    // In a transaction: a pooler might run its two parts on two sessions.
    run(conn, BEGIN).await?;
    let found = sqlx::query_as(sql).persistent(false).fetch_one(&mut *conn).await?;
    run(conn, "COMMIT").await?;
    Ok(found)
}

/// Begins or ends a transaction, without a line in the log of the request's statements.
async fn run(conn: &mut PgConnection, statement: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(statement).execute(conn).with_subscriber(NoSubscriber::default()).await.map(|_| ())
}

/// A transaction. Dropped without [`PgTransaction::commit`], it is rolled back.
pub(super) struct PgTransaction {
    /// `None` after the end.
    pooled: Option<PooledConn>,
}

impl PgTransaction {
    pub async fn begin(pool: &Pool, statement: &'static str) -> Result<Self, sqlx::Error> {
        let mut tries = 0;
        loop {
            let mut pooled = pool::acquire(pool).await?;
            pooled.healthy = false;
            tries += 1;
            let begun = run(&mut pooled.conn, statement).await;
            pooled.note(&begun);
            match begun {
                Ok(()) => {
                    pooled.healthy = false;
                    return Ok(Self { pooled: Some(pooled) });
                }
                // Nothing ran yet. After this failure the pool checks each connection before its next use.
                Err(error) if tries == 1 && class(&error) == Class::Lost => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub fn conn(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.pooled.as_mut().map(|pooled| &mut pooled.conn).ok_or(sqlx::Error::PoolClosed)
    }

    /// Records the result of a statement.
    pub fn note<T>(&mut self, done: &Result<T, sqlx::Error>) {
        if let Some(pooled) = &mut self.pooled {
            pooled.note(done);
            // Until the transaction has ended.
            pooled.healthy = false;
        }
    }

    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        let done = run(self.conn()?, "COMMIT").await;
        if let Some(pooled) = &mut self.pooled {
            pooled.note(&done);
        }
        if done.is_ok() {
            self.pooled = None;
        }
        done
    }
}

impl Drop for PgTransaction {
    fn drop(&mut self) {
        let Some(mut pooled) = self.pooled.take() else { return };
        // Rolls back now, so that locks do not last until the next use of the connection.
        let Ok(runtime) = Handle::try_current().map_err(|_| ()) else { return drop(Object::take(pooled)) };
        if pooled.spoilt {
            return drop(Object::take(pooled));
        }
        runtime.spawn(async move {
            let undone = with_timeout(CHECK_TIMEOUT, run(&mut pooled.conn, "ROLLBACK")).await;
            pooled.note(&undone);
            if undone.is_err() {
                drop(Object::take(pooled));
            }
        });
    }
}
