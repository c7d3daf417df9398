//! Databases for the measurements, created for one run.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use url::Url;

use crate::KEYFOB;
use crate::keys::Keys;
use crate::machine::{Cores, pin_postgres};
use crate::report::{megabytes, number};

/// Users of the smaller databases, with one key each.
pub const USERS: u32 = 1000;
pub const EMPLOYEES: u32 = 25;
/// Users of the larger database, without employees.
pub const MANY_USERS: u32 = 100_000;
pub const KEYS_EACH: u32 = 10;

/// User who opens the pages of the smaller SQLite database.
pub const EMAIL: &str = "bench@example.com";
pub const PASSWORD: &str = "quiet-otters-measure-rivers";
/// Names of that user's keys.
pub const KEYS: [&str; 3] = ["Nightly build", "Payroll export", "Laptop"];

/// Slug of the registered API, which has the scopes `read` and `write`.
pub const API: &str = "bench";

/// Name of the PostgreSQL database.
const DATABASE: &str = "keyfob_bench";

/// Databases, and a folder for everything else.
pub struct Data {
    pub folder: TempDir,
    /// SQLite, [`USERS`] with [`EMPLOYEES`] each.
    pub small: Store,
    /// PostgreSQL, with the same amounts.
    pub postgres: Store,
    /// SQLite, [`MANY_USERS`] with [`KEYS_EACH`].
    pub large: Store,
    /// Sentence about how the larger database was created.
    pub making: String,
}

/// Database and its keys.
pub struct Store {
    pub url: String,
    pub keys: Arc<Keys>,
}

impl Store {
    /// Returns the header with the first key, whose user has [`EMPLOYEES`].
    pub fn key_header(&self) -> String {
        format!("Authorization: Api-Key {}", self.keys.get(0))
    }
}

impl Data {
    pub async fn make() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        eprintln!("Creating {} users on SQLite and PostgreSQL", number(USERS));
        let small = seed(sqlite(folder.path(), "small"), USERS, 1, EMPLOYEES)?;
        keyfob(&small.url, &["user", "create", "--email", EMAIL, "--name", "Bench", "--password-stdin"], PASSWORD)?;
        for name in KEYS {
            keyfob(&small.url, &["key", "create", "--user", EMAIL, "--name", name], "")?;
        }
        keyfob(
            &small.url,
            &["api", "add", "--slug", API, "--name", "Bench", "--scope", "write", "--read-scope", "read"],
            "",
        )?;
        let postgres = seed(create_postgres().await?, USERS, 1, EMPLOYEES)?;
        // Otherwise autovacuum would do it during the run.
        run(&postgres.url, "VACUUM (ANALYZE)").await?;
        eprintln!("Creating {} users with {KEYS_EACH} keys each on SQLite", number(MANY_USERS));
        let begin = Instant::now();
        let large = seed(sqlite(folder.path(), "large"), MANY_USERS, KEYS_EACH, 0)?;
        let seconds = begin.elapsed().as_secs();
        let size = megabytes(std::fs::metadata(folder.path().join("large.db"))?.len());
        let keys = number(MANY_USERS * KEYS_EACH);
        let making = format!("The database of {keys} keys was made in {seconds} s by `keyfob seed`, and takes {size}.");
        Ok(Self { folder, small, postgres, large, making })
    }

    /// Removes the PostgreSQL database.
    pub async fn remove(self) {
        if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
            let _ = run(&url, DROP).await;
        }
    }
}

const DROP: &str = "DROP DATABASE IF EXISTS keyfob_bench WITH (FORCE)";

fn sqlite(folder: &Path, name: &str) -> String {
    format!("sqlite://{}", folder.join(name).with_extension("db").display())
}

/// Creates an empty database on the server in `TEST_DATABASE_URL`, and returns its URL.
async fn create_postgres() -> io::Result<String> {
    let server = std::env::var("TEST_DATABASE_URL")
        .map_err(|_| io::Error::other("TEST_DATABASE_URL names no PostgreSQL server: start this with `make bench`"))?;
    run(&server, DROP).await?;
    run(&server, "CREATE DATABASE keyfob_bench").await?;
    let mut url = Url::parse(&server).map_err(io::Error::other)?;
    url.set_path(DATABASE);
    Ok(url.into())
}

/// Runs a statement on PostgreSQL.
async fn run(url: &str, sql: &'static str) -> io::Result<()> {
    let mut conn = PgConnection::connect(url).await.map_err(io::Error::other)?;
    sqlx::query(sql).execute(&mut conn).await.map_err(io::Error::other)?;
    conn.close().await.map_err(io::Error::other)
}

/// Moves PostgreSQL to its cores. Returns a sentence with its version, cores and durability settings.
pub async fn settle_postgres(store: &Store, cores: Option<&Cores>) -> io::Result<String> {
    let mut conn = PgConnection::connect(&store.url).await.map_err(io::Error::other)?;
    let sql = "SELECT pg_backend_pid(), current_setting('server_version'), current_setting('fsync')";
    let (backend, version, fsync): (i32, String, String) =
        sqlx::query_as(sql).fetch_one(&mut conn).await.map_err(io::Error::other)?;
    let place = match cores.map(|cores| pin_postgres(&cores.database, backend).map(|()| cores)) {
        Some(Ok(Cores { database, load, .. })) if database == load => {
            format!("on core {database}, which it shares with the load")
        }
        Some(Ok(cores)) => format!("on core {} alone", cores.database),
        Some(Err(why)) => format!("on any core ({why})"),
        None => "on any core".to_owned(),
    };
    conn.close().await.map_err(io::Error::other)?;
    let why = if fsync == "off" { ", which matters to writes; what is measured here reads" } else { "" };
    Ok(format!("PostgreSQL {version} ran {place}, with fsync {fsync}{why}."))
}

/// Creates users with `keyfob seed`.
fn seed(url: String, users: u32, keys: u32, employees: u32) -> io::Result<Store> {
    let amount = [("users", users), ("keys-per-user", keys), ("employees-per-user", employees)];
    let args: Vec<_> = amount.iter().map(|(name, number)| format!("--{name}={number}")).collect();
    let mut command = Command::new(KEYFOB);
    command.arg("seed").args(args).env_clear().env("DATABASE_URL", &url).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut text, mut made, total) = (String::new(), 0, users * keys);
    let mut lines = BufReader::new(child.stdout.take().ok_or_else(|| io::Error::other("a pipe is missing"))?);
    while lines.read_line(&mut text)? > 0 {
        made += 1;
        if made % 200_000 == 0 {
            eprintln!("  {} of {} keys", number(made), number(total));
        }
    }
    if child.wait()?.success() {
        return Ok(Store { url, keys: Arc::new(Keys::read(text)?) });
    }
    let mut why = String::new();
    child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut why)).transpose()?;
    Err(io::Error::other(format!("keyfob seed: {why}")))
}

/// Runs a Keyfob command to its end.
fn keyfob(url: &str, args: &[&str], input: &str) -> io::Result<()> {
    let mut command = Command::new(KEYFOB);
    command.args(args).env_clear().env("DATABASE_URL", url);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("keyfob {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr))))
}
