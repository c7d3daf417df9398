//! Bodies of requests that come slowly, or in small parts: what they take of the memory.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::limits::times;
use crate::support::key_client::percentile;
use crate::support::machines::Machine;
use crate::support::outcome::{report, short_or_long};
use crate::support::scene::{Scene, memory};
use crate::support::serial::alone;

/// How long an answer may take, whatever the client does.
const LIMIT: Duration = Duration::from_secs(13);
/// How many bodies of an HTTP/2 connection are open.
const STREAMS: usize = 100;
/// What all bodies that wait may take, and room for their tasks, which are large in a debug build.
const ROOM: u64 = 160 * 1024 * 1024;
/// What a body in parts of one byte may take, with its connection and its share of what the server took anyway. It was 30 MB when
/// each part was kept by itself.
const ROOM_IN_PARTS: u64 = 512 * 1024;

#[tokio::test]
async fn bodies_that_come_slowly_take_a_bounded_memory() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let machine = Machine::start(&scene.url).await;
    let (addr, key) = (machine.addr, &scene.keys[0]);
    let before = times(addr, key, 200).await;
    let [used_before, _] = memory(&machine);
    let mut held = JoinSet::new();
    for _ in 0..short_or_long(12, 40) {
        held.spawn(hold_bodies(addr));
    }
    sleep(Duration::from_secs(3)).await;
    let during = times(addr, key, 200).await;
    let [_, used_most] = memory(&machine);
    let held: Vec<_> = held.join_all().await.into_iter().flatten().collect();
    let refused = held.iter().filter(|took| **took < Duration::from_secs(5)).count();
    let more = used_most.saturating_sub(used_before);
    let [before, during] = [before, during].map(|times| percentile(&times, 99));
    report(
        &format!("HTTP/2: {} bodies of 60 kB that do not end", held.len()),
        &format!(
            "{refused} refused at once, the others after {:.1?} at most; {} MB more; key checks meanwhile p99 {during:.1?}, \
             before {before:.1?}",
            held.iter().max().unwrap(),
            more / 1_000_000
        ),
    );
    assert!(refused > held.len() / 5 && refused < held.len(), "{refused}");
    assert!(held.iter().all(|took| *took < LIMIT));
    assert!(more < ROOM, "{more} bytes more");
    assert!(during < Duration::from_secs(1), "{during:?}");
}

/// Begins bodies on one connection that do not end; gives after how long each was answered with 503.
async fn hold_bodies(addr: SocketAddr) -> Vec<Duration> {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let began = Instant::now();
    let mut answers = JoinSet::new();
    for _ in 0..STREAMS {
        let mut client = client.clone().ready().await.unwrap();
        let request = Request::post("http://localhost:8000/fn/sign_out")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        let (answer, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
        answers.spawn(async move {
            body.send_data(Bytes::from(vec![b' '; 60_000]), false).unwrap();
            let answer = timeout(LIMIT, answer).await.unwrap().unwrap();

            assert_eq!(answer.status(), 503);
            began.elapsed()
        });
    }
    answers.join_all().await
}

#[tokio::test]
async fn bodies_in_parts_of_one_byte_take_a_byte_for_each() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let machine = Machine::start(&scene.url).await;
    let number = short_or_long(50, 500);
    times(machine.addr, &scene.keys[0], 200).await;
    let [used_before, _] = memory(&machine);
    let mut sent = JoinSet::new();
    for _ in 0..number {
        sent.spawn(send_in_parts(machine.addr));
    }
    let statuses = sent.join_all().await;
    let [_, used_most] = memory(&machine);
    let each = used_most.saturating_sub(used_before) / u64::try_from(number).unwrap();
    report(
        &format!("{number} bodies of 60,000 bytes in parts of one"),
        &format!("each takes {} kB at most", each / 1000),
    );
    assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
    assert!(each < ROOM_IN_PARTS, "{each} bytes each");
}

/// Sends a body in parts of one byte, which does not end; gives the status of the answer.
async fn send_in_parts(addr: SocketAddr) -> u16 {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head = "POST /fn/sign_in HTTP/1.1\r\nHost: localhost:8000\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Sec-Fetch-Site: same-origin\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..60 {
        stream.write_all("1\r\na\r\n".repeat(1000).as_bytes()).await.unwrap();
    }
    let mut answer = [0; 512];
    let length = timeout(LIMIT, stream.read(&mut answer)).await.unwrap().unwrap();
    str::from_utf8(&answer[9..12]).ok().filter(|_| length > 12).and_then(|status| status.parse().ok()).unwrap_or(0)
}
