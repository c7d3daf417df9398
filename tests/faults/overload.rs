//! More requests than the server can carry.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::measurements::holds_in_one_of_three;
use crate::support::http::{Connection, header, request};
use crate::support::key_client::{percentile, use_key, with_key};
use crate::support::machines::Machine;
use crate::support::outcome::{report, short_or_long};
use crate::support::scene::{Scene, memory};
use crate::support::serial::alone;

/// By so many connections it does as much as it can.
const BUSY: u32 = 32;
/// By so many come the requests that are too much: more than may run at once.
const CONNECTIONS: u32 = 1800;
/// How long an answer that is no refusal may take, on a machine that carries at least [`BACKLOG`] requests in this time.
const LIMIT: Duration = Duration::from_secs(1);
/// On a slower one: as long as it takes to answer so many requests.
const BACKLOG: f64 = 2000.0;
/// How much more memory than after a quarter of the time it may take.
const ROOM: u64 = 32 * 1024 * 1024;

#[tokio::test]
async fn double_load_is_shed_with_bounded_memory() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let machine = Machine::start(&scene.url).await;
    let (addr, key) = (machine.addr, &scene.keys[0]);
    holds_in_one_of_three(async || twice(addr, key, &machine).await).await;
    // It is over at once.
    let since = Instant::now();
    use_key(addr, key).await;
    assert!(since.elapsed() < LIMIT);
}

/// Asks twice as often as the server can answer.
async fn twice(addr: SocketAddr, key: &str, machine: &Machine) -> Result<(), String> {
    let length = Duration::from_secs(2);
    let load = Load { addr, key: key.to_owned(), began: Instant::now(), length, period: Duration::ZERO };
    let carried = load.by(BUSY).await;
    assert_eq!(carried.refused, 0);
    let rate = carried.number() / length.as_secs_f64();

    let length = Duration::from_secs(short_or_long(5, 60));
    let period = Duration::from_secs_f64(f64::from(CONNECTIONS) / (2.0 * rate));
    let load = Load { addr, key: key.to_owned(), began: Instant::now(), length, period };
    let warm = async {
        sleep_until(load.began + length / 4).await;
        memory(machine)
    };
    let (mut done, [warm, _]) = tokio::join!(load.by(CONNECTIONS), warm);
    let took = load.began.elapsed().as_secs_f64();
    let [_, most] = memory(machine);
    done.answered.sort_unstable();
    let p99 = percentile(&done.answered, 99);
    let total = done.number() + f64::from(done.refused);
    report(
        &format!("twice the load it can carry, for {length:.0?}"),
        &format!(
            "it carries {rate:.0} requests a second; of {:.0} a second {:.0} % were answered, p50 {:.0?}, p99 {p99:.0?}, the rest \
             503; memory {} MB after a quarter of the time, {} MB at most",
            total / took,
            done.number() / total * 100.0,
            percentile(&done.answered, 50),
            warm / 1_000_000,
            most / 1_000_000,
        ),
    );
    let limit = LIMIT.max(Duration::from_secs_f64(BACKLOG / rate));
    if p99 < limit && most < warm + ROOM { Ok(()) } else { Err(format!("p99 {p99:?}, {warm} bytes became {most}")) }
}

/// Requests of every kind: keys that are checked, rows that are read and written, pages.
struct Load {
    addr: SocketAddr,
    key: String,
    began: Instant,
    length: Duration,
    /// From one request of a connection to its next, at the least.
    period: Duration,
}

/// What came of them.
#[derive(Default)]
struct Done {
    /// How long those took that were answered.
    answered: Vec<Duration>,
    /// How many were told to come back.
    refused: u32,
}

impl Done {
    /// How many were answered.
    fn number(&self) -> f64 {
        f64::from(u32::try_from(self.answered.len()).unwrap())
    }
}

impl Load {
    async fn by(&self, connections: u32) -> Done {
        let employees = "/pegasus/employees/api/employees/";
        let authorization = format!("Authorization: Api-Key {}", self.key);
        let write = request(
            &format!("POST {employees}"),
            &[&authorization, "Content-Type: application/json"],
            "{\"name\":\"much\",\"department\":\"hr\",\"salary\":1}",
        );
        let requests = [
            with_key("GET /api/v1/me", &self.key),
            with_key(&format!("GET {employees}?page_size=20"), &self.key),
            write,
            request("GET /sign-in", &["Accept: text/html"], ""),
        ];
        let mut clients = JoinSet::new();
        for n in 0..connections {
            let first = self.began + self.period * n / connections;
            let request = requests[n as usize % requests.len()].clone();
            clients.spawn(run(self.addr, request, (first, self.began + self.length), self.period));
        }
        let mut all = Done::default();
        for done in clients.join_all().await {
            all.answered.extend(done.answered);
            all.refused += done.refused;
        }
        all
    }
}

/// Asks again and again on one connection, when it is due or, if the last answer came later, at once.
async fn run(addr: SocketAddr, request: Vec<u8>, (mut due, end): (Instant, Instant), period: Duration) -> Done {
    let mut done = Done::default();
    sleep_until(due).await;
    let mut connection = Connection::open(addr).await.unwrap();
    while due < end && Instant::now() < end {
        sleep_until(due).await;
        let asked = Instant::now();
        match connection.ask(&request).await.unwrap() {
            200 | 201 => done.answered.push(asked.elapsed()),
            // 429: too many lists of one owner at once.
            503 | 429 => {
                assert!(header(&connection.text(), "retry-after").is_some());
                done.refused += 1;
            }
            status => panic!("a request was answered with {status}: {}", connection.text()),
        }
        due += period;
    }
    done
}
