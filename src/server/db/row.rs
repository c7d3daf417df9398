//! Small reads, written once for both drivers: what a query is given, and what its rows hold.

use rusqlite::types::{FromSql, ToSqlOutput, ValueRef};
use sqlx::postgres::{PgRow, Postgres};
use sqlx::{Decode, Row as _, Type};

use crate::error::AppError;
use crate::model::time::Timestamp;

/// A value for a query.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Number(i64),
    /// True or false.
    Flag(bool),
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Arg<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Timestamp> for Arg<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Number(at.as_millis())
    }
}

impl From<bool> for Arg<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl rusqlite::ToSql for Arg<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Arg::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Arg::Number(number) => (*number).into(),
            Arg::Flag(flag) => (*flag).into(),
        })
    }
}

/// What a column can be read as: `String`, `i64`, `f64`, `bool`, and an `Option` of each.
pub trait Column: FromSql + Type<Postgres> + for<'r> Decode<'r, Postgres> {}
impl<T: FromSql + Type<Postgres> + for<'r> Decode<'r, Postgres>> Column for T {}

/// A row of either driver.
#[derive(Clone, Copy)]
pub enum Row<'r> {
    /// Of SQLite.
    Sqlite(&'r rusqlite::Row<'r>),
    /// Of PostgreSQL.
    Postgres(&'r PgRow),
}

impl Row<'_> {
    /// The value of a column.
    ///
    /// # Errors
    /// [`AppError::Internal`] if there is no such column, or it holds something else.
    pub fn get<T: Column>(self, name: &str) -> Result<T, AppError> {
        match self {
            Self::Sqlite(row) => Ok(row.get(name)?),
            Self::Postgres(row) => Ok(row.try_get(name)?),
        }
    }

    /// The value of a column as a type of ours: an id, a name.
    ///
    /// # Errors
    /// [`AppError::Internal`] if it is none.
    pub fn parse<T>(self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, AppError> {
        parse(&self.get::<String>(name)?).ok_or(AppError::Internal)
    }

    /// The same, where the column may hold nothing.
    ///
    /// # Errors
    /// As [`Row::parse`].
    pub fn parse_some<T>(self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, AppError> {
        let text: Option<String> = self.get(name)?;
        text.map(|text| parse(&text).ok_or(AppError::Internal)).transpose()
    }

    /// A time.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn time(self, name: &str) -> Result<Timestamp, AppError> {
        self.get(name).map(Timestamp::from_millis)
    }

    /// A time, where there may be none.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn time_if_any(self, name: &str) -> Result<Option<Timestamp>, AppError> {
        Ok(self.get::<Option<i64>>(name)?.map(Timestamp::from_millis))
    }
}
