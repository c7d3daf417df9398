//! Export of traces to a collector by the OpenTelemetry protocol: one span for each request. The standard variables
//! (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, …) configure it. A span has no key, no email address
//! and no path.

use std::env;

use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, SpanExporter, WithExportConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use crate::server::metrics::labels::MethodLabel;
use crate::server::request_context::Summary;
use crate::server::trace_context::TraceContext;

/// Name of the service where `OTEL_SERVICE_NAME` is not set.
const SERVICE_NAME: &str = "keyfob";

/// Sends finished spans to a collector, from a queue of its own. What does not fit into the queue is dropped. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// Span of a request that runs.
pub struct RunningSpan(opentelemetry_sdk::trace::Span);

impl Exporter {
    /// Reads the standard variables; `None` where no endpoint is set. The error names the variable and the fix.
    pub fn from_env() -> Result<Option<Self>, String> {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let is_off = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || set("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        let names = [OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT];
        let Some((name, endpoint)) = names.into_iter().find_map(|name| Some((name, set(name)?))).filter(|_| !is_off)
        else {
            return Ok(None);
        };
        if !endpoint.starts_with("http://") {
            return Err(format!(
                "{name} is {endpoint:?}: traces are sent over plain http to a collector close by. Set it to an address such as \
                 http://127.0.0.1:4318."
            ));
        }
        let exporter =
            SpanExporter::builder().with_http().with_protocol(opentelemetry_otlp::Protocol::HttpBinary).build();
        let exporter = exporter.map_err(|error| format!("{name} is {endpoint:?}: {error}."))?;
        let mut resource = Resource::builder();
        let has_name = set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|list| list.contains("service.name="));
        if !has_name && set("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(SERVICE_NAME);
        }
        let resource = resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        let tracer = provider.tracer(SERVICE_NAME);
        Ok(Some(Self { provider, tracer }))
    }

    /// Starts the span of a request, in the trace of its caller or in a new one.
    pub fn start(&self, caller: Option<&TraceContext>) -> RunningSpan {
        let parent = caller.map_or_else(Context::new, |caller| {
            let (trace, span) = (TraceId::from_bytes(caller.trace_id), SpanId::from_bytes(caller.parent_id));
            let flags = TraceFlags::new(caller.flags) & TraceFlags::SAMPLED;
            Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, TraceState::NONE))
        });
        let builder = self.tracer.span_builder("request").with_kind(SpanKind::Server);
        RunningSpan(self.tracer.build_with_context(builder, &parent))
    }

    /// Sends what is left in the queue.
    pub async fn shutdown(self) {
        // It blocks its thread until the collector answers, for five seconds at most.
        let _ = tokio::task::spawn_blocking(move || self.provider.shutdown()).await;
    }
}

impl RunningSpan {
    /// Returns the ids of the trace and the span, and the flags.
    pub fn ids(&self) -> ([u8; 16], [u8; 8], u8) {
        let context = self.0.span_context();
        (context.trace_id().to_bytes(), context.span_id().to_bytes(), context.trace_flags().to_u8())
    }

    /// Ends the span of a request that was answered with this status.
    pub fn finish(mut self, request: Summary<'_>, status: u16) {
        if !self.0.is_recording() {
            return;
        }
        let method = match MethodLabel::from(request.method) {
            MethodLabel::Other => "_OTHER",
            known => known.text(),
        };
        self.0.update_name(format!("{method} {}", request.route));
        self.0.set_attributes([
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", request.route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
            KeyValue::new("keyfob.credential", request.credential.text()),
            KeyValue::new("keyfob.request_id", request.id.to_owned()),
        ]);
        if status >= 500 {
            self.0.set_status(Status::error(""));
        }
        self.0.end();
    }
}
