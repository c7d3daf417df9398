//! HTTP/1.1 with keep-alive over plain TCP, doing as little as it can.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The room for an answer; read at once where it has come at once.
const BUFFER: usize = 128 * 1024;

/// A request to Keyfob as its bytes. Without a body it has no length.
pub fn request(line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    request_to("localhost:8000", line, headers, body)
}

/// The same to another host.
pub fn request_to(host: &str, line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    let first = [&*format!("{line} HTTP/1.1"), &*format!("Host: {host}")];
    let length = (!body.is_empty()).then_some(&*length);
    let head: Vec<&str> = first.into_iter().chain(headers.iter().copied()).chain(length).collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n")).into_bytes()
}

/// The body of an answer whose length its head tells.
pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// A connection and the answer that was read last.
pub struct Connection {
    addr: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Whether the server closes it after the answer that was read last.
    ends: bool,
}

impl Connection {
    /// # Errors
    /// If nobody listens.
    pub async fn open(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self { addr, stream: connect(addr).await?, buffer: Vec::with_capacity(BUFFER), ends: false })
    }

    /// Sends a request and reads the whole answer; gives its status.
    ///
    /// # Errors
    /// If the connection ends before the answer does, or what comes is no answer.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        if self.ends {
            self.stream = connect(self.addr).await?;
        }
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::other("the server closed a connection within an answer"));
            }
            if let Some(Whole { status, ends }) = Whole::read(&self.buffer)? {
                self.ends = ends;
                return Ok(status);
            }
        }
    }

    /// Whether this stands in the last answer.
    pub fn holds(&self, text: &str) -> bool {
        text.is_empty() || find(&self.buffer, text.as_bytes()).is_some()
    }

    /// The last answer as it came: head, body, and between the parts of the body the lengths of a chunked one.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// An answer that has come whole.
struct Whole {
    status: u16,
    ends: bool,
}

impl Whole {
    /// `None` if it has not come whole yet.
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

/// The value of a header.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").skip(1).take_while(|line| !line.is_empty()).filter_map(|l| l.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Whether a chunked body has come whole.
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
    io::Error::other(format!("this is no answer that can be read: {head}"))
}
