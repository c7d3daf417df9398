//! Counts each request that was answered, and its time.

use axum::http::StatusCode;

use crate::server::clock::Stopwatch;
use crate::server::metrics::Answered;
use crate::server::request_context;
use crate::server::state::AppState;

/// Observation of a request that runs.
pub struct Observer {
    began: Stopwatch,
}

impl Observer {
    /// Begins the observation of a request; `None` where nobody wants to know.
    pub fn start(state: &AppState) -> Option<Self> {
        state.metrics.is_some().then(|| Self { began: Stopwatch::start() })
    }

    /// Counts the request. Runs within its context.
    pub fn finish(self, state: &AppState, status: StatusCode) {
        let time = self.began.elapsed();
        request_context::summarize(|summary| {
            if let Some(metrics) = &state.metrics {
                let (route, method, credential) = (summary.route, summary.method, summary.credential);
                metrics.count_request(&Answered { route, method, status: status.as_u16(), credential, time });
            }
        });
    }
}
