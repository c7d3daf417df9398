//! Rotation: a key gets a new secret, and the old one works for a while.

use std::time::Duration;

use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Client, Database, EMPLOYEES, ONE_DAY, TestApp, each_database};

const VERIFY: &str = "/api/v1/verify";
const ROTATE: &str = "/api/v1/key/rotate";

fn with(app: &TestApp, key: &str) -> Client {
    app.anonymous().with_key(key)
}

async fn rotate(app: &TestApp, key: &str, grace: &str) -> String {
    let rotated = with(app, key).post(ROTATE, json!({"grace": grace})).await.is(200).json();
    rotated["key"].as_str().unwrap().to_owned()
}

#[apply(each_database)]
#[tokio::test]
async fn invalid_grace_is_rejected_and_changes_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let old = app.make_key("ada").await.key;
    for body in [
        json!({"grace": "2h"}),
        json!({"grace": 900}),
        json!({"grace": ""}),
        json!({"grace": "15m", "name": "x"}),
        json!([]),
    ] {
        with(app, &old).post(ROTATE, body).await.is(400);
    }
    with(app, &old).get(VERIFY).await.is(200);
    assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE rotated_at IS NULL").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn a_rotated_key_keeps_all_but_its_secret(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    let before = with(app, &made.key).get("/api/v1/key").await.is(200).json();
    let new = rotate(app, &made.key, "15m").await;
    assert_ne!(new, made.key);
    assert!(new.starts_with(&made.facts.prefix));
    assert_eq!(with(app, &new).get("/api/v1/key").await.is(200).json(), before);
}

#[apply(each_database)]
#[tokio::test]
async fn previous_secret_works_until_the_end_of_its_grace(database: Database) {
    let app = &TestApp::start(database).await;
    for (grace, seconds) in [("15m", 900), ("1h", 3600), ("24h", 86_400), ("7d", 604_800)] {
        let old = app.make_key("ada").await.key;
        let new = rotate(app, &old, grace).await;
        app.advance(Duration::from_millis(seconds * 1000 - 1));
        with(app, &old).get(VERIFY).await.is(200);
        app.advance(Duration::from_millis(1));
        with(app, &old).get(VERIFY).await.refused(401, "key_expired");
        with(app, &new).get(VERIFY).await.is(200);
    }
    let old = app.make_key("ada").await.key;
    let new = rotate(app, &old, "0").await;
    with(app, &old).get(VERIFY).await.refused(401, "key_expired");
    with(app, &new).get(VERIFY).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn the_old_secret_never_outlives_the_key(database: Database) {
    let app = &TestApp::start(database).await;
    let now = app.state.now();
    let old = app.make_key_that("ada", |spec| spec.expires_at = Some(now.plus(1000))).await.key;
    let rotated = with(app, &old).post(ROTATE, json!({"grace": "7d"})).await.is(200).json();
    assert_eq!(rotated["old_secret_works_until"], rotated["expires_at"]);
    app.advance(Duration::from_secs(1));
    with(app, &old).get(VERIFY).await.refused(401, "key_expired");
    with(app, rotated["key"].as_str().unwrap()).get(VERIFY).await.refused(401, "key_expired");
}

#[apply(each_database)]
#[tokio::test]
async fn earlier_expiry_also_ends_the_previous_secret(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    rotate(app, &made.key, "7d").await;
    let day = app.state.now().iso_date();
    let fields = [
        ("form[id]", made.facts.id.as_str()),
        ("form[name]", "x"),
        ("form[expires]", "date"),
        ("form[date]", &day),
        ("form[rate]", ""),
    ];
    app.admin().await.call_admin("edit_key", &fields).await.is(200);
    app.advance(ONE_DAY);
    with(app, &made.key).get(VERIFY).await.refused(401, "key_expired");
    assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE old_expires_at <= expires_at").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn revoking_ends_both_secrets(database: Database) {
    let app = &TestApp::start(database).await;
    let old = app.make_key("ada").await.key;
    let new = rotate(app, &old, "7d").await;
    with(app, &old).delete("/api/v1/key").await.is(204);
    for key in [&old, &new] {
        with(app, key).get(VERIFY).await.refused(401, "key_revoked");
        with(app, key).get(EMPLOYEES).await.refused(401, "key_revoked");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn only_the_present_secret_can_rotate(database: Database) {
    let app = &TestApp::start(database).await;
    let old = app.make_key("ada").await.key;
    let new = rotate(app, &old, "7d").await;
    with(app, &old).post(ROTATE, json!({"grace": "7d"})).await.refused(400, "validation_failed");
    let newest = rotate(app, &new, "0").await;
    with(app, &old).get(VERIFY).await.refused(401, "key_unknown");
    with(app, &newest).get(VERIFY).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn of_eight_rotations_at_once_by_one_secret_one_succeeds(database: Database) {
    let app = &TestApp::start(database).await;
    let old = app.make_key("ada").await.key;
    let client = with(app, &old);
    let new = || client.post(ROTATE, json!({"grace": "1h"}));
    let eight = tokio::join!(new(), new(), new(), new(), new(), new(), new(), new());
    let statuses = [
        eight.0.status,
        eight.1.status,
        eight.2.status,
        eight.3.status,
        eight.4.status,
        eight.5.status,
        eight.6.status,
        eight.7.status,
    ];
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 7, "{statuses:?}");
    client.get(VERIFY).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn the_page_rotates_once_for_a_form_that_is_sent_twice(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, made) = (app.signed_in("ada").await, app.make_key("ada").await);
    let fields = [("form[id]", made.facts.id.as_str()), ("form[grace]", "1h"), ("form[seen]", "")];
    let rotated = ada.call("rotate_key", &fields).await.is(200).json();
    ada.call("rotate_key", &fields).await.failed_at("non_field_errors");
    with(app, &made.key).get(VERIFY).await.is(200);
    with(app, rotated["key"].as_str().unwrap()).get(VERIFY).await.is(200);
    app.write_usage().await;
    let page = ada.open("/profile").await.is(200).body;
    assert!(
        page.contains("Previous secret works until") && page.contains("09:00 UTC<") && page.contains(">just now<"),
        "{page}"
    );
    assert!(!page.contains(rotated["key"].as_str().unwrap()));
}

#[apply(each_database)]
#[tokio::test]
async fn without_javascript_the_new_secret_is_shown_once(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, made) = (app.signed_in("ada").await, app.make_key("ada").await);
    let fields = [("id", made.facts.id.as_str()), ("grace", "0"), ("seen", "")];
    let page = ada.form("/profile/keys/rotate", &fields).await.is(200);
    assert_eq!(page.header("cache-control"), "no-store");
    let key = regex::Regex::new("kf_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}").unwrap();
    let new = key.find(&page.body).unwrap().as_str().to_owned();
    with(app, &new).get(VERIFY).await.is(200);
    let again = ada.form("/profile/keys/rotate", &fields).await.is(400);
    assert!(again.body.contains("The key wasn't rotated") && !key.is_match(&again.body), "{}", again.body);
}

#[apply(each_database)]
#[tokio::test]
async fn revoked_expired_or_foreign_key_cannot_be_rotated(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, made) = (app.signed_in("ada").await, app.make_key("ada").await);
    let id = made.facts.id.as_str();
    let fields = [("form[id]", id), ("form[grace]", "1h"), ("form[seen]", "")];
    app.signed_in("bob").await.call("rotate_key", &fields).await.is(404);
    app.browser().call("rotate_key", &fields).await.is(401);
    ada.with_key(&made.key).call("rotate_key", &fields).await.is(403);
    app.sql("UPDATE keys SET expires_at = 1").await;
    ada.call("rotate_key", &fields).await.failed_at("non_field_errors");
    app.sql("UPDATE keys SET expires_at = NULL, revoked_at = 1").await;
    ada.call("rotate_key", &fields).await.failed_at("non_field_errors");
    ada.call("rotate_key", &[("form[id]", "junk"), ("form[grace]", "1h")]).await.is(404);
    assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE rotated_at IS NULL").await, 1);
}
