//! Where the tests play: an SQLite database with keys, and what is written of the outcome.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use keyfob::server::auth::secrets::make_id;
use keyfob::server::state::Clock;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::connection::{Connection, header, request};
use crate::machines::{KEYFOB, Machine, make_keys};

/// A database in a folder of its own.
pub struct Scene {
    pub folder: TempDir,
    pub url: String,
    /// Keys that work, all of one user.
    pub keys: Vec<String>,
}

impl Scene {
    pub async fn set(keys: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("data/keyfob.db").display());
        let keys = make_keys(&url, keys).await;
        Self { folder, url, keys }
    }

    pub fn file(&self) -> PathBuf {
        self.url.strip_prefix("sqlite://").unwrap().into()
    }

    /// All values of the first column of a query, as text.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let mut conn = SqliteConnection::connect(&self.url).await.unwrap();
        let rows = sqlx::raw_sql(AssertSqlSafe(query.to_owned())).fetch_all(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The one number that a query gives.
    pub async fn number(&self, query: &str) -> i64 {
        self.texts(&format!("SELECT CAST(({query}) AS TEXT)")).await[0].parse().unwrap()
    }

    /// Fails unless the file is whole.
    pub async fn is_whole(&self) {
        assert_eq!(self.texts("PRAGMA integrity_check").await, ["ok"]);
    }
}

/// Sends SIGTERM.
pub fn terminate(machine: &Machine) {
    let pid = Pid::from_raw(machine.pid().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
}

/// Waits until it has ended; gives how, and after how long.
pub async fn until_ended(machine: &mut Machine, limit: Duration) -> (ExitStatus, Duration) {
    let since = Instant::now();
    loop {
        if let Some(status) = machine.ended() {
            return (status, since.elapsed());
        }
        assert!(since.elapsed() < limit, "it still runs after {limit:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Whether this is `make torture`.
pub fn is_long() -> bool {
    std::env::var_os("KEYFOB_TORTURE_TABLE").is_some()
}

/// The number for `make test`, or the one for `make torture`.
pub fn short_or_long<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

/// Prints a line of the table, and adds it to that of `make torture`.
pub fn report(fault: &str, outcome: &str) {
    println!("{fault}: {outcome}");
    if let Some(table) = std::env::var_os("KEYFOB_TORTURE_TABLE") {
        let mut table = std::fs::OpenOptions::new().append(true).create(true).open(table).unwrap();
        writeln!(table, "{fault}\t{outcome}").unwrap();
    }
}

/// A call of a server function by a page of the site.
pub fn form(function: &str, cookie: &str, fields: &str) -> Vec<u8> {
    let cookie = format!("Cookie: {cookie}");
    let headers = [
        "Content-Type: application/x-www-form-urlencoded",
        "Accept: application/json",
        "Sec-Fetch-Site: same-origin",
        &cookie,
    ];
    request(&format!("POST /fn/{function}"), &headers, fields)
}

/// A browser that is signed in.
#[derive(Clone)]
pub struct Browser {
    cookie: String,
}

impl Browser {
    /// Makes an account, and signs in.
    pub async fn sign_in(addr: SocketAddr, url: &str) -> Self {
        let mut command = Command::new(KEYFOB);
        command.args(["user", "create", "--email", "eve@example.com", "--password-stdin"]);
        command.env_clear().env("DATABASE_URL", url).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"four words for tests\n").unwrap();
        assert!(child.wait().unwrap().success());
        let mut connection = Connection::open(addr).await.unwrap();
        let fields = "email=eve%40example.com&password=four+words+for+tests";
        assert_eq!(connection.ask(&form("sign_in", "", fields)).await.unwrap(), 200, "{}", connection.text());
        let text = connection.text();
        let cookie = header(&text, "set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { cookie }
    }

    /// The bytes of a request for one more key.
    pub fn create_key(&self) -> Vec<u8> {
        let id = make_id(Clock::system().now());
        let fields = "form%5Bname%5D=x&form%5Bexpires%5D=90&form%5Bdate%5D=&form%5Baccess%5D=full";
        form("create_key", &self.cookie, &format!("form%5Bform_id%5D={id}&{fields}"))
    }
}
