//! Which file a URL of SQLite names. Two drivers read it, and they read URLs differently, so it is decided here.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::sqlite::SqliteConnectOptions;

use super::open::OpenError;
use super::{Backend, Error, Tx};

/// The file of an SQLite database.
#[derive(Debug, PartialEq, Eq)]
pub struct SqliteFile {
    /// Its path.
    pub path: PathBuf,
    /// Whether the file is made where it is missing.
    pub creates: bool,
}

impl SqliteFile {
    /// Reads `sqlite://path`, `sqlite:path` and `sqlite:///path`, with `%XX` in the path and `?mode=rw` after it.
    pub fn parse(url: &str) -> Result<Self, OpenError> {
        let rest = url.strip_prefix("sqlite:").unwrap_or(url);
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let creates = read_query(query)?;
        let wrong = |what: &str| OpenError(format!("DATABASE_URL {what}. Name a file, as in sqlite://data/keyfob.db."));
        if path.is_empty() {
            return Err(wrong("names no file"));
        }
        let in_memory =
            "is a database in memory: it would be empty after each start, and Keyfob reads it by several connections";
        if path == ":memory:" {
            return Err(wrong(in_memory));
        }
        let options = SqliteConnectOptions::from_str(&format!("sqlite:{path}"));
        let path = options.map_err(|_| wrong("has a path that is not UTF-8"))?.get_filename().to_owned();
        match path.to_str() {
            Some(":memory:") => Err(wrong(in_memory)),
            Some(path) if path.contains('\0') => Err(wrong("has a NUL in its path")),
            // SQLite itself would take the rest for a URI of its own.
            Some(path) if path.starts_with("file:") => {
                Err(wrong("has file: after sqlite:, which is a scheme of its own"))
            }
            Some(_) => Ok(Self { path, creates }),
            None => Err(wrong("has a path that is not UTF-8")),
        }
    }

    /// The same with a path from the root of the disk, which stays right wherever a later reader stands.
    #[must_use]
    pub fn absolute(self) -> Self {
        let path = std::path::absolute(&self.path).unwrap_or(self.path);
        Self { path, ..self }
    }
}

/// Whether the file is made where it is missing.
fn read_query(query: &str) -> Result<bool, OpenError> {
    let mut creates = true;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let wrong = |why: &str| Err(OpenError(format!("DATABASE_URL has {name}={value}: {why}.")));
        match (&*name, &*value) {
            ("mode", "rwc") | ("cache", "private") | ("immutable", "0" | "false") => {}
            ("mode", "rw") => creates = false,
            ("mode", "ro") | ("immutable", _) => return wrong("Keyfob writes to its database. Leave it out"),
            ("mode", "memory") => {
                return wrong("the database would be empty after each start. Name a file and leave it out");
            }
            ("mode", _) => return wrong("use mode=rwc, or mode=rw for a file that must be there"),
            ("cache", _) => return wrong("its readers would wait for its writer. Leave it out"),
            _ => return wrong("Keyfob does not know this parameter. Leave it out"),
        }
    }
    Ok(creates)
}

/// The file of an SQLite database; `None` for another URL.
pub fn sqlite_file(url: &str) -> Result<Option<PathBuf>, OpenError> {
    if !url.starts_with("sqlite:") {
        return Ok(None);
    }
    SqliteFile::parse(url).map(|file| Some(file.path))
}

/// Fails where there is no file at the path.
pub(super) fn must_be_there(path: &Path) -> Result<(), OpenError> {
    if path.exists() {
        return Ok(());
    }
    Err(OpenError(format!("there is no database {}. Check DATABASE_URL.", path.display())))
}

impl Tx {
    /// Returns what `PRAGMA integrity_check` finds first: `ok` for an undamaged file, and on PostgreSQL.
    pub async fn check_integrity(&mut self) -> Result<String, Error> {
        match self.backend()? {
            Backend::Sqlite(conn) => sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(conn).await,
            Backend::Postgres(_) => Ok("ok".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_url_names_its_file() {
        for (url, path, creates) in [
            ("sqlite://data/keyfob.db", "data/keyfob.db", true),
            ("sqlite:keyfob.db", "keyfob.db", true),
            ("sqlite:./keyfob.db", "./keyfob.db", true),
            ("sqlite:///var/lib/keyfob.db", "/var/lib/keyfob.db", true),
            ("sqlite:/var/lib/keyfob.db", "/var/lib/keyfob.db", true),
            ("sqlite://a%20b%3F%25.db", "a b?%.db", true),
            ("sqlite://a+b.db", "a+b.db", true),
            ("sqlite://a.db?mode=rwc&cache=private&immutable=0", "a.db", true),
            ("sqlite://a.db?mode=rw", "a.db", false),
        ] {
            assert_eq!(SqliteFile::parse(url).unwrap(), SqliteFile { path: path.into(), creates }, "{url}");
        }
    }

    #[test]
    fn what_names_no_file_that_can_be_written_is_refused_in_one_line() {
        for url in [
            "sqlite:",
            "sqlite://",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://%3Amemory%3A",
            "sqlite://?mode=memory",
            "sqlite://a.db?mode=memory",
            "sqlite://a.db?mode=ro",
            "sqlite://a.db?mode=x",
            "sqlite://a.db?cache=shared",
            "sqlite://a.db?immutable=1",
            "sqlite://a.db?vfs=unix-none",
            "sqlite://a.db?journal=wal",
            "sqlite://a%00b.db",
            "sqlite://%FF.db",
            "sqlite:file:a.db",
            "sqlite://file:a.db?mode=rwc",
        ] {
            let OpenError(line) = SqliteFile::parse(url).unwrap_err();
            assert!(line.starts_with("DATABASE_URL ") && !line.contains('\n') && line.ends_with('.'), "{url}: {line}");
        }
    }
}
