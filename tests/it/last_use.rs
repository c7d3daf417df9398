//! The last use of a key, where older versions have written it or write it during an upgrade.

use std::time::Duration;

use rstest_reuse::apply;

use crate::support::{Database, EMPLOYEES, ONE_DAY, TestApp, each_database};

async fn profile(app: &TestApp) -> String {
    app.signed_in("ada").await.open("/profile").await.is(200).body
}

/// What a server of version 12 of the tables runs.
async fn used_as_before(app: &TestApp, minutes_ago: i64) {
    let (now, day) = (app.state.now().as_millis(), app.state.now().as_millis() / 86_400_000);
    app.sql(&format!(
        "INSERT INTO usage (key_id, day, allowed, refused) SELECT id, {day}, 1, 0 FROM keys WHERE TRUE \
         ON CONFLICT (key_id, day) DO UPDATE SET allowed = usage.allowed + excluded.allowed, \
         refused = usage.refused + excluded.refused"
    ))
    .await;
    let at = now - minutes_ago * 60_000;
    app.sql(&format!("UPDATE keys SET used_at = {at}, used_ip = '192.0.2.1', used_agent = 'old/1.0'")).await;
}

#[apply(each_database)]
#[tokio::test]
async fn the_later_of_two_versions_uses_is_shown(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await.with("user-agent", "new/1.0").coming_from("203.0.113.9");
    used_as_before(app, 7).await;
    let page = profile(app).await;
    assert!(page.contains("7 minutes ago") && page.contains("192.0.2.1"), "{page}");
    client.get(EMPLOYEES).await.is(200);
    app.write_usage().await;
    app.advance(Duration::from_mins(3));
    let page = profile(app).await;
    assert!(page.contains("3 minutes ago") && page.contains("203.0.113.9"), "{page}");
    assert_eq!(app.number("SELECT allowed FROM usage").await, 2, "requests of both versions");
    used_as_before(app, 2).await;
    let page = profile(app).await;
    assert!(page.contains("2 minutes ago") && page.contains("192.0.2.1"), "{page}");
}

#[apply(each_database)]
#[tokio::test]
async fn a_filled_database_of_version_12_keeps_its_last_uses_when_it_is_migrated(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await.with("user-agent", "new/1.0");
    for column in ["used_at", "used_ip", "used_agent"] {
        app.sql(&format!("ALTER TABLE usage DROP COLUMN {column}")).await;
    }
    app.sql("DELETE FROM _sqlx_migrations WHERE version = 13").await;
    used_as_before(app, 7).await;
    app.state.db.migrate().await.unwrap();
    let page = profile(app).await;
    assert!(page.contains("7 minutes ago") && page.contains("192.0.2.1"), "{page}");
    client.get(EMPLOYEES).await.is(200);
    app.write_usage().await;
    assert_eq!(app.texts("SELECT used_agent FROM usage").await, ["new/1.0"]);
    assert_eq!(app.number("SELECT allowed FROM usage").await, 2);
}

#[apply(each_database)]
#[tokio::test]
async fn the_last_use_stays_when_its_day_is_deleted(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    for _ in 0..2 {
        client.get(EMPLOYEES).await.is(200);
        app.write_usage().await;
        app.advance(ONE_DAY);
    }
    let last = app.state.now().plus(-86_400_000).as_millis();
    app.advance(ONE_DAY * 100);
    app.write_usage().await;
    assert_eq!(app.number("SELECT COUNT(*) FROM usage").await, 0);
    assert_eq!(app.number("SELECT used_at FROM keys").await, last);
    assert!(profile(app).await.contains("101 days ago"));
}

#[apply(each_database)]
#[tokio::test]
async fn a_use_that_another_server_wrote_later_is_not_replaced(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await.with("user-agent", "early/1.0");
    client.get(EMPLOYEES).await.is(200);
    app.advance(Duration::from_secs(30));
    let key = app.texts("SELECT id FROM keys").await.remove(0);
    let later = app.state.now().as_millis();
    app.sql(&format!(
        "INSERT INTO usage (key_id, day, allowed, refused, used_at, used_ip, used_agent) \
         VALUES ('{key}', {}, 1, 0, {later}, '192.0.2.1', 'late/1.0')",
        later / 86_400_000
    ))
    .await;
    app.write_usage().await;
    assert_eq!(app.texts("SELECT used_agent FROM usage").await, ["late/1.0"]);
    assert_eq!(app.number("SELECT allowed FROM usage").await, 2);
}
