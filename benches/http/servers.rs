//! The servers under test, each a child process on the server's core, and the baselines that Keyfob is held against.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use axum_server::accept::NoDelayAcceptor;
use hyper_util::rt::TokioTimer;
use keyfob::model::time::Timestamp;
use serde::{Serialize, Serializer};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use tokio::time::{Instant, sleep};

use crate::load::Connection;

/// How long a server may take to its first answer.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// A tick of the kernel's account of processor time; the same on every Linux that people run.
const TICK: Duration = Duration::from_millis(10);

/// One core for the server, another for the load.
#[derive(Clone, Copy)]
pub struct Cores {
    /// The server's.
    pub server: u32,
    /// The load generator's.
    pub load: u32,
}

impl Cores {
    /// Takes two of the cores that this process may run on, and moves it to the second.
    ///
    /// # Errors
    /// A sentence that says why they cannot be kept apart.
    pub fn take() -> Result<Self, String> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
        // A list such as `0-3,8`: far apart they are least likely to be two threads of one core.
        let mut numbers = allowed.trim().split(['-', ',']).filter_map(|number| number.parse::<u32>().ok());
        let (Some(server), Some(load)) = (numbers.next(), numbers.next_back()) else {
            return Err("there is only one core, or the system does not tell which there are".to_owned());
        };
        // This thread only; there is no other yet.
        let moved = Command::new("taskset").args(["-cp", &load.to_string(), &std::process::id().to_string()]).output();
        match moved {
            Ok(output) if output.status.success() => Ok(Self { server, load }),
            Ok(output) => Err(format!("taskset failed: {}", String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => Err(format!("taskset cannot be run: {error}")),
        }
    }
}

/// A server in a process of its own. It ends when this is dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts a program on the server's core, with these arguments and nothing but `env` in its environment. What it
    /// writes goes to a file in `folder`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(
        cores: Option<Cores>,
        folder: &Path,
        command: impl FnOnce(SocketAddr) -> Vec<String>,
        env: &[(&str, &str)],
    ) -> io::Result<Self> {
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let pinned = cores.map(|cores| ["taskset".to_owned(), "-c".to_owned(), cores.server.to_string()]);
        let words: Vec<String> = pinned.into_iter().flatten().chain(command(addr)).collect();
        let log = folder.join(format!("{}.log", addr.port()));
        let file = File::create(&log)?;
        let child = Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Self { child, addr, log })
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
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The processor time that it has used so far, if the system tells.
    pub fn time_used(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // After the name, which may hold anything, stand the state and ten more fields before utime and stime.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).map(u32::from_str);
        let (user, system) = (fields.next()?.ok()?, fields.next()?.ok()?);
        Some(TICK * (user + system))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn ask_once(addr: SocketAddr, request: &[u8]) -> io::Result<(u16, String)> {
    let mut connection = Connection::open(addr).await?;
    let status = connection.ask(request).await?;
    Ok((status, connection.text()))
}

/// Serves a baseline for ever: this is what a child does that was started as `--server NAME ADDR …`.
///
/// # Errors
/// If the arguments are wrong, or it cannot listen.
pub fn serve_baseline(args: &[String]) -> io::Result<()> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    // As #[tokio::main] has it in src/main.rs.
    tokio::runtime::Runtime::new()?.block_on(async {
        match args[..] {
            ["hello", addr] => serve(addr, Router::new().route("/", get(|| async { "hello" }))).await,
            ["rows", addr, file, prefix] => {
                let database = Database::open(file, prefix).await.map_err(io::Error::other)?;
                serve(addr, Router::new().route("/", get(rows)).with_state(database)).await
            }
            _ => Err(io::Error::other("no such baseline")),
        }
    })
}

/// As in src/server/serve.rs.
async fn serve(addr: &str, router: Router) -> io::Result<()> {
    let listener = TcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    let mut server = axum_server::from_tcp(listener)?.acceptor(NoDelayAcceptor::new());
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
    server.http_builder().http2().timer(TokioTimer::new());
    server.serve(router.into_make_service()).await
}

/// The database and one user in it.
#[derive(Clone)]
struct Database {
    pool: SqlitePool,
    user: String,
}

impl Database {
    /// With as many connections that read as src/server/db.rs has, and no check of each before its use, as there.
    async fn open(file: &str, prefix: &str) -> sqlx::Result<Self> {
        let readers = std::thread::available_parallelism().map_or(4, |n| u32::try_from(n.get()).unwrap_or(4));
        let options = SqliteConnectOptions::new().filename(file).read_only(true).journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().max_connections(readers.clamp(2, 8)).test_before_acquire(false);
        let pool = pool.connect_with(options).await?;
        let user = sqlx::query_scalar("SELECT user_id FROM keys WHERE prefix = $1").bind(prefix).fetch_one(&pool);
        Ok(Self { user: user.await?, pool })
    }
}

#[derive(Serialize, sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    department: String,
    salary: i64,
    #[serde(serialize_with = "rfc3339")]
    created_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct Page {
    count: usize,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<Row>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.rfc3339())
}

/// One query, written as anyone would who has never measured it.
async fn rows(State(Database { pool, user }): State<Database>) -> Result<Json<Page>, StatusCode> {
    let sql = "SELECT id, name, department, salary, created_at, updated_at FROM employees \
               WHERE owner_id = $1 ORDER BY created_at, id";
    let rows = sqlx::query_as(sql).bind(user).fetch_all(&pool).await;
    let results: Vec<Row> = rows.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(Page { count: results.len(), next: None, previous: None, results }))
}
