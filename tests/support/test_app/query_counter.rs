//! Counts the SQL statements of a request by the events of sqlx.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Instrument, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::trail;

/// Counts the statements within each span `counted`. sqlx takes the span along to the thread of the database.
pub struct Counter;

/// Whether an event belongs to a statement, and not to the settings of a new connection.
struct Statement(bool);

impl Visit for Statement {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "summary" {
            self.0 = !format!("{value:?}").trim_start_matches('"').starts_with("PRAGMA");
        }
    }
}

/// The number of statements of each span, by its id.
static COUNTS: LazyLock<Mutex<HashMap<u64, usize>>> = LazyLock::new(Mutex::default);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut statement = Statement(false);
        event.record(&mut statement);
        if event.metadata().target() != "sqlx::query" || !statement.0 {
            return;
        }
        for span in context.event_scope(event).into_iter().flatten().filter(|span| span.name() == "counted") {
            *COUNTS.lock().unwrap().entry(span.id().into_u64()).or_default() += 1;
        }
    }
}

/// Returns the result of a request, and the number of its queries.
pub async fn counted<T>(request: impl Future<Output = T>) -> (T, usize) {
    trail::listen();
    let span = tracing::info_span!("counted");
    let answer = request.instrument(span.clone()).await;
    (answer, COUNTS.lock().unwrap().remove(&span.id().unwrap().into_u64()).unwrap_or_default())
}
