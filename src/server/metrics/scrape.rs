//! Answers a scrape: what was counted, and the state of the server at this moment.

use std::time::Duration;

use super::labels::{CacheResult, KeyOutcome, Rejection};
use super::text::{Exposition, amount, number};
use super::{Metrics, process, series};
use crate::error::Limit;
use crate::server::admission::RequestClass;
use crate::server::db::Db;
use crate::server::state::AppState;

pub use super::text::CONTENT_TYPE;

/// Returns all metrics in Prometheus' text format.
pub fn text(state: &AppState) -> Result<String, prometheus::Error> {
    let mut text = Exposition::default();
    if let Some(metrics) = &state.metrics {
        add_requests(&mut text, metrics);
        add_keys(&mut text, metrics);
        add_refusals(&mut text, metrics);
        let started = Duration::from_millis(u64::try_from(metrics.0.started.as_millis()).unwrap_or(0));
        text.gauge("process_start_time_seconds", "Time of the start, since the Unix epoch.", started.as_secs_f64());
    }
    add_admission(&mut text, state);
    add_database(&mut text, &state.db);
    add_change_listener(&mut text, &state.db);
    add_passwords(&mut text, state);
    let database = if matches!(state.db, Db::Sqlite { .. }) { "sqlite" } else { "postgres" };
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("database", database)];
    text.gauges("keyfob_build_info", "Version of the program and kind of its database; always 1.", |add| {
        add(&labels, 1.0);
    });
    process::add(&mut text);
    text.write()
}

fn add_requests(text: &mut Exposition, metrics: &Metrics) {
    let inner = &metrics.0;
    let routes: Vec<_> = inner.routes.all().collect();
    let pattern = |route: usize| routes.iter().find(|(n, _)| *n == route).map_or("other", |(_, pattern)| pattern);
    text.counters("keyfob_http_requests_total", "Requests that were answered.", |add| {
        for (series, count) in series::total(inner.shards.iter().map(|shard| &shard.requests)) {
            let status = if series.status == 0 { "other".to_owned() } else { series.status.to_string() };
            let (route, method) = (pattern(series.route), series.method.text());
            let credential = series.credential.text();
            let labels = [("route", route), ("method", method), ("status", &status), ("credential", credential)];
            add(&labels, number(count));
        }
    });
    let help = "Time from the head of a request to the head of its answer.";
    text.histograms("keyfob_http_request_duration_seconds", help, |add| {
        for (n, pattern) in &routes {
            let times = metrics.times(*n);
            if times.count() > 0 {
                add(&[("route", pattern)], &times);
            }
        }
    });
}

fn add_keys(text: &mut Exposition, metrics: &Metrics) {
    text.counters("keyfob_key_checks_total", "Checks of a presented key, by their outcome.", |add| {
        for outcome in KeyOutcome::ALL {
            add(&[("outcome", outcome.text())], number(metrics.key_checks(outcome)));
        }
    });
    let help = "Lookups in the cache of keys. A negative hit is a key that is known not to exist.";
    text.counters("keyfob_key_cache_lookups_total", help, |add| {
        for result in CacheResult::ALL {
            add(&[("result", result.text())], number(metrics.cache_lookups(result)));
        }
    });
}

fn add_refusals(text: &mut Exposition, metrics: &Metrics) {
    text.counters("keyfob_limit_refusals_total", "Requests that a limit refused with 429.", |add| {
        for (limit, count) in Limit::ALL.iter().zip(&metrics.0.limits) {
            add(&[("limit", limit.name())], load(count));
        }
    });
    let help = "Requests that were turned away or stopped with 503, to keep the server answering.";
    text.counters("keyfob_admission_rejections_total", help, |add| {
        for (rejection, count) in Rejection::ALL.iter().zip(&metrics.0.rejections) {
            add(&[("reason", rejection.text())], load(count));
        }
    });
}

fn load(count: &std::sync::atomic::AtomicU64) -> f64 {
    number(count.load(std::sync::atomic::Ordering::Relaxed))
}

/// Classes of requests that have permits of their own, with the values of their label.
const CLASSES: [(&str, RequestClass); 3] =
    [("sign_in", RequestClass::SignIn), ("form", RequestClass::Form), ("other", RequestClass::Other)];

fn add_admission(text: &mut Exposition, state: &AppState) {
    let admission = &state.admission;
    text.gauges("keyfob_admission_in_flight", "Requests that run, without those that wait for a body.", |add| {
        for (label, class) in CLASSES {
            add(&[("class", label)], amount(admission.in_flight(class).0));
        }
    });
    text.gauges("keyfob_admission_in_flight_limit", "Requests that may run at once.", |add| {
        for (label, class) in CLASSES {
            add(&[("class", label)], amount(admission.in_flight(class).1));
        }
    });
    let budgets = [("request_bodies", &admission.bodies), ("response_bodies", &admission.answers)];
    text.gauges("keyfob_body_memory_bytes", "Memory of bodies that are on their way.", |add| {
        for (label, budget) in budgets {
            add(&[("kind", label)], amount(budget.taken()));
        }
    });
    text.gauges("keyfob_body_memory_limit_bytes", "Memory that such bodies may take.", |add| {
        for (label, budget) in budgets {
            add(&[("kind", label)], amount(budget.limit()));
        }
    });
    let (open, most) = admission.connections();
    text.gauge("keyfob_connections", "Open connections of clients.", amount(open));
    text.gauge("keyfob_connections_limit", "Connections that may be open.", amount(most));
}

fn add_database(text: &mut Exposition, db: &Db) {
    let pools = db.pool_stats();
    text.gauges("keyfob_db_connections", "Connections to the database.", |add| {
        for pool in &pools {
            add(&[("pool", pool.name), ("state", "in_use")], amount(pool.in_use));
            add(&[("pool", pool.name), ("state", "idle")], amount(pool.idle));
        }
    });
    text.gauges("keyfob_db_connections_limit", "Connections that a pool may have.", |add| {
        for pool in &pools {
            add(&[("pool", pool.name)], amount(pool.limit));
        }
    });
    text.gauges("keyfob_db_waiting", "Queries and transactions that wait for a connection.", |add| {
        for pool in &pools {
            add(&[("pool", pool.name)], amount(pool.waiting));
        }
    });
    text.histograms("keyfob_db_acquire_duration_seconds", "Time to get a connection of a pool.", |add| {
        for pool in &pools {
            add(&[("pool", pool.name)], &pool.times);
        }
    });
}

fn add_change_listener(text: &mut Exposition, db: &Db) {
    let listener = db.invalidations().listener_state();
    let help = "1 if this database reports the changes of other processes; 0 behind a pooler.";
    text.gauge("keyfob_change_listener_enabled", help, f64::from(u8::from(db.reports_changes())));
    let help = "1 while the changes of other processes arrive.";
    text.gauge("keyfob_change_listener_connected", help, f64::from(u8::from(listener.connected)));
    let help = "Time since the last change, heartbeat or successful poll.";
    let silence = listener.silence.unwrap_or_default();
    text.gauge("keyfob_change_listener_silence_seconds", help, silence.as_secs_f64());
    let help = "How often the connection that reports changes was lost.";
    text.counter("keyfob_change_listener_disconnects_total", help, number(listener.disconnects));
    let help = "Changes of keys, users and APIs that made cached keys out of date.";
    text.counter("keyfob_key_cache_invalidations_total", help, number(listener.changes));
}

fn add_passwords(text: &mut Exposition, state: &AppState) {
    let queue = state.passwords.queue_stats();
    text.gauge("keyfob_password_hash_running", "Passwords that are hashed now.", amount(queue.running));
    text.gauge("keyfob_password_hash_waiting", "Passwords that wait for a core.", amount(queue.waiting));
    text.gauge("keyfob_password_hash_waiting_limit", "Passwords that may wait.", amount(queue.limit));
    let help = "Passwords that found the queue full; their requests got 503.";
    text.counter("keyfob_password_hash_rejections_total", help, number(queue.rejections));
    let help = "Time that passwords waited for a core.";
    text.histograms("keyfob_password_hash_wait_seconds", help, |add| add(&[], &queue.waits));
}
