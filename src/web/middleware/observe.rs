//! Observes each request: counts it, writes a line of the access log, and ends its span. Each of these is off by default, and costs
//! nothing then.

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
                let (method, credential, seconds) = (summary.short_method(), credential.text(), time.as_secs_f64());
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
