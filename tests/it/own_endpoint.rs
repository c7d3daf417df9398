//! An endpoint of one's own, as the README shows it.

// README: begin
use axum::{Json, Router, routing::any};
use keyfob::server::auth::Caller;
use keyfob::server::state::AppState;

/// Says hello to whoever calls: a key will do, a session too, nobody else gets here.
async fn hello(caller: Caller) -> Json<String> {
    Json(format!("Hello, {}", caller.user().label()))
}

/// Give it to `serve` in `src/cli.rs`, in place of the empty router there.
fn own_routes() -> Router<AppState> {
    Router::new().route("/api/hello", any(hello))
}
// README: end

use std::sync::Arc;

use axum::http::Method;
use rstest_reuse::apply;
use serde_json::json;
use tokio::sync::Notify;

use crate::support::{Database, ONE_DAY, TestApp, each_database};

#[apply(each_database)]
#[tokio::test]
async fn an_endpoint_that_names_caller_is_protected(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.with_own(own_routes());
    app.anonymous().get("/api/hello").await.refused(401, "credentials_missing");
    app.anonymous().with_key("junk").get("/api/hello").await.refused(401, "key_malformed");
    app.signed_in("ada").await.with("x-api-key", "junk").get("/api/hello").await.refused(401, "key_malformed");
    let foreign = app.signed_in("ada").await.on_another_site();
    foreign.bare(Method::POST, "/api/hello").await.refused(403, "cross_origin");
    let reader = app.with_read_only_key("ada").await;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        reader.bare(method, "/api/hello").await.refused(403, "scope_missing");
    }
    for client in [app.with_key("ada").await, app.signed_in("ada").await, reader] {
        for path in ["/api/hello", "/api/hello/"] {
            let answer = client.get(path).await.is(200);
            assert_eq!(answer.json(), json!("Hello, ada@example.com"));
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
    app.with_key("ada").await.bare(Method::DELETE, "/api/hello").await.is(200);
    let late = app.with_key("ada").await;
    app.advance(ONE_DAY * 90);
    late.get("/api/hello").await.refused(401, "key_expired");
}

#[apply(each_database)]
#[tokio::test]
async fn a_request_that_was_begun_ends_and_the_next_one_after_a_revocation_is_refused(database: Database) {
    let app = &TestApp::start(database).await;
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (inside, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let slow = async move |caller: Caller| {
        inside.notify_one();
        wait.notified().await;
        caller.user().email.clone()
    };
    let app = app.with_own(Router::new().route("/api/slow", any(slow)));
    let made = app.make_key("ada").await;
    let client = app.anonymous().with_key(&made.key);
    let revoke = async {
        begun.notified().await;
        client.delete("/api/v1/key").await.is(204);
        client.get("/api/v1/key").await.refused(401, "key_revoked");
        go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(client.get("/api/slow"), revoke);
    assert_eq!((answer.status, answer.body.as_str()), (200, "ada@example.com"));
    client.get("/api/slow").await.refused(401, "key_revoked");
}

#[test]
fn the_readme_shows_the_example_that_these_tests_call() {
    let source = include_str!("own_endpoint.rs");
    let example = source.split("// README: begin\n").nth(1).unwrap().split("// README: end").next().unwrap();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let shown: Vec<_> = readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(shown.contains(&example), "put this into README.md, between ```rust and ```:\n\n{example}");
    assert!(example.lines().count() <= 15, "the README promises fifteen lines");
}
