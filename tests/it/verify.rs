//! Forward authentication: what a proxy in front of another API gets to hear.

use axum::http::{HeaderName, Method};
use keyfob::model::keys::Access;
use keyfob::server::auth::key_format::make_key;
use keyfob::server::config::CorsOrigins;
use rstest_reuse::apply;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::server::Server;
use crate::support::{Answer, Client, Database, EMPLOYEES, TestApp, each_database};

const VERIFY: &str = "/api/v1/verify";
const PROXY: &str = "10.0.0.1";

/// Returns the app with the network of [`PROXY`] as a trusted proxy.
fn behind_proxy(app: &TestApp) -> TestApp {
    app.configured(|config| config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()])
}

async fn with_access(app: &TestApp, access: Access) -> Client {
    app.anonymous().with_key(&app.make_key_that("ada", move |spec| spec.access = access).await.key)
}

#[apply(each_database)]
#[tokio::test]
async fn verify_requires_the_team_and_sends_every_header(database: Database) {
    let app = &TestApp::start(database).await;
    let red = app.team("red", "ada", &[]).await;
    app.team("blue", "ada", &[]).await;
    let key = |team| app.make_key_that("ada", move |spec| spec.team = team);
    let (limited, free) = (key(Some(red.id.clone())).await, key(None).await);
    let (limited, free) = (app.anonymous().with_key(&limited.key), app.anonymous().with_key(&free.key));
    for path in ["/api/v1/verify", "/api/v1/verify?team=blue", "/api/v1/verify?team=nothing", "/api/v1/verify?team=RED"]
    {
        limited.get(path).await.refused(403, "team_mismatch");
    }
    free.get("/api/v1/verify?team=nothing").await.refused(403, "team_mismatch");
    app.with_key("bob").await.get("/api/v1/verify?team=red").await.refused(403, "team_mismatch");
    for unclear in ["?team=red&team=blue", "?team=", "?team=&team=red"] {
        free.get(&format!("/api/v1/verify{unclear}")).await.invalid(&["team"]);
    }
    for (client, path, team) in [
        (&limited, "/api/v1/verify?team=red", "red"),
        (&free, "/api/v1/verify?team=blue", "blue"),
        (&free, "/api/v1/verify", ""),
        (&app.signed_in("ada").await, "/api/v1/verify", ""),
    ] {
        let verified = client.get(path).await.is(200);
        for name in ["x-auth-user", "x-auth-email", "x-auth-key", "x-auth-scopes", "x-auth-team"] {
            assert_eq!(verified.all(name).len(), 1, "{name} {verified:?}");
        }
        assert_eq!((verified.header("x-auth-team"), verified.header("x-auth-email")), (team, "ada@example.com"));
    }
}

#[apply(each_database)]
#[tokio::test]
async fn session_is_accepted_for_safe_same_origin_requests_only(database: Database) {
    let app = TestApp::start(database).await;
    let app = &behind_proxy(&app);
    let ada = app.signed_in("ada").await.without("sec-fetch-site").without("origin").coming_from(PROXY);
    let key = app.with_key("ada").await.coming_from(PROXY);
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "junk"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST, Method::PUT] {
            let refused = ada.with(name, value).bare(method.clone(), VERIFY).await;
            assert_eq!(refused.status, 403, "{method} {name}: {value}");
            key.with(name, value).bare(method, VERIFY).await.is(200);
        }
    }
    for same_origin in [
        ada.clone(),
        ada.with("sec-fetch-site", "same-origin"),
        ada.with("sec-fetch-site", "none"),
        ada.with("origin", "http://localhost:8000"),
    ] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            same_origin.bare(method.clone(), VERIFY).await.refused(401, "credentials_missing");
            let reported = same_origin.with("x-forwarded-method", method.as_str());
            reported.get(VERIFY).await.refused(401, "credentials_missing");
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            same_origin.bare(method.clone(), VERIFY).await.is(200);
            same_origin.bare(method, "/api/v1/verify?session=deny").await.is(401);
        }
    }
    key.post("/api/v1/verify?session=deny", json!({})).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn verify_answers_whatever_the_client_accepts(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.with_key("ada").await;
    for accept in ["text/html", "image/png", "application/json;q=0", "nonsense", ""] {
        key.with("accept", accept).get("/api/v1/verify").await.is(200);
        key.with("accept", accept).get("/api/v1/verify/").await.is(200);
        app.anonymous().with("accept", accept).get("/api/v1/verify").await.refused(401, "credentials_missing");
    }
    key.with("accept", "image/png").get("/api/v1/me").await.refused(406, "not_acceptable");
}

#[apply(each_database)]
#[tokio::test]
async fn read_only_key_is_judged_by_the_original_method(database: Database) {
    let app = TestApp::start(database).await;
    let app = &behind_proxy(&app);
    let reader = with_access(app, Access::ReadOnly).await;
    let (proxy, stranger) = (reader.coming_from(PROXY), reader.coming_from("192.0.2.1"));
    for name in ["x-forwarded-method", "x-original-method"] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "PURGE", "get"] {
            for client in [&proxy, &stranger, &reader] {
                client.with(name, method).get(VERIFY).await.refused(403, "scope_missing");
            }
        }
        for method in ["GET", "HEAD", "OPTIONS"] {
            proxy.with(name, method).post(VERIFY, json!({})).await.is(200);
            stranger.with(name, method).get(VERIFY).await.is(200);
            stranger.with(name, method).post(VERIFY, json!({})).await.refused(403, "scope_missing");
        }
    }
    reader.get(VERIFY).await.is(200);
    reader.post(VERIFY, json!({})).await.refused(403, "scope_missing");
}

#[apply(each_database)]
#[tokio::test]
async fn verify_requires_every_scope(database: Database) {
    let app = TestApp::start(database).await;
    let app = &behind_proxy(&app);
    let limited = Access::from_form("only", &["employees:read".into(), "key:rotate".into()], "").unwrap();
    let limited = with_access(app, limited).await;
    for (query, missing) in [
        ("?scope=employees:write", "employees:write"),
        ("?scope=employees:read&scope=profile:read", "profile:read"),
        ("?scope=employees:read&scope=employees:write&scope=key:rotate", "employees:write"),
    ] {
        let answer = limited.get(&format!("{VERIFY}{query}")).await;
        let detail = answer.refused(403, "scope_missing")["detail"].to_string();
        assert!(detail.contains(missing), "{query}: {detail}");
    }
    for query in ["", "?scope=employees:read", "?scope=key:rotate&scope=employees:read&scope=key:rotate"] {
        limited.get(&format!("{VERIFY}{query}")).await.is(200);
        app.with_key("ada").await.get(&format!("{VERIFY}{query}")).await.is(200);
    }
    let reader = with_access(app, Access::ReadOnly).await.coming_from(PROXY);
    let path = format!("{VERIFY}?scope=employees:write");
    reader.get(&path).await.is(200);
    reader.with("x-forwarded-method", "POST").get(&path).await.refused(403, "scope_missing");
    app.signed_in("ada").await.get(&path).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn unclear_requirements_and_headers_are_400(database: Database) {
    let app = TestApp::start(database).await;
    let app = &behind_proxy(&app);
    for client in [app.with_key("ada").await, app.anonymous()] {
        let problem = client.get("/api/v1/verify?scpoe=employees:read").await.invalid(&["scpoe"]);
        assert_eq!(problem["errors"]["scpoe"][0], "Unknown parameter. Known: team, api, scope, session, for.");
        let problem = client.get("/api/v1/verify?scope=employees").await.invalid(&["scope"]);
        assert!(problem["detail"].as_str().unwrap().contains("employees:read, employees:write"), "{problem}");
        client.get("/api/v1/verify?session=&for=x").await.invalid(&["for", "session"]);
        for (name, field) in [
            ("x-forwarded-method", "X-Forwarded-Method"),
            ("x-original-method", "X-Original-Method"),
            ("x-forwarded-uri", "X-Forwarded-Uri"),
            ("x-original-uri", "X-Original-Uri"),
        ] {
            client.with(name, "GET").with(name, "GET").get(VERIFY).await.invalid(&[field]);
            client.with_bytes(name, b"/\xc3\xa9").get(VERIFY).await.invalid(&[field]);
            client.with(name, &"A".repeat(8200)).get(VERIFY).await.invalid(&[field]);
        }
        let differ = client.with("x-forwarded-method", "POST").with("x-original-method", "GET");
        differ.get(VERIFY).await.invalid(&["X-Original-Method"]);
    }
    let key = app.make_key("ada").await.key;
    let client = app.anonymous().with_key(&key);
    client.with_key(&key).get(VERIFY).await.refused(400, "credentials_ambiguous");
    let long = "a".repeat(8000);
    for value in [long.as_bytes(), b"k\xc3\xa9y"] {
        app.anonymous().with_bytes("x-api-key", value).get(VERIFY).await.refused(401, "key_malformed");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn nginx_gets_the_true_status_and_the_problem_in_headers(database: Database) {
    let app = TestApp::start(database).await;
    let app = &app.configured(|config| config.key_rate = 1);
    let path = &format!("{VERIFY}?for=nginx&scope=employees:write");
    let key = app.with_key("ada").await;
    let allowed = key.get(path).await.is(200);
    assert!(!allowed.headers.contains_key("x-auth-status") && !allowed.headers.contains_key("x-auth-problem"));
    let limited = key.get(path).await;
    let reader =
        with_access(app, Access::from_form("only", &["profile:read".into()], "").unwrap()).await.get(path).await;
    let anonymous = app.anonymous();
    for (answer, sent, status, code) in [
        (limited, 403, 429, "rate_limited"),
        (reader, 403, 403, "scope_missing"),
        (anonymous.get(path).await, 401, 401, "credentials_missing"),
        (anonymous.get("/api/v1/verify?x=1&for=nginx").await, 403, 400, "validation_failed"),
        (anonymous.with("x-original-method", "").get(path).await, 403, 400, "validation_failed"),
        (anonymous.with("x-api-key", "a").with("x-api-key", "a").get(path).await, 403, 400, "credentials_ambiguous"),
    ] {
        assert_eq!((answer.status, answer.header("x-auth-status")), (sent, &*status.to_string()), "{answer:?}");
        let problem: Value = serde_json::from_str(answer.header("x-auth-problem")).unwrap();
        assert_eq!(problem, answer.json());
        assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)));
        assert_eq!(answer.headers.contains_key("retry-after"), status == 429, "{answer:?}");
    }
    let many: String = (0..30).flat_map(|n| ["&".to_owned(), n.to_string(), "x".repeat(60)]).collect();
    let oversized = anonymous.get(&format!("{path}{many}")).await.is(403);
    assert_eq!((oversized.header("x-auth-status"), oversized.header("x-auth-problem")), ("400", ""));
    anonymous.get(&format!("{VERIFY}?x=1")).await.is(400);
}

/// The fast path takes requests with a key. It leaves a path with a trailing slash to the router.
#[apply(each_database)]
#[tokio::test]
async fn router_and_fast_path_answer_alike(database: Database) {
    let app = TestApp::start(database).await;
    let app = &app.configured(|config| config.cors_origins = Some(CorsOrigins::Any));
    let full = app.with_key("ada").await;
    let reader = with_access(app, Access::ReadOnly).await;
    let html = full.with("accept", "text/html").with("origin", "https://example.com");
    let unknown = make_key("kf").key;
    let (unknown, junk) =
        (app.anonymous().with_key(unknown.expose_secret()), app.anonymous().with("x-api-key", "junk"));
    for (client, get, post) in
        [(full, 200, 200), (reader, 200, 403), (html, 200, 200), (unknown, 401, 401), (junk, 401, 401)]
    {
        for (method, status) in
            [(Method::GET, get), (Method::HEAD, get), (Method::OPTIONS, get), (Method::POST, post), (Method::PUT, post)]
        {
            for query in ["", "?scope=employees:read", "?api=x", "?for=nginx&x"] {
                let front = client.bare(method.clone(), &format!("{VERIFY}{query}")).await;
                let behind = client.bare(method.clone(), &format!("{VERIFY}/{query}")).await;
                assert_eq!(comparable_parts(&front), comparable_parts(&behind), "{method} {query}");
                assert!(front.status == status || !query.is_empty(), "{method}: {front:?}");
                if method == Method::GET {
                    // The router sets it, and the server where it is missing.
                    let has_length = |answer: &Answer| answer.headers.contains_key("content-length");
                    assert_eq!((has_length(&front), has_length(&behind)), (false, true));
                }
            }
        }
    }
}

/// A body would be an error of the protocol: over HTTP/2, hyper sends what it is given.
#[apply(each_database)]
#[tokio::test]
async fn answer_to_head_has_no_body_over_http2(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    let server = Server::start(&app.url, "info", "json").await;
    for path in [VERIFY, "/api/v1/verify/", "/api/v1/verify?x=1", EMPLOYEES, "/healthz", "/no-such-page"] {
        for key in [&key, "junk"] {
            let headers = [("x-api-key", key)];
            let (status, body) = server.ask_http2(Method::GET, path, &headers).await;
            assert_eq!(body.is_empty(), status == 200 && path.starts_with(VERIFY), "{path} {status}");
            let head = server.ask_http2(Method::HEAD, path, &headers).await;
            assert_eq!(head, (status, Vec::new()), "{path}");
        }
    }
}

/// The parts that two answers to the same request share.
fn comparable_parts(answer: &Answer) -> (u16, Vec<(&str, String)>, String) {
    let id = answer.header("x-request-id");
    let differ = ["x-request-id", "ratelimit", "content-length"];
    let names = answer.headers.keys().map(HeaderName::as_str).filter(|name| !differ.contains(name));
    let mut headers: Vec<_> = names.map(|name| (name, answer.all(name).join("\n").replace(id, ""))).collect();
    headers.sort_unstable();
    (answer.status, headers, answer.body.replace(id, ""))
}

#[apply(each_database)]
#[tokio::test]
async fn denial_is_logged_with_the_original_request(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key_that("ada", |spec| spec.access = Access::ReadOnly).await.key;
    let server = Server::start_with(&app.url, "info", "json", &["--trusted-proxies=127.0.0.1"]).await;
    let original = [("X-Original-Method", "DELETE"), ("X-Original-Uri", "/orders/7?token=hush"), ("X-Api-Key", &key)];
    assert!(server.ask("GET /api/v1/verify", &original, "").await.contains("scope_missing"));
    let with_key = format!("/orders/{key}?x=1");
    let original = [("X-Forwarded-Method", "POST"), ("X-Forwarded-Uri", with_key.as_str()), ("X-Api-Key", "junk")];
    assert!(server.ask("GET /api/v1/verify", &original, "").await.contains("key_malformed"));
    let log = server.log();
    assert!(log.contains("\"original\":\"DELETE /orders/7\""), "{log}");
    assert!(log.contains(&format!("\"original\":\"POST /orders/{}...\"", &key[..11])), "{log}");
    assert!(!log.contains("hush") && !log.contains(&key));
}
