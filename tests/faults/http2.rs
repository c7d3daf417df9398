//! Clients that misuse HTTP/2, and what others notice of them.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Request;
use h2::client::SendRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout};

use crate::limits::times;
use crate::support::key_client::percentile;
use crate::support::machines::Machine;
use crate::support::outcome::{report, short_or_long};
use crate::support::scene::{Scene, memory};
use crate::support::serial::alone;

/// How many streams of a connection may be open.
const STREAMS: u32 = 100;
/// How much more memory the server may take for all of it.
const ROOM: u64 = 64 * 1024 * 1024;
/// How long an answer may take, whatever the client does.
const LIMIT: Duration = Duration::from_secs(13);

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test]
async fn too_large_header_list_is_431_and_keeps_the_connection() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let machine = Machine::start(&scene.url).await;
    let client = open(machine.addr).await;
    let key = format!("Api-Key {}", scene.keys[0]);
    assert_eq!(get(&client, "authorization", &key).await, 200);
    assert_eq!(get(&client, "x-long", &"a".repeat(20_000)).await, 431);
    assert_eq!(get(&client, "authorization", &key).await, 200);
    report("HTTP/2: a header list over 16 kB", "431; the connection goes on");
}

#[tokio::test]
async fn more_streams_than_100_are_refused_and_slow_bodies_end() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let machine = Machine::start(&scene.url).await;
    let connections = short_or_long(3, 30);
    let began = Instant::now();
    let outcome = beside(&machine, &scene.keys[0], async {
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(tokio::spawn(hold_streams(machine.addr, scene.keys[0].clone())));
        }
        for held in open {
            held.await.unwrap().unwrap();
        }
    });
    let outcome = outcome.await;
    let took = began.elapsed();
    report(
        &format!("HTTP/2: {connections} connections with 150 slow bodies each"),
        &format!("50 of each refused, the others answered after {took:.1?}; {outcome}"),
    );
    assert!(took < LIMIT, "{took:?}");
}

#[tokio::test]
async fn a_rapid_reset_ends_the_connection() {
    ends_the_connection("rapid reset", "requests", reset_rapidly).await;
}

#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection() {
    ends_the_connection("a flood of CONTINUATION", "bytes", continue_for_ever).await;
}

/// Misuses one connection after the other; each time it must end. `misuse` tells after how many of `what`.
async fn ends_the_connection<N: Display + Default + Ord>(
    name: &str,
    what: &str,
    misuse: impl AsyncFn(SocketAddr) -> N,
) {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let machine = Machine::start(&scene.url).await;
    let (times, mut most) = (short_or_long(20, 200), N::default());
    let outcome = beside(&machine, &scene.keys[0], async {
        for _ in 0..times {
            most = std::mem::take(&mut most).max(misuse(machine.addr).await);
        }
    });
    let outcome = outcome.await;
    report(
        &format!("HTTP/2: {name}, {times} times"),
        &format!("the connection ends after {most} {what} at most; {outcome}"),
    );
}

/// Does this while another client has its key checked; gives what that noticed.
async fn beside(machine: &Machine, key: &str, misuse: impl Future<Output = ()>) -> String {
    let before = times(machine.addr, key, 300).await;
    let [used_before, _] = memory(machine);
    let (during, ()) = tokio::join!(times(machine.addr, key, 300), misuse);
    let [_, used_most] = memory(machine);
    times(machine.addr, key, 10).await;
    let more = used_most.saturating_sub(used_before);
    let [before, during] = [before, during].map(|times| percentile(&times, 99));
    assert!(during < Duration::from_secs(1), "{during:?}");
    assert!(more < ROOM, "{more} bytes more");
    format!("key checks beside it p99 {during:.1?}, before {before:.1?}; at most {} MB more", more / 1_000_000)
}

/// Opens a connection by prior knowledge.
async fn open(addr: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Asks who is calling; gives the status.
async fn get(client: &SendRequest<Bytes>, header: &str, value: &str) -> u16 {
    let mut client = client.clone().ready().await.unwrap();
    let request = Request::get("http://localhost:8000/api/v1/me").header(header, value).body(()).unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    timeout(LIMIT, answer).await.unwrap().unwrap().status().as_u16()
}

/// Begins 150 requests with a body that never comes; waits until 50 are refused and the others answered.
async fn hold_streams(addr: SocketAddr, key: String) -> io::Result<()> {
    let mut connection = Raw::open(addr).await?;
    let write =
        [head("/pegasus/employees/api/employees", 0x83), literal(&[0x0f, 0x08], &format!("Api-Key {key}"))].concat();
    let all: Vec<u8> = (0..150).flat_map(|n| frame(HEADERS, END_HEADERS, 2 * n + 1, &write)).collect();
    connection.writes.write_all(&all).await?;
    let (mut refused, mut answered) = (0, 0);
    while refused + answered < 150 {
        match connection.reads.next().await? {
            (RST_STREAM, code) if code == REFUSED_STREAM => refused += 1,
            (HEADERS, _) => answered += 1,
            _ => {}
        }
    }
    assert_eq!((refused, answered), (150 - STREAMS, STREAMS));
    Ok(())
}

/// Begins requests and takes each back at once, until the connection ends; gives how many.
async fn reset_rapidly(addr: SocketAddr) -> u32 {
    let page = head("/sign-in", 0x82);
    let mut begun = 0;
    let flood = || {
        let mut frames = Vec::new();
        for n in begun..begun + 100 {
            frames.extend(frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &page));
            frames.extend(frame(RST_STREAM, 0, 2 * n + 1, &CANCEL.to_be_bytes()));
        }
        begun += 100;
        frames
    };
    until_ended(addr, flood).await;
    begun
}

/// Sends a head that does not end, until the connection does; gives how many bytes.
async fn continue_for_ever(addr: SocketAddr) -> usize {
    // A literal header without indexing: "x: aaa…".
    let header = [&[0x00, 1, b'x', 100][..], &[b'a'; 100]].concat();
    let mut sent = 0;
    let flood = || {
        let begin = if sent == 0 { frame(HEADERS, 0, 1, &head("/sign-in", 0x82)) } else { Vec::new() };
        let frames = (0..10).flat_map(|_| frame(CONTINUATION, 0, 1, &header));
        let frames: Vec<_> = begin.into_iter().chain(frames).collect();
        sent += frames.len();
        frames
    };
    until_ended(addr, flood).await;
    sent
}

/// Sends what `flood` gives again and again until the server ends the connection, which it may say why.
async fn until_ended(addr: SocketAddr, mut flood: impl FnMut() -> Vec<u8>) {
    let Raw { mut writes, mut reads } = Raw::open(addr).await.unwrap();
    let began = Instant::now();
    let ends = tokio::spawn(async move {
        while let Ok((kind, why)) = reads.next().await {
            if kind == GOAWAY {
                assert_eq!(why, ENHANCE_YOUR_CALM);
                return;
            }
        }
    });
    while !ends.is_finished() && writes.write_all(&flood()).await.is_ok() {
        assert!(began.elapsed() < LIMIT, "the server goes on");
        tokio::task::yield_now().await;
    }
    ends.await.unwrap();
}

/// A connection whose frames are made by hand, for what no client does that keeps the rules.
struct Raw {
    writes: OwnedWriteHalf,
    reads: Frames,
}

impl Raw {
    async fn open(addr: SocketAddr) -> io::Result<Self> {
        let (reads, mut writes) = TcpStream::connect(addr).await?.into_split();
        writes.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        writes.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        Ok(Self { writes, reads: Frames(reads) })
    }
}

/// What the server sends.
struct Frames(OwnedReadHalf);

impl Frames {
    /// The next frame: its kind, and the first number in it, or the second of a GOAWAY: why.
    async fn next(&mut self) -> io::Result<(u8, u32)> {
        let mut head = [0; 9];
        timeout(LIMIT, self.0.read_exact(&mut head)).await??;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await?;
        let kind = head[3];
        let number = payload.get(if kind == GOAWAY { 4..8 } else { 0..4 });
        Ok((kind, number.map_or(0, |number| u32::from_be_bytes(number.try_into().unwrap()))))
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of a request in HPACK: `method` is an entry of the static table, 0x82 for GET and 0x83 for POST.
fn head(path: &str, method: u8) -> Vec<u8> {
    let (path, authority) = (literal(&[0x44], path), literal(&[0x41], "localhost:8000"));
    [vec![method, 0x86], path, authority, literal(&[0x0f, 0x10], "application/json")].concat()
}

/// A header, by the place of its name in the static table.
fn literal(name: &[u8], value: &str) -> Vec<u8> {
    [name, &[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
}
