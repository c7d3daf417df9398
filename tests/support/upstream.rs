//! HTTP server behind a proxy. It knows nothing of keys and records what it receives.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::support::http::header;

/// How long a request may take until it arrives.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The running server. It ends when this is dropped.
pub struct Upstream {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    /// Each request as far as it has arrived, head and body.
    requests: Mutex<Vec<String>>,
    /// Answer to every request except those for `/events` and `/socket`.
    answer: &'static str,
    /// Lets `/events` send its second event.
    next_event: Notify,
}

impl Upstream {
    /// Starts a server that gives this answer.
    pub async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { requests: Mutex::default(), answer, next_event: Notify::new() });
        let serving = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        Self { addr, shared, task }
    }

    /// Returns the requests since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }

    /// Returns the one request since the last call.
    #[track_caller]
    pub fn take_one(&self) -> String {
        let [request] = <[String; 1]>::try_from(self.take()).unwrap();
        request
    }

    /// Waits until the last request ends with this text.
    pub async fn wait_for(&self, end: &str) {
        let deadline = Instant::now() + ARRIVAL;
        while !self.shared.requests.lock().unwrap().last().is_some_and(|request| request.contains(end)) {
            assert!(Instant::now() < deadline, "{end} did not arrive");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets `/events` send its second event.
    pub fn send_next_event(&self) {
        self.shared.next_event.notify_one();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers the requests of one connection.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    loop {
        let Some((index, head)) = read_head(&mut stream, &shared).await else { return };
        if head.contains(" /events ") {
            return send_events(stream, &shared).await;
        }
        if head.contains(" /socket ") {
            return echo(stream).await;
        }
        if !read_body(&mut stream, &shared, index, &head).await
            || stream.write_all(shared.answer.as_bytes()).await.is_err()
        {
            return;
        }
    }
}

/// Reads until the end of the head. Returns the place of the request in the record, and what has arrived.
async fn read_head(stream: &mut TcpStream, shared: &Shared) -> Option<(usize, String)> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut requests = shared.requests.lock().unwrap();
    requests.push(text.clone());
    Some((requests.len() - 1, text))
}

/// Reads the body to its end. Returns whether it is complete.
async fn read_body(stream: &mut TcpStream, shared: &Shared, index: usize, text: &str) -> bool {
    let mut text = text.to_owned();
    let length = header(&text, "content-length").and_then(|length| length.parse().ok());
    let is_chunked = header(&text, "transfer-encoding").is_some();
    loop {
        let body = text.split_once("\r\n\r\n").unwrap().1;
        let is_complete = if is_chunked {
            body.ends_with("0\r\n\r\n")
        } else {
            length.is_none_or(|length: usize| body.len() >= length)
        };
        if is_complete {
            return true;
        }
        let mut bytes = Vec::new();
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            return false;
        }
        text.push_str(&String::from_utf8_lossy(&bytes));
        if let Some(request) = shared.requests.lock().unwrap().get_mut(index) {
            request.clone_from(&text);
        }
    }
}

async fn send_events(mut stream: TcpStream, shared: &Shared) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let _ = stream.write_all(format!("{head}d\r\ndata: first\n\n\r\n").as_bytes()).await;
    shared.next_event.notified().await;
    let _ = stream.write_all(b"e\r\ndata: second\n\n\r\n0\r\n\r\n").await;
}

async fn echo(mut stream: TcpStream) {
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let _ = stream.write_all(head.as_bytes()).await;
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
}
