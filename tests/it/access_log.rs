//! The access log, and the trace that a request belongs to.

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use keyfob::server::request_context;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::server::{Server, between};
use crate::support::{Database, EMPLOYEES, PASSWORD, TestApp, each_database};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const WITH_ACCESS: &str = "info,keyfob::access=info";

/// The lines of the access log, of a log as JSON.
fn lines(server: &Server) -> Vec<Value> {
    let log = server.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "keyfob::access").collect()
}

/// The line about the request that this is the answer to.
fn line(server: &Server, answer: &str) -> Value {
    let id = between(answer, "x-request-id: ", "\r\n");
    let lines = lines(server);
    let found: Vec<_> = lines.iter().filter(|line| line["fields"]["id"] == *id).collect();
    let [line] = found[..] else { panic!("{id}: {lines:?}") };
    assert_eq!((&line["level"], &line["fields"]["message"]), (&json!("INFO"), &json!("request answered")));
    assert!(line["fields"]["seconds"].as_f64().unwrap() > 0.0, "{line}");
    line["fields"].clone()
}

#[apply(each_database)]
#[tokio::test]
async fn access_log_has_route_status_credential_and_prefix(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await;
    let server = Server::start(&app.url, WITH_ACCESS, "json").await;
    let form = format!("email=ada%40example.com&password={}", PASSWORD.replace(' ', "+"));
    let signed_in = server.ask("POST /fn/sign_in", &[], &form).await;
    let cookie = format!("keyfob_session={}", between(&signed_in, "set-cookie: keyfob_session=", ";"));
    let prefix = key.facts.prefix.as_str();
    let list = "/pegasus/employees/api/employees";
    for (request, headers, expected) in [
        (
            format!("GET {EMPLOYEES}?search=ada"),
            ("X-Api-Key", key.key.as_str()),
            ("GET", list, 200, "key", Some(prefix)),
        ),
        (format!("GET {EMPLOYEES}"), ("X-Api-Key", "kf_x"), ("GET", list, 401, "key", None)),
        (
            "GET /api/v1/verify?scope=employees:read".to_owned(),
            ("X-Api-Key", key.key.as_str()),
            ("GET", "/api/v1/verify", 200, "key", Some(prefix)),
        ),
        ("GET /employees?page=1".to_owned(), ("Cookie", cookie.as_str()), ("GET", "/employees", 200, "session", None)),
        ("GET /ada@example.com?ada@example.com".to_owned(), ("A", "b"), ("GET", "unmatched", 404, "none", None)),
        (format!("PURGE {EMPLOYEES}"), ("A", "b"), ("PURGE", list, 405, "none", None)),
        ("GET /healthz".to_owned(), ("A", "b"), ("GET", "/healthz", 200, "none", None)),
    ] {
        let line = line(&server, &server.ask(&request, &[headers], "").await);
        let found = [&line["method"], &line["route"], &line["status"], &line["credential"], &line["key"]];
        let (method, route, status, credential, prefix) = expected;
        assert_eq!(
            found,
            [&json!(method), &json!(route), &json!(status), &json!(credential), &json!(prefix)],
            "{request}"
        );
        assert_eq!(line["trace_id"], Value::Null);
    }
    let all = lines(&server).iter().map(Value::to_string).collect::<String>();
    // Not "ada", which a random id may contain.
    for secret in ["ada@", "ada%40", "example", "search", key.key.as_str(), &cookie[16..]] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn access_log_is_off_unless_it_is_named(database: Database) {
    let app = &TestApp::start(database).await;
    for level in ["info", "keyfob=info", "debug"] {
        let server = Server::start(&app.url, level, "json").await;
        server.ask("GET /healthz", &[], "").await;
        assert!(lines(&server).is_empty(), "{level}: {}", server.log());
    }
    let server = Server::start(&app.url, "keyfob::access=info", "text").await;
    server.ask("GET /healthz?a=b", &[("traceparent", PARENT)], "").await;
    let log = server.log();
    let line = log.lines().find(|line| line.contains(TRACE)).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("INFO keyfob::access: request answered id="), "{line}");
    for part in ["method=\"GET\"", "route=\"/healthz\"", "status=200", "credential=\"none\""] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let seconds = between(line, "seconds=", " ");
    assert!(seconds.parse::<f64>().is_ok() && !seconds.contains('e'), "{line}");
    assert!(!log.contains("a=b"), "{log}");
}

#[apply(each_database)]
#[tokio::test]
async fn trace_of_the_caller_is_in_every_line(database: Database) {
    let app = &TestApp::start(database).await;
    let server = Server::start(&app.url, WITH_ACCESS, "json").await;
    let many = "x".repeat(5000);
    for (header, expected) in [
        (PARENT, json!(TRACE)),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", Value::Null),
        (&PARENT.to_uppercase(), Value::Null),
        (&many, Value::Null),
    ] {
        let answer = server.ask(&format!("GET {EMPLOYEES}"), &[("traceparent", header)], "").await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert_eq!(line(&server, &answer)["trace_id"], expected, "{header}");
        let id = between(&answer, "x-request-id: ", "\r\n");
        let log = server.log();
        let all = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let denied: Vec<_> = all.filter(|line| line["span"]["id"] == *id).collect();
        assert_eq!(denied.len(), 1, "{denied:?}");
        assert_eq!(denied[0]["span"]["trace_id"], expected, "{header}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn own_endpoint_passes_the_trace_on(database: Database) {
    let app = &TestApp::start(database).await;
    let own = Router::new().route("/own", get(async || request_context::trace_headers()));
    let app = app.with_own(own);
    let client = app.anonymous();
    let plain = client.get("/own").await.is(200);
    assert_eq!((plain.header("traceparent"), plain.header("tracestate")), ("", ""));
    let traced = client.with("traceparent", PARENT).with("tracestate", "vendor=1");
    let (one, two) = (traced.get("/own").await.is(200), traced.get("/own").await.is(200));
    assert_eq!(one.header("tracestate"), "vendor=1");
    let parents = [&one, &two].map(|answer| answer.header("traceparent").to_owned());
    assert!(parents.iter().all(|parent| parent.starts_with(&PARENT[..36]) && parent.ends_with("-01")), "{parents:?}");
    assert!(parents[0] != parents[1] && !parents.contains(&PARENT.to_owned()), "{parents:?}");
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", one.headers["traceparent"].clone());
    assert!(keyfob::server::trace_context::TraceContext::extract(&headers).is_some());
}
