//! SIGTERM.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::http::{Connection, header, request};
use crate::support::key_client::{ask, with_key};
use crate::support::machines::Machine;
use crate::support::outcome::{report, short_or_long};
use crate::support::scene::{Scene, terminate, until_ended};
use crate::support::serial::alone;

/// How long stopping may take while nothing holds it up.
const SOON: Duration = Duration::from_secs(8);
/// A second signal ends it within this.
const AT_ONCE: Duration = Duration::from_secs(2);
const EMPLOYEES: &str = "POST /pegasus/employees/api/employees/";

#[tokio::test]
async fn stop_under_load_fails_no_request_and_writes_all_usage() {
    let _alone = alone().await;
    let (mut answered, mut slowest) = (0, Duration::ZERO);
    let times = short_or_long(2, 10);
    for _ in 0..times {
        let scene = Scene::set(1).await;
        let mut machine = Machine::start(&scene.url).await;
        let mut clients = JoinSet::new();
        for n in 0..16 {
            let request = with_key("GET /api/v1/me", &scene.keys[0]);
            clients.spawn(run(machine.addr, request, n % 2 == 0));
        }
        sleep(Duration::from_millis(500)).await;
        terminate(&machine);
        let unready = unready_after(machine.addr).await;
        assert!(unready < Duration::from_millis(500), "it was ready for {unready:?}");
        let (status, took) = until_ended(&mut machine, SOON).await;
        assert_eq!(status.code(), Some(0));
        let mut these = 0;
        for done in clients.join_all().await {
            these += done.unwrap();
        }
        assert_eq!(scene.number("SELECT SUM(allowed) FROM usage").await, i64::try_from(these).unwrap());
        scene.is_whole().await;
        (answered, slowest) = (answered + these, slowest.max(took));
    }
    report(
        "SIGTERM under load",
        &format!("{times} times, {answered} requests answered, 0 failed, all written; ended after {slowest:.1?}"),
    );
}

#[tokio::test]
async fn a_request_that_was_begun_ends_well() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let mut machine = Machine::start(&scene.url).await;
    let mut begun = begin(machine.addr, &scene.keys[0]).await;
    terminate(&machine);
    // Long after the server takes no more connections.
    while TcpStream::connect(machine.addr).await.is_ok() {
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_secs(1)).await;
    begun.write_all(b"hr\",\"salary\":1}").await.unwrap();
    let mut answer = String::new();
    begun.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"), "{answer}");
    let (status, took) = until_ended(&mut machine, SOON).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(scene.number("SELECT COUNT(*) FROM employees WHERE name = 'late'").await, 1);
    report("SIGTERM within a request", &format!("it was answered; the server ended {took:.1?} after the answer"));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let mut machine = Machine::start(&scene.url).await;
    let _begun = begin(machine.addr, &scene.keys[0]).await;
    terminate(&machine);
    unready_after(machine.addr).await;
    terminate(&machine);
    let (_, took) = until_ended(&mut machine, AT_ONCE).await;
    scene.is_whole().await;
    report("a second SIGTERM", &format!("ended after {took:.1?} with a request open"));
}

/// How long until a new connection is told that the server is not ready.
async fn unready_after(addr: SocketAddr) -> Duration {
    let since = Instant::now();
    while ask(addr, "GET /readyz", "").await.unwrap().status == 200 {
        assert!(since.elapsed() < SOON, "it stays ready");
    }
    since.elapsed()
}

/// Begins to send an employee, and stops within.
async fn begin(addr: SocketAddr, key: &str) -> TcpStream {
    let key = format!("Authorization: Api-Key {key}");
    let body = "{\"name\":\"late\",\"department\":\"hr\",\"salary\":1}";
    let whole = request(EMPLOYEES, &[&key, "Content-Type: application/json"], body);
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(&whole[..whole.len() - b"hr\",\"salary\":1}".len()]).await.unwrap();
    // Read as far as that: another request, sent later, is answered.
    assert_eq!(ask(addr, "GET /api/v1/key", "junk").await.unwrap().status, 401);
    stream
}

/// Asks again and again, on one connection for as long as the server keeps it or each time on a new one, until a new one is
/// refused; gives how many were answered.
///
/// # Errors
/// If a request was not answered.
async fn run(addr: SocketAddr, request: Vec<u8>, keep: bool) -> io::Result<usize> {
    let mut answered = 0;
    loop {
        let mut connection = match Connection::open(addr).await {
            Ok(connection) => connection,
            // Reset: it stood in the system's queue when the server closed that.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) => {
                return Ok(answered);
            }
            Err(error) => return Err(error),
        };
        let mut fresh = true;
        loop {
            let late = |_| io::Error::other("it was not answered");
            let status = match timeout(Duration::from_secs(10), connection.ask(&request)).await.map_err(late)? {
                // The same, a moment later: nobody ever accepted it. Were it otherwise, more uses of the key would be
                // written than were answered.
                Err(error) if fresh && error.kind() == ErrorKind::ConnectionReset => return Ok(answered),
                status => status?,
            };
            fresh = false;
            if status != 200 {
                return Err(io::Error::other(format!("it was answered with {status}")));
            }
            answered += 1;
            let text = connection.text();
            if !keep || header(&text, "connection") == Some("close") {
                break;
            }
        }
    }
}
