//! The load generator: HTTP/1.1 with keep-alive over plain TCP, each connection asking again as soon as it is answered.
//! It does as little as it can, so that one core of it can keep a core of the fastest server busy.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// How long each load runs before it is measured.
pub const WARM_UP: Duration = Duration::from_secs(2);
/// How long each load is measured.
pub const MEASURED: Duration = Duration::from_secs(5);

/// The room for an answer; read at once where it has come at once.
const BUFFER: usize = 128 * 1024;

/// What is asked again and again, and what must be answered.
#[derive(Clone)]
pub struct Load {
    /// Where.
    pub addr: SocketAddr,
    /// The bytes of the request.
    pub request: Vec<u8>,
    /// The status of each answer.
    pub status: u16,
    /// What stands in each answer; one without it is a failure, whatever its status.
    pub holds: &'static str,
    /// How many connections ask at the same time.
    pub connections: usize,
}

/// What came of a load.
#[derive(Clone, Copy)]
pub struct Figures {
    /// Requests answered in a second.
    pub per_second: f64,
    /// Half the requests took at most so many milliseconds.
    pub p50: f64,
    /// All but a hundredth took at most so many milliseconds.
    pub p99: f64,
    /// How much of the measured time the server's processes ran, 1 for a whole core; if the system tells.
    pub busy: Option<f64>,
}

impl Load {
    /// Runs the load. `time_used` tells the processor time that the server has used so far.
    ///
    /// # Errors
    /// At the first answer that is not the expected one.
    pub async fn run(&self, time_used: impl Fn() -> Option<Duration>) -> io::Result<Figures> {
        let begin = Instant::now() + WARM_UP;
        let end = begin + MEASURED;
        let mut clients = JoinSet::new();
        for _ in 0..self.connections {
            let connection = Connection::open(self.addr).await?;
            clients.spawn(self.clone().ask_until(connection, begin, end));
        }
        sleep_until(begin).await;
        let used_before = time_used();
        sleep_until(end).await;
        let used = time_used().zip(used_before).map(|(after, before)| after.saturating_sub(before));
        let mut micros = Vec::new();
        while let Some(client) = clients.join_next().await {
            micros.append(&mut client.map_err(io::Error::other)??);
        }
        Figures::of(micros, used)
    }

    /// Asks until the end; gives the microseconds that each request took whose answer came within the measured time.
    async fn ask_until(self, mut connection: Connection, begin: Instant, end: Instant) -> io::Result<Vec<u32>> {
        let mut micros = Vec::with_capacity(16 * 1024);
        let mut asked = Instant::now();
        while asked < end {
            let status = connection.ask(&self.request).await?;
            if status != self.status || find(&connection.buffer, self.holds.as_bytes()).is_none() {
                return Err(self.failure(&connection.text()));
            }
            // The next request is sent at once: this instant is its beginning, too.
            let answered = Instant::now();
            if (begin..end).contains(&answered) {
                micros.push(u32::try_from((answered - asked).as_micros()).unwrap_or(u32::MAX));
            }
            asked = answered;
        }
        Ok(micros)
    }

    fn failure(&self, answer: &str) -> io::Error {
        let Self { status, holds, .. } = self;
        io::Error::other(format!("under load, {status} with {holds:?} was expected, and this was answered: {answer}"))
    }
}

impl Figures {
    fn of(mut micros: Vec<u32>, used: Option<Duration>) -> io::Result<Self> {
        micros.sort_unstable();
        let Some(last) = micros.len().checked_sub(1) else {
            return Err(io::Error::other("no request was answered within the measured time"));
        };
        let count = u32::try_from(micros.len()).map_err(io::Error::other)?;
        let seconds = MEASURED.as_secs_f64();
        Ok(Self {
            per_second: f64::from(count) / seconds,
            p50: f64::from(micros[last / 2]) / 1000.0,
            p99: f64::from(micros[last * 99 / 100]) / 1000.0,
            busy: used.map(|used| used.as_secs_f64() / seconds),
        })
    }
}

/// A connection and the answer that was read last.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// # Errors
    /// If nobody listens.
    pub async fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Sends a request and reads the whole answer; gives its status.
    ///
    /// # Errors
    /// If the connection ends before the answer does, or what comes is no answer.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::other("the server closed a connection within an answer"));
            }
            if let Some(status) = status_of_whole(&self.buffer)? {
                return Ok(status);
            }
        }
    }

    /// The last answer as it came: head, body, and between the parts of the body the lengths of a chunked one.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

/// The status of an answer; `None` if it has not come whole yet.
fn status_of_whole(bytes: &[u8]) -> io::Result<Option<u16>> {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
    let sent = &bytes[end + 4..];
    let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(|| junk(head))?;
    let whole = if let Some(length) = header(head, "content-length") {
        sent.len() >= length.parse().map_err(|_| junk(head))?
    } else if header(head, "transfer-encoding").is_some() {
        has_all_chunks(sent)?
    } else {
        return Err(junk(head));
    };
    Ok(whole.then_some(status))
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
