//! Migrations, under a lock of our own: any number of processes may start at once.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, SqlSafeStr, SqlitePool};

use super::error::is_damage;
use super::open::{OpenError, lock};
use super::servers::Servers;
use super::{Backend, Db, Tx};
use crate::error::AppError;

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.set_locking(false); // The lock is ours: sqlx's does nothing on SQLite, and outlives a failure on PostgreSQL.
    migrator
});

/// The advisory lock for migrations on PostgreSQL.
const MIGRATION_LOCK: i64 = 0x006b_6579_666f_6200;

/// Returns version and checksum of this program's migrations, in order.
pub fn migrations() -> impl Iterator<Item = (i64, Vec<u8>)> {
    MIGRATOR.iter().map(|migration| (migration.version, migration.checksum.to_vec()))
}

/// A migration of tables of your own, for [`Db::migrate_own`].
#[derive(Clone, Copy, Debug)]
pub struct OwnMigration {
    /// Migrations run in the order of their versions.
    pub version: i64,
    pub name: &'static str,
    /// One SQL text, which both databases read. Once it was released, it must not change.
    pub sql: &'static str,
}

/// The migrations of a database, compared with those of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    UpToDate,
    /// It lacks some, or has different ones.
    Pending,
    /// It has some that this program does not know.
    Newer,
}

/// Compares the migrations of a database with those of this program.
pub async fn migrated(tx: &mut Tx) -> Result<SchemaState, AppError> {
    let sql = match tx.backend()? {
        Backend::Sqlite(_) => "SELECT COUNT(*) AS number FROM sqlite_master WHERE name = '_sqlx_migrations'",
        Backend::Postgres(_) => {
            "SELECT COUNT(*) AS number FROM pg_tables WHERE tablename = '_sqlx_migrations' \
             AND schemaname = ANY (current_schemas(FALSE))"
        }
    };
    let tables: i64 = tx.query_one(sql, &[], |row| row.get("number")).await?;
    if tables == 0 {
        return Ok(SchemaState::Pending);
    }
    let sql = "SELECT version, checksum FROM _sqlx_migrations WHERE success";
    let applied: Vec<(i64, Vec<u8>)> =
        tx.query(sql, &[], |row| Ok((row.get("version")?, row.get("checksum")?))).await?;
    if migrations().any(|migration| !applied.contains(&migration)) {
        return Ok(SchemaState::Pending);
    }
    Ok(if applied.len() > migrations().count() { SchemaState::Newer } else { SchemaState::UpToDate })
}

impl Db {
    /// Applies missing migrations, under a lock.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        match self {
            Self::Sqlite { write, .. } => migrate_sqlite(write, &MIGRATOR).await,
            Self::Postgres { servers, session, .. } => migrate_postgres(servers, session.pooled, &MIGRATOR).await,
        }
    }

    /// Applies missing migrations of your own tables, after [`Db::migrate`] and under the same lock. The table
    /// `_own_migrations` lists the applied ones.
    ///
    /// ```no_run
    /// use keyfob::server::db::{Db, OwnMigration};
    ///
    /// const MIGRATIONS: &[OwnMigration] =
    ///     &[OwnMigration { version: 1, name: "notes", sql: "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY)" }];
    ///
    /// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
    /// let db = Db::open("sqlite://data/keyfob.db").await?;
    /// db.migrate().await?;
    /// db.migrate_own(MIGRATIONS).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn migrate_own(&self, migrations: &[OwnMigration]) -> Result<(), OpenError> {
        let resolve = |own: &OwnMigration| {
            Migration::new(own.version, own.name.into(), MigrationType::Simple, own.sql.into_sql_str(), false)
        };
        let mut migrator = Migrator::with_migrations(migrations.iter().map(resolve).collect());
        migrator.set_locking(false);
        migrator.dangerous_set_table_name("_own_migrations");
        match self {
            Self::Sqlite { write, .. } => migrate_sqlite(write, &migrator).await,
            Self::Postgres { servers, session, .. } => migrate_postgres(servers, session.pooled, &migrator).await,
        }
    }

    /// Whether the database answers and holds all migrations of this program.
    pub(crate) async fn has_migrations(&self) -> Result<bool, AppError> {
        let sql = "SELECT COUNT(*) AS number FROM _sqlx_migrations WHERE success";
        let applied: i64 = self.query_one(sql, &[], |row| row.get("number")).await?;
        // A newer program may have applied more: migrations only expand.
        Ok(usize::try_from(applied).is_ok_and(|applied| applied >= MIGRATOR.iter().count()))
    }
}

async fn migrate_sqlite(pool: &SqlitePool, migrator: &Migrator) -> Result<(), OpenError> {
    let _lock = lock(pool.connect_options().get_filename())
        .await
        .map_err(|error| OpenError(format!("cannot lock the database for its migrations: {error}.")))?;
    migrator.run(pool).await.map_err(|error| migration_failed(&error))
}

async fn migrate_postgres(servers: &Servers, pooled: bool, migrator: &Migrator) -> Result<(), OpenError> {
    // An own connection: the lock ends with it.
    let mut conn = servers.connect().await.map_err(|error| servers.explain(&error))?;
    for attempt in 0.. {
        // Polls: a waiting lock would block CREATE INDEX CONCURRENTLY.
        let done = if pooled {
            migrate_pooled(&mut conn, migrator).await?
        } else {
            migrate_session(&mut conn, migrator).await?
        };
        if done {
            break;
        }
        if attempt == 600 {
            return Err(OpenError("another process has held the migration lock for a minute. Is it stuck?".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    conn.close().await.map_err(|error| lock_failed(&error))
}

fn lock_failed(error: &sqlx::Error) -> OpenError {
    OpenError(format!("cannot lock the database for its migrations: {error}."))
}

/// Applies the migrations under a lock of the session. Returns false if another process has it.
async fn migrate_session(conn: &mut PgConnection, migrator: &Migrator) -> Result<bool, OpenError> {
    let lock = async {
        conn.execute("SET statement_timeout = 0; SET lock_timeout = 0").await?;
        let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(MIGRATION_LOCK);
        lock.fetch_one(&mut *conn).await
    };
    if !lock.await.map_err(|error| lock_failed(&error))? {
        return Ok(false);
    }
    migrator.run(conn).await.map_err(|error| migration_failed(&error))?;
    Ok(true)
}

/// Like [`migrate_session`], behind a pooler: one transaction holds the lock.
async fn migrate_pooled(conn: &mut PgConnection, migrator: &Migrator) -> Result<bool, OpenError> {
    const BEGIN: &str = "BEGIN; SET LOCAL client_min_messages = warning; \
        SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
    let failed = |error: sqlx::Error| lock_failed(&error);
    let mut tx = conn.begin_with(BEGIN).await.map_err(failed)?;
    let lock = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(MIGRATION_LOCK).persistent(false);
    if !lock.fetch_one(&mut *tx).await.map_err(failed)? {
        tx.rollback().await.map_err(failed)?;
        return Ok(false);
    }
    migrator.run(&mut *tx).await.map_err(|error| migration_failed(&error))?;
    // The pooler gives this session to others, so no prepared statement may stay.
    tx.clear_cached_statements().await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(true)
}

fn migration_failed(error: &sqlx::migrate::MigrateError) -> OpenError {
    use sqlx::migrate::MigrateError::{Execute, ExecuteMigration, VersionMismatch, VersionMissing};
    OpenError(match error {
        Execute(cause) | ExecuteMigration(cause, _) if is_damage(cause) => {
            format!("the database is damaged: {cause}. Restore a backup.")
        }
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
