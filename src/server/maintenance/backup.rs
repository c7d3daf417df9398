//! Backup of a live SQLite database into a new file.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::server::db::{OpenError, sqlite_file};

/// The reason why there is no backup.
#[derive(Debug)]
pub enum BackupError {
    /// The URL names no file that can be read.
    Url(OpenError),
    /// The database is on PostgreSQL.
    NotSqlite,
    /// There is no such database.
    NoDatabase(PathBuf),
    /// There is such a file already.
    Exists(PathBuf),
    /// The file cannot be written.
    Unwritable(PathBuf, Error),
    /// The database cannot be read, or the disk is full.
    Failed(PathBuf, rusqlite::Error),
    /// The copy came out damaged: the database is.
    Damaged(String),
}

impl std::fmt::Display for BackupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::NotSqlite => write!(f, "this copies SQLite files. For PostgreSQL run pg_dump."),
            Self::NoDatabase(file) => write!(f, "there is no database {}. Check DATABASE_URL.", file.display()),
            Self::Exists(file) => write!(f, "there is a file {} already. Name a new one.", file.display()),
            Self::Unwritable(file, error) => {
                write!(f, "cannot write {}: {error}. Name a file in another folder.", file.display())
            }
            Self::Failed(file, error) => {
                write!(f, "cannot copy {}: {error}. Is there room for the copy? See keyfob doctor.", file.display())
            }
            Self::Damaged(what) => {
                write!(f, "the database is damaged: {what}. Nothing was kept. See keyfob doctor.")
            }
        }
    }
}

impl std::error::Error for BackupError {}

/// Copies the database as it stands at one moment, whatever others write meanwhile, and checks the copy. Applies no
/// migration. The file is new, and readable by its owner only.
pub fn backup(url: &str, to: &Path) -> Result<(), BackupError> {
    let from = sqlite_file(url).map_err(BackupError::Url)?.ok_or(BackupError::NotSqlite)?;
    if !from.exists() {
        return Err(BackupError::NoDatabase(from));
    }
    make(to)?;
    let copied = copy(&from, to);
    if copied.is_err() {
        // It was made here, just now.
        let _ = std::fs::remove_file(to);
    }
    copied
}

fn make(file: &Path) -> Result<(), BackupError> {
    let mut new = std::fs::OpenOptions::new();
    new.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut new, 0o600);
    new.open(file).map(|_| ()).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
        _ => BackupError::Unwritable(file.to_owned(), error),
    })
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let unwritable = |error| BackupError::Unwritable(to.to_owned(), error);
    let name = to.to_str().ok_or_else(|| unwritable(Error::other("its name is no UTF-8")))?;
    let failed = |error| BackupError::Failed(from.to_owned(), error);
    let source = open(from).map_err(failed)?;
    source.execute("VACUUM INTO ?1", [name]).map_err(failed)?;
    let found: String = open(to)
        .and_then(|copy| copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)))
        .map_err(|error| BackupError::Damaged(error.to_string()))?;
    if found != "ok" {
        return Err(BackupError::Damaged(found));
    }
    // SQLite leaves it to the system when a copy reaches the disk.
    let synced = std::fs::File::open(to).and_then(|file| file.sync_all());
    synced.and_then(|()| sync_folder(to)).map_err(unwritable)
}

/// Writes the folder's entry of a new file to the disk.
#[cfg(unix)]
fn sync_folder(of: &Path) -> Result<(), Error> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), Error> {
    Ok(())
}

fn open(file: &Path) -> Result<Connection, rusqlite::Error> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}
