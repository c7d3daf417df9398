//! Parameters of queries and rows of results, written once for both drivers.

use std::cell::{Cell, RefCell};

use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::error::BoxDynError;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex as _, Row as _};

use super::Error;
use crate::error::AppError;
use crate::model::time::Timestamp;

/// The type of a column. The migrations use no other types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TEXT.
    Text,
    /// BIGINT.
    Number,
    /// BOOLEAN; SQLite stores an integer.
    Flag,
}

/// A parameter of a query. `params![…]` makes them from values.
#[derive(Clone, Copy, Debug)]
pub enum Param<'a> {
    Text(&'a str),
    Number(i64),
    Flag(bool),
    /// NULL of a type: PostgreSQL needs the type here, too.
    Null(Kind),
}

/// A value that can be the parameter of a query.
pub trait ToParam {
    /// The type of its column.
    const KIND: Kind;

    fn to_param(&self) -> Param<'_>;
}

/// The parameters of a query, `$1` first: `params![user, now]`.
#[macro_export]
#[doc(hidden)]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::server::db::row::ToParam::to_param(&$value)),*] as &[$crate::server::db::row::Param<'_>]
    };
}
pub use params;

impl<T: ToParam + ?Sized> ToParam for &T {
    const KIND: Kind = T::KIND;

    fn to_param(&self) -> Param<'_> {
        T::to_param(self)
    }
}

impl<T: ToParam> ToParam for Option<T> {
    const KIND: Kind = T::KIND;

    fn to_param(&self) -> Param<'_> {
        self.as_ref().map_or(Param::Null(T::KIND), T::to_param)
    }
}

impl ToParam for str {
    const KIND: Kind = Kind::Text;

    fn to_param(&self) -> Param<'_> {
        Param::Text(self)
    }
}

impl ToParam for String {
    const KIND: Kind = Kind::Text;

    fn to_param(&self) -> Param<'_> {
        Param::Text(self)
    }
}

impl ToParam for std::borrow::Cow<'_, str> {
    const KIND: Kind = Kind::Text;

    fn to_param(&self) -> Param<'_> {
        Param::Text(self)
    }
}

impl ToParam for i64 {
    const KIND: Kind = Kind::Number;

    fn to_param(&self) -> Param<'_> {
        Param::Number(*self)
    }
}

impl ToParam for bool {
    const KIND: Kind = Kind::Flag;

    fn to_param(&self) -> Param<'_> {
        Param::Flag(*self)
    }
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
            Param::Null(_) => ToSqlOutput::Borrowed(ValueRef::Null),
        })
    }
}

impl From<&Param<'_>> for rusqlite::types::Value {
    fn from(param: &Param<'_>) -> Self {
        match *param {
            Param::Text(text) => text.to_owned().into(),
            Param::Number(number) => number.into(),
            Param::Flag(flag) => flag.into(),
            Param::Null(_) => Self::Null,
        }
    }
}

/// A column of a row.
#[derive(Clone, Copy)]
pub enum Column<'r> {
    /// Of rusqlite: a read outside of a transaction.
    Rusqlite(ValueRef<'r>),
    /// Of sqlx: a read within a transaction.
    Sqlite(&'r SqliteRow, usize),
    Postgres(&'r PgRow, usize),
}

/// The columns of each type, by driver; `None` for NULL.
macro_rules! read_column {
    ($($name:ident -> $type:ty, $rusqlite:ident;)*) => {
        impl<'r> Column<'r> {
            $(fn $name(self) -> Result<Option<$type>, BoxDynError> {
                Ok(match self {
                    Self::Rusqlite(value) => value.$rusqlite()?,
                    Self::Sqlite(row, index) => row.try_get(index)?,
                    Self::Postgres(row, index) => row.try_get(index)?,
                })
            })*
        }
    };
}

read_column! {
    text -> &'r str, as_str_or_null;
    number -> i64, as_i64_or_null;
    real -> f64, as_f64_or_null;
    bytes -> &'r [u8], as_blob_or_null;
}

impl Column<'_> {
    fn flag(self) -> Result<Option<bool>, BoxDynError> {
        Ok(match self {
            Self::Rusqlite(value) => value.as_i64_or_null()?.map(|flag| flag != 0),
            Self::Sqlite(row, index) => row.try_get(index)?,
            Self::Postgres(row, index) => row.try_get(index)?,
        })
    }
}

/// A type that a column can be read as.
pub trait FromColumn: Sized {
    /// `None` for NULL.
    fn from_column(column: Column<'_>) -> Result<Option<Self>, BoxDynError>;
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(column: Column<'_>) -> Result<Option<Self>, BoxDynError> {
        T::from_column(column).map(Some)
    }
}

impl FromColumn for String {
    fn from_column(column: Column<'_>) -> Result<Option<Self>, BoxDynError> {
        Ok(column.text()?.map(str::to_owned))
    }
}

impl FromColumn for i64 {
    fn from_column(column: Column<'_>) -> Result<Option<Self>, BoxDynError> {
        column.number()
    }
}

impl FromColumn for f64 {
    fn from_column(column: Column<'_>) -> Result<Option<Self>, BoxDynError> {
        column.real()
    }
}

impl FromColumn for bool {
    fn from_column(column: Column<'_>) -> Result<Option<Self>, BoxDynError> {
        column.flag()
    }
}

impl FromColumn for Vec<u8> {
    fn from_column(column: Column<'_>) -> Result<Option<Self>, BoxDynError> {
        Ok(column.bytes()?.map(<[u8]>::to_vec))
    }
}

/// Reads a text column by a function that checks it.
pub(super) fn parse_text<T>(
    column: Column<'_>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, BoxDynError> {
    let parsed = column.text()?.map(|text| parse(text).ok_or("the text has another form"));
    Ok(parsed.transpose()?)
}

/// A row of any driver.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    driver: DriverRow<'r>,
    columns: &'r ColumnPositions,
}

#[derive(Clone, Copy)]
pub(super) enum DriverRow<'r> {
    Rusqlite(&'r rusqlite::Row<'r>),
    Sqlite(&'r SqliteRow),
    Postgres(&'r PgRow),
}

impl<'r> Row<'r> {
    /// Begins to read a row. All rows of one result share `columns`.
    pub(super) fn new(driver: DriverRow<'r>, columns: &'r ColumnPositions) -> Self {
        columns.read.set(0);
        Self { driver, columns }
    }

    /// The value of a column; `Option` where it may be NULL.
    pub fn get<T: FromColumn>(self, name: &'static str) -> Result<T, AppError> {
        let value = T::from_column(self.column(name)?);
        let value = value.and_then(|value| value.ok_or_else(|| "unexpected NULL".into()));
        value.map_err(|source| Error::ColumnDecode { index: name.to_owned(), source }.into())
    }

    /// The text of a column, parsed.
    pub fn parse<T>(self, name: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, AppError> {
        let parsed = parse_text(self.column(name)?, parse).ok().flatten();
        parsed.ok_or(AppError::Internal)
    }

    /// A time.
    pub fn time(self, name: &'static str) -> Result<Timestamp, AppError> {
        self.get(name)
    }

    fn column(self, name: &'static str) -> Result<Column<'r>, Error> {
        let index = self.columns.find(name, |from| self.driver.position(name, from))?;
        Ok(match self.driver {
            DriverRow::Rusqlite(row) => {
                Column::Rusqlite(row.get_ref(index).map_err(|_| Error::ColumnNotFound(name.to_owned()))?)
            }
            DriverRow::Sqlite(row) => Column::Sqlite(row, index),
            DriverRow::Postgres(row) => Column::Postgres(row, index),
        })
    }
}

impl DriverRow<'_> {
    /// The position of a column. The search begins at `from`.
    fn position(self, name: &str, from: usize) -> Result<usize, Error> {
        match self {
            Self::Rusqlite(row) => {
                let statement = row.as_ref();
                let mut positions = (from..statement.column_count()).chain(0..from);
                let position = positions.find(|&n| statement.column_name(n).is_ok_and(|found| found == name));
                position.ok_or_else(|| Error::ColumnNotFound(name.to_owned()))
            }
            Self::Sqlite(row) => name.index(row),
            Self::Postgres(row) => name.index(row),
        }
    }
}

/// The positions of the columns that a mapper reads. Finding each name in each row would take as long as reading the
/// rows, but a mapper reads every row in the same order.
#[derive(Debug, Default)]
pub(super) struct ColumnPositions {
    /// The columns that were read of the first row, in that order.
    known: RefCell<Vec<(&'static str, usize)>>,
    /// The number of columns that were read of the present row.
    read: Cell<usize>,
}

impl ColumnPositions {
    fn find(&self, name: &'static str, search: impl FnOnce(usize) -> Result<usize, Error>) -> Result<usize, Error> {
        let read = self.read.replace(self.read.get() + 1);
        let mut known = self.known.borrow_mut();
        match known.get(read) {
            Some((before, position)) if std::ptr::eq(*before, name) => Ok(*position),
            _ => {
                known.truncate(read);
                // Most mappers read the columns in the order of the statement.
                let next = known.last().map_or(0, |(_, position)| position + 1);
                let position = search(next)?;
                known.push((name, position));
                Ok(position)
            }
        }
    }
}
