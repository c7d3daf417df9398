//! More requests than the server carries, requests that take too long, and a server that is about to stop.

use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use keyfob::server::admission::{MAX_IN_FLIGHT, RequestClass};
use rstest_reuse::apply;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::{Database, EMPLOYEES, TestApp, each_database};

/// An endpoint that answers when it is let.
fn held(begun: &Arc<Semaphore>, go_on: &Arc<Semaphore>) -> Router<keyfob::server::state::AppState> {
    let (begun, go_on) = (Arc::clone(begun), Arc::clone(go_on));
    let wait = move || {
        begun.add_permits(1);
        let go_on = Arc::clone(&go_on);
        async move {
            go_on.acquire().await.unwrap().forget();
            "done"
        }
    };
    Router::new().route("/api/held", any(wait))
}

#[apply(each_database)]
#[tokio::test]
async fn excess_requests_are_503_and_others_are_served(database: Database) {
    let app = &TestApp::start(database).await;
    let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let ada = app.with_key("ada").await;
    let app = app.with_own(held(&begun, &go_on));
    let mut running = JoinSet::new();
    for _ in 0..MAX_IN_FLIGHT {
        let client = app.anonymous();
        running.spawn(async move { client.get("/api/held").await });
    }
    begun.acquire_many(u32::try_from(MAX_IN_FLIGHT).unwrap()).await.unwrap().forget();

    for client in [app.anonymous(), app.anonymous().with_key("junk")] {
        let answer = client.get(EMPLOYEES).await;
        answer.refused(503, "unavailable");
        assert_eq!((answer.header("retry-after"), answer.header("cache-control")), ("2", "no-store"));
        assert_eq!(answer.header("x-request-id").len(), answer.json()["request_id"].as_str().unwrap().len());
    }
    let page = app.browser().open("/sign-in").await;
    assert_eq!((page.status, page.header("retry-after")), (503, "2"));
    assert!(page.body.starts_with("<!DOCTYPE html>"), "{page:?}");
    // Forms have places of their own, and those to sign in have others.
    let sign_in = &[("email", "ada@example.com"), ("password", "x")][..];
    for (function, fields, kind, otherwise) in
        [("sign_in", sign_in, RequestClass::SignIn, 400), ("sign_out", &[], RequestClass::Form, 200)]
    {
        assert_eq!(app.browser().call(function, fields).await.status, otherwise, "{function}");
        let places: Vec<_> = std::iter::from_fn(|| app.state.admission.admit(kind)).collect();
        let called = app.browser().call(function, fields).await;
        assert_eq!(called.failed(503), serde_json::json!("Unavailable"), "{function}");
        assert_eq!(called.header("retry-after"), "2");
        drop(places);
    }
    for path in ["/healthz", "/readyz"] {
        app.anonymous().get(path).await.is(200);
    }

    // One that ends makes room for one.
    go_on.add_permits(1);
    running.join_next().await.unwrap().unwrap().is(200);
    app.anonymous().get(EMPLOYEES).await.refused(401, "credentials_missing");
    go_on.add_permits(MAX_IN_FLIGHT);
    for answer in running.join_all().await {
        answer.is(200);
    }
    ada.get(EMPLOYEES).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn stopping_server_is_alive_not_ready_and_closes(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.with_key("ada").await;
    assert!(ada.get(EMPLOYEES).await.is(200).all("connection").is_empty());
    app.state.admission.stop();
    let answer = app.anonymous().get("/readyz").await.is(503);
    assert_eq!((answer.header("connection"), answer.header("retry-after")), ("close", "2"));
    app.anonymous().get("/healthz").await.is(200);
    for path in [EMPLOYEES, "/sign-in", "/nothing"] {
        assert_eq!(ada.get(path).await.header("connection"), "close", "{path}");
    }
}
