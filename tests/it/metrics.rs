//! Metrics: what a scrape of a loaded server says, and that dashboard and alert rules name metrics that exist.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::http::Method;
use futures_util::future::join_all;
use keyfob::error::Limit;
use keyfob::model::keys::Access;
use keyfob::server::auth::key_format;
use keyfob::server::metrics::scrape;
use regex::Regex;
use rstest_reuse::apply;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::cli::run;
use crate::support::free_address::free_address;
use crate::support::scrape::{Scrape, get};
use crate::support::server::{Server, between};
use crate::support::{Database, EMPLOYEES, PASSWORD, TestApp, each_database};

const LIST: &str = r#"route="/pegasus/employees/api/employees""#;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A key that was never stored.
fn stray_key() -> String {
    key_format::make_key("kf").key.expose_secret().to_owned()
}

/// Starts a server with metrics, and waits until it listens for changes: at that moment it forgets its cached keys.
async fn start(url: &str) -> (Server, SocketAddr) {
    let addr = free_address();
    let server = Server::start_with(url, "info", "json", &[&format!("--metrics-addr={addr}")]).await;
    let listening = async {
        loop {
            let scrape = Scrape::of(addr).await;
            let gauge = |name| scrape.count(name, &[]);
            if gauge("keyfob_change_listener_connected") == gauge("keyfob_change_listener_enabled") {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), listening).await.expect("the server does not listen for changes");
    (server, addr)
}

/// Runs promtool; fails unless it accepts its input.
fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(repository("ops/prometheus"));
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("promtool is missing: install it (Debian: apt-get install prometheus)");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "promtool {arguments:?}: {}", String::from_utf8_lossy(&said));
}

#[apply(each_database)]
#[tokio::test]
async fn scrape_of_a_loaded_server_has_exact_figures(database: Database) {
    let app = &TestApp::start(database).await;
    let team = app.team("vermilion", "ada", &[]).await;
    let good = app.make_key("ada").await;
    let read_only = app.make_key_that("ada", |spec| spec.access = Access::ReadOnly).await;
    let limited = app.make_key("ada").await;
    let expired = app.make_key("ada").await;
    let revoked = app.make_key("ada").await;
    let disabled = app.make_key("eve").await;
    app.disable("eve").await;
    app.sql(&format!("UPDATE keys SET rate = 2 WHERE id = '{}'", limited.facts.id)).await;
    app.sql(&format!("UPDATE keys SET expires_at = 1 WHERE id = '{}'", expired.facts.id)).await;
    app.sql(&format!("UPDATE keys SET revoked_at = 1 WHERE id = '{}'", revoked.facts.id)).await;
    let (server, addr) = start(&app.url).await;
    let list = &format!("GET {EMPLOYEES}");
    let ask = async |line: &str, key: &str, status: u16| {
        let answer = server.ask(line, &[("X-Api-Key", key)], "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
    };
    // The first one fills the cache.
    ask(list, &good.key, 200).await;
    join_all((0..39).map(|_| ask(list, &good.key, 200))).await;
    join_all((0..3).map(|_| async { ask(list, &stray_key(), 401).await })).await;
    for (key, status) in [(&expired.key, 401), (&expired.key, 401), (&revoked.key, 401), (&disabled.key, 401)] {
        ask(list, key, status).await;
    }
    ask(list, "kf_x", 401).await;
    ask(&format!("POST {EMPLOYEES}"), &read_only.key, 403).await;
    for status in [200, 200, 429, 429, 429] {
        ask(list, &limited.key, status).await;
    }
    ask("GET /a/cerulean/employees/api/employees/", &good.key, 404).await;
    ask("GET /a/vermilion/employees/api/employees/", &good.key, 200).await;
    let form = format!("email=ada%40example.com&password={}", PASSWORD.replace(' ', "+"));
    let session = between(&server.ask("POST /fn/sign_in", &[], &form).await, "set-cookie: keyfob_session=", ";");
    let cookie = format!("keyfob_session={session}");
    for n in 0..5 {
        server.ask("GET /employees", &[("Cookie", &cookie), ("Accept", "text/html")], "").await;
        server.ask(&format!("GET /no-such-{n}?email=ada@example.com"), &[("Accept", "text/html")], "").await;
        server.ask(&format!("PURGE{n} {EMPLOYEES}"), &[], "").await;
    }

    let scrape = Scrape::of(addr).await;
    let requests = |labels: &[&str]| scrape.count("keyfob_http_requests_total", labels);
    let (key, none) = (r#"credential="key""#, r#"credential="none""#);
    assert_eq!(requests(&[LIST, key, r#"method="GET""#, r#"status="200""#]), 42);
    assert_eq!(requests(&[LIST, key, r#"status="401""#]), 8);
    assert_eq!(requests(&[LIST, key, r#"status="429""#]), 3);
    assert_eq!(requests(&[LIST, key, r#"method="POST""#, r#"status="403""#]), 1);
    assert_eq!(requests(&[LIST, none, r#"method="other""#, r#"status="405""#]), 5);
    assert_eq!(requests(&[r#"route="/a/{team}/employees/api/employees""#]), 2);
    assert_eq!(requests(&[r#"route="/employees""#, r#"credential="session""#, r#"status="200""#]), 5);
    assert_eq!(requests(&[r#"route="unmatched""#, none, r#"status="404""#]), 5);
    assert_eq!(requests(&[r#"route="/fn/{name}""#]), 1);
    assert_eq!(scrape.count("keyfob_http_request_duration_seconds_count", &[LIST]), requests(&[LIST]));

    let checks = |outcome: &str| scrape.count("keyfob_key_checks_total", &[&format!("outcome=\"{outcome}\"")]);
    for (outcome, count) in [
        ("valid", 43),
        ("unknown", 3),
        ("expired", 2),
        ("revoked", 1),
        ("account_disabled", 1),
        ("malformed", 1),
        ("ambiguous", 0),
        ("scope_missing", 1),
        ("rate_limited", 3),
        ("other", 1),
    ] {
        assert_eq!(checks(outcome), count, "{outcome}");
    }
    assert_eq!(scrape.count("keyfob_limit_refusals_total", &[r#"limit="key_requests""#]), 3);
    assert_eq!(scrape.count("keyfob_limit_refusals_total", &[]), 3);
    assert_eq!(scrape.count("keyfob_key_cache_lookups_total", &[]), 55);
    assert!(scrape.count("keyfob_key_cache_lookups_total", &[r#"result="hit""#]) > 30);
    assert!(scrape.count("keyfob_password_hash_wait_seconds_count", &[]) >= 1);
    assert!(scrape.count("keyfob_db_acquire_duration_seconds_count", &[]) > 0);
    assert_eq!(scrape.count("keyfob_admission_in_flight", &[]), 0);
    let names_database = match database {
        Database::Sqlite => r#"database="sqlite""#,
        Database::Postgres => r#"database="postgres""#,
    };
    assert_eq!(scrape.count("keyfob_build_info", &[names_database]), 1);
    assert_eq!(scrape.count("keyfob_change_listener_connected", &[]), u64::from(!app.state.db.is_pooled()));

    let user = app.user("ada").await;
    for secret in
        ["ada", "eve", "@", "vermilion", "cerulean", "no-such", "PURGE", user.id.as_str(), team.id.as_str(), "kf_"]
    {
        assert!(!scrape.0.contains(secret), "{secret} is in {}", scrape.0);
    }
    for key in [&good, &read_only, &limited, &expired, &revoked, &disabled] {
        assert!(!scrape.0.contains(&key.facts.prefix) && !scrape.0.contains(key.facts.id.as_str()));
    }
    promtool(&["check", "metrics"], &scrape.0);
}

#[apply(each_database)]
#[tokio::test]
async fn refusal_is_counted_under_its_limit(database: Database) {
    let app = &TestApp::start(database).await;
    let app = &app.configured(|config| config.metrics_addr = Some(free_address()));
    let ip = "203.0.113.9";
    for _ in 0..32 {
        app.anonymous().coming_from(ip).post("/api/v1/leaked-keys", json!([])).await;
    }
    for _ in 0..101 {
        app.anonymous().coming_from(ip).with_key(&stray_key()).get(EMPLOYEES).await;
    }
    let scrape = Scrape(scrape::text(&app.state).unwrap());
    for limit in Limit::ALL.map(Limit::name) {
        let expected = match limit {
            "leak_reports" => 2,
            "unknown_keys" => 1,
            _ => 0,
        };
        let labels = format!("limit=\"{limit}\"");
        assert_eq!(scrape.count("keyfob_limit_refusals_total", &[&labels]), expected, "{limit}");
    }
    assert_eq!(scrape.count("keyfob_key_checks_total", &[r#"outcome="unknown""#]), 100);
    assert_eq!(scrape.count("keyfob_key_checks_total", &[r#"outcome="rate_limited""#]), 1);
}

#[apply(each_database)]
#[tokio::test]
async fn rejected_request_is_counted_with_its_reason(database: Database) {
    use keyfob::server::admission::{MAX_IN_FLIGHT, RequestClass};
    let app = &TestApp::start(database).await;
    let app = &app.configured(|config| config.metrics_addr = Some(free_address()));
    let client = app.with_key("ada").await;
    let permits: Vec<_> = (0..MAX_IN_FLIGHT).map(|_| app.state.admission.admit(RequestClass::Other)).collect();
    client.get(EMPLOYEES).await.is(503);
    let full = Scrape(scrape::text(&app.state).unwrap());
    drop(permits);
    client.get(EMPLOYEES).await.is(200);
    let scrape = Scrape(scrape::text(&app.state).unwrap());
    let in_flight = |scrape: &Scrape| scrape.count("keyfob_admission_in_flight", &[r#"class="other""#]);
    assert_eq!((in_flight(&full), in_flight(&scrape)), (256, 0));
    assert_eq!(scrape.count("keyfob_admission_rejections_total", &[r#"reason="overload""#]), 1);
    assert_eq!(scrape.count("keyfob_admission_rejections_total", &[]), 1);
    let turned_away = [r#"route="unmatched""#, r#"status="503""#];
    assert_eq!(scrape.count("keyfob_http_requests_total", &turned_away), 1);
}

#[apply(each_database)]
#[tokio::test]
async fn labels_are_bounded_whatever_clients_send(database: Database) {
    let app = &TestApp::start(database).await;
    let app = &app.configured(|config| config.metrics_addr = Some(free_address()));
    let client = app.with_key("ada").await;
    let series = || scrape::text(&app.state).unwrap().lines().count();
    let send = async |n: usize| {
        let method = Method::from_bytes(format!("M{n}").as_bytes()).unwrap();
        client.bare(method, &format!("/{n}")).await;
        client.get(&format!("/x/{n}")).await;
        client.get(&format!("{EMPLOYEES}{n}")).await;
        client.get(&format!("/fn/{n}")).await;
    };
    send(0).await;
    let before = series();
    for n in 1..50 {
        send(n).await;
    }
    assert_eq!(series(), before);
}

#[tokio::test]
async fn only_the_second_listener_has_metrics_and_nothing_else() {
    let app = &TestApp::start(Database::Sqlite).await;
    let (server, addr) = start(&app.url).await;
    let of_site = server.ask("GET /metrics", &[("Accept", "text/html")], "").await;
    assert!(of_site.starts_with("HTTP/1.1 404"), "{of_site}");
    for (path, status) in [("/metrics", 200), ("/healthz", 200), ("/", 404), ("/sign-in", 404), (EMPLOYEES, 404)] {
        let answer = get(addr, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        assert!(!answer.contains("set-cookie"), "{path}: {answer}");
    }
    let long = get(addr, &format!("/metrics?{}", "a".repeat(20_000))).await;
    assert!(long.starts_with("HTTP/1.1 431"), "{long}");
}

/// Each of the connections that send nothing is closed after ten seconds.
#[tokio::test]
async fn silent_connections_block_scrapes_only_for_a_while() {
    let app = &TestApp::start(Database::Sqlite).await;
    let (_server, addr) = start(&app.url).await;
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(TcpStream::connect(addr).await.unwrap());
    }
    let late = tokio::spawn(async move { Scrape::of(addr).await });
    let mut closed = [0];
    let read = timeout(Duration::from_secs(20), silent[0].read(&mut closed));
    assert!(matches!(read.await, Ok(Ok(0) | Err(_))), "a silent connection stays open");
    assert!(late.await.unwrap().names().contains("keyfob_build_info"));
}

#[tokio::test]
async fn wrong_address_ends_the_start_with_one_line() {
    let app = &TestApp::start(Database::Sqlite).await;
    let free = format!("--addr={}", free_address());
    for wrong in ["9464", "localhost:9464", "127.0.0.1", "127.0.0.1:99999"] {
        let ran = run(&app.url, &["serve", &free], &[("KEYFOB_METRICS_ADDR", wrong)], "").await;
        ran.refused(&format!(
            "KEYFOB_METRICS_ADDR is {wrong:?}: use an IP address and a port, such as 127.0.0.1:9464."
        ));
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let ran = run(&app.url, &["serve", &free], &[("KEYFOB_METRICS_ADDR", &addr)], "").await;
    ran.refused(&format!("cannot listen on {addr} for metrics"));
    ran.refused("Set KEYFOB_METRICS_ADDR to another address");
    let both = [("KEYFOB_METRICS_ADDR", addr.as_str()), ("KEYFOB_ADDR", addr.as_str())];
    run(&app.url, &["serve"], &both, "").await.refused("KEYFOB_METRICS_ADDR is");
}

#[tokio::test]
async fn metrics_listener_ends_with_the_server() {
    let app = &TestApp::start(Database::Sqlite).await;
    let (mut server, addr) = start(&app.url).await;
    // A connection that is kept open does not hold the server up.
    let mut idle = std::net::TcpStream::connect(addr).unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(server.interrupt().await.success(), "{}", server.log());
    assert_eq!(get(addr, "/metrics").await, "");
    let _ = idle.shutdown(Shutdown::Both);
}

#[test]
fn alert_rules_pass_promtool() {
    promtool(&["check", "rules", "alerts.yaml"], "");
    promtool(&["test", "rules", "alerts.test.yaml"], "");
}

/// Returns the texts of the expressions of the dashboard.
fn dashboard_expressions() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(repository("ops/grafana/keyfob.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn dashboard_expressions_pass_promtool() {
    let expressions = dashboard_expressions();
    assert!(expressions.len() > 30, "{expressions:?}");
    let rules = expressions.iter().enumerate().map(|(n, expression)| {
        let expression = expression.replace("$__rate_interval", "5m").replace("$instance", ".*");
        json!({ "record": format!("dashboard:{n}"), "expr": expression })
    });
    let groups = json!({ "groups": [{ "name": "dashboard", "rules": rules.collect::<Vec<_>>() }] });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), groups.to_string()).unwrap();
    promtool(&["check", "rules", file.path().to_str().unwrap()], "");
}

#[test]
fn scrape_configuration_of_the_docs_passes_promtool() {
    let docs = std::fs::read_to_string(repository("docs/monitoring.md")).unwrap();
    let block = between(&docs, "```yaml\n", "```");
    let file = tempfile::NamedTempFile::new_in(repository("ops/prometheus")).unwrap();
    std::fs::write(file.path(), block).unwrap();
    promtool(&["check", "config", file.path().to_str().unwrap()], "");
}

#[test]
fn docs_explain_every_alert() {
    let docs = std::fs::read_to_string(repository("docs/monitoring.md")).unwrap();
    let rules = std::fs::read_to_string(repository("ops/prometheus/alerts.yaml")).unwrap();
    let alert = Regex::new(r"(?m)- alert: (\w+)$").unwrap();
    let alerts: Vec<_> = alert.captures_iter(&rules).map(|found| found[1].to_owned()).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in &alerts {
        assert!(docs.contains(&format!("### {alert}\n")), "docs/monitoring.md does not explain {alert}");
        let runbook = format!("docs/monitoring.md#{}\n", alert.to_lowercase());
        assert!(rules.contains(&runbook), "{runbook}");
    }
    assert_eq!(docs.matches("\n### Keyfob").count(), alerts.len());
}

#[apply(each_database)]
#[tokio::test]
async fn metrics_of_dashboard_alerts_and_docs_exist(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    let (server, addr) = start(&app.url).await;
    server.ask(&format!("GET {EMPLOYEES}"), &[("X-Api-Key", &key)], "").await;
    let scrape = Scrape::of(addr).await;
    let names = scrape.names();
    let metric = Regex::new(r"\b(keyfob|process)_[a-z0-9_]+").unwrap();
    let read = |path: &str| std::fs::read_to_string(repository(path)).unwrap();
    let mut named = BTreeSet::new();
    for text in [read("ops/prometheus/alerts.yaml"), dashboard_expressions().join("\n"), read("docs/monitoring.md")] {
        named.extend(metric.find_iter(&text).map(|found| found.as_str().to_owned()));
    }
    assert!(named.len() > 30, "{named:?}");
    for name in &named {
        let exists = names.contains(name.as_str()) || names.contains(format!("{name}_bucket").as_str());
        assert!(exists, "{name} is in no scrape: {names:?}");
    }
    // Every metric is explained.
    let docs = read("docs/monitoring.md");
    for name in names {
        let family = name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
        assert!(docs.contains(&format!("`{family}`")), "docs/monitoring.md does not explain {family}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn nothing_is_counted_without_the_setting(database: Database) {
    let app = &TestApp::start(database).await;
    app.with_key("ada").await.get(EMPLOYEES).await.is(200);
    assert!(app.state.metrics.is_none());
    assert!(!scrape::text(&app.state).unwrap().contains("keyfob_http_requests_total"));
}
