//! Graceful shutdown: no request that was accepted fails.

use std::io;
use std::time::Duration;

use axum_server::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use super::listener::PeerAddr;
use crate::server::state::AppState;

/// Time for the whole shutdown, without the last writes to the database.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(20);
/// Time in which connections are still accepted after SIGTERM, so that a load balancer sees `/readyz` fail. None after Ctrl-C.
const NOTICE_PERIOD: Duration = Duration::from_secs(2);
/// Time for the requests of connections that were just accepted.
const LAST_REQUESTS: Duration = Duration::from_millis(500);
/// Time for the last writes after a second signal.
const FORCED_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// SIGTERM and Ctrl-C.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to listen for the signals.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal. Returns the notice period.
    async fn next(&mut self) -> Duration {
        tokio::select! {
            _ = self.terminate.recv() => NOTICE_PERIOD,
            _ = self.interrupt.recv() => Duration::ZERO,
        }
    }
}

/// Stops the server: gracefully at the first signal, immediately at the second. Sending true to `accepting` ends accepting.
pub async fn stop(mut signals: Signals, state: AppState, accepting: watch::Sender<bool>, handle: Handle<PeerAddr>) {
    let notice = signals.next().await;
    state.admission.stop();
    tracing::info!("stopping: requests that were begun have {} s to end", SHUTDOWN_TIMEOUT.as_secs());
    let graceful = async {
        sleep(notice).await;
        accepting.send_replace(true);
        // A connection may have been accepted that is not counted yet.
        if handle.connection_count() > 0 || !notice.is_zero() {
            sleep(LAST_REQUESTS).await;
        }
        handle.graceful_shutdown(Some(SHUTDOWN_TIMEOUT.saturating_sub(notice + LAST_REQUESTS)));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = graceful => {}
        _ = signals.next() => {}
    }
    tracing::warn!("forced shutdown");
    handle.shutdown();
    sleep(FORCED_SHUTDOWN_TIMEOUT).await;
    std::process::exit(1);
}
