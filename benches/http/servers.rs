//! Servers under test, each in a child process on the server's core unless a row says otherwise.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::connection::Connection;
use crate::machine::line_of;

/// Time for the first answer.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// Pause between attempts to reach a starting server.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Unit of processor time in `/proc`.
const CLOCK_TICK: Duration = Duration::from_millis(10);

/// Server process, killed on drop.
pub struct Server {
    child: Child,
    started: Instant,
    pub addr: SocketAddr,
    log: PathBuf,
}

/// Resident memory of a process, in bytes.
#[derive(Clone, Copy)]
pub struct Memory {
    pub now: u64,
    pub peak: u64,
}

impl Server {
    /// Starts a program on these cores, with only `env` in its environment. Its output goes to a file in `folder`.
    pub fn start(
        cores: Option<&str>,
        folder: &Path,
        command: impl FnOnce(SocketAddr) -> Vec<String>,
        env: &[(&str, &str)],
    ) -> io::Result<Self> {
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let pinned = cores.map(|cores| ["taskset", "-c", cores].map(str::to_owned));
        let words: Vec<String> = pinned.into_iter().flatten().chain(command(addr)).collect();
        let log = folder.join(format!("{}.log", addr.port()));
        let file = File::create(&log)?;
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let started = Instant::now();
        Ok(Self { child: command.spawn()?, started, addr, log })
    }

    /// Repeats a request until the server answers with this status, and returns the answer.
    pub async fn first_answer(&mut self, request: &[u8], status: u16) -> io::Result<String> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let outcome = tokio::time::timeout_at(deadline, ask_once(self.addr, request)).await;
            let why = match outcome {
                Ok(Ok((found, text))) if found == status => return Ok(text),
                Ok(Ok((_, text))) => format!("it answered: {text}"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it gave no answer".to_owned(),
            };
            if self.child.try_wait()?.is_some() || Instant::now() >= deadline {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                return Err(io::Error::other(format!("the server did not start: {why}\n{log}")));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the time since the start.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns the processor time used so far, if the system reports it.
    pub fn time_used(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name can contain anything. After it come the state and ten more fields before utime and stime.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).map(u32::from_str);
        let (user, system) = (fields.next()?.ok()?, fields.next()?.ok()?);
        Some(CLOCK_TICK * (user + system))
    }

    /// Returns the resident memory, if the system reports it.
    pub fn memory(&self) -> Option<Memory> {
        let bytes = |start| {
            let line = line_of(&format!("/proc/{}/status", self.child.id()), start)?;
            Some(line.strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
        };
        Some(Memory { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails harmlessly if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends one request on a new connection, and returns status and answer.
pub async fn ask_once(addr: SocketAddr, request: &[u8]) -> io::Result<(u16, String)> {
    let mut connection = Connection::open(addr).await?;
    let status = connection.ask(request).await?;
    Ok((status, connection.text()))
}
