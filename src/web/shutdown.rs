//! Stops in order, so that no request that was accepted fails.

use std::io;
use std::time::Duration;

use axum_server::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use super::listener::PeerAddr;
use crate::server::state::AppState;

/// How long stopping may take in all, but for what is written then.
const DRAIN: Duration = Duration::from_secs(20);
/// How long new connections are still accepted after SIGTERM, so that whoever shares out requests finds out by `/readyz`
/// that this server takes none. Whoever presses Ctrl-C waits for nobody.
const NOTICE: Duration = Duration::from_secs(2);
/// How long those that were just accepted have for their request.
const LAST: Duration = Duration::from_millis(500);
/// How long the last writes may take once a second signal came.
const AT_ONCE: Duration = Duration::from_secs(1);

/// SIGTERM and Ctrl-C.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Hears them from now on.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one: how long to give notice.
    async fn next(&mut self) -> Duration {
        tokio::select! {
            _ = self.terminate.recv() => NOTICE,
            _ = self.interrupt.recv() => Duration::ZERO,
        }
    }
}

/// Stops the server at the first signal in order, at the second one at once. `accepting` ends when true is sent.
pub async fn stop(mut signals: Signals, state: AppState, accepting: watch::Sender<bool>, handle: Handle<PeerAddr>) {
    let notice = signals.next().await;
    state.admission.stop();
    tracing::info!("stopping: requests that were begun have {} s to end", DRAIN.as_secs());
    let in_order = async {
        sleep(notice).await;
        accepting.send_replace(true);
        // Also where none is counted: one may have come just now.
        if handle.connection_count() > 0 || !notice.is_zero() {
            sleep(LAST).await;
        }
        handle.graceful_shutdown(Some(DRAIN.saturating_sub(notice + LAST)));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = in_order => {}
        _ = signals.next() => {}
    }
    tracing::warn!("forced shutdown");
    handle.shutdown();
    sleep(AT_ONCE).await;
    std::process::exit(1);
}
