//! A clock that jumps an hour forwards, and back: what is kept by time is right at each of its times, and nothing is lost.

use keyfob::model::time::Timestamp;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Database, EMPLOYEES, NOW, TestApp, each_database};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

#[apply(each_database)]
#[tokio::test]
async fn clock_jump_expires_keys_and_keeps_revocations(database: Database) {
    let app = &TestApp::start(database).await;
    let at = |time: Timestamp| app.state.clock.set(time);
    let short = app.make_key_that("ada", |spec| spec.expires_at = Some(NOW.plus(30 * MINUTE))).await;
    let [short, long] = [short.key, app.make_key("ada").await.key].map(|key| app.anonymous().with_key(&key));
    for _ in 0..2 {
        at(NOW);
        short.get(EMPLOYEES).await.is(200);
        at(NOW.plus(HOUR));
        short.get(EMPLOYEES).await.refused(401, "key_expired");
        long.get(EMPLOYEES).await.is(200);
    }
    let later = app.with_key("ada").await;
    later.get(EMPLOYEES).await.is(200);
    long.delete("/api/v1/key").await.is(204);
    at(NOW);
    // Made and revoked in an hour that is still to come.
    later.get(EMPLOYEES).await.is(200);
    long.get(EMPLOYEES).await.refused(401, "key_revoked");
    short.get(EMPLOYEES).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn clock_jump_keeps_sessions_limits_and_writes(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let limited = app.make_key("ada").await;
    app.sql("UPDATE keys SET rate = 1").await;
    let limited = app.anonymous().with_key(&limited.key);
    let mut later = None;
    for (n, time) in [NOW, NOW.plus(HOUR), NOW, NOW.plus(-HOUR), NOW].into_iter().enumerate() {
        app.state.clock.set(time);
        // Another minute: another window.
        limited.get(EMPLOYEES).await.is(200);
        limited.get(EMPLOYEES).await.refused(429, "rate_limited");
        ada.open("/profile").await.is(200);
        if n == 1 {
            later = Some(app.signed_in("ada").await);
        }
        if let Some(later) = &later {
            later.open("/profile").await.is(200);
        }
        ada.post(EMPLOYEES, json!({"name": format!("e{n}"), "department": "hr", "salary": 1})).await.is(201);
        app.write_usage().await;
    }
    assert_eq!(ada.get(EMPLOYEES).await.is(200).json()["count"], 5);
    assert_eq!(app.number("SELECT CAST(SUM(allowed) AS BIGINT) FROM usage").await, 5);
    app.admin().await.open("/admin/audit").await.is(200);
}
