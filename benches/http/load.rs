//! The load generator: each connection asks again as soon as it is answered. It does as little as it can, so that one core
//! of it can keep a core of the fastest server busy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep_until};

use crate::connection::{Connection, request};
use crate::keys::Keys;

/// How long each load runs before it is measured.
pub const WARM_UP: Duration = Duration::from_secs(2);
/// How long each load is measured.
pub const MEASURED: Duration = Duration::from_secs(5);

/// What is asked again and again, and what must be answered: 200, or the load fails.
#[derive(Clone)]
pub struct Load {
    /// What is asked.
    pub asks: Asks,
    /// What stands in each answer; one without it is a failure, whatever its status.
    pub holds: &'static str,
    /// How many connections ask at the same time.
    pub connections: usize,
    /// Whether the load never sleeps, so that its core belongs to it alone. To wake it is work of the server's core, and the
    /// more of it the slower the server is, for the more often the load is asleep: over a network nobody has that work.
    pub awake: bool,
}

/// Requests without end.
#[derive(Clone)]
pub enum Asks {
    /// The same again and again.
    Same(Arc<[u8]>),
    /// For the same path with one key after another.
    InTurn(Arc<InTurn>),
}

/// Keys in an order that all connections share.
pub struct InTurn {
    path: &'static str,
    keys: Arc<Keys>,
    order: Vec<usize>,
    next: AtomicUsize,
}

impl Asks {
    /// Asks for a path with one of these keys after another, in random order; and when all were asked with, again.
    pub fn in_turn(path: &'static str, keys: &Arc<Keys>) -> Self {
        let keys = Arc::clone(keys);
        Self::InTurn(Arc::new(InTurn { path, order: keys.shuffled(), keys, next: AtomicUsize::new(0) }))
    }

    /// Puts the next request in the place of the one before.
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

/// When a connection stops asking.
#[derive(Clone)]
enum Until {
    /// At a time.
    Time(Instant),
    /// When so many requests are asked, by all connections together.
    Asked(Arc<AtomicUsize>),
}

impl Until {
    fn more(&self, now: Instant) -> bool {
        match self {
            Self::Time(end) => now < *end,
            Self::Asked(left) => {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            }
        }
    }
}

/// What came of a load.
#[derive(Clone, Copy)]
pub struct Figures {
    /// Requests answered in a second.
    pub per_second: f64,
    /// Half the requests took at most so many milliseconds.
    pub p50: f64,
    /// All but a hundredth took at most so many milliseconds.
    pub p99: f64,
    /// How much of the measured time the server's processes ran, 1 for a whole core; if the system tells.
    pub busy: Option<f64>,
}

impl Load {
    /// Runs the load, spread evenly over the servers at these addresses. `time_used` tells the processor time that they have
    /// used so far.
    ///
    /// # Errors
    /// At the first answer that is not the expected one.
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

    /// Asks so many times; gives how long all of it took.
    ///
    /// # Errors
    /// At the first answer that is not the expected one.
    pub async fn run_times(&self, to: SocketAddr, times: usize) -> io::Result<Duration> {
        let begin = Instant::now();
        let mut clients = self.start(&[to], Until::Asked(Arc::new(AtomicUsize::new(times)))).await?;
        while let Some(client) = clients.join_next().await {
            client.map_err(io::Error::other)??;
        }
        Ok(begin.elapsed())
    }

    async fn start(&self, to: &[SocketAddr], until: Until) -> io::Result<JoinSet<io::Result<Vec<(Instant, u32)>>>> {
        let mut clients = JoinSet::new();
        for &addr in to.iter().cycle().take(self.connections) {
            let connection = Connection::open(addr).await?;
            clients.spawn(self.clone().ask(connection, until.clone()));
        }
        Ok(clients)
    }

    /// Asks until it shall stop; gives when each request was answered, and the microseconds that it took.
    async fn ask(self, mut connection: Connection, until: Until) -> io::Result<Vec<(Instant, u32)>> {
        let mut answers = Vec::with_capacity(16 * 1024);
        let mut request = Vec::new();
        let mut asked = Instant::now();
        while until.more(asked) {
            self.asks.next(&mut request);
            let status = connection.ask(&request).await?;
            if status != 200 || !connection.holds(self.holds) {
                return Err(self.failure(&connection.text()));
            }
            // The next request is sent at once: this instant is its beginning, too.
            let answered = Instant::now();
            answers.push((answered, u32::try_from((answered - asked).as_micros()).unwrap_or(u32::MAX)));
            asked = answered;
        }
        Ok(answers)
    }

    fn failure(&self, answer: &str) -> io::Error {
        let holds = self.holds;
        io::Error::other(format!("under load, 200 with {holds:?} was expected, and this was answered: {answer}"))
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

    /// The microseconds of processor time that a request took in the server.
    pub fn cost(&self) -> Option<f64> {
        self.busy.map(|busy| busy * 1e6 / self.per_second)
    }
}
