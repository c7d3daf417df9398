//! Classifies database errors: which status the client gets, and whether the connection is used again.

use std::fmt::Display;
use std::io::ErrorKind;

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use super::retry;
use crate::error::AppError;
use crate::server::request_context;

/// What an error of the database means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The connection is gone, or the server behind it.
    Lost,
    /// The server takes no changes: it became a standby, or was made read-only.
    ReadOnly,
    /// The server does not know a statement that was prepared on this connection, or knows another one by its name.
    Stale,
    /// The transaction lost against another one, and was rolled back.
    Conflict,
    /// Locked, out of connections, or too slow. The connection is as good as before.
    Busy,
    /// The disk is full. The connection is as good as before.
    Full,
    /// The server does not let this program in.
    Refused,
    /// What is stored is not what was written.
    Damage,
    /// Anything else: the statement is wrong, or breaks a rule of the tables.
    Fault,
}

impl Class {
    /// Whether the client is answered with 503, and may try again.
    pub const fn is_outage(self) -> bool {
        !matches!(self, Self::Fault)
    }

    /// Whether the connection must not be used again, though it still answers.
    #[must_use]
    pub const fn spoils_connection(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Stale | Self::Refused)
    }

    /// Whether the other connections may lead to the same failure, and are checked before their next use.
    #[must_use]
    pub const fn casts_doubt(self) -> bool {
        matches!(self, Self::Lost | Self::ReadOnly | Self::Refused)
    }
}

/// What PostgreSQL's error codes that begin so mean.
struct Rule {
    code: &'static str,
    class: Class,
}

const fn rule(code: &'static str, class: Class) -> Rule {
    Rule { code, class }
}

/// The first rule that fits decides. What none fits is a fault of the program.
const RULES: &[Rule] = &[
    rule("08", Class::Lost),        // connection exception
    rule("25006", Class::ReadOnly), // read-only transaction
    rule("25P03", Class::Lost),     // idle in transaction for too long
    rule("26000", Class::Stale),    // unknown prepared statement
    rule("28", Class::Refused),     // wrong password, or not let in
    rule("3D000", Class::Refused),  // unknown database
    rule("40001", Class::Conflict), // serialization failure
    rule("40003", Class::Lost),     // it is not known whether the statement was completed
    rule("40P01", Class::Conflict), // deadlock
    rule("42P05", Class::Stale),    // prepared statement exists already
    rule("53100", Class::Full),     // disk full
    rule("53", Class::Busy),        // out of memory or connections
    rule("55006", Class::Busy),     // object in use
    rule("55P03", Class::Busy),     // lock not available
    rule("57P", Class::Lost),       // shutting down, starting, or the database was dropped
    rule("57", Class::Busy),        // cancelled, as by statement_timeout
    rule("58", Class::Lost),        // error of the server's system, such as I/O
    rule("XX001", Class::Damage),   // data corrupted
    rule("XX002", Class::Damage),   // index corrupted
    rule("XX", Class::Lost),        // internal error
];

/// What an error of PostgreSQL means.
fn of_postgres(code: &str, message: &str) -> Class {
    // A migration changed what the statement gives. The code is that of anything that is not supported.
    if code == "0A000" && message.starts_with("cached plan must not change result type") {
        return Class::Stale;
    }
    RULES.iter().find(|rule| code.starts_with(rule.code)).map_or(Class::Fault, |rule| rule.class)
}

/// What an extended code of SQLite means; its low byte is the code itself.
const fn of_sqlite(code: u32) -> Class {
    match code & 0xff {
        // Busy, locked.
        5 | 6 => Class::Busy,
        8 => Class::ReadOnly,
        // I/O, cannot open.
        10 | 14 => Class::Lost,
        13 => Class::Full,
        // Corrupt, not a database.
        11 | 26 => Class::Damage,
        _ => Class::Fault,
    }
}

/// What an error means.
#[must_use]
pub fn class(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Io(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => Class::ReadOnly,
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::BeginFailed
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Class::Lost,
        sqlx::Error::PoolTimedOut => Class::Busy,
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => match of_postgres(error.code(), error.message()) {
                // The server closes the connection after it.
                Class::Busy | Class::Full | Class::Fault if error.severity() != PgSeverity::Error => Class::Lost,
                class => class,
            },
            None => error.code().and_then(|code| code.parse().ok()).map_or(Class::Fault, of_sqlite),
        },
        _ => Class::Fault,
    }
}

/// The error of a server that answers, but takes no changes.
pub(super) fn read_only() -> sqlx::Error {
    let says = "the server is read-only: it is a standby, or default_transaction_read_only is on";
    sqlx::Error::Io(std::io::Error::new(ErrorKind::ReadOnlyFilesystem, says))
}

/// Whether what a file of SQLite holds is not what SQLite has written.
pub(super) fn is_damage(error: &sqlx::Error) -> bool {
    class(error) == Class::Damage
}

/// Whether a unique index refused the row. Never by the index's name: SQLite tells none.
pub fn is_unique_violation(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.is_unique_violation())
}

impl From<sqlx::Error> for AppError {
    fn from(error: sqlx::Error) -> Self {
        log_and_convert(&error, class(&error))
    }
}

impl From<rusqlite::Error> for AppError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|error| error.extended_code.cast_unsigned());
        log_and_convert(&error, code.map_or(Class::Fault, of_sqlite))
    }
}

/// Logs the cause, once; no text of it reaches a client.
fn log_and_convert(error: &impl Display, class: Class) -> AppError {
    let _request = request_context::current_span().entered();
    match class {
        Class::Damage => tracing::error!(%error, "the database is damaged: stop the server and run keyfob doctor"),
        Class::Refused => tracing::error!(%error, "the database does not let this server in: check DATABASE_URL"),
        Class::Fault => tracing::error!(%error, "a query failed"),
        _ => tracing::warn!(%error, "the database did not answer"),
    }
    if class == Class::Conflict {
        retry::note_conflict();
    }
    if class.is_outage() { AppError::Unavailable } else { AppError::Internal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_class_is_decided() {
        for (class, codes) in [
            (Class::Lost, &["08000", "08003", "08006", "08P01", "57P01", "57P02", "57P03", "57P04", "57P05"][..]),
            (Class::Lost, &["25P03", "40003", "58000", "58030", "58P01", "XX000"]),
            (Class::ReadOnly, &["25006"]),
            (Class::Stale, &["26000", "42P05"]),
            (Class::Refused, &["28000", "28P01", "3D000"]),
            (Class::Conflict, &["40001", "40P01"]),
            (Class::Busy, &["53000", "53200", "53300", "53400", "55006", "55P03", "57000", "57014"]),
            (Class::Full, &["53100"]),
            (Class::Damage, &["XX001", "XX002"]),
            (Class::Fault, &["23505", "22021", "25001", "25P02", "0A000", "42601", "42P01", "42703", "P0001", ""]),
        ] {
            for code in codes {
                assert_eq!(of_postgres(code, ""), class, "{code}");
            }
        }
        assert_eq!(of_postgres("0A000", "cached plan must not change result type"), Class::Stale);
    }

    #[test]
    fn each_code_of_sqlite_is_decided() {
        // The second of a kind has an extension: 266 is 10 | (1 << 8).
        for (class, codes) in [
            (Class::Busy, &[5, 6, 261][..]),
            (Class::Full, &[13]),
            (Class::ReadOnly, &[8, 264]),
            (Class::Lost, &[10, 14, 266]),
            (Class::Damage, &[11, 26, 267]),
            (Class::Fault, &[1, 19, 2067]),
        ] {
            for code in codes {
                assert_eq!(of_sqlite(*code), class, "{code}");
            }
        }
    }

    #[test]
    fn everything_but_a_fault_is_answered_with_503() {
        for rule in RULES {
            assert!(rule.class.is_outage(), "{}", rule.code);
        }
        for error in [sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed, read_only(), sqlx::Error::BeginFailed] {
            assert_eq!(AppError::from(error), AppError::Unavailable);
        }
        assert_eq!(AppError::from(sqlx::Error::RowNotFound), AppError::Internal);
        assert_eq!(class(&read_only()), Class::ReadOnly);
    }
}
