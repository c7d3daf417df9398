//! Reads of SQLite on the thread that asks. sqlx has a thread for each connection, and going there and back costs more than a
//! look-up by an index itself. For that only: what reads much would hold up the other requests of the thread, and is read by
//! [`crate::server::db::list_reader`].

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Error, OpenFlags, ToSql};
use thread_local::ThreadLocal;

use super::query::Mapper;
use super::row::{ColumnPositions, DriverRow, Param, Row};
use crate::error::AppError;

/// How long a read waits for a lock. In WAL mode it meets one only while a crash is mended.
const BUSY: Duration = Duration::from_millis(250);

/// What parameters are called.
const NAMES: [&str; 12] = ["$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12"];

/// A connection for each thread that reads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct InlineReader {
    file: Arc<Path>,
    connections: Arc<ThreadLocal<RefCell<Connection>>>,
}

impl InlineReader {
    /// Of this file. Opens nothing yet.
    pub fn new(file: &Path) -> Self {
        Self { file: file.into(), connections: Arc::default() }
    }

    /// Returns the rows of a query.
    pub fn query<T>(&self, sql: &'static str, params: &[Param<'_>], map: Mapper<T>) -> Result<Vec<T>, AppError> {
        tracing::debug!(target: "sqlx::query", summary = sql, "as sqlx tells its own");
        let connection = self.connections.get_or_try(|| open(&self.file).map(RefCell::new))?.borrow();
        run(&connection, sql, params, map)?
    }
}

/// Runs a query on a connection. The outer error is SQLite's, the inner one that of `map`.
pub(super) fn run<T>(
    connection: &Connection,
    sql: &'static str,
    params: &[impl ToSql],
    map: Mapper<T>,
) -> Result<Result<Vec<T>, AppError>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    for (name, param) in NAMES.iter().zip(params) {
        // To SQLite, `$1` is a name: its place is where the statement first has it.
        if let Some(place) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(place, param)?;
        }
    }
    let mut rows = statement.raw_query();
    let (mut found, columns) = (Vec::new(), ColumnPositions::default());
    while let Some(row) = rows.next()? {
        match map(Row::new(DriverRow::Rusqlite(row), &columns)) {
            Ok(read) => found.push(read),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(found))
}

/// Opens a connection that only reads.
pub(super) fn open(file: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}
