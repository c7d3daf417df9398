//! Processes of the program under test: machines that serve, and commands beside them.

use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep};

use crate::support::free_address::free_address;
use crate::support::key_client::ask;

pub const KEYFOB: &str = env!("CARGO_BIN_EXE_keyfob");
/// How long a machine may take until it is ready.
const READY: Duration = Duration::from_secs(30);

/// One `keyfob serve`. It ends when this is dropped.
pub struct Machine {
    pub addr: SocketAddr,
    child: Child,
    log: NamedTempFile,
}

impl Machine {
    /// Starts one on a database, and waits until it is ready.
    pub async fn start(url: &str) -> Self {
        Self::start_by(&[KEYFOB], url).await
    }

    /// The same by a command that runs the rest of its arguments.
    pub async fn start_by(program: &[&str], url: &str) -> Self {
        for _ in 0..5 {
            if let Some(machine) = Self::spawn(program, url).ready().await {
                return machine;
            }
        }
        panic!("five free ports in a row were taken before a machine could listen there");
    }

    /// Starts so many at once on a database, and waits until all are ready.
    pub async fn start_all<const N: usize>(url: &str) -> [Self; N] {
        let mut starting = JoinSet::new();
        for _ in 0..N {
            let url = url.to_owned();
            starting.spawn(async move { Self::start(&url).await });
        }
        starting.join_all().await.try_into().ok().unwrap()
    }

    fn spawn(program: &[&str], url: &str) -> Self {
        let (addr, log) = (free_address(), NamedTempFile::new().unwrap());
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).args(["serve", &format!("--addr={addr}")]);
        command.env_clear().env("DATABASE_URL", url).stdin(Stdio::null());
        let child = command.stdout(log.reopen().unwrap()).stderr(log.reopen().unwrap()).spawn().unwrap();
        Self { addr, child, log }
    }

    /// Waits until it is ready; `None` if its port was taken by somebody else in the meantime.
    async fn ready(mut self) -> Option<Self> {
        let deadline = Instant::now() + READY;
        loop {
            if ask(self.addr, "GET /readyz", "").await.is_ok_and(|answer| answer.status == 200) {
                return Some(self);
            }
            if self.child.try_wait().unwrap().is_some() {
                assert!(self.log().contains("KEYFOB_ADDR"), "a machine did not start");
                return None;
            }
            assert!(Instant::now() < deadline, "a machine was not ready in time");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            println!("The log of {} ends so:\n{}\n", self.addr, lines[lines.len().saturating_sub(15)..].join("\n"));
        }
    }
}

/// Runs a command on a database to its end; gives what it printed.
pub async fn keyfob(url: &str, line: &str) -> String {
    run(KEYFOB, url, line).await
}

async fn run(program: &str, url: &str, line: &str) -> String {
    let mut command = Command::new(program);
    command.args(line.split(' ')).env_clear().env("DATABASE_URL", url).stdin(Stdio::null());
    let Output { status, stdout, stderr } = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(status.success(), "keyfob {line}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Runs a command on a database that is refused or finds something wrong; gives all that it printed.
pub async fn refused(url: &str, line: &str) -> String {
    let mut command = Command::new(KEYFOB);
    command.args(line.split(' ')).env_clear().env("DATABASE_URL", url).stdin(Stdio::null());
    let Output { status, stdout, stderr } = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let printed = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(status.code(), Some(1), "keyfob {line}: {printed}");
    printed
}

/// Makes one user with so many keys that work; gives the keys.
pub async fn make_keys(url: &str, number: usize) -> Vec<String> {
    make_keys_by(KEYFOB, url, number).await
}

/// The same by the program of another version.
pub async fn make_keys_by(program: &str, url: &str, number: usize) -> Vec<String> {
    let seed = format!("seed --users 1 --keys-per-user {number} --employees-per-user 3");
    run(program, url, &seed).await.lines().map(str::to_owned).collect()
}
