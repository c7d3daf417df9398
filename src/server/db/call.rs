//! The call of one statement, with its arguments for either driver.

use std::time::Duration;

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Encode, Postgres, Sqlite, Type};

/// A statement that is about to run: its arguments, and how often it was tried.
pub struct Call {
    /// How long it may take.
    pub limit: Duration,
    /// Whether its plan is kept on the connection.
    pub keeps_plan: bool,
    is_postgres: bool,
    /// Whether it only reads, so that nothing is done twice.
    pub(super) reads: bool,
    pub(super) tries: u32,
    sqlite: SqliteArguments,
    postgres: PgArguments,
    pub(super) wrong: Option<sqlx::Error>,
}

impl Call {
    /// A call without arguments yet.
    pub(super) fn new(limit: Duration, is_postgres: bool, keeps_plan: bool) -> Self {
        let (sqlite, postgres) = (SqliteArguments::default(), PgArguments::default());
        Self { limit, keeps_plan, is_postgres, reads: false, tries: 0, sqlite, postgres, wrong: None }
    }

    /// Says that it only reads.
    pub(super) const fn reads(mut self) -> Self {
        self.reads = true;
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn bind<'q, T>(mut self, value: T) -> Self
    where
        T: Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres>,
    {
        let added = if self.is_postgres { self.postgres.add(value) } else { self.sqlite.add(value) };
        self.wrong = self.wrong.or(added.err().map(sqlx::Error::Encode));
        self
    }

    /// The arguments for SQLite, where no statement runs twice.
    pub fn sqlite(&mut self) -> SqliteArguments {
        std::mem::take(&mut self.sqlite)
    }

    /// The arguments for PostgreSQL.
    #[must_use]
    pub fn postgres(&self) -> PgArguments {
        self.postgres.clone()
    }
}
