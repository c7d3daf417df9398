//! What goes wrong in a database, and what callers are told of it.

use std::fmt::Display;

use crate::error::AppError;
use crate::server::log;

impl From<sqlx::Error> for AppError {
    fn from(error: sqlx::Error) -> Self {
        told(&error, is_damage(&error), is_outage(&error))
    }
}

impl From<rusqlite::Error> for AppError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|error| error.extended_code.cast_unsigned());
        told(&error, code.is_some_and(is_damage_to_sqlite), code.is_some_and(is_outage_of_sqlite))
    }
}

/// Logs the cause, once; no text of it reaches a client.
fn told(error: &impl Display, is_damage: bool, is_outage: bool) -> AppError {
    let _request = log::request().entered();
    if is_damage {
        tracing::error!(%error, "the database is damaged: stop the server and run keyfob doctor");
        AppError::Unavailable
    } else if is_outage {
        tracing::warn!(%error, "the database did not answer");
        AppError::Unavailable
    } else {
        tracing::error!(%error, "a query failed");
        AppError::Internal
    }
}

/// SQLite's codes, the low byte of an extended one: 5 busy, 6 locked, 8 read-only, 10 I/O, 13 full, 14 open.
const fn is_outage_of_sqlite(code: u32) -> bool {
    matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14)
}

/// SQLite's codes: 11 corrupt, 26 not a database.
const fn is_damage_to_sqlite(code: u32) -> bool {
    matches!(code & 0xff, 11 | 26)
}

/// Whether what a file of SQLite holds is not what SQLite has written.
pub(super) fn is_damage(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let is_sqlite = error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some();
    is_sqlite && error.code().and_then(|code| code.parse().ok()).is_some_and(is_damage_to_sqlite)
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
            let sqlite = code.parse().is_ok_and(is_outage_of_sqlite);
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
