//! Small reads, written once for both drivers: what a query is given, and what its rows hold.

use std::cell::{Cell, RefCell};

use rusqlite::types::{FromSql, ToSqlOutput, ValueRef};
use sqlx::postgres::{PgRow, Postgres};
use sqlx::{Decode, Row as _, Type};

use crate::error::AppError;
use crate::model::time::Timestamp;

/// A value for a query.
#[derive(Clone, Copy, Debug)]
pub enum Param<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Number(i64),
    /// True or false.
    Flag(bool),
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Param<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Timestamp> for Param<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Number(at.as_millis())
    }
}

impl From<bool> for Param<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Param::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Param::Number(number) => (*number).into(),
            Param::Flag(flag) => (*flag).into(),
        })
    }
}

impl From<&Param<'_>> for rusqlite::types::Value {
    fn from(arg: &Param<'_>) -> Self {
        match *arg {
            Param::Text(text) => text.to_owned().into(),
            Param::Number(number) => number.into(),
            Param::Flag(flag) => flag.into(),
        }
    }
}

/// What a column can be read as: `String`, `i64`, `f64`, `bool`, and an `Option` of each.
pub trait Column: FromSql + Type<Postgres> + for<'r> Decode<'r, Postgres> {}
impl<T: FromSql + Type<Postgres> + for<'r> Decode<'r, Postgres>> Column for T {}

/// A row of either driver.
#[derive(Clone, Copy)]
pub enum Row<'r> {
    /// Of SQLite.
    Sqlite(&'r rusqlite::Row<'r>, &'r ColumnIndex),
    /// Of PostgreSQL.
    Postgres(&'r PgRow),
}

impl<'r> Row<'r> {
    /// The value of a column.
    ///
    /// # Errors
    /// [`AppError::Internal`] if there is no such column, or it holds something else.
    pub fn get<T: Column>(self, name: &'static str) -> Result<T, AppError> {
        match self {
            Self::Sqlite(row, columns) => Ok(row.get(columns.position(row, name)?)?),
            Self::Postgres(row) => Ok(row.try_get(name)?),
        }
    }

    /// The text of a column, as it stands in the row.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn text(self, name: &'static str) -> Result<Option<&'r str>, AppError> {
        match self {
            Self::Sqlite(row, columns) => {
                let value = row.get_ref(columns.position(row, name)?)?;
                value.as_str_or_null().map_err(|_| AppError::Internal)
            }
            Self::Postgres(row) => Ok(row.try_get(name)?),
        }
    }

    /// The value of a column as a type of ours: an id, a name.
    ///
    /// # Errors
    /// [`AppError::Internal`] if it is none.
    pub fn parse<T>(self, name: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, AppError> {
        self.parse_some(name, parse)?.ok_or(AppError::Internal)
    }

    /// The same, where the column may hold nothing.
    ///
    /// # Errors
    /// As [`Row::parse`].
    pub fn parse_some<T>(
        self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, AppError> {
        self.text(name)?.map(|text| parse(text).ok_or(AppError::Internal)).transpose()
    }

    /// A time.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn time(self, name: &'static str) -> Result<Timestamp, AppError> {
        self.get(name).map(Timestamp::from_millis)
    }

    /// A time, where there may be none.
    ///
    /// # Errors
    /// As [`Row::get`].
    pub fn time_if_any(self, name: &'static str) -> Result<Option<Timestamp>, AppError> {
        Ok(self.get::<Option<i64>>(name)?.map(Timestamp::from_millis))
    }
}

/// Where the columns of a result of SQLite are. To look for each name in each row would take as long as the rows themselves;
/// but every row is read in the same order as the first.
#[derive(Debug, Default)]
pub struct ColumnIndex {
    /// What was read of the first row, in that order.
    known: RefCell<Vec<(&'static str, usize)>>,
    /// How much of the row was read.
    read: Cell<usize>,
}

impl ColumnIndex {
    /// The next row comes.
    pub fn rewind(&self) {
        self.read.set(0);
    }

    fn position(&self, row: &rusqlite::Row<'_>, name: &'static str) -> Result<usize, rusqlite::Error> {
        let read = self.read.replace(self.read.get() + 1);
        let mut known = self.known.borrow_mut();
        match known.get(read) {
            Some((before, place)) if std::ptr::eq(*before, name) => Ok(*place),
            _ => {
                known.truncate(read);
                // Most often it is the one after the last.
                let (statement, next) = (row.as_ref(), known.last().map_or(0, |(_, place)| place + 1));
                let mut places = (next..statement.column_count()).chain(0..next);
                let place = places.find(|&n| statement.column_name(n).is_ok_and(|found| found == name));
                let place = place.ok_or_else(|| rusqlite::Error::InvalidColumnName(name.to_owned()))?;
                known.push((name, place));
                Ok(place)
            }
        }
    }
}
