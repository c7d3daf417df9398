//! The program itself, as it runs: behind a socket, with a log.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::http::{Method, Request};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::free_address::free_address;

/// One `keyfob serve` behind a socket, with its log. It ends when this is dropped.
pub struct Server {
    child: Child,
    addr: SocketAddr,
    log: NamedTempFile,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts one in a folder, with the default log.
    pub async fn start_in(folder: &Path, url: &str) -> Self {
        Self::spawn(url, &[], folder).await
    }

    pub async fn start(url: &str, level: &str, format: &str) -> Self {
        Self::start_with(url, level, format, &[]).await
    }

    /// The same with more settings, as flags.
    pub async fn start_with(url: &str, level: &str, format: &str, more: &[&str]) -> Self {
        let mut flags = vec![format!("--log={level}"), format!("--log-format={format}")];
        flags.extend(more.iter().map(ToString::to_string));
        Self::spawn(url, &flags, Path::new(".")).await
    }

    async fn spawn(url: &str, flags: &[String], folder: &Path) -> Self {
        let addr = free_address();
        let log = NamedTempFile::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
        command.args(["serve", &format!("--addr={addr}")]).args(flags).current_dir(folder);
        command.env_clear().env("DATABASE_URL", url).stdin(Stdio::null());
        let child = command.stdout(log.reopen().unwrap()).stderr(log.reopen().unwrap()).spawn().unwrap();
        let mut server = Self { child, addr, log };
        for _ in 0..1500 {
            assert!(server.child.try_wait().unwrap().is_none(), "the server ended: {}", server.log());
            if server
                .exchange("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .await
                .contains("200 OK")
            {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server is not ready: {}", server.log());
    }

    /// Interrupts the server, and waits for its end.
    pub async fn interrupt(&mut self) -> std::process::ExitStatus {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        for _ in 0..1500 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server goes on: {}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// Sends bytes; gives what comes back until the server closes the connection.
    pub async fn exchange(&self, request: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.addr).await else { return String::new() };
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A request as a page of this site sends it.
    pub async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> String {
        let kind = if body.starts_with(['{', '[']) { "application/json" } else { "application/x-www-form-urlencoded" };
        let headers: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: localhost:8000\r\nOrigin: http://localhost:8000\r\nConnection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        self.exchange(&request).await
    }

    /// Sends a request without a body by HTTP/2; gives the status and the body.
    pub async fn ask_http2(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> (u16, Vec<u8>) {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(format!("http://localhost:8000{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (answer, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
        let (head, mut stream) = answer.await.unwrap().into_parts();
        let mut body = Vec::new();
        while let Some(part) = stream.data().await {
            body.extend(part.unwrap());
        }
        drop(client);
        connection.abort();
        (head.status.as_u16(), body)
    }
}

/// What stands in a text between two others.
#[track_caller]
pub fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split_once(after).unwrap().0.to_owned()
}
