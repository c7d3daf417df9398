//! The listener and its connections: no more of them than there is room for, none that only waits, and an end to accepting that
//! comes before the end of what was accepted.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum_server::{AddrListener, Address};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep};

/// After as long without a byte from or to a client its connection ends. A request takes less.
const IDLE: Duration = Duration::from_secs(30);
/// How many connections there may be at most. One more waits, and the system with it.
const MOST: usize = 16 * 1024;
/// How many connections may wait until they are accepted. With the 128 of the standard library a crowd that comes at once is
/// dropped by the system, some of it with a client that goes on believing it is connected.
const WAITING: i32 = 4096;
/// How many files are left to the database, the log and the site.
const FILES: usize = 128;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(SocketAddr);

impl Address for Peer {
    type Stream = Line;
    type Listener = Listener;
}

impl Connected<Peer> for SocketAddr {
    fn connect_info(Peer(address): Peer) -> Self {
        address
    }
}

/// Accepts connections, until it is told to stop.
pub struct Listener {
    address: SocketAddr,
    tcp: Mutex<Option<TcpListener>>,
    places: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

impl Listener {
    /// Accepts until `stopped` says true.
    ///
    /// # Errors
    /// If the listener is none of the system's.
    pub fn new(listener: std::net::TcpListener, stopped: watch::Receiver<bool>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        rustix::net::listen(&listener, WAITING)?;
        let address = listener.local_addr()?;
        let tcp = Mutex::new(Some(TcpListener::from_std(listener)?));
        Ok(Self { address, tcp, places: Arc::new(Semaphore::new(room())), stopped })
    }
}

/// For how many connections there is room: each is an open file, and of those the system allows a number. Asks for as
/// many as it gives.
fn room() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some() && limit.current != limit.maximum {
        let wanted = (MOST + FILES) as u64;
        let raised = Some(limit.maximum.unwrap_or(wanted).min(wanted)).max(limit.current);
        if setrlimit(Resource::Nofile, rustix::process::Rlimit { current: raised, ..limit }).is_ok() {
            limit.current = raised;
        }
    }
    let files = limit.current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    files.saturating_sub(FILES).clamp(FILES, MOST)
}

impl AddrListener<Line, Peer> for Listener {
    async fn bind_to(Peer(address): Peer) -> io::Result<Self> {
        // Nobody has a sender: this one never stops.
        Self::new(TcpListener::bind(address).await?.into_std()?, watch::channel(false).1)
    }

    async fn accept_stream(&self) -> io::Result<(Line, Peer)> {
        let mut tcp = self.tcp.lock().await;
        let mut stopped = self.stopped.clone();
        if let Some(open) = &*tcp {
            tokio::select! {
                // First: what has come is taken, also when it is time to stop.
                biased;
                accepted = accept(open, &self.places) => return accepted,
                Ok(_) = stopped.wait_for(|stopped| *stopped) => {}
            }
        }
        // Whoever comes now is refused by the system at once, and can go to another server.
        *tcp = None;
        match pending::<Infallible>().await {}
    }

    fn get_local_addr(&self) -> io::Result<Peer> {
        Ok(Peer(self.address))
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(Line, Peer)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    // Without it an answer waits up to 44 ms for the client's acknowledgement.
    stream.set_nodelay(true)?;
    Ok((Line { stream, idle: Box::pin(sleep(IDLE)), moved: false, _place: place }, Peer(address)))
}

/// A connection, with its place among all of them.
pub struct Line {
    stream: TcpStream,
    /// Looks again and again whether anything has moved since. Setting a timer anew for each byte would cost more.
    idle: Pin<Box<Sleep>>,
    moved: bool,
    _place: OwnedSemaphorePermit,
}

impl Line {
    /// Notes whether something moved, and ends what has not moved for long.
    fn watch<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.moved = true;
            return polled;
        }
        while self.idle.as_mut().poll(cx).is_ready() {
            if !self.moved {
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
            self.moved = false;
            self.idle.set(sleep(IDLE));
        }
        Poll::Pending
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.watch(polled, cx)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
