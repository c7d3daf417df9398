//! The listener and its connections: no more of them than there is room for, no more of one address than its share, none that only
//! waits, and an end to accepting that comes before the end of what was accepted.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, SocketAddr};
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

use crate::server::auth::client_ip;
use crate::server::ip_quota::{IpQuota, Share};
use crate::server::memory_budget::ADDRESS_PART;
use crate::server::rate_limits::FixedWindowLimiter;
use crate::server::state::AppState;

/// After as long without a byte from or to a client its connection ends. A request takes less.
const IDLE: Duration = Duration::from_secs(30);
/// How many connections there may be at most. One more waits, and the system with it.
const MOST: usize = 16 * 1024;
/// How many an address may have at least, where there is room for few: an office behind one address.
const ADDRESS_LEAST: usize = 128;
/// How many connections may wait until they are accepted. With the 128 of the standard library a crowd that comes at once is
/// dropped by the system, some of it with a client that goes on believing it is connected.
const WAITING: i32 = 4096;
/// How many files are left to the database, the log and the site.
const FILES: usize = 128;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddr(SocketAddr);

impl Address for PeerAddr {
    type Stream = Connection;
    type Listener = Listener;
}

impl Connected<PeerAddr> for SocketAddr {
    fn connect_info(PeerAddr(address): PeerAddr) -> Self {
        address
    }
}

/// Accepts connections, until it is told to stop.
pub struct Listener {
    address: SocketAddr,
    tcp: Mutex<Option<TcpListener>>,
    places: Arc<Semaphore>,
    addresses: IpRateLimiter,
    stopped: watch::Receiver<bool>,
}

impl Listener {
    /// Accepts until `stopped` says true.
    ///
    /// # Errors
    /// If the listener is none of the system's.
    pub fn new(
        listener: std::net::TcpListener,
        stopped: watch::Receiver<bool>,
        state: Option<AppState>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        rustix::net::listen(&listener, WAITING)?;
        let address = listener.local_addr()?;
        let tcp = Mutex::new(Some(TcpListener::from_std(listener)?));
        let room = room();
        let addresses = IpRateLimiter::new(room, state);
        Ok(Self { address, tcp, places: Arc::new(Semaphore::new(room)), addresses, stopped })
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(Connection, PeerAddr)> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
        loop {
            let (stream, address) = listener.accept().await?;
            // One too many of an address is closed at once. The place is for the next.
            let Some(share) = self.addresses.admit(address.ip()) else { continue };
            // Without it an answer waits up to 44 ms for the client's acknowledgement.
            stream.set_nodelay(true)?;
            let idle = Box::pin(sleep(IDLE));
            return Ok((Connection { stream, idle, moved: false, _place: place, _share: share }, PeerAddr(address)));
        }
    }
}

/// How many connections each address has.
struct IpRateLimiter {
    quota: IpQuota,
    /// Which proxies we trust, and the clock.
    state: Option<AppState>,
    told: FixedWindowLimiter<()>,
}

impl IpRateLimiter {
    fn new(room: usize, state: Option<AppState>) -> Self {
        let most = (room / ADDRESS_PART).max(ADDRESS_LEAST);
        Self { quota: IpQuota::new(most), state, told: FixedWindowLimiter::default() }
    }

    /// One more connection of an address; `None` if that is one too many.
    fn admit(&self, from: IpAddr) -> Option<Share> {
        let trusted = self.state.as_ref().map_or(&[][..], |state| &state.config.trusted_proxies);
        let mut share = self.quota.share(client_ip::quota_network(from, trusted));
        if share.try_grow(1) {
            return Some(share);
        }
        let now = self.state.as_ref().map(AppState::now)?;
        if self.told.try_acquire(&(), 1, now).is_ok() {
            tracing::warn!(%from, "an address has as many connections as it may have: more are closed");
        }
        None
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

impl AddrListener<Connection, PeerAddr> for Listener {
    async fn bind_to(PeerAddr(address): PeerAddr) -> io::Result<Self> {
        // Nobody has a sender: this one never stops.
        Self::new(TcpListener::bind(address).await?.into_std()?, watch::channel(false).1, None)
    }

    async fn accept_stream(&self) -> io::Result<(Connection, PeerAddr)> {
        let mut tcp = self.tcp.lock().await;
        let mut stopped = self.stopped.clone();
        if let Some(open) = &*tcp {
            tokio::select! {
                // First: what has come is taken, also when it is time to stop.
                biased;
                accepted = self.accept(open) => return accepted,
                Ok(_) = stopped.wait_for(|stopped| *stopped) => {}
            }
        }
        // Whoever comes now is refused by the system at once, and can go to another server.
        *tcp = None;
        match pending::<Infallible>().await {}
    }

    fn get_local_addr(&self) -> io::Result<PeerAddr> {
        Ok(PeerAddr(self.address))
    }
}

/// A connection, with its place among all of them and among those of its address.
pub struct Connection {
    stream: TcpStream,
    /// Looks again and again whether anything has moved since. Setting a timer anew for each byte would cost more.
    idle: Pin<Box<Sleep>>,
    moved: bool,
    _place: OwnedSemaphorePermit,
    _share: Share,
}

impl Connection {
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

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.watch(polled, cx)
    }
}

impl AsyncWrite for Connection {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_a_part_of_the_connections_and_loopback_any_number() {
        for (room, most) in [(MOST, 1024), (896, 128), (FILES, 128)] {
            let addresses = IpRateLimiter::new(room, None);
            let admit = |ip: [u8; 4]| addresses.admit(ip.into());
            let held: Vec<_> = (0..most).map(|_| admit([192, 0, 2, 1]).unwrap()).collect();
            assert!(admit([192, 0, 2, 1]).is_none());
            assert!(admit([192, 0, 2, 2]).is_some());
            let local: Vec<_> = (0..2 * most).map(|_| admit([127, 0, 0, 1]).unwrap()).collect();
            drop((held, local));
            assert!(admit([192, 0, 2, 1]).is_some());
        }
    }
}
