//! Load generator. Each connection sends its next request as soon as it has an answer. It does as little as possible, so that
//! one core of it keeps a core of the fastest server busy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep_until};

use crate::connection::{Connection, request};
use crate::keys::Keys;

/// Time before the measurement.
pub const WARM_UP: Duration = Duration::from_secs(2);
/// Time of the measurement.
pub const MEASURED: Duration = Duration::from_secs(5);

/// Asks and the expected answer. An answer other than 200 fails the load.
#[derive(Clone)]
pub struct Load {
    pub asks: Asks,
    /// Text that every answer must contain.
    pub holds: &'static str,
    /// Concurrent connections.
    pub connections: usize,
    /// Whether the load generator never sleeps. Waking it costs time on the server's core, and more the slower the server is,
    /// which a network would not.
    pub awake: bool,
}

/// Endless supply of requests.
#[derive(Clone)]
pub enum Asks {
    /// One request, repeated.
    Same(Arc<[u8]>),
    /// One path, each time with the next key.
    InTurn(Arc<InTurn>),
}

/// Shuffled keys, shared by all connections.
pub struct InTurn {
    path: &'static str,
    keys: Arc<Keys>,
    order: Vec<usize>,
    next: AtomicUsize,
}

impl Asks {
    /// Asks a path with each key in random order, over and over.
    pub fn in_turn(path: &'static str, keys: &Arc<Keys>) -> Self {
        let keys = Arc::clone(keys);
        Self::InTurn(Arc::new(InTurn { path, order: keys.shuffled(), keys, next: AtomicUsize::new(0) }))
    }

    /// Replaces the buffer's content with the next request.
    pub fn next(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Same(_) if !bytes.is_empty() => {}
            Self::Same(same) => bytes.extend_from_slice(same),
            Self::InTurn(turn) => {
                let n = turn.next.fetch_add(1, Ordering::Relaxed) % turn.order.len();
                let key = format!("Authorization: Api-Key {}", turn.keys.get(turn.order[n]));
                *bytes = request(&format!("GET {}", turn.path), &[&key], "");
            }
        }
    }
}

impl From<Vec<u8>> for Asks {
    fn from(request: Vec<u8>) -> Self {
        Self::Same(request.into())
    }
}

/// When a connection stops.
#[derive(Clone)]
enum Until {
    Time(Instant),
    /// After this many requests of all connections together.
    Count(Arc<AtomicUsize>),
}

impl Until {
    fn allows_more(&self, now: Instant) -> bool {
        match self {
            Self::Time(end) => now < *end,
            Self::Count(left) => {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            }
        }
    }
}

/// Results of a load.
#[derive(Clone, Copy)]
pub struct Figures {
    /// Asks per second.
    pub per_second: f64,
    /// Median latency in milliseconds.
    pub p50: f64,
    /// 99th percentile of the latency in milliseconds.
    pub p99: f64,
    /// Processor use of the servers, 1 for a whole core, if the system reports it.
    pub busy: Option<f64>,
}

impl Load {
    /// Runs the load, spread evenly over the servers. `time_used` returns the processor time that they have used so far.
    pub async fn run(&self, to: &[SocketAddr], time_used: impl Fn() -> Option<Duration>) -> io::Result<Figures> {
        let begin = Instant::now() + WARM_UP;
        let end = begin + MEASURED;
        let mut clients = self.start(to, Until::Time(end)).await?;
        if self.awake {
            clients.spawn(async move {
                while Instant::now() < end {
                    yield_now().await;
                }
                Ok(Vec::new())
            });
        }
        sleep_until(begin).await;
        let used_before = time_used();
        sleep_until(end).await;
        let used = time_used().zip(used_before).map(|(after, before)| after.saturating_sub(before));
        let mut micros = Vec::new();
        while let Some(client) = clients.join_next().await {
            let answers = client.map_err(io::Error::other)??;
            let within = answers.into_iter().filter(|(answered, _)| (begin..end).contains(answered));
            micros.extend(within.map(|(_, took)| took));
        }
        Figures::of(micros, used)
    }

    /// Sends this many requests, and returns the total time.
    pub async fn run_times(&self, to: SocketAddr, times: usize) -> io::Result<Duration> {
        let begin = Instant::now();
        let mut clients = self.start(&[to], Until::Count(Arc::new(AtomicUsize::new(times)))).await?;
        while let Some(client) = clients.join_next().await {
            client.map_err(io::Error::other)??;
        }
        Ok(begin.elapsed())
    }

    async fn start(&self, to: &[SocketAddr], until: Until) -> io::Result<JoinSet<io::Result<Vec<(Instant, u32)>>>> {
        let mut clients = JoinSet::new();
        for &addr in to.iter().cycle().take(self.connections) {
            let connection = Connection::open(addr).await?;
            clients.spawn(self.clone().send_all(connection, until.clone()));
        }
        Ok(clients)
    }

    /// Sends requests until `until`. Returns when each was answered, and its latency in microseconds.
    async fn send_all(self, mut connection: Connection, until: Until) -> io::Result<Vec<(Instant, u32)>> {
        let mut answers = Vec::with_capacity(16 * 1024);
        let mut request = Vec::new();
        let mut sent = Instant::now();
        while until.allows_more(sent) {
            self.asks.next(&mut request);
            let status = connection.ask(&request).await?;
            if status != 200 || !connection.holds(self.holds) {
                return Err(self.failure(&connection.text()));
            }
            // The next request starts now.
            let answered = Instant::now();
            answers.push((answered, u32::try_from((answered - sent).as_micros()).unwrap_or(u32::MAX)));
            sent = answered;
        }
        Ok(answers)
    }

    fn failure(&self, answer: &str) -> io::Error {
        let holds = self.holds;
        io::Error::other(format!("under load, expected 200 with {holds:?}, but got: {answer}"))
    }
}

impl Figures {
    fn of(mut micros: Vec<u32>, used: Option<Duration>) -> io::Result<Self> {
        micros.sort_unstable();
        let Some(last) = micros.len().checked_sub(1) else {
            return Err(io::Error::other("no request was answered within the measured time"));
        };
        let count = u32::try_from(micros.len()).map_err(io::Error::other)?;
        let seconds = MEASURED.as_secs_f64();
        Ok(Self {
            per_second: f64::from(count) / seconds,
            p50: f64::from(micros[last / 2]) / 1000.0,
            p99: f64::from(micros[last * 99 / 100]) / 1000.0,
            busy: used.map(|used| used.as_secs_f64() / seconds),
        })
    }

    /// Returns the server's processor time per request, in microseconds.
    pub fn cost(&self) -> Option<f64> {
        self.busy.map(|busy| busy * 1e6 / self.per_second)
    }
}
