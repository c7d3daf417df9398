//! Export of traces to a collector, by the program with the feature `otlp`.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests: a panic is how they fail")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

#[path = "../support"]
mod support {
    pub mod free_address;
}

use support::free_address::free_address;

const PATIENCE: Duration = Duration::from_secs(30);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Request that a collector received.
struct Export {
    head: String,
    body: Vec<u8>,
}

impl Export {
    fn contains(&self, bytes: &[u8]) -> bool {
        self.body.windows(bytes.len()).any(|part| part == bytes)
    }
}

/// Collector that accepts everything.
struct Collector {
    addr: SocketAddr,
    exports: Receiver<Export>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (addr, (sender, exports)) = (listener.local_addr().unwrap(), channel());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (sender, mut stream) = (sender.clone(), BufReader::new(stream.unwrap()));
                std::thread::spawn(move || {
                    while let Some(export) = read(&mut stream) {
                        let answer =
                            "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
                        stream.get_mut().write_all(answer.as_bytes()).unwrap();
                        if sender.send(export).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { addr, exports }
    }

    /// Waits for an export that contains these bytes.
    fn wait_for(&self, bytes: &[u8]) -> Export {
        loop {
            let export = self.exports.recv_timeout(PATIENCE).expect("an export with the span");
            if export.contains(bytes) {
                return export;
            }
        }
    }
}

/// Reads one request; `None` at the end of the connection.
fn read(stream: &mut BufReader<TcpStream>) -> Option<Export> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Export { head: lower, body })
}

struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path, addr: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
    command.args(["serve", &format!("--addr={addr}")]).current_dir(folder).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Server {
    fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let addr = free_address();
        let child = command(folder, addr).envs(environment.iter().copied()).spawn().unwrap();
        let server = Self { child, addr };
        for _ in 0..1500 {
            if server.get("/readyz", "").contains("200 OK") {
                return server;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server is not ready");
    }

    fn get(&self, path: &str, headers: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.addr) else { return String::new() };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn interrupt(&mut self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn span_of_a_request_reaches_the_collector() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let endpoint = format!("http://{}", collector.addr);
    let fast = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let more = [("OTEL_SERVICE_NAME", "keys-eu"), ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=red")];
    let mut server = Server::start(folder.path(), &[fast, more].concat());
    let path = "/pegasus/employees/api/employees/?search=ada@example.com";
    let answer = server.get(path, &format!("traceparent: 00-{TRACE}-{PARENT}-01\r\nX-Api-Key: kf_secret\r\n"));
    let request_id = answer.split("x-request-id: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let export = collector.wait_for(&bytes(TRACE));
    assert!(export.head.starts_with("post /v1/traces http/1.1"), "{}", export.head);
    assert!(export.head.contains("content-type: application/x-protobuf") && export.head.contains("x-tenant: red"));
    assert!(export.contains(&bytes(PARENT)));
    for text in [
        "keys-eu",
        "GET /pegasus/employees/api/employees",
        "http.route",
        "http.response.status_code",
        "keyfob.credential",
        &request_id,
    ] {
        assert!(export.contains(text.as_bytes()), "{text}: {}", String::from_utf8_lossy(&export.body));
    }
    for secret in ["ada@example.com", "search", "kf_secret"] {
        assert!(!export.contains(secret.as_bytes()), "{secret}");
    }

    // A caller that records nothing is followed.
    let (unrecorded, last) = ("1".repeat(32), "2".repeat(32));
    server.get("/healthz", &format!("traceparent: 00-{unrecorded}-{PARENT}-00\r\n"));
    server.get("/healthz", &format!("traceparent: 00-{last}-{PARENT}-01\r\n"));
    // The queue is sent at the end of the server.
    server.interrupt();
    let mut seen_last = false;
    while let Ok(export) = collector.exports.recv_timeout(Duration::from_secs(1)) {
        assert!(!export.contains(&bytes(&unrecorded)));
        seen_last |= export.contains(&bytes(&last));
    }
    assert!(seen_last);
}

#[test]
fn request_without_a_trace_begins_one_and_an_absent_collector_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("http://{}", free_address());
    let mut server = Server::start(
        folder.path(),
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("KEYFOB_LOG", "keyfob::access=info")],
    );
    assert!(server.get("/healthz", "").contains("200 OK"));
    server.interrupt();
    let mut log = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let line = log.lines().find(|line| line.contains("route=\"/healthz\"")).unwrap_or_else(|| panic!("{log}"));
    let trace = line.split("trace_id=\"").nth(1).unwrap_or_else(|| panic!("{line}"));
    assert!(trace[..32].bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
}

#[test]
fn nothing_is_exported_without_an_endpoint() {
    let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let endpoint = format!("http://{}", collector.addr);
    for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")] {
        let mut server = Server::start(folder.path(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), off]);
        server.get("/healthz", &format!("traceparent: 00-{TRACE}-{PARENT}-01\r\n"));
        server.interrupt();
        assert!(collector.exports.try_recv().is_err(), "{off:?}");
    }
}

#[test]
fn wrong_endpoint_ends_the_start_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in ["https://collector.example:4318", "collector:4318"] {
        let ran = command(folder.path(), free_address()).env("OTEL_EXPORTER_OTLP_ENDPOINT", wrong).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!((ran.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(
            said.contains(&format!("OTEL_EXPORTER_OTLP_ENDPOINT is {wrong:?}")) && said.contains("http://"),
            "{said}"
        );
    }
}
