//! A full disk: the system lets the server's files grow no further.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::time::{Instant, sleep};

use crate::support::http::{Connection, request};
use crate::support::key_client::{ask, use_key};
use crate::support::machines::{KEYFOB, Machine};
use crate::support::outcome::{report, short_or_long};
use crate::support::scene::Scene;
use crate::support::serial::alone;

/// How long it may take to be as before once there is room.
const HEALED: Duration = Duration::from_secs(5);
/// Writing beyond the limit fails, and does not end the process.
const BY: [&str; 4] = ["/bin/sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\"", KEYFOB];

#[tokio::test]
async fn full_disk_loses_nothing_and_recovers() {
    let _alone = alone().await;
    let scene = Scene::set(2).await;
    let machine = Machine::start_by(&BY, &scene.url).await;
    let key = &scene.keys[0];
    let (mut made, mut refused, mut slowest) = (0, 0, Duration::ZERO);
    for _ in 0..short_or_long(2, 20) {
        for _ in 0..5 {
            assert_eq!(add(machine.addr, key).await, 201);
            made += 1;
        }
        room(&machine, Some(1));
        for _ in 0..20 {
            assert_eq!(add(machine.addr, key).await, 503);
            refused += 1;
        }
        until_ready(machine.addr, 503).await;
        // It reads, and refuses what is wrong, as before.
        use_key(machine.addr, key).await;
        use_key(machine.addr, &scene.keys[1]).await;
        assert!(ask(machine.addr, "GET /api/v1/me", "junk").await.unwrap().refuses(401, "key_malformed"));
        room(&machine, None);
        let since = Instant::now();
        loop {
            let status = add(machine.addr, key).await;
            if status == 201 {
                break;
            }
            assert_eq!(status, 503);
            refused += 1;
            assert!(since.elapsed() < HEALED, "it does not come back");
            sleep(Duration::from_millis(50)).await;
        }
        made += 1;
        slowest = slowest.max(since.elapsed());
        until_ready(machine.addr, 200).await;
    }
    assert_eq!(scene.number("SELECT COUNT(*) FROM employees WHERE name = 'full'").await, made);
    scene.is_whole().await;
    report(
        "disk full",
        &format!(
            "{refused} changes refused with 503, {made} made and none missing; integrity_check ok; well again after \
             {slowest:.1?} at most"
        ),
    );
}

/// Lets the files of the server grow to so many bytes; `None` for any number.
fn room(machine: &Machine, bytes: Option<u64>) {
    let pid = Pid::from_raw(machine.pid().try_into().unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// Asks until `/readyz` is answered with this status.
async fn until_ready(addr: SocketAddr, status: u16) {
    let since = Instant::now();
    while ask(addr, "GET /readyz", "").await.unwrap().status != status {
        assert!(since.elapsed() < HEALED, "/readyz is not answered with {status}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Adds an employee; gives the status of the answer.
async fn add(addr: SocketAddr, key: &str) -> u16 {
    let key = format!("Authorization: Api-Key {key}");
    let body = "{\"name\":\"full\",\"department\":\"hr\",\"salary\":1}";
    let headers = [&*key, "Content-Type: application/json"];
    let mut connection = Connection::open(addr).await.unwrap();
    connection.ask(&request("POST /pegasus/employees/api/employees/", &headers, body)).await.unwrap()
}
