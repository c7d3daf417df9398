//! Stub of `otlp.rs` for a program without the feature `otlp`: nothing is exported.

use axum::http::Method;

use crate::server::metrics::labels::Credential;
use crate::server::trace_context::TraceContext;

/// See `otlp.rs`. There is none.
#[derive(Clone, Debug)]
pub enum Exporter {}

/// See `otlp.rs`. There is none.
pub enum RunningSpan {}

/// See `otlp.rs`.
#[derive(Clone, Copy, Debug)]
pub struct AnsweredRequest<'a> {
    pub id: &'a str,
    pub method: &'a Method,
    pub route: &'a str,
    pub status: u16,
    pub credential: Credential,
}

impl Exporter {
    pub fn from_env() -> Result<Option<Self>, String> {
        if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some_and(|endpoint| !endpoint.is_empty()) {
            tracing::warn!("OTEL_EXPORTER_OTLP_ENDPOINT is set, and this program was built without the feature otlp");
        }
        Ok(None)
    }

    pub fn start(&self, _: Option<&TraceContext>) -> RunningSpan {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "the signature of the other side")]
    pub async fn shutdown(self) {
        match self {}
    }
}

impl RunningSpan {
    pub fn ids(&self) -> ([u8; 16], [u8; 8], u8) {
        match *self {}
    }

    pub fn finish(self, _: &AnsweredRequest<'_>) {
        match self {}
    }
}
