//! The servers under test: each a child process, on the server's core unless a row says otherwise.

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

/// How long a server may take to its first answer.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// How often a server that starts is asked.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// A tick of the kernel's account of processor time; the same on every Linux that people run.
const TICK: Duration = Duration::from_millis(10);

/// A server in a process of its own. It ends when this is dropped.
pub struct Server {
    child: Child,
    started: Instant,
    /// Where it listens.
    pub addr: SocketAddr,
    log: PathBuf,
}

/// The memory of a process that is in use, in bytes.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Now.
    pub now: u64,
    /// At most so far.
    pub peak: u64,
}

impl Server {
    /// Starts a program on these cores, with these arguments and nothing but `env` in its environment. What it writes goes
    /// to a file in `folder`.
    ///
    /// # Errors
    /// If it cannot be started.
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

    /// Asks until the server answers with this status; gives the answer as it came.
    ///
    /// # Errors
    /// If it ends, or does not answer so before the deadline.
    pub async fn first_answer(&mut self, request: &[u8], status: u16) -> io::Result<String> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let tried = tokio::time::timeout_at(deadline, ask_once(self.addr, request)).await;
            let why = match tried {
                Ok(Ok((found, text))) if found == status => return Ok(text),
                Ok(Ok((_, text))) => format!("it answered: {text}"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it gave no answer".to_owned(),
            };
            if self.child.try_wait()?.is_some() || Instant::now() >= deadline {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                return Err(io::Error::other(format!("a server did not start: {why}\n{log}")));
            }
            sleep(ASK_EVERY).await;
        }
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// The processor time that it has used so far, if the system tells.
    pub fn time_used(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // After the name, which may hold anything, stand the state and ten more fields before utime and stime.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).map(u32::from_str);
        let (user, system) = (fields.next()?.ok()?, fields.next()?.ok()?);
        Some(TICK * (user + system))
    }

    /// The memory that it has in use, if the system tells.
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
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// # Errors
/// If there is no answer that can be read.
pub async fn ask_once(addr: SocketAddr, request: &[u8]) -> io::Result<(u16, String)> {
    let mut connection = Connection::open(addr).await?;
    let status = connection.ask(request).await?;
    Ok((status, connection.text()))
}
