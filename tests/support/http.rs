//! Minimal HTTP/1.1 client with keep-alive over plain TCP, for tests and the benchmark.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Initial size of the read buffer, in bytes.
const BUFFER: usize = 128 * 1024;

/// Returns the bytes of a request to Keyfob. A request without a body has no length.
pub fn request(line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    request_to("localhost:8000", line, headers, body)
}

/// Returns the bytes of a request to another host.
pub fn request_to(host: &str, line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let first = [&*format!("{line} HTTP/1.1"), &*format!("Host: {host}")];
    let length = format!("Content-Length: {}", body.len());
    let length = (!body.is_empty()).then_some(&*length);
    let head: Vec<&str> = first.into_iter().chain(headers.iter().copied()).chain(length).collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n")).into_bytes()
}

/// Returns the body of a response that has a `Content-Length`.
pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// A connection, and the response that was read last.
pub struct Connection {
    addr: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Whether the server closes the connection after the last response.
    ends: bool,
}

impl Connection {
    pub async fn open(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self { addr, stream: connect(addr).await?, buffer: Vec::with_capacity(BUFFER), ends: false })
    }

    /// Sends a request, reads the whole response and returns its status.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        if self.ends {
            self.stream = connect(self.addr).await?;
        }
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::other("the server closed a connection within a response"));
            }
            if let Some(Whole { status, ends }) = Whole::read(&self.buffer)? {
                self.ends = ends;
                return Ok(status);
            }
        }
    }

    /// Whether the last response contains this text.
    pub fn holds(&self, text: &str) -> bool {
        text.is_empty() || find(&self.buffer, text.as_bytes()).is_some()
    }

    /// Returns the last response as received, chunk sizes included.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A complete response.
struct Whole {
    status: u16,
    ends: bool,
}

impl Whole {
    /// Parses a response. Returns `None` while it is incomplete.
    fn read(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let head = str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
        let sent = &bytes[end + 4..];
        let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(|| junk(head))?;
        let whole = if status == 204 {
            true
        } else if let Some(length) = header(head, "content-length") {
            sent.len() >= length.parse().map_err(|_| junk(head))?
        } else if header(head, "transfer-encoding").is_some() {
            has_all_chunks(sent)?
        } else {
            return Err(junk(head));
        };
        let ends = || header(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(whole.then(|| Self { status, ends: ends() }))
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

fn junk(head: &str) -> io::Error {
    io::Error::other(format!("the response cannot be parsed: {head}"))
}
