//! TCP listener: limits connections in total and for each address, closes idle ones, and stops accepting before shutdown.

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

/// A connection without traffic is closed after this time. A request takes less.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Open connections. Further ones wait in the backlog.
const MAX_CONNECTIONS: usize = 16 * 1024;
/// Connections that one address may have even where few files may be open: an office behind one address.
const MIN_PER_ADDRESS: usize = 128;
/// Connections that wait to be accepted. With the 128 of the standard library, the system drops part of a crowd, and some of
/// those clients believe that they are connected.
const BACKLOG: i32 = 4096;
/// Open files that are kept for the database, the log and the site.
const RESERVED_FILES: usize = 128;

/// Address of the other end of a connection.
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

/// Accepts connections until shutdown.
pub struct Listener {
    address: SocketAddr,
    tcp: Mutex<Option<TcpListener>>,
    permits: Arc<Semaphore>,
    addresses: ConnectionQuota,
    stopped: watch::Receiver<bool>,
}

impl Listener {
    /// Accepts until `stopped` becomes true.
    pub fn new(
        listener: std::net::TcpListener,
        stopped: watch::Receiver<bool>,
        state: Option<AppState>,
    ) -> io::Result<Self> {
        let max_connections = raise_file_limit();
        let listener = Self::with_limit(listener, stopped, max_connections)?;
        if let Some(state) = &state {
            state.admission.set_connection_permits(Arc::clone(&listener.permits), max_connections);
        }
        Ok(Self { addresses: ConnectionQuota::new(max_connections, state), ..listener })
    }

    /// Like [`Listener::new`], with this many connections.
    pub fn with_limit(
        listener: std::net::TcpListener,
        stopped: watch::Receiver<bool>,
        max_connections: usize,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        rustix::net::listen(&listener, BACKLOG)?;
        let address = listener.local_addr()?;
        let tcp = Mutex::new(Some(TcpListener::from_std(listener)?));
        let addresses = ConnectionQuota::new(max_connections, None);
        Ok(Self { address, tcp, permits: Arc::new(Semaphore::new(max_connections)), addresses, stopped })
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(Connection, PeerAddr)> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        loop {
            let (stream, address) = listener.accept().await?;
            // A connection beyond the quota is closed here; the next one uses the permit.
            let Some(share) = self.addresses.admit(address.ip()) else { continue };
            // Nagle's algorithm would delay a response by up to 44 ms.
            stream.set_nodelay(true)?;
            let idle = Box::pin(sleep(IDLE_TIMEOUT));
            return Ok((Connection { stream, idle, moved: false, _permit: permit, _share: share }, PeerAddr(address)));
        }
    }
}

/// Limits the connections of each address.
struct ConnectionQuota {
    quota: IpQuota,
    /// For the trusted proxies and the clock.
    state: Option<AppState>,
    warnings: FixedWindowLimiter<()>,
}

impl ConnectionQuota {
    fn new(max_connections: usize, state: Option<AppState>) -> Self {
        let per_address = (max_connections / ADDRESS_PART).max(MIN_PER_ADDRESS);
        Self { quota: IpQuota::new(per_address), state, warnings: FixedWindowLimiter::default() }
    }

    /// Counts a connection of an address; `None` if it exceeds the quota.
    fn admit(&self, from: IpAddr) -> Option<Share> {
        let trusted = self.state.as_ref().map_or(&[][..], |state| &state.config.trusted_proxies);
        let mut share = self.quota.share(client_ip::quota_network(from, trusted));
        if share.try_grow(1) {
            return Some(share);
        }
        let now = self.state.as_ref().map(AppState::now)?;
        if self.warnings.try_acquire(&(), 1, now).is_ok() {
            tracing::warn!(%from, "an address has as many connections as it may have: more are closed");
        }
        None
    }
}

/// Raises the limit of open files as far as the system allows. Returns how many connections fit.
fn raise_file_limit() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some() && limit.current != limit.maximum {
        let wanted = (MAX_CONNECTIONS + RESERVED_FILES) as u64;
        let raised = Some(limit.maximum.unwrap_or(wanted).min(wanted)).max(limit.current);
        if setrlimit(Resource::Nofile, rustix::process::Rlimit { current: raised, ..limit }).is_ok() {
            limit.current = raised;
        }
    }
    let files = limit.current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    files.saturating_sub(RESERVED_FILES).clamp(RESERVED_FILES, MAX_CONNECTIONS)
}

impl AddrListener<Connection, PeerAddr> for Listener {
    async fn bind_to(PeerAddr(address): PeerAddr) -> io::Result<Self> {
        // Without a sender it never stops.
        Self::new(TcpListener::bind(address).await?.into_std()?, watch::channel(false).1, None)
    }

    async fn accept_stream(&self) -> io::Result<(Connection, PeerAddr)> {
        let mut tcp = self.tcp.lock().await;
        let mut stopped = self.stopped.clone();
        if let Some(open) = &*tcp {
            tokio::select! {
                // Connections that have arrived are accepted even at shutdown.
                biased;
                accepted = self.accept(open) => return accepted,
                Ok(_) = stopped.wait_for(|stopped| *stopped) => {}
            }
        }
        // From now on the system rejects connections, so that clients try another server.
        *tcp = None;
        match pending::<Infallible>().await {}
    }

    fn get_local_addr(&self) -> io::Result<PeerAddr> {
        Ok(PeerAddr(self.address))
    }
}

/// Connection with its permit and its share of the quota of its address.
pub struct Connection {
    stream: TcpStream,
    /// Checks periodically whether anything has moved. Resetting a timer for each byte would cost more.
    idle: Pin<Box<Sleep>>,
    moved: bool,
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

impl Connection {
    /// Notes traffic, and fails a connection that is idle for too long.
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
            self.idle.set(sleep(IDLE_TIMEOUT));
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
    fn one_address_has_a_quota_and_loopback_has_none() {
        for (max_connections, most) in [(MAX_CONNECTIONS, 1024), (896, 128), (RESERVED_FILES, 128)] {
            let addresses = ConnectionQuota::new(max_connections, None);
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
