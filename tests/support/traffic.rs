//! A steady load that does not stop at a failure, but counts it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::support::http::Connection;
use crate::support::key_client::{ANSWER, with_key};

/// From one request of a connection to its next, at the least.
const PACE: Duration = Duration::from_millis(20);

/// Connections that ask again and again with a key that works, until they are stopped.
pub struct Traffic {
    shared: Arc<Shared>,
    clients: JoinSet<Tally>,
}

#[derive(Default)]
struct Shared {
    answered: AtomicUsize,
    stop: AtomicBool,
}

/// What came of it.
#[derive(Default)]
pub struct Tally {
    /// How many requests were answered with the wanted status.
    pub answered: usize,
    /// What became of each that was not.
    pub failures: Vec<String>,
    /// The longest that a request took.
    pub slowest: Duration,
}

impl Traffic {
    pub fn start(addr: SocketAddr, key: &str, connections: usize) -> Self {
        Self::send(addr, &with_key("GET /api/v1/me", key), 200, connections)
    }

    /// The same with another request, and the status that it wants.
    pub fn send(addr: SocketAddr, request: &[u8], wanted: u16, connections: usize) -> Self {
        let (shared, mut clients) = (Arc::<Shared>::default(), JoinSet::new());
        for _ in 0..connections {
            clients.spawn(run(addr, request.to_vec(), wanted, shared.clone()));
        }
        Self { shared, clients }
    }

    /// Waits until so many more requests were answered with the wanted status.
    pub async fn more(&self, number: usize) {
        let deadline = Instant::now() + ANSWER;
        let wanted = self.shared.answered.load(Ordering::Relaxed) + number;
        while self.shared.answered.load(Ordering::Relaxed) < wanted {
            assert!(Instant::now() < deadline, "{number} more requests were not answered in time");
            sleep(PACE).await;
        }
    }

    pub async fn stop(self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for tally in self.clients.join_all().await {
            all.failures.extend(tally.failures);
            all.slowest = all.slowest.max(tally.slowest);
        }
        // After the last request of each connection.
        all.answered = self.shared.answered.load(Ordering::Relaxed);
        all
    }
}

async fn run(addr: SocketAddr, request: Vec<u8>, wanted: u16, shared: Arc<Shared>) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    let mut tick = interval(PACE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shared.stop.load(Ordering::Relaxed) {
        tick.tick().await;
        let asked = Instant::now();
        let failure = match timeout(ANSWER, once(&mut connection, addr, &request)).await {
            Ok(Ok(status)) if status == wanted => None,
            Ok(Ok(status)) => Some(format!("it was answered with {status}")),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it was not answered".to_owned()),
        };
        tally.slowest = tally.slowest.max(asked.elapsed());
        match failure {
            None => drop(shared.answered.fetch_add(1, Ordering::Relaxed)),
            Some(failure) => {
                connection = None;
                tally.failures.push(failure);
            }
        }
    }
    tally
}

/// Asks on the connection that is open, or on a new one.
async fn once(connection: &mut Option<Connection>, addr: SocketAddr, request: &[u8]) -> io::Result<u16> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(addr).await?),
    };
    open.ask(request).await
}
