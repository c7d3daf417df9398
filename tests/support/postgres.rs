//! PostgreSQL servers of a test's own: a primary, and a standby that follows it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::support::free_address::free_address;

/// How long a standby may take to have all that its primary has.
const CAUGHT_UP: Duration = Duration::from_secs(20);
const PASSWORD: &str = "of this test only";

/// A running server. It ends when this is dropped.
pub struct Server {
    pub addr: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// Makes an empty one and starts it.
    pub async fn primary() -> Self {
        let folder = folder();
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        give_to_server_user(folder.path());
        // md5 because SCRAM's many rounds, in a debug build and for each connection, would cost more than many a test.
        let options =
            ["-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "--auth-local=trust", "--auth-host=md5"];
        let password = format!("--pwfile={}", folder.path().join("password").display());
        let data = folder.path().join("data");
        run("initdb", &[&options[..], &[&password, "-D", data.to_str().unwrap()]].concat()).await;
        Self::start(folder).await
    }

    /// Copies this one and starts the copy as its standby.
    pub async fn standby(&self) -> Self {
        let copy = folder();
        give_to_server_user(copy.path());
        let (from, port) = (self.folder.path().to_str().unwrap(), self.addr.port().to_string());
        let data = copy.path().join("data");
        let from = ["-h", from, "-p", &port, "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync"];
        run("pg_basebackup", &[&from[..], &["-D", data.to_str().unwrap()]].concat()).await;
        Self::start(copy).await
    }

    async fn start(folder: TempDir) -> Self {
        let (data, log) = (folder.path().join("data"), folder.path().join("log"));
        let (data, log) = (data.to_str().unwrap(), log.to_str().unwrap());
        for _ in 0..5 {
            let addr = free_address();
            let options = format!(
                "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} -c max_connections=100 -c fsync=off \
                 -c full_page_writes=off -c wal_level=replica -c max_wal_senders=4",
                addr.port(),
                folder.path().display()
            );
            if try_run("pg_ctl", &["start", "-D", data, "-l", log, "-w", "-s", "-o", &options]).await {
                return Self { addr, folder };
            }
        }
        panic!("PostgreSQL did not start: {}", std::fs::read_to_string(log).unwrap_or_default());
    }

    /// As `DATABASE_URL` takes it, by way of an address.
    pub fn url_by(addr: SocketAddr, name: &str) -> String {
        format!("postgres://postgres:{}@{addr}/{name}", PASSWORD.replace(' ', "%20"))
    }

    /// Makes the standby a primary.
    pub async fn promote(&self) {
        run("pg_ctl", &["promote", "-D", self.folder.path().join("data").to_str().unwrap(), "-w", "-s"]).await;
    }

    /// Ends it as a crash does.
    pub async fn kill(&self) {
        let data = self.folder.path().join("data");
        run("pg_ctl", &["stop", "-D", data.to_str().unwrap(), "-m", "immediate", "-s"]).await;
    }

    /// Ends it as a crash does and starts it again, at the same address.
    pub async fn restart(&self) {
        let (data, log) = (self.folder.path().join("data"), self.folder.path().join("log"));
        let (data, log) = (data.to_str().unwrap(), log.to_str().unwrap());
        run("pg_ctl", &["restart", "-D", data, "-l", log, "-m", "immediate", "-w", "-s"]).await;
    }

    /// Makes it refuse all changes, and keep its connections: as a fenced primary does.
    pub async fn make_read_only(&self) {
        self.execute("ALTER SYSTEM SET default_transaction_read_only = on").await;
        self.execute("SELECT pg_reload_conf()").await;
    }

    /// Waits until transactions that are open now have ended, and the standby has replayed what they wrote.
    pub async fn is_caught_up_with_by(&self, standby: &Self) {
        let now = self.text("SELECT clock_timestamp()::text").await;
        let open = format!(
            "SELECT COUNT(*)::text FROM pg_stat_activity WHERE backend_type = 'client backend' AND xact_start < '{now}'"
        );
        let since = Instant::now();
        while self.text(&open).await != "0" {
            assert!(since.elapsed() < CAUGHT_UP, "a transaction does not end");
            sleep(Duration::from_millis(20)).await;
        }
        let written = self.text("SELECT pg_current_wal_lsn()::text").await;
        let sql = format!("SELECT (pg_last_wal_replay_lsn() >= '{written}')::text");
        let since = Instant::now();
        while standby.text(&sql).await != "true" {
            assert!(since.elapsed() < CAUGHT_UP, "the standby does not follow");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn execute(&self, statement: &str) {
        let mut conn = PgConnection::connect(&Self::url_by(self.addr, "postgres")).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }

    async fn text(&self, query: &str) -> String {
        let mut conn = PgConnection::connect(&Self::url_by(self.addr, "postgres")).await.unwrap();
        let found = sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        found
    }

    /// The number that a query of a database gives.
    pub async fn number(&self, name: &str, query: &str) -> i64 {
        let mut conn = PgConnection::connect(&Self::url_by(self.addr, name)).await.unwrap();
        let found = sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        found
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        let mut stop = as_server_user(&programs().join("pg_ctl"));
        stop.args(["stop", "-m", "immediate", "-s", "-D"]).arg(data).stdin(Stdio::null());
        // It may have ended by itself; then there is nothing to do.
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Not below TMPDIR: the server's user may not be able to go there, and a socket's path has at most 107 bytes.
fn folder() -> TempDir {
    tempfile::Builder::new().prefix("keyfob-postgres.").tempdir_in("/tmp").unwrap()
}

/// PostgreSQL and `PgBouncer` refuse to run as root.
pub fn as_server_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

/// Lets the user that servers run as write a folder.
pub fn give_to_server_user(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").args(["-R", "postgres:postgres"]).arg(folder).status().unwrap();
        assert!(given.success());
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The folder of the server's programs. Debian keeps them off PATH, one folder for each version.
fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("initdb"));
    // Where it is a link, the other programs are where it leads to.
    let mut folders: Vec<_> =
        on_path.filter_map(|initdb| Some(initdb.canonicalize().ok()?.parent()?.to_owned())).collect();
    for version in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten() {
        folders.push(version.unwrap().path().join("bin"));
    }
    let all = ["initdb", "pg_ctl", "pg_basebackup"];
    let found = folders.into_iter().find(|folder| all.iter().all(|name| folder.join(name).is_file()));
    found.expect("These tests need the programs of PostgreSQL's server: run `make test`.")
}

async fn run(program: &str, arguments: &[&str]) {
    assert!(try_run(program, arguments).await, "{program} failed");
}

async fn try_run(program: &str, arguments: &[&str]) -> bool {
    let mut command = as_server_user(&programs().join(program));
    command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    spawn_blocking(move || command.status().unwrap().success()).await.unwrap()
}
