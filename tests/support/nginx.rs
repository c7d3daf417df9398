//! nginx before several machines.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::free_address::free_address;
use crate::support::key_client::ask;
use crate::support::machines::Machine;

/// How long nginx may take until it answers.
const READY: Duration = Duration::from_secs(10);

/// A running nginx. It ends when this is dropped.
pub struct Nginx {
    pub addr: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Nginx {
    /// Starts one that shares its requests out among machines, and waits until it answers.
    pub async fn before(machines: &[Machine]) -> Self {
        for _ in 0..5 {
            if let Some(nginx) = Self::spawn(machines).ready().await {
                return nginx;
            }
        }
        panic!("five free ports in a row were taken before nginx could listen there");
    }

    fn spawn(machines: &[Machine]) -> Self {
        let (addr, folder) = (free_address(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("nginx.conf"), config(addr, machines)).unwrap();
        // Without -e it would first open the log of the system's own nginx.
        let mut command = Command::new(program());
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "error.log"]).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { addr, child, folder }
    }

    /// Waits until it answers; `None` if its port was taken by somebody else in the meantime.
    async fn ready(mut self) -> Option<Self> {
        let deadline = Instant::now() + READY;
        loop {
            if ask(self.addr, "GET /healthz", "").await.is_ok_and(|answer| answer.status == 200) {
                return Some(self);
            }
            if self.child.try_wait().unwrap().is_some() {
                assert!(self.log().contains("Address already in use"), "nginx did not start");
                return None;
            }
            assert!(Instant::now() < deadline, "nginx did not answer in time");
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("The log of nginx:\n{}\n", self.log());
        }
    }
}

/// Debian keeps it off an ordinary user's PATH.
fn program() -> &'static Path {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join("nginx").is_file()) {
        return Path::new("nginx");
    }
    let debian = Path::new("/usr/sbin/nginx");
    assert!(debian.is_file(), "These tests need nginx: install it (Debian: nginx), or run `make test`.");
    debian
}

/// One process without a master, so that killing it leaves nothing behind; all that it writes is below its prefix.
fn config(addr: SocketAddr, machines: &[Machine]) -> String {
    let servers: Vec<_> =
        machines.iter().map(|machine| format!("server {} max_fails=1 fail_timeout=5s;", machine.addr)).collect();
    let temp: Vec<_> = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path temp_{name};"))
        .collect();
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    {}
    keepalive_requests 1000000;
    upstream machines {{ {} keepalive 32; keepalive_requests 1000000; keepalive_timeout 5s; }}
    server {{
        listen {addr};
        location / {{
            proxy_pass http://machines;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
            proxy_connect_timeout 2s;
            proxy_read_timeout 10s;
            proxy_next_upstream error timeout;
        }}
    }}
}}
",
        temp.join(" "),
        servers.join(" ")
    )
}
