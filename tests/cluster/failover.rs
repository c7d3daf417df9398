//! A PostgreSQL primary that fails over to its standby under load: no change is answered with 500, and all is as before
//! soon after the promotion, though connections to the old primary stay open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::http::{Connection, header, request};
use crate::support::key_client::{ANSWER, ask, with_key};
use crate::support::machines::{Machine, make_keys};
use crate::support::postgres::Server;
use crate::support::proxy::Proxy;
use crate::support::serial::alone;

const NAME: &str = "keyfob";
/// How long after the promotion all is as before.
const HEALED: Duration = Duration::from_secs(5);
/// How long `/readyz` may take to tell that the database takes no changes.
const NOTICED: Duration = Duration::from_secs(3);
const WRITERS: usize = 8;
const READERS: usize = 4;

#[tokio::test]
async fn writes_follow_a_failover_with_old_connections_open() {
    let _alone = alone().await;
    let lab = Lab::start().await;
    let load = Load::start(lab.machines.each_ref().map(|machine| machine.addr), &lab.keys);
    sleep(Duration::from_secs(1)).await;

    lab.old.make_read_only().await;
    for machine in &lab.machines {
        let since = Instant::now();
        while ready(machine.addr).await == 200 {
            assert!(since.elapsed() < NOTICED, "/readyz says 200 on a database that takes no changes");
            sleep(Duration::from_millis(50)).await;
        }
    }
    lab.old.is_caught_up_with_by(&lab.new).await;
    lab.new.promote().await;
    lab.proxy.lead_to(lab.new.addr);
    let outcome = load.until_well(Instant::now()).await;
    println!("A failover that keeps connections open: {outcome}");
    let kept = lab.new.number(NAME, "SELECT COUNT(*) FROM employees WHERE name = 'failover'").await;
    assert_eq!(
        kept,
        i64::try_from(outcome.made).unwrap(),
        "a change that was answered with 201 is missing, or one with 503 is there"
    );
    for machine in &lab.machines {
        assert_eq!(ready(machine.addr).await, 200);
    }
}

#[tokio::test]
async fn after_a_primary_that_crashed_every_write_goes_to_the_new_one() {
    let _alone = alone().await;
    let lab = Lab::start().await;
    let load = Load::start(lab.machines.each_ref().map(|machine| machine.addr), &lab.keys);
    sleep(Duration::from_secs(1)).await;

    lab.old.kill().await;
    sleep(Duration::from_millis(500)).await;
    lab.new.promote().await;
    lab.proxy.lead_to(lab.new.addr);
    let outcome = load.until_well(Instant::now()).await;
    println!("A failover after a crash: {outcome}");
}

#[tokio::test]
async fn url_with_several_hosts_uses_the_writable_one() {
    let _alone = alone().await;
    let old = Server::primary().await;
    old.execute(&format!("CREATE DATABASE {NAME} TEMPLATE template0")).await;
    let keys = make_keys(&Server::url_by(old.addr, NAME), WRITERS).await;
    let new = old.standby().await;
    let both =
        Server::url_by(new.addr, NAME).replace(&format!("@{}", new.addr), &format!("@{},{}", new.addr, old.addr));
    let machine = Machine::start(&format!("{both}?target_session_attrs=read-write")).await;
    let load = Load::start([machine.addr], &keys);
    sleep(Duration::from_millis(500)).await;
    old.is_caught_up_with_by(&new).await;
    old.kill().await;
    new.promote().await;
    let outcome = load.until_well(Instant::now()).await;
    println!("A failover between two hosts of the URL: {outcome}");
}

/// A primary with its standby, a proxy that leads to the primary, and two machines on it.
struct Lab {
    old: Server,
    new: Server,
    proxy: Proxy,
    machines: [Machine; 2],
    keys: Vec<String>,
}

impl Lab {
    async fn start() -> Self {
        let old = Server::primary().await;
        old.execute(&format!("CREATE DATABASE {NAME} TEMPLATE template0")).await;
        let keys = make_keys(&Server::url_by(old.addr, NAME), WRITERS).await;
        let new = old.standby().await;
        let proxy = Proxy::before(old.addr).await;
        let machines = Machine::start_all(&Server::url_by(proxy.addr, NAME)).await;
        Self { old, new, proxy, machines, keys }
    }
}

/// Clients that write and read without a pause.
struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Vec<Answered>>,
}

/// One answer.
struct Answered {
    at: Instant,
    writes: bool,
    status: u16,
}

struct Outcome {
    made: usize,
    refused: usize,
    /// After so long the last one was refused.
    last: Duration,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { made, refused, last } = self;
        write!(
            f,
            "{made} changes made, {refused} requests answered with 503, the last one {last:.1?} after the promotion."
        )
    }
}

impl Load {
    fn start<const N: usize>(addrs: [SocketAddr; N], keys: &[String]) -> Self {
        let (stop, mut clients) = (Arc::<AtomicBool>::default(), JoinSet::new());
        for n in 0..WRITERS + READERS {
            let (addr, key) = (addrs[n % N], &keys[n % keys.len()]);
            let writes = n < WRITERS;
            clients.spawn(ask_on(addr, if writes { add(key) } else { list(key) }, writes, stop.clone()));
        }
        Self { stop, clients }
    }

    /// Lets it run until some time after all must be well. Fails at any answer but a good one and 503 before that.
    async fn until_well(self, promoted: Instant) -> Outcome {
        sleep(HEALED + Duration::from_secs(2)).await;
        self.stop.store(true, Ordering::Relaxed);
        let answers: Vec<_> = self.clients.join_all().await.into_iter().flatten().collect();
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
        let last = refused.iter().map(|answer| answer.at).max().map_or(Duration::ZERO, |at| at - promoted);
        assert!(last < HEALED, "a request was answered with 503 {last:?} after the promotion");
        assert!(refused.iter().any(|answer| answer.writes), "no write met the failover");
        let made = answers.iter().filter(|answer| answer.status == 201).count();
        let after = answers.iter().filter(|answer| answer.status == 201 && answer.at > promoted).count();
        assert!(after > WRITERS, "{after} changes after the promotion");
        Outcome { made, refused: refused.len(), last }
    }
}

fn add(key: &str) -> Vec<u8> {
    let key = format!("Authorization: Api-Key {key}");
    let body = "{\"name\":\"failover\",\"department\":\"hr\",\"salary\":1}";
    request("POST /pegasus/employees/api/employees/", &[&key, "Content-Type: application/json"], body)
}

fn list(key: &str) -> Vec<u8> {
    with_key("GET /pegasus/employees/api/employees/?page_size=5", key)
}

async fn ask_on(addr: SocketAddr, request: Vec<u8>, writes: bool, stop: Arc<AtomicBool>) -> Vec<Answered> {
    let mut answers = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let asking = async {
            let mut connection = Connection::open(addr).await.unwrap();
            let status = connection.ask(&request).await.unwrap();
            (status, connection.text())
        };
        let (status, text) = timeout(ANSWER, asking).await.expect("no answer in time");
        match status {
            200 | 201 => {}
            503 => assert!(header(&text, "retry-after").is_some(), "{text}"),
            _ => panic!("{text}"),
        }
        answers.push(Answered { at: Instant::now(), writes, status });
        sleep(Duration::from_millis(10)).await;
    }
    answers
}

async fn ready(addr: SocketAddr) -> u16 {
    ask(addr, "GET /readyz", "").await.unwrap().status
}
