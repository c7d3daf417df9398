//! Listens, serves, and stops in order.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use hyper_util::rt::TokioTimer;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::state::AppState;
use super::usage::WRITE_EVERY;

/// How long requests that were begun may take to end when the server stops.
const DRAIN: Duration = Duration::from_secs(20);
/// How long a client may take to send the head of a request.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);

/// Serves on a listener until SIGTERM or Ctrl-C, then lets begun requests end; a second signal ends at once.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, state: AppState, own: Router<AppState>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    tokio::spawn(stop_on_signal(handle.clone()));
    // Without TCP_NODELAY an answer waits up to 44 ms for the client's acknowledgement.
    let mut server = axum_server::from_tcp(listener)?.acceptor(NoDelayAcceptor::new()).handle(handle);
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADER_DEADLINE);
    server.http_builder().http2().timer(TokioTimer::new());
    let db = state.db.clone();
    let (stop, stopped) = oneshot::channel();
    let writer = tokio::spawn(write_usage(state.clone(), stopped));
    let feed = tokio::spawn(super::feed::follow(db.clone()));
    server.serve(super::router(state, own).into_make_service_with_connect_info::<SocketAddr>()).await?;
    drop(stop);
    let _ = writer.await;
    feed.abort();
    db.close().await;
    Ok(())
}

/// Writes how keys were used, again and again, and a last time when the server stops.
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
        if !stop && waited < WRITE_EVERY.as_secs() && !state.usage.is_much() {
            continue;
        }
        waited = 0;
        // A failure is logged where it happens; what was counted is kept, and written the next time.
        let written = state.usage.write(&state.db, state.now()).await;
        if stop {
            if written.is_err() {
                tracing::error!("what keys were used for in the last seconds could not be written, and is lost");
            }
            return;
        }
    }
}

async fn stop_on_signal(handle: Handle<SocketAddr>) {
    signal().await;
    tracing::info!("stopping: requests that were begun have {} s to end", DRAIN.as_secs());
    handle.graceful_shutdown(Some(DRAIN));
    signal().await;
    tracing::warn!("stopping at once");
    handle.shutdown();
}

async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
