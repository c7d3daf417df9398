//! `PgBouncer` before a PostgreSQL server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::support::free_address::free_address;
use crate::support::postgres::{as_server_user, give_to_server_user};

/// How long it may take until it listens.
const READY: Duration = Duration::from_secs(10);

/// A running one. It ends when this is dropped.
pub struct PgBouncer {
    pub addr: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl PgBouncer {
    /// Starts one in a pool mode before the server of a URL, with these lines of configuration too.
    pub async fn before(url: &str, pool_mode: &str, settings: &str) -> Self {
        for _ in 0..5 {
            if let Some(pooler) = Self::spawn(url, pool_mode, settings).ready().await {
                return pooler;
            }
        }
        panic!("five free ports in a row were taken before PgBouncer could listen there");
    }

    fn spawn(url: &str, pool_mode: &str, settings: &str) -> Self {
        let addr = free_address();
        let folder = tempfile::Builder::new().prefix("keyfob-pgbouncer.").tempdir_in("/tmp").unwrap();
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config(&Url::parse(url).unwrap(), addr, pool_mode, settings)).unwrap();
        give_to_server_user(folder.path());
        let mut command = as_server_user(program());
        command.arg(&file).current_dir("/").stdin(Stdio::null());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { addr, child, folder }
    }

    /// Waits until it listens; `None` if its port was taken by somebody else in the meantime.
    async fn ready(mut self) -> Option<Self> {
        let deadline = Instant::now() + READY;
        while TcpStream::connect(self.addr).await.is_err() {
            if self.child.try_wait().unwrap().is_some() {
                assert!(self.log().contains("Address already in use"), "PgBouncer did not start: {}", self.log());
                return None;
            }
            assert!(Instant::now() < deadline, "PgBouncer did not listen in time");
            sleep(Duration::from_millis(20)).await;
        }
        Some(self)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            println!("The log of PgBouncer ends so:\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"));
        }
    }
}

/// Debian keeps it off an ordinary user's PATH.
fn program() -> &'static Path {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join("pgbouncer").is_file()) {
        return Path::new("pgbouncer");
    }
    let debian = Path::new("/usr/sbin/pgbouncer");
    assert!(debian.is_file(), "These tests need PgBouncer: install it (Debian: pgbouncer), or run `make test`.");
    debian
}

/// So few sessions that clients have to share them.
fn config(server: &Url, addr: SocketAddr, pool_mode: &str, settings: &str) -> String {
    let (host, port) = (server.host_str().unwrap(), server.port().unwrap_or(5432));
    let password = server.password().unwrap_or_default();
    format!(
        "[databases]
* = host={host} port={port} user={} password={password}
[pgbouncer]
listen_addr = {}
listen_port = {}
unix_socket_dir =
auth_type = any
pool_mode = {pool_mode}
default_pool_size = 3
max_client_conn = 500
log_connections = 0
log_disconnections = 0
{settings}
",
        server.username(),
        addr.ip(),
        addr.port()
    )
}
