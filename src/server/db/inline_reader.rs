//! Reads SQLite on the request's own thread, for lookups by an index. sqlx has a thread per connection, and switching to it
//! costs more than such a lookup. Longer reads use the [list reader](super::list_reader).

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Error, OpenFlags, ToSql};
use thread_local::ThreadLocal;

use super::query::Mapper;
use super::row::{ColumnPositions, DriverRow, Param, Row};
use crate::error::AppError;

/// How long a read waits for a lock. In WAL mode there is one only during recovery after a crash.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// The names of parameters.
const PARAM_NAMES: [&str; 16] =
    ["$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$16"];

/// One connection per thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct InlineReader {
    file: Arc<Path>,
    connections: Arc<ThreadLocal<RefCell<Connection>>>,
}

impl InlineReader {
    /// Opens nothing yet.
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
    debug_assert!(params.len() <= PARAM_NAMES.len(), "a parameter without a name would be NULL");
    let mut statement = connection.prepare_cached(sql)?;
    for (name, param) in PARAM_NAMES.iter().zip(params) {
        // SQLite treats `$1` as a name, and numbers parameters by their first use.
        if let Some(index) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(index, param)?;
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

/// Opens a read-only connection.
pub(super) fn open(file: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}
