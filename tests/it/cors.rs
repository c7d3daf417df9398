//! Browser apps of other origins: with a key they may call the JSON API and nothing else.

use axum::Router;
use axum::http::Method;
use axum::routing::{get, options};
use keyfob::server::auth::Caller;
use keyfob::server::config::parse_cors_origins;
use keyfob::server::state::AppState;
use rstest_reuse::apply;
use serde_json::json;

use crate::cli::run;
use crate::support::{Answer, Client, Database, EMPLOYEES, TestApp, default_config, each_database};

const ALLOWED: &str = "https://app.example.com";
const FOREIGN: &str = "https://evil.example";
const ALLOW_ORIGIN: &str = "access-control-allow-origin";

fn allowing(app: &TestApp, origins: &str) -> TestApp {
    let origins = parse_cors_origins(origins).unwrap();
    app.configured(|config| config.cors_origins = Some(origins))
}

/// Returns a browser on a page of this origin.
fn on_page_of(client: &Client, origin: &str) -> Client {
    let client = client.without("sec-fetch-site").without("origin").without("host");
    client.with("host", "localhost:8000").with("origin", origin).with("sec-fetch-site", "cross-site")
}

async fn preflight(app: &TestApp, origin: &str, path: &str) -> Answer {
    let page = on_page_of(&app.anonymous(), origin).with("access-control-request-method", "PATCH");
    page.with("access-control-request-headers", "authorization,content-type").bare(Method::OPTIONS, path).await
}

#[track_caller]
fn has_no_cors(answer: &Answer) {
    let names = answer.headers.keys().map(axum::http::HeaderName::as_str);
    assert_eq!(names.filter(|name| name.starts_with("access-control-")).collect::<Vec<_>>(), [""; 0], "{answer:?}");
}

#[apply(each_database)]
#[tokio::test]
async fn preflight_needs_no_key(database: Database) {
    let app = &TestApp::start(database).await;
    for (origins, sent) in [(ALLOWED, ALLOWED), ("https://b.example, https://app.example.com", ALLOWED), ("*", "*")] {
        let app = allowing(app, origins);
        for path in [EMPLOYEES, "/pegasus/employees/api/employees", "/api/v1/me", "/api/v1/nothing"] {
            let answer = preflight(&app, ALLOWED, path).await.is(200);
            assert_eq!(answer.all(ALLOW_ORIGIN), [sent], "{path}");
            assert_eq!(answer.header("access-control-allow-methods"), "GET,HEAD,POST,PUT,PATCH,DELETE");
            assert_eq!(answer.header("access-control-allow-headers"), "authorization,content-type");
            assert_eq!(answer.header("access-control-max-age"), "3600");
            assert_eq!(answer.header("vary").contains("origin"), sent == ALLOWED, "{answer:?}");
            assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{answer:?}");
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn page_of_an_allowed_origin_reads_answers_and_errors(database: Database) {
    let app = TestApp::start(database).await;
    let app = &allowing(&app, ALLOWED);
    let page = on_page_of(&app.with_key("ada").await, ALLOWED);
    let created = page.post(EMPLOYEES, json!({"name": "Ada", "department": "hr", "salary": 1})).await.is(201);
    let anonymous = on_page_of(&app.anonymous(), ALLOWED);
    for answer in [
        created,
        page.get("/api/v1/me").await.is(200),
        page.get("/api/v1/nothing").await.is(404),
        page.delete("/api/v1/me").await.is(405),
        page.with("accept", "image/png").get("/api/v1/me").await.is(406),
        anonymous.get("/api/v1/me").await.is(401),
        anonymous.post(EMPLOYEES, json!({})).await.is(403),
        page.with("x-api-key", "junk").get("/api/v1/me").await.is(400),
    ] {
        assert_eq!(answer.all(ALLOW_ORIGIN), [ALLOWED], "{answer:?}");
        let exposed = "ratelimit,ratelimit-policy,x-request-id,retry-after,location";
        assert_eq!(answer.header("access-control-expose-headers"), exposed);
        assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{answer:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn other_origins_pages_and_server_functions_get_no_cors_headers(database: Database) {
    let started = TestApp::start(database).await;
    for (app, origin) in [
        (&started, ALLOWED),
        (&allowing(&started, ALLOWED), FOREIGN),
        (&allowing(&started, ALLOWED), "null"),
        (&allowing(&started, ALLOWED), "https://app.example.com.evil.example"),
        (&allowing(&started, ALLOWED), "http://app.example.com"),
    ] {
        let page = on_page_of(&app.with_key("ada").await, origin);
        for answer in [page.get("/api/v1/me").await, preflight(app, origin, EMPLOYEES).await] {
            assert!(!answer.headers.contains_key(ALLOW_ORIGIN), "{origin}: {answer:?}");
        }
    }
    for origins in [ALLOWED, "*"] {
        let app = allowing(&started, origins);
        let page = on_page_of(&app.with_key("ada").await, ALLOWED);
        for path in ["/", "/sign-in", "/profile", "/admin/keys", "/healthz", "/readyz", "/api/docs", "/favicon.svg"] {
            has_no_cors(&page.get(path).await);
            has_no_cors(&preflight(&app, ALLOWED, path).await);
        }
        for path in ["/fn/list_keys", "/fn/sign_in", "/profile/keys", "/admin/fn/disable_user"] {
            has_no_cors(&page.form(path, &[]).await);
            has_no_cors(&preflight(&app, ALLOWED, path).await);
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn verify_answers_no_preflight(database: Database) {
    let app = TestApp::start(database).await;
    let app = &allowing(&app, "*");
    for path in ["/api/v1/verify", "/api/v1/verify/", "/api/v1/verify?team=red"] {
        let answer = preflight(app, ALLOWED, path).await;
        answer.refused(401, "credentials_missing");
        has_no_cors(&answer);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn session_cookie_is_useless_from_another_origin(database: Database) {
    let app = TestApp::start(database).await;
    for origins in [ALLOWED, "*"] {
        let app = allowing(&app, origins);
        let page = on_page_of(&app.signed_in("ada").await, ALLOWED);
        page.post(EMPLOYEES, json!({"name": "Ada", "department": "hr", "salary": 1}))
            .await
            .refused(403, "cross_origin");
        // The browser hides the answer to a request with cookies, because nothing allows credentials.
        let read = page.get("/api/v1/me").await;
        assert!(!read.headers.contains_key("access-control-allow-credentials"), "{read:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn own_endpoint_keeps_its_own_options(database: Database) {
    async fn greet(_: Caller) -> &'static str {
        "hello"
    }
    let app = TestApp::start(database).await;
    let own: Router<AppState> = Router::new().route("/own", get(greet)).route("/own/any", options(greet));
    let app = &allowing(&app, ALLOWED).with_own(own);
    let page = on_page_of(&app.with_key("ada").await, ALLOWED);
    assert_eq!(page.get("/own").await.is(200).all(ALLOW_ORIGIN), [ALLOWED]);
    assert_eq!(preflight(app, ALLOWED, "/own/any").await.is(200).body, "");
    app.anonymous().bare(Method::OPTIONS, "/own/any").await.refused(401, "credentials_missing");
    assert_eq!(app.with_key("ada").await.bare(Method::OPTIONS, "/own/any").await.is(200).body, "hello");
    let allowed = app.anonymous().bare(Method::OPTIONS, "/api/v1/me").await.is(204);
    assert!(allowed.header("allow").contains("GET"));
}

#[tokio::test]
async fn wrong_origin_ends_the_start() {
    assert!(default_config().cors_origins.is_none());
    for wrong in ["app.example.com", "https://a.example/path", "https://a.example,*"] {
        let ran = run("sqlite://no/such/file", &["serve"], &[("KEYFOB_CORS_ORIGINS", wrong)], "").await;
        assert_ne!(ran.code, 0);
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
        assert!(ran.err.contains("cors-origins") || ran.err.contains("KEYFOB_CORS_ORIGINS"), "{ran:?}");
        assert!(ran.err.contains("use * or origins such as https://app.example.com"), "{ran:?}");
    }
}
