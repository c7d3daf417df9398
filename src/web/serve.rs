//! Listens, serves, and stops in order.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::extract::Request;
use axum::{Router, ServiceExt};
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use tokio::sync::{oneshot, watch};
use tokio::time::MissedTickBehavior;

use crate::server::keys::usage::FLUSH_INTERVAL;
use crate::server::state::AppState;
use crate::web::listener::Listener;
use crate::web::shutdown::{self, Signals};

/// How long a client may take to send the head of a request, and to begin it.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How many bytes the head may have; with more it is refused with 431.
const HEAD_BYTES: u16 = 16 * 1024;
/// How many requests of one HTTP/2 connection may run at once.
const STREAMS: u32 = 100;
/// How many bytes of a body a client may send by HTTP/2 before they are read: the largest body.
const WINDOW: u32 = 64 * 1024;

/// Serves on a listener until SIGTERM or Ctrl-C, then lets begun requests end; a second signal ends at once.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, state: AppState, own: Router<AppState>) -> io::Result<()> {
    let (handle, (accepting, stopped)) = (Handle::new(), watch::channel(false));
    let mut server = Server::from_listener(Listener::new(listener, stopped, Some(state.clone()))?);
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE);
    server.http_builder().http1().max_buf_size(HEAD_BYTES.into());
    server.http_builder().http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS);
    server.http_builder().http2().max_header_list_size(HEAD_BYTES.into());
    server.http_builder().http2().initial_stream_window_size(WINDOW);
    let server = server.first_request_timeout(HEAD_DEADLINE).handle(handle.clone());
    let server = server.accept_error_handler(|_, error| tracing::warn!(%error, "a connection was not accepted"));
    tokio::spawn(shutdown::stop(Signals::new()?, state.clone(), accepting, handle));
    let db = state.db.clone();
    let (stop, stopped) = oneshot::channel();
    let writer = tokio::spawn(write_usage(state.clone(), stopped));
    let feed = tokio::spawn(crate::server::change_listener::run(db.clone()));
    let folding = tokio::spawn(crate::server::maintenance::fold_names::run(db.clone()));
    let service = super::router::router(state, own);
    server.serve(ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(service)).await?;
    drop(stop);
    let _ = writer.await;
    feed.abort();
    folding.abort();
    db.close().await;
    Ok(())
}

/// Writes how keys were used and which sign-ins failed, again and again, and a last time when the server stops.
async fn write_usage(state: AppState, mut stopped: oneshot::Receiver<()>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waited = 0;
    loop {
        let stop = tokio::select! {
            _ = tick.tick() => false,
            _ = &mut stopped => true,
        };
        waited += 1;
        if !stop && waited < FLUSH_INTERVAL.as_secs() && !state.usage.should_flush() {
            continue;
        }
        waited = 0;
        // A failure is logged where it happens; what was counted is kept, and written the next time.
        let written = state.usage.flush(&state.db, state.now()).await;
        state.denials.evict_expired(state.now());
        state.passwords.evict_expired(state.now());
        let _ = state.login_throttle.maintain(&state.db, state.now()).await;
        if stop {
            if written.is_err() {
                tracing::error!("what keys were used for in the last seconds could not be written, and is lost");
            }
            return;
        }
    }
}
