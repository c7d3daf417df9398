//! The second listener, for Prometheus: `/metrics` and `/healthz`, without authentication. It has no route of the site.

use std::io;
use std::net::{SocketAddr, TcpListener};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum_server::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::health::alive;
use super::listener::{Listener, PeerAddr};
use super::serve::bounded_server;
use crate::server::metrics::scrape;
use crate::server::state::AppState;

/// Connections that may be open. Further ones wait in the backlog.
const MAX_CONNECTIONS: usize = 16;
/// Scrapes of one HTTP/2 connection that run at once.
const MAX_HTTP2_STREAMS: u32 = 2;

/// Binds the address of the second listener, if there is one. The error names the variable and the fix.
pub fn bind(addr: Option<SocketAddr>) -> io::Result<Option<TcpListener>> {
    let Some(addr) = addr else { return Ok(None) };
    TcpListener::bind(addr).map(Some).map_err(|error| {
        let fix = "Set KEYFOB_METRICS_ADDR to another address, such as 127.0.0.1:9464.";
        io::Error::new(error.kind(), format!("cannot listen on {addr} for metrics: {error}. {fix}"))
    })
}

/// Returns the routes of the second listener.
pub fn routes(state: AppState) -> Router {
    Router::new().route("/metrics", get(metrics)).route("/healthz", get(alive)).with_state(state)
}

async fn metrics(State(state): State<AppState>) -> Response {
    match scrape::text(&state) {
        Ok(text) => {
            let kind = HeaderValue::from_static(scrape::CONTENT_TYPE);
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], text)
                .into_response()
        }
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Second listener that runs.
pub struct MetricsServer {
    handle: Handle<PeerAddr>,
    /// Accepting ends when it is dropped.
    _accepting: watch::Sender<bool>,
    task: JoinHandle<io::Result<()>>,
}

impl MetricsServer {
    /// Serves metrics on a listener.
    pub fn start(listener: TcpListener, state: AppState) -> io::Result<Self> {
        let (accepting, stopped) = watch::channel(false);
        let handle = Handle::new();
        let mut server = bounded_server(Listener::with_limit(listener, stopped, MAX_CONNECTIONS)?, &handle);
        server.http_builder().http2().max_concurrent_streams(MAX_HTTP2_STREAMS);
        let task = tokio::spawn(server.serve(routes(state).into_make_service()));
        Ok(Self { handle, _accepting: accepting, task })
    }

    /// Ends its connections. Called last, so that the shutdown of the other listener can be watched.
    pub async fn stop(self) {
        self.handle.shutdown();
        let _ = self.task.await;
    }
}
