//! Queries: one SQL text for both databases, and one function that reads a row of either. Contributors use these and
//! nothing else:
//!
//! | method | for | on SQLite it runs |
//! |---|---|---|
//! | [`Db::query_one`], [`Db::query_optional`] | a row that an index finds: by id, digest, email address | inline |
//! | [`Db::query_inline`] | a short page that an index gives in its order | inline |
//! | [`Db::query`] | any other read | on a thread of lower priority |
//! | [`Db::execute`] | a single statement that writes | on the writer's thread |
//! | [`Tx::query_one`], [`Tx::query_optional`], [`Tx::query`], [`Tx::execute`] | all within a transaction | on the writer's thread |

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Postgres, Sqlite};

use super::call::Call;
use super::row::{ColumnPositions, DriverRow, Param, Row};
use super::{Backend, Conn, Db, Error, STATEMENT_TIMEOUT, Tx, postgres_conn, with_timeout};
use crate::error::AppError;

/// Reads a row into a type.
pub type Mapper<T> = fn(Row<'_>) -> Result<T, AppError>;

impl Db {
    /// Returns the rows of a read. On SQLite it runs on a thread of lower priority, stops when the request ends, and is
    /// interrupted after 5 s. PostgreSQL ends it after as long (`statement_timeout`).
    pub async fn query<T: Send + 'static>(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        map: Mapper<T>,
    ) -> Result<Vec<T>, AppError> {
        match self {
            Self::Sqlite { write: pool, .. } if pool.is_closed() => Err(Error::PoolClosed.into()),
            Self::Sqlite { lists, .. } => lists.query(STATEMENT_TIMEOUT, sql, params, map).await,
            Self::Postgres { .. } => Box::pin(self.query_postgres(sql, params)).await?.map(map),
        }
    }

    /// Like [`Db::query`], but on SQLite it runs on the thread of the request. Only for a page that an index gives in its
    /// order, with a `LIMIT` and without `OFFSET`: anything longer would hold up other requests.
    pub async fn query_inline<T>(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        map: Mapper<T>,
    ) -> Result<Vec<T>, AppError> {
        match self {
            Self::Sqlite { write: pool, .. } if pool.is_closed() => Err(Error::PoolClosed.into()),
            Self::Sqlite { inline_reader, .. } => inline_reader.query(sql, params, map),
            Self::Postgres { .. } => Box::pin(self.query_postgres(sql, params)).await?.map(map),
        }
    }

    /// Returns the row that an index finds, if there is one.
    pub async fn query_optional<T>(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        map: Mapper<T>,
    ) -> Result<Option<T>, AppError> {
        Ok(self.query_inline(sql, params, map).await?.pop())
    }

    /// Returns the row that an index finds. Without one it fails with [`AppError::Internal`].
    pub async fn query_one<T>(&self, sql: &'static str, params: &[Param<'_>], map: Mapper<T>) -> Result<T, AppError> {
        self.query_optional(sql, params, map).await?.ok_or_else(|| Error::RowNotFound.into())
    }

    /// Runs a single statement that writes, and returns the number of rows that it changed.
    pub async fn execute(&self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, Error> {
        let mut conn = self.write().await?;
        let mut call = bind(conn.call(), params);
        loop {
            let done = match conn.start(&mut call).await {
                Err(error) => Err(error),
                Ok(on) => with_timeout(call.limit, execute(on, sql, &mut call)).await,
            };
            let done = conn.finish(done).await;
            if !conn.repeats(&call, &done).await {
                return done;
            }
        }
    }

    /// Repeats a read whose connection turns out to be lost. In a box, because it takes 2 kB of the future of every request, which
    /// is moved several times.
    async fn query_postgres(&self, sql: &'static str, params: &[Param<'_>]) -> Result<Rows, Error> {
        let Self::Postgres { statements, session, .. } = self else { return Err(Error::PoolClosed) };
        let mut conn = postgres_conn(statements, *session).await?;
        let call = bind(conn.call().reads(), params);
        fetch_on(&mut conn, call, sql).await
    }
}

/// Returns the rows of a single statement. Repeats it where that is safe and helps: see [`Conn::repeats`].
pub(super) async fn fetch_on(conn: &mut Conn, mut call: Call, sql: &'static str) -> Result<Rows, Error> {
    loop {
        let found = match conn.start(&mut call).await {
            Err(error) => Err(error),
            Ok(on) => with_timeout(call.limit, fetch(on, sql, &mut call)).await,
        };
        let found = conn.finish(found).await;
        if !conn.repeats(&call, &found).await {
            return found;
        }
    }
}

impl Tx {
    /// Returns the rows of a statement.
    pub async fn query<T>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        map: Mapper<T>,
    ) -> Result<Vec<T>, AppError> {
        let mut call = bind(self.call(), params);
        let found = match self.start(&mut call) {
            Err(error) => Err(error),
            Ok(on) => with_timeout(call.limit, fetch(on, sql, &mut call)).await,
        };
        self.finish(found)?.map(map)
    }

    /// Returns the only row of a statement, if there is one.
    pub async fn query_optional<T>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        map: Mapper<T>,
    ) -> Result<Option<T>, AppError> {
        Ok(self.query(sql, params, map).await?.pop())
    }

    /// Returns the only row of a statement. Without one it fails with [`AppError::Internal`].
    pub async fn query_one<T>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        map: Mapper<T>,
    ) -> Result<T, AppError> {
        self.query_optional(sql, params, map).await?.ok_or_else(|| Error::RowNotFound.into())
    }

    /// Runs a statement that writes, and returns the number of rows that it changed.
    pub async fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, Error> {
        let mut call = bind(self.call(), params);
        let done = match self.start(&mut call) {
            Err(error) => Err(error),
            Ok(on) => with_timeout(call.limit, execute(on, sql, &mut call)).await,
        };
        self.finish(done)
    }
}

/// The rows that a driver of sqlx returned.
pub(super) enum Rows {
    Sqlite(Vec<SqliteRow>),
    Postgres(Vec<PgRow>),
}

impl Rows {
    pub(super) fn map<T>(&self, map: Mapper<T>) -> Result<Vec<T>, AppError> {
        let columns = ColumnPositions::default();
        match self {
            Self::Sqlite(rows) => rows.iter().map(|row| map(Row::new(DriverRow::Sqlite(row), &columns))).collect(),
            Self::Postgres(rows) => rows.iter().map(|row| map(Row::new(DriverRow::Postgres(row), &columns))).collect(),
        }
    }
}

fn bind(call: Call, params: &[Param<'_>]) -> Call {
    use super::row::Kind;
    params.iter().fold(call, |call, param| match *param {
        Param::Text(text) => call.bind(text),
        Param::Number(number) => call.bind(number),
        Param::Flag(flag) => call.bind(flag),
        Param::Null(Kind::Text) => call.bind(None::<&str>),
        Param::Null(Kind::Number) => call.bind(None::<i64>),
        Param::Null(Kind::Flag) => call.bind(None::<bool>),
    })
}

async fn fetch(on: Backend<'_>, sql: &'static str, call: &mut Call) -> Result<Rows, Error> {
    match on {
        Backend::Sqlite(conn) => {
            sqlx::query_with::<Sqlite, _>(sql, call.sqlite()).fetch_all(conn).await.map(Rows::Sqlite)
        }
        Backend::Postgres(conn) => {
            let query = sqlx::query_with::<Postgres, _>(sql, call.postgres()).persistent(call.keeps_plan);
            query.fetch_all(conn).await.map(Rows::Postgres)
        }
    }
}

async fn execute(on: Backend<'_>, sql: &'static str, call: &mut Call) -> Result<u64, Error> {
    match on {
        Backend::Sqlite(conn) => {
            let done = sqlx::query_with::<Sqlite, _>(sql, call.sqlite()).execute(conn).await;
            done.map(|done| done.rows_affected())
        }
        Backend::Postgres(conn) => {
            let query = sqlx::query_with::<Postgres, _>(sql, call.postgres()).persistent(call.keeps_plan);
            query.execute(conn).await.map(|done| done.rows_affected())
        }
    }
}
