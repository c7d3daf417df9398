//! Observes each request: counts it, writes a line of the access log, and ends its span. Each of these is off by default, and costs
//! nothing then.

use std::time::Duration;

use axum::http::StatusCode;
use tracing::Level;

use crate::otlp::RunningSpan;
use crate::server::clock::Stopwatch;
use crate::server::log_format::ACCESS_TARGET;
use crate::server::metrics::Answered;
use crate::server::request_context::{self, Summary};
use crate::server::state::AppState;
use crate::server::trace_context::TraceContext;

/// Observation of a request that runs.
pub struct Observer {
    began: Stopwatch,
    /// Whether the access log is on.
    pub is_logged: bool,
    span: Option<RunningSpan>,
}

impl Observer {
    /// Begins the observation of a request; `None` where nobody wants to know.
    pub fn start(state: &AppState, trace: Option<&TraceContext>) -> Option<Self> {
        let is_logged = tracing::enabled!(target: ACCESS_TARGET, Level::INFO);
        if state.metrics.is_none() && state.config.exporter.is_none() && !is_logged {
            return None;
        }
        let span = state.config.exporter.as_ref().map(|exporter| exporter.start(trace));
        Some(Self { began: Stopwatch::start(), is_logged, span })
    }

    /// Returns the trace with the span of this request, where it is recorded.
    pub fn trace(&self, caller: Option<&TraceContext>) -> Option<TraceContext> {
        let (trace_id, span_id, flags) = self.span.as_ref()?.ids();
        let started = TraceContext::new(trace_id, span_id, flags);
        Some(caller.map_or_else(|| started, |caller| caller.recorded(span_id, flags)))
    }

    /// Ends the observation. Runs within the context of the request.
    pub fn finish(self, state: &AppState, status: StatusCode) {
        let (time, status) = (self.began.elapsed(), status.as_u16());
        request_context::summarize(|summary| {
            let Summary { id, method, route, credential, key, trace } = summary;
            if let Some(metrics) = &state.metrics {
                metrics.count_request(&Answered { route, method, status, credential, time });
            }
            if self.is_logged {
                let (method, credential, seconds) = (summary.short_method(), credential.text(), log_seconds(time));
                let trace_id = trace.map(TraceContext::trace_id_text);
                tracing::info!(
                    target: ACCESS_TARGET,
                    id, method, route, status, seconds, credential, key, trace_id, "request answered"
                );
            }
            if let Some(span) = self.span {
                span.finish(summary, status);
            }
        });
    }
}

/// Returns a time in seconds for the access log, rounded up to 0.1 ms: a shorter one would be written with an exponent.
fn log_seconds(time: Duration) -> f64 {
    f64::from(u32::try_from(time.as_nanos().div_ceil(100_000)).unwrap_or(u32::MAX)) / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logged_time_has_no_exponent() {
        for (nanoseconds, expected) in [
            (0, "0.0"),
            (1, "0.0001"),
            (98_087, "0.0001"),
            (100_000, "0.0001"),
            (100_001, "0.0002"),
            (12_345_678, "0.0124"),
            (2_000_000_000, "2.0"),
            (u64::MAX, "429496.7295"),
        ] {
            let seconds = log_seconds(Duration::from_nanos(nanoseconds));
            assert_eq!(
                (format!("{seconds:?}"), serde_json::json!(seconds).to_string()),
                (expected.into(), expected.into())
            );
        }
    }
}
