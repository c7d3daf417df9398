//! Clients that send too much, or too slowly.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::http::{Connection, request};
use crate::support::key_client::{ask, percentile, with_key};
use crate::support::machines::Machine;
use crate::support::outcome::{report, short_or_long};
use crate::support::scene::Scene;
use crate::support::serial::alone;

/// How long a client may hold a connection that never sends a whole request.
const LIMIT: Duration = Duration::from_secs(13);

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_with_431() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let machine = Machine::start(&scene.url).await;
    let long = format!("X-Long: {}", "a".repeat(20_000));
    let many: Vec<_> = (0..200).map(|n| format!("X-{n}: a")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for headers in [&[&*long][..], &many] {
        let mut stream = TcpStream::connect(machine.addr).await.unwrap();
        // It may hang up before it has read all.
        let _ = stream.write_all(&request("GET /api/v1/me", headers, "")).await;
        let mut answer = vec![0; 64];
        let length = stream.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    }
    let fits = format!("X-Long: {}", "a".repeat(8_000));
    let mut connection = Connection::open(machine.addr).await.unwrap();
    assert_eq!(connection.ask(&request("GET /healthz", &[&fits], "")).await.unwrap(), 200);
    report("a head over 16 kB, or over 100 headers", "431");
}

#[tokio::test]
async fn slow_clients_delay_no_other_and_are_disconnected() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let machine = Machine::start(&scene.url).await;
    let key = &scene.keys[0];
    let before = times(machine.addr, key, 200).await;
    // More than may run at once are slow within a body, and as many within a head, or say nothing at all.
    let number = short_or_long(600, 10_000);
    let began = Instant::now();
    let mut slow = JoinSet::new();
    for n in 0..number {
        slow.spawn(drip(machine.addr, n % 3));
        // Ten thousand a second: on loopback they would all come within one turn of the scheduler, and the system drops what
        // the server had no chance to accept. No network brings so many at once.
        if n % 100 == 99 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    while began.elapsed() < Duration::from_secs(1) || slow.len() < number {
        sleep(Duration::from_millis(50)).await;
    }
    let during = times(machine.addr, key, 200).await;
    assert_eq!(ask(machine.addr, "GET /readyz", "").await.unwrap().status, 200);
    assert_eq!(ask(machine.addr, "GET /sign-in", "").await.unwrap().status, 200);
    let mut answered = 0;
    let mut longest = Duration::ZERO;
    while let Some(ended) = slow.join_next().await {
        let (status, held) = ended.unwrap();
        answered += usize::from(status == Some(503) || status == Some(408));
        longest = longest.max(held);
    }
    let [p99_before, p99_during] = [before, during].map(|times| percentile(&times, 99));
    report(
        &format!("{number} slow clients"),
        &format!(
            "key checks beside them: p99 {p99_during:.1?}, before {p99_before:.1?}; all gone after {longest:.1?}, {answered} \
             of them told why"
        ),
    );
    assert!(p99_during < Duration::from_secs(1), "{p99_during:?}");
    assert!(longest < LIMIT, "{longest:?}");
}

/// Sends a byte each half second: of a body, of a head, or none; gives the status of an answer, if one came, and how long the
/// server put up with it.
async fn drip(addr: SocketAddr, what: usize) -> (Option<u16>, Duration) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let began = Instant::now();
    let head = "POST /fn/sign_in HTTP/1.1\r\nHost: localhost:8000\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Sec-Fetch-Site: same-origin\r\nContent-Length: 1000\r\n";
    let end = if what == 0 { "\r\n" } else { "X: " };
    if what < 2 {
        stream.write_all(format!("{head}{end}").as_bytes()).await.unwrap();
    }
    let mut answer = [0; 512];
    loop {
        match timeout(Duration::from_millis(500), stream.read(&mut answer)).await {
            Ok(Ok(length)) => {
                let status = answer[..length].get(9..12).and_then(|status| str::from_utf8(status).ok()?.parse().ok());
                return (status, began.elapsed());
            }
            Ok(Err(_)) => return (None, began.elapsed()),
            Err(_) if what < 2 => drop(stream.write_all(b"a").await),
            Err(_) => {}
        }
        assert!(began.elapsed() < 2 * LIMIT, "the server holds on to a client of kind {what}");
    }
}

/// How long so many key checks take, one after the other, in order of time.
pub async fn times(addr: SocketAddr, key: &str, number: usize) -> Vec<Duration> {
    let mut connection = Connection::open(addr).await.unwrap();
    let request = with_key("GET /api/v1/me", key);
    let mut times = Vec::new();
    for _ in 0..number {
        let asked = Instant::now();
        assert_eq!(connection.ask(&request).await.unwrap(), 200);
        times.push(asked.elapsed());
    }
    times.sort_unstable();
    times
}
