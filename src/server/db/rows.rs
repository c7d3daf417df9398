//! Many rows in one statement: a statement for each costs more than the row itself.

use super::{Backend, Tx};
use crate::model::time::Timestamp;

/// Rows in one statement. PostgreSQL takes 65,535 parameters in one, SQLite 32,766.
const ROWS: usize = 500;

/// A value of a row.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text, or NULL.
    Text(Option<String>),
    /// A whole number.
    Number(i64),
    /// True or false.
    Flag(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
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

/// Runs a statement with `VALUES (…), (…)` between its two parts, as often as there are rows for it; not at all for none.
///
/// # Errors
/// Whatever the database says.
pub async fn write_rows<const N: usize>(
    tx: &mut Tx,
    (before, after): (&'static str, &'static str),
    rows: &[[Value; N]],
) -> Result<(), sqlx::Error> {
    macro_rules! run {
        ($driver:ty, $conn:expr, $rows:expr) => {{
            let mut query = sqlx::QueryBuilder::<$driver>::new(before);
            query.push_values($rows, |mut row, values| {
                for value in values.clone() {
                    match value {
                        Value::Text(text) => row.push_bind(text),
                        Value::Number(number) => row.push_bind(number),
                        Value::Flag(flag) => row.push_bind(flag),
                    };
                }
            });
            // As many texts as there are numbers of rows: none is worth keeping.
            query.push(after).build().persistent(false).execute($conn).await?;
        }};
    }
    for rows in rows.chunks(ROWS) {
        match tx.backend() {
            Backend::Sqlite(conn) => run!(sqlx::Sqlite, conn, rows),
            Backend::Postgres(conn) => run!(sqlx::Postgres, conn, rows),
        }
    }
    Ok(())
}
