//! Clients that ask at a fixed rate, whatever the server does.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::support::browser::{Browser, sign_in_form};
use crate::support::http::{Connection, body, request};
use crate::support::key_client::{ANSWER, with_key};

/// Makes, rotates and revokes keys. Not the user of the pages: a user's oldest session ends for a new one.
pub const LIFE_CYCLE_USER: &str = "cycle@example.com";
/// Connections that send a byte every half second, at any time.
const SLOW_CLIENTS: usize = 10;
/// A sign-in, a key made, used, rotated, used, revoked and rejected. A user may sign in 30 times a minute.
const LIFE_CYCLE: Duration = Duration::from_secs(3);

/// Requests a second: key checks, checks for other APIs, lists, pages.
const KEY_CHECKS: u32 = 60;
const VERIFICATIONS: u32 = 20;
const LISTS: u32 = 6;
const PAGES: u32 = 4;

pub fn rates() -> String {
    format!(
        "Each second and database: {KEY_CHECKS} key checks, {VERIFICATIONS} verifications, {LISTS} lists, {PAGES} pages; every \
         {LIFE_CYCLE:?} a sign-in and the life of a key; {SLOW_CLIENTS} slow clients."
    )
}

pub enum Outcome {
    Well,
    /// 503, or no answer.
    Unavailable(String),
    /// An answer that no fault excuses.
    Wrong(String),
}

/// A request that was made.
pub struct Record {
    /// From when it was due.
    pub time: Duration,
    pub outcome: Outcome,
    /// Whether no fault was under way, or only just over.
    pub is_calm: bool,
}

/// Whether no fault is under way.
#[derive(Default)]
pub struct Calm(AtomicBool);

impl Calm {
    pub fn set(&self, is_calm: bool) {
        self.0.store(is_calm, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct Shared {
    addr: SocketAddr,
    calm: Arc<Calm>,
    records: Mutex<Vec<Record>>,
    stop: AtomicBool,
}

/// All clients of a server.
pub struct Traffic {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

impl Traffic {
    pub fn start(addr: SocketAddr, keys: &[String], browser: &Browser) -> Self {
        let calm = Arc::new(Calm(true.into()));
        let shared = Arc::new(Shared { addr, calm, records: Mutex::default(), stop: false.into() });
        let mut clients = JoinSet::new();
        let of_keys = |line: &str| keys.iter().map(|key| with_key(line, key)).collect::<Vec<_>>();
        let pages = ["/profile", "/employees", "/teams", "/docs/errors"].map(|path| browser.page(path));
        let employees = "GET /pegasus/employees/api/employees/?page_size=50&ordering=-salary";
        for (requests, per_second) in [
            (of_keys("GET /api/v1/me"), KEY_CHECKS),
            (of_keys("GET /api/v1/verify?scope=employees:read"), VERIFICATIONS),
            (of_keys(employees), LISTS),
            (pages.to_vec(), PAGES),
        ] {
            // Each asks once a second, so that one that waits delays no other.
            for n in 0..per_second {
                let delay = Duration::from_secs(1) * n / per_second;
                clients.spawn(repeat(shared.clone(), requests.clone(), n as usize, delay));
            }
        }
        clients.spawn(live_and_end(shared.clone()));
        for n in 0..SLOW_CLIENTS {
            clients.spawn(drip(shared.clone(), n % 2 == 0));
        }
        Self { shared, clients }
    }

    pub fn calm(&self) -> Arc<Calm> {
        self.shared.calm.clone()
    }

    /// Takes what was recorded since the last call.
    pub fn take(&self) -> Vec<Record> {
        std::mem::take(&mut self.shared.records.lock().unwrap())
    }

    pub async fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.clients.shutdown().await;
    }
}

impl Shared {
    fn is_running(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Asks, and records the outcome. Returns the answer if it has the expected status.
    async fn ask(
        &self,
        connection: &mut Option<Connection>,
        request: &[u8],
        expected: u16,
        due: Instant,
    ) -> Option<String> {
        let was_calm = self.calm.get();
        let answer = timeout(ANSWER, once(connection, self.addr, request)).await;
        let text = || connection.as_ref().map(Connection::text).unwrap_or_default();
        let outcome = match answer {
            Ok(Ok(status)) if status == expected => Outcome::Well,
            Ok(Ok(503)) => Outcome::Unavailable(format!("503 for {}", line(request))),
            Ok(Ok(status)) => Outcome::Wrong(format!("{status} for {}: {}", line(request), text())),
            Ok(Err(error)) => Outcome::Unavailable(format!("{error} for {}", line(request))),
            Err(_) => Outcome::Unavailable(format!("no answer for {}", line(request))),
        };
        let answer = matches!(outcome, Outcome::Well).then(text);
        if answer.is_none() {
            *connection = None;
        }
        let record = Record { time: due.elapsed(), outcome, is_calm: was_calm && self.calm.get() };
        self.records.lock().unwrap().push(record);
        answer
    }
}

/// Returns the first line of a request.
fn line(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    text.lines().next().unwrap_or_default().to_owned()
}

/// Asks on the connection that is open, or on a new one. The server may have closed one that was idle.
async fn once(connection: &mut Option<Connection>, addr: SocketAddr, request: &[u8]) -> io::Result<u16> {
    if let Some(open) = connection
        && let Ok(status) = open.ask(request).await
    {
        return Ok(status);
    }
    connection.insert(Connection::open(addr).await?).ask(request).await
}

/// Makes these requests in turn, one a second.
async fn repeat(shared: Arc<Shared>, requests: Vec<Vec<u8>>, first: usize, delay: Duration) {
    sleep(delay).await;
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut connection = None;
    for request in requests.iter().cycle().skip(first) {
        let due = ticks.tick().await;
        if !shared.is_running() {
            return;
        }
        shared.ask(&mut connection, request, 200, due).await;
    }
}

/// Signs in, makes a key, uses, rotates and revokes it.
async fn live_and_end(shared: Arc<Shared>) {
    let mut ticks = interval(LIFE_CYCLE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut connection = None;
    while shared.is_running() {
        ticks.tick().await;
        // It ends early when a step is not answered.
        let _ = life_cycle(&shared, &mut connection).await;
    }
}

async fn life_cycle(shared: &Shared, connection: &mut Option<Connection>) -> Option<()> {
    let answer = shared.ask(connection, &sign_in_form(LIFE_CYCLE_USER), 200, Instant::now()).await?;
    let browser = Browser::from_answer(&answer);
    let answer = shared.ask(connection, &browser.create_key(), 200, Instant::now()).await?;
    let old = key_of(&answer);
    let check = |key: &str| with_key("GET /api/v1/me", key);
    shared.ask(connection, &check(&old), 200, Instant::now()).await?;
    let headers = [&*format!("Authorization: Api-Key {old}"), "Content-Type: application/json"];
    let rotate = request("POST /api/v1/key/rotate", &headers, "{}");
    let answer = shared.ask(connection, &rotate, 200, Instant::now()).await?;
    let new = key_of(&answer);
    shared.ask(connection, &check(&new), 200, Instant::now()).await?;
    shared.ask(connection, &check(&old), 401, Instant::now()).await?;
    shared.ask(connection, &with_key("DELETE /api/v1/key", &new), 204, Instant::now()).await?;
    shared.ask(connection, &check(&new), 401, Instant::now()).await?;
    Some(())
}

fn key_of(answer: &str) -> String {
    let made: Value = serde_json::from_str(body(answer)).unwrap();
    made["key"].as_str().unwrap().to_owned()
}

/// Sends a byte each half second, of a body or of a head, until the server disconnects; then again.
async fn drip(shared: Arc<Shared>, is_body: bool) {
    let head = "POST /fn/sign_in HTTP/1.1\r\nHost: localhost:8000\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Sec-Fetch-Site: same-origin\r\nContent-Length: 1000\r\n";
    let end = if is_body { "\r\n" } else { "X: " };
    while shared.is_running() {
        sleep(Duration::from_millis(500)).await;
        let Ok(mut stream) = TcpStream::connect(shared.addr).await else { continue };
        let mut sent = stream.write_all(format!("{head}{end}").as_bytes()).await;
        let mut answer = [0; 512];
        while sent.is_ok() {
            match timeout(Duration::from_millis(500), stream.read(&mut answer)).await {
                Ok(_) => break,
                Err(_) => sent = stream.write_all(b"a").await,
            }
        }
    }
}
