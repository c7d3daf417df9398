//! `RateLimit` and `RateLimit-Policy` on every answer to a key that has a limit.

use std::time::Duration;

use axum::http::Method;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Answer, Database, EMPLOYEES, TestApp, each_database};

const VERIFY: &str = "/api/v1/verify";

#[track_caller]
fn left(answer: &Answer, remaining: u32, reset_after: u32) {
    assert_eq!(answer.all("ratelimit"), [format!("\"key_requests\";r={remaining};t={reset_after}")], "{answer:?}");
    assert_eq!(answer.all("ratelimit-policy"), ["\"key_requests\";q=10;w=60"], "{answer:?}");
}

#[apply(each_database)]
#[tokio::test]
async fn every_answer_says_what_is_left(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.key_rate = 10);
    let made = app.make_key("ada").await;
    let key = app.anonymous().with_key(&made.key);
    left(&key.get(EMPLOYEES).await.is(200), 9, 60);
    app.advance(Duration::from_secs(20));
    left(&key.get(VERIFY).await.is(200), 8, 40);
    left(&key.get(&format!("{EMPLOYEES}nothing/")).await.is(404), 7, 40);
    left(&key.get(&format!("{EMPLOYEES}?page=x")).await.is(400), 6, 40);
    left(&key.post(EMPLOYEES, json!({})).await.is(400), 5, 40);
    left(&key.post(EMPLOYEES, json!({"name": "x", "department": "hr", "salary": 1})).await.is(201), 4, 40);
    left(&key.get("/a/nobody/employees/api/employees/").await.is(404), 3, 40);
    app.state.db.invalidations().invalidate_all();
    for remaining in [2, 1, 0] {
        left(&key.get("/api/v1/key").await.is(200), remaining, 40);
    }
    left(&key.get(EMPLOYEES).await.is(429), 0, 40);
    app.advance(Duration::from_secs(40));
    left(&key.get(EMPLOYEES).await.is(200), 9, 60);
}

#[apply(each_database)]
#[tokio::test]
async fn a_denial_of_a_key_with_a_limit_has_them_too(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.key_rate = 10);
    let reader = app.with_read_only_key("ada").await;
    left(&reader.bare(Method::DELETE, &format!("{EMPLOYEES}nothing/")).await.is(403), 9, 60);
    app.sql("UPDATE keys SET revoked_at = 1").await;
    for _ in 0..2 {
        left(&reader.get(EMPLOYEES).await.is(401), 9, 60);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn nobody_else_has_them(database: Database) {
    let app = &TestApp::start(database).await;
    let limited = app.configured(|config| config.key_rate = 10);
    let revoked = app.with_key("bob").await;
    app.sql("UPDATE keys SET revoked_at = 1").await;
    for answer in [
        revoked.get(EMPLOYEES).await.is(401),
        app.with_key("ada").await.get(EMPLOYEES).await.is(200),
        limited.signed_in("ada").await.get(EMPLOYEES).await.is(200),
        limited.anonymous().get(EMPLOYEES).await.is(401),
        limited.anonymous().with_key("junk").get(EMPLOYEES).await.is(401),
        limited.anonymous().get("/healthz").await.is(200),
    ] {
        assert!(answer.all("ratelimit").is_empty() && answer.all("ratelimit-policy").is_empty(), "{answer:?}");
    }
}
