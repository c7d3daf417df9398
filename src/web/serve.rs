//! Runs the server until shutdown.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::ServiceExt;
use axum::extract::Request;
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use tokio::sync::{oneshot, watch};
use tokio::time::MissedTickBehavior;
use utoipa_axum::router::OpenApiRouter;

use crate::server::keys::usage::FLUSH_INTERVAL;
use crate::server::state::AppState;
use crate::web::listener::{Listener, PeerAddr};
use crate::web::metrics::{self, MetricsServer};
use crate::web::shutdown::{self, Signals};

/// Time to begin a request and to send its head.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Size of a request head, in bytes; a larger one gets 431.
const MAX_HEADER_SIZE: u16 = 16 * 1024;
/// Requests of one HTTP/2 connection that run at once.
const MAX_HTTP2_STREAMS: u32 = 100;
/// Bytes of a body that an HTTP/2 client may send before they are read: the largest body.
const HTTP2_WINDOW_SIZE: u32 = 64 * 1024;

/// Serves on a listener until SIGTERM or Ctrl-C, then lets running requests finish; a second signal forces the shutdown. Binds the
/// address of `KEYFOB_METRICS_ADDR`, if there is one.
pub async fn serve(listener: TcpListener, state: AppState, own: impl Into<OpenApiRouter<AppState>>) -> io::Result<()> {
    let metrics = metrics::bind(state.config.metrics_addr)?;
    serve_both(listener, metrics, state, own).await
}

/// Like [`serve`], with a second listener for metrics that is bound already.
pub async fn serve_both(
    listener: TcpListener,
    metrics: Option<TcpListener>,
    state: AppState,
    own: impl Into<OpenApiRouter<AppState>>,
) -> io::Result<()> {
    let (handle, (accepting, stopped)) = (Handle::new(), watch::channel(false));
    let mut server = bounded_server(Listener::new(listener, stopped, Some(state.clone()))?, &handle);
    server.http_builder().http2().max_concurrent_streams(MAX_HTTP2_STREAMS);
    let metrics = metrics.map(|listener| MetricsServer::start(listener, state.clone())).transpose()?;
    tokio::spawn(shutdown::stop(Signals::new()?, state.clone(), accepting, handle));
    let db = state.db.clone();
    let (stop, stopped) = oneshot::channel();
    let writer = tokio::spawn(write_usage(state.clone(), stopped));
    let changes = tokio::spawn(crate::server::change_listener::run(db.clone()));
    let folding = tokio::spawn(crate::server::maintenance::fold_names::run(db.clone()));
    let exporter = state.config.exporter.clone();
    let service = super::router::router(state, own);
    server.serve(ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(service)).await?;
    drop(stop);
    let _ = writer.await;
    changes.abort();
    folding.abort();
    db.close().await;
    if let Some(exporter) = exporter {
        exporter.shutdown().await;
    }
    if let Some(metrics) = metrics {
        metrics.stop().await;
    }
    Ok(())
}

/// Returns a server with limits for the head of a request, on both versions of HTTP.
pub(super) fn bounded_server(listener: Listener, handle: &Handle<PeerAddr>) -> Server<PeerAddr> {
    let mut server = Server::from_listener(listener);
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    server.http_builder().http1().max_buf_size(MAX_HEADER_SIZE.into());
    server.http_builder().http2().timer(TokioTimer::new()).max_header_list_size(MAX_HEADER_SIZE.into());
    server.http_builder().http2().initial_stream_window_size(HTTP2_WINDOW_SIZE);
    let server = server.first_request_timeout(HEADER_READ_TIMEOUT).handle(handle.clone());
    server.accept_error_handler(|_, error| tracing::warn!(%error, "a connection was not accepted"))
}

/// Flushes the use of keys and failed sign-ins periodically, and once more at shutdown.
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
        // A failure is logged where it happens; the counts are kept for the next time.
        let written = state.usage.flush(&state.db, state.now()).await;
        state.denials.evict_expired(state.now());
        state.passwords.evict_expired(state.now());
        let _ = state.login_throttle.maintain(&state.db, state.now()).await;
        let _ = crate::server::users::finish_deletions(&state.db).await;
        if stop {
            if written.is_err() {
                tracing::error!("what keys were used for in the last seconds could not be written, and is lost");
            }
            return;
        }
    }
}
