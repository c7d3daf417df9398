//! Copies everything from one database into another that is empty, of the same kind or not, and checks the copy.

mod checksum;
mod tables;

use crate::error::AppError;
use crate::server::db::bulk;
use crate::server::db::bulk::Value;
use crate::server::db::{Backend, Db, Error, OpenError, SchemaState, Tx, migrated};

pub use checksum::TableChecksum;
pub use tables::{Column, TABLES, Table};

/// The reason why nothing was copied.
#[derive(Debug)]
pub enum CopyError {
    /// The source lacks migrations of this program, or holds other ones.
    SourceBehind,
    /// The source holds migrations that this program does not know.
    SourceAhead,
    /// The destination could not be migrated.
    Unmigrated(OpenError),
    /// A table of the destination has rows.
    NotEmpty(&'static Table),
    /// A text that PostgreSQL cannot hold.
    Nul(&'static Table),
    /// What was read back from the destination is not what was written.
    Differs(&'static Table),
    /// A database does not answer, or not as it should; the log has the cause.
    Failed(AppError),
}

impl std::fmt::Display for CopyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SourceBehind => write!(f, "the source lacks migrations of this program. Run keyfob migrate on it."),
            Self::SourceAhead => {
                write!(f, "the source is newer than this program. Copy it by the keyfob that made it.")
            }
            Self::Unmigrated(error) => write!(f, "the destination was not migrated: {error}"),
            Self::NotEmpty(Table { name, .. }) => {
                write!(f, "the destination is not empty: its table {name} has rows. Name a new database.")
            }
            Self::Nul(Table { name, .. }) => write!(
                f,
                "a text in the table {name} holds a NUL character, which PostgreSQL cannot. Take it out of the source."
            ),
            Self::Differs(Table { name, .. }) => {
                write!(
                    f,
                    "the table {name} came out different from the source, so nothing was kept. Is the destination in use?"
                )
            }
            Self::Failed(error) => f.write_str(&error.detail()),
        }
    }
}

impl std::error::Error for CopyError {}

impl From<AppError> for CopyError {
    fn from(error: AppError) -> Self {
        Self::Failed(error)
    }
}

impl From<Error> for CopyError {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Copies all rows of all tables, and commits them if they can be read back as they were. `progress` gets
/// the number of steps done and of all steps: writing a row is one, checking it another.
pub async fn copy(
    from: &Db,
    to: &Db,
    progress: impl FnMut(u64, u64),
) -> Result<Vec<(&'static Table, TableChecksum)>, CopyError> {
    let mut source = from.snapshot().await?;
    source.disable_timeouts().await?;
    match migrated(&mut source).await? {
        SchemaState::UpToDate => {}
        SchemaState::Pending => return Err(CopyError::SourceBehind),
        SchemaState::Newer => return Err(CopyError::SourceAhead),
    }
    to.migrate().await.map_err(CopyError::Unmigrated)?;
    let mut target = to.begin().await?;
    target.disable_timeouts().await?;
    ensure_empty(&mut target).await?;
    let mut steps = Steps { done: 0, all: 2 * count(&mut source).await?, progress };
    let mut copied = Vec::new();
    for table in TABLES {
        copied.push((table, transfer(table, &mut source, &mut target, &mut steps).await?));
    }
    for (table, contents) in &copied {
        check(table, contents, &mut target, &mut steps).await?;
    }
    target.commit().await?;
    Ok(copied)
}

struct Steps<P> {
    done: u64,
    all: u64,
    progress: P,
}

impl<P: FnMut(u64, u64)> Steps<P> {
    fn add(&mut self, rows: usize) {
        self.done += rows as u64;
        (self.progress)(self.done, self.all);
    }
}

/// Refuses a destination that holds anything; takes away what its migrations put there.
async fn ensure_empty(target: &mut Tx) -> Result<(), CopyError> {
    target.execute("DELETE FROM locks", &[]).await?;
    for table in TABLES {
        if count_rows(target, table).await? != 0 {
            return Err(CopyError::NotEmpty(table));
        }
    }
    Ok(())
}

async fn count(source: &mut Tx) -> Result<u64, CopyError> {
    let mut rows = 0;
    for table in TABLES {
        rows += count_rows(source, table).await?;
    }
    Ok(rows)
}

async fn count_rows(tx: &mut Tx, table: &Table) -> Result<u64, AppError> {
    let rows: i64 = tx.query_one(table.count, &[], |row| row.get("number")).await?;
    Ok(rows.unsigned_abs())
}

async fn transfer(
    table: &'static Table,
    source: &mut Tx,
    target: &mut Tx,
    steps: &mut Steps<impl FnMut(u64, u64)>,
) -> Result<TableChecksum, CopyError> {
    let mut contents = TableChecksum::default();
    let postgres = matches!(target.backend()?, Backend::Postgres(_));
    bulk::read_rows(source, table.select, table.kinds(), async |rows| {
        for row in &rows {
            if postgres && row.iter().any(|value| matches!(value, Value::Text(text) if text.contains('\0'))) {
                return Err(CopyError::Nul(table));
            }
            contents.add(row);
        }
        bulk::insert_rows(target, (table.insert, ""), &rows).await?;
        steps.add(rows.len());
        Ok(())
    })
    .await?;
    Ok(contents)
}

/// Reads a table of the destination back and refuses it if anything in it is different.
async fn check(
    table: &'static Table,
    written: &TableChecksum,
    target: &mut Tx,
    steps: &mut Steps<impl FnMut(u64, u64)>,
) -> Result<(), CopyError> {
    let mut found = TableChecksum::default();
    bulk::read_rows(target, table.select, table.kinds(), async |rows| {
        for row in &rows {
            found.add(row);
        }
        steps.add(rows.len());
        Ok::<_, CopyError>(())
    })
    .await?;
    if found == *written { Ok(()) } else { Err(CopyError::Differs(table)) }
}
