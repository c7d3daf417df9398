//! A panic is a 500 with a request id, in the client's form, and the next request is served.

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::any;
use keyfob::error::AppError;
use keyfob::server::auth::Caller;
use keyfob::server::state::AppState;
use leptos::prelude::*;
use rstest_reuse::apply;

use crate::support::{Database, EMPLOYEES, TestApp, each_database};

async fn broken_handler(_: Caller) -> &'static str {
    panic!("on purpose: a test")
}

/// As pages are rendered: in an owner, with the state.
async fn broken_page(State(state): State<AppState>) -> Html<String> {
    Html(Owner::new().with(|| {
        provide_context(state);
        view! { <p>{|| -> &'static str { panic!("on purpose: a test") }}</p> }.to_html()
    }))
}

#[server(prefix = "/fn", endpoint = "broken_function")]
async fn broken_function() -> Result<(), AppError> {
    tokio::task::yield_now().await;
    panic!("on purpose: a test")
}

fn own() -> Router<AppState> {
    Router::new().route("/api/broken", any(broken_handler)).route("/broken", any(broken_page))
}

#[apply(each_database)]
#[tokio::test]
async fn panic_in_an_api_handler_is_a_problem(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.with_own(own());
    let ada = app.with_key("ada").await;
    for _ in 0..3 {
        let answer = ada.get("/api/broken").await;
        let problem = answer.refused(500, "internal_error");
        assert_eq!(problem["request_id"], answer.header("x-request-id"));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(!answer.body.contains("on purpose"), "{answer:?}");
    }
    ada.get(EMPLOYEES).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn panic_in_a_page_is_a_page_with_the_request_id(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.with_own(own());
    let browser = app.browser();
    let page = browser.open("/broken").await;
    let id = page.header("x-request-id");
    assert!(page.status == 500 && id.len() == 32, "{page:?}");
    assert!(page.body.starts_with("<!DOCTYPE html>") && page.body.contains(id), "{page:?}");
    assert!(page.body.contains("role=\"alert\"") && !page.body.contains("on purpose"), "{page:?}");
    assert!(page.header("content-security-policy").contains("nonce-"), "{page:?}");
    assert_eq!(page.header("cache-control"), "no-store");
    browser.open("/sign-in").await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn panic_in_a_server_function_is_an_error_or_a_page(database: Database) {
    let app = &TestApp::start(database).await;
    let browser = app.browser();
    let answer = browser.call("broken_function", &[]).await;
    assert_eq!(answer.failed(500), serde_json::json!("Internal"));
    assert_eq!(answer.header("x-request-id").len(), 32);
    let page = browser.submit("/sign-in", "broken_function", &[]).await;
    assert!(page.status == 500 && page.body.contains(page.header("x-request-id")), "{page:?}");
    browser.open("/sign-in").await.is(200);
}
