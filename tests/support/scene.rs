//! Where the tests play: an SQLite database with keys, and what is written of the outcome.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::machines::{Machine, make_keys};

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

    /// Runs a statement behind the server's back.
    pub async fn execute(&self, statement: &str) {
        let mut conn = SqliteConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
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

/// How many bytes of memory a machine has in use now, and had at most.
pub fn memory(machine: &Machine) -> [u64; 2] {
    let status = std::fs::read_to_string(format!("/proc/{}/status", machine.pid())).unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    })
}
