//! Minimal HTTP/1.1 client with keep-alive.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Size of the receive buffer, in bytes.
const BUFFER_SIZE: usize = 128 * 1024;

/// Builds a request to Keyfob. Without a body it has no Content-Length.
pub fn request(line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    request_to("localhost:8000", line, headers, body)
}

/// Builds a request to another host.
pub fn request_to(host: &str, line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    let first = [&*format!("{line} HTTP/1.1"), &*format!("Host: {host}")];
    let length = (!body.is_empty()).then_some(&*length);
    let head: Vec<&str> = first.into_iter().chain(headers.iter().copied()).chain(length).collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n")).into_bytes()
}

/// Returns the body of an answer with Content-Length.
pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// Connection with its last answer.
pub struct Connection {
    addr: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Whether the server closes the connection after the last answer.
    closes: bool,
}

impl Connection {
    pub async fn open(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self { addr, stream: connect(addr).await?, buffer: Vec::with_capacity(BUFFER_SIZE), closes: false })
    }

    /// Sends a request, reads the whole answer, and returns its status.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        if self.closes {
            self.stream = connect(self.addr).await?;
        }
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::other("the server closed the connection during an answer"));
            }
            if let Some(Answer { status, closes }) = Answer::parse(&self.buffer)? {
                self.closes = closes;
                return Ok(status);
            }
        }
    }

    /// Whether the last answer contains a text.
    pub fn holds(&self, text: &str) -> bool {
        text.is_empty() || find(&self.buffer, text.as_bytes()).is_some()
    }

    /// Returns the last answer as received, with the chunk lengths of a chunked body.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Complete answer.
struct Answer {
    status: u16,
    closes: bool,
}

impl Answer {
    /// Returns `None` for an incomplete answer.
    fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let head = str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
        let body = &bytes[end + 4..];
        let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(|| malformed(head))?;
        let is_complete = if status == 204 {
            true
        } else if let Some(length) = header(head, "content-length") {
            body.len() >= length.parse().map_err(|_| malformed(head))?
        } else if header(head, "transfer-encoding").is_some() {
            has_all_chunks(body)?
        } else {
            return Err(malformed(head));
        };
        let closes = || header(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(is_complete.then(|| Self { status, closes: closes() }))
    }
}

/// Returns the value of a header.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").skip(1).take_while(|line| !line.is_empty()).filter_map(|l| l.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Whether a chunked body is complete.
fn has_all_chunks(mut rest: &[u8]) -> io::Result<bool> {
    loop {
        let Some(end) = find(rest, b"\r\n") else { return Ok(false) };
        let size = str::from_utf8(&rest[..end]).ok().and_then(|size| u32::from_str_radix(size, 16).ok());
        let size = size.ok_or_else(|| io::Error::other("a chunk has no length"))? as usize;
        let Some(next) = rest.get(end + 2 + size + 2..) else { return Ok(false) };
        if size == 0 {
            return Ok(true);
        }
        rest = next;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn malformed(head: &str) -> io::Error {
    io::Error::other(format!("malformed answer: {head}"))
}
