//! Writes many rows with one statement, and streams whole tables. Column types are data here, for code that handles any table.

use futures_util::TryStreamExt;
use sqlx::Row;

pub use super::row::Kind;
use super::{Backend, Tx};
use crate::model::time::Timestamp;

/// Rows in one statement. PostgreSQL takes 65,535 parameters in a statement, SQLite 32,766.
const MAX_ROWS: usize = 500;

/// The value of a column.
pub enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    /// NULL of a type: PostgreSQL needs the type here, too.
    Null(Kind),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null(Kind::Text), Self::Text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Number(at.as_millis())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Runs a statement with `VALUES (…), (…)` between its two parts, for at most 500 rows at a time. Runs nothing without rows.
pub async fn insert_rows(
    tx: &mut Tx,
    (before, after): (&'static str, &'static str),
    rows: &[impl AsRef<[Value]>],
) -> Result<(), sqlx::Error> {
    macro_rules! run {
        ($driver:ty, $conn:expr, $rows:expr) => {{
            let mut query = sqlx::QueryBuilder::<$driver>::new(before);
            query.push_values($rows, |mut row, values| {
                for value in values.as_ref() {
                    match value {
                        Value::Text(text) => row.push_bind(text),
                        Value::Number(number) => row.push_bind(number),
                        Value::Flag(flag) => row.push_bind(flag),
                        Value::Null(Kind::Text) => row.push_bind(None::<String>),
                        Value::Null(Kind::Number) => row.push_bind(None::<i64>),
                        Value::Null(Kind::Flag) => row.push_bind(None::<bool>),
                    };
                }
            });
            // Each number of rows has another text, so no statement is worth caching.
            query.push(after).build().persistent(false).execute($conn).await.map(|_| ())
        }};
    }
    for rows in rows.chunks(MAX_ROWS) {
        let done = match tx.backend()? {
            Backend::Sqlite(conn) => run!(sqlx::Sqlite, conn, rows),
            Backend::Postgres(conn) => run!(sqlx::Postgres, conn, rows),
        };
        tx.finish(done)?;
    }
    Ok(())
}

/// One value of a row of either driver.
macro_rules! value {
    ($row:expr, $n:expr, $kind:expr) => {
        match $kind {
            Kind::Text => $row.try_get::<Option<String>, _>($n).map(|text| text.map(Value::Text)),
            Kind::Number => $row.try_get::<Option<i64>, _>($n).map(|number| number.map(Value::Number)),
            Kind::Flag => $row.try_get::<Option<bool>, _>($n).map(|flag| flag.map(Value::Flag)),
        }
        .map(|value| value.unwrap_or(Value::Null($kind)))
    };
}

/// Streams the rows of a `SELECT` in batches of 500, so that a table need not fit into memory. `kinds` are the types of its
/// columns.
pub async fn read_rows<E: From<sqlx::Error>>(
    tx: &mut Tx,
    select: &'static str,
    kinds: impl Iterator<Item = Kind> + Clone,
    mut take: impl AsyncFnMut(Vec<Vec<Value>>) -> Result<(), E>,
) -> Result<(), E> {
    macro_rules! run {
        ($driver:ty, $conn:expr) => {{
            let mut found = sqlx::query::<$driver>(select).persistent(false).fetch($conn);
            let mut rows = Vec::with_capacity(MAX_ROWS);
            while let Some(row) = found.try_next().await? {
                let value = |(n, kind)| value!(row, n, kind);
                rows.push(kinds.clone().enumerate().map(value).collect::<Result<Vec<_>, sqlx::Error>>()?);
                if rows.len() == MAX_ROWS {
                    take(std::mem::replace(&mut rows, Vec::with_capacity(MAX_ROWS))).await?;
                }
            }
            take(rows).await
        }};
    }
    match tx.backend()? {
        Backend::Sqlite(conn) => run!(sqlx::Sqlite, conn),
        Backend::Postgres(conn) => run!(sqlx::Postgres, conn),
    }
}
