//! Alive and ready, and what is answered while the database is away.

use axum::http::Method;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Answer, Database, EMPLOYEES, FIGURES, PASSWORD, TestApp, each_database, set_read_only};

/// Asks until `/readyz` is answered with this status: an answer holds for half a second.
async fn until_ready(app: &TestApp, status: u16) -> Answer {
    for _ in 0..100 {
        let answer = app.anonymous().get("/readyz").await;
        if answer.status == status {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("/readyz is not answered with {status}");
}

#[apply(each_database)]
#[tokio::test]
async fn health_endpoints_are_public(database: Database) {
    let app = &TestApp::start(database).await;
    for client in [app.anonymous(), app.anonymous().with_key("junk"), app.browser().on_another_site()] {
        for path in ["/healthz", "/healthz/", "/readyz", "/readyz/"] {
            client.get(path).await.is(200);
            client.bare(Method::HEAD, path).await.is(200);
        }
    }
    app.anonymous().bare(Method::POST, "/healthz").await.is(405);
}

#[apply(each_database)]
#[tokio::test]
async fn without_all_migrations_it_is_alive_but_not_ready(database: Database) {
    let app = &TestApp::start(database).await;
    app.sql("DELETE FROM _sqlx_migrations WHERE version = 3").await;
    app.anonymous().get("/healthz").await.is(200);
    let answer = app.anonymous().get("/readyz").await.is(503);
    assert!(!answer.header("retry-after").is_empty());
    app.sql("DROP TABLE _sqlx_migrations").await;
    app.anonymous().get("/readyz").await.is(503);
}

#[apply(each_database)]
#[tokio::test]
async fn after_a_newer_program_migrated_the_database_it_stays_ready(database: Database) {
    let app = &TestApp::start(database).await;
    app.sql(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             VALUES (9999, 'of the future', CURRENT_TIMESTAMP, TRUE, '', 0)",
    )
    .await;
    app.anonymous().get("/readyz").await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn a_database_that_takes_no_changes_is_not_ready_until_it_does(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.with_key("ada").await;
    until_ready(app, 200).await;
    set_read_only(&app.state.db, &app.url, true).await;
    let answer = until_ready(app, 503).await;
    assert!(!answer.header("retry-after").is_empty());
    let post = ada.post(EMPLOYEES, json!({"name": "x", "department": "hr", "salary": 1})).await;
    post.refused(503, "unavailable");
    assert_eq!(post.header("retry-after"), "2");
    let session = app.browser().call("sign_up", &[("email", "bob@example.com"), ("password", PASSWORD)]).await;
    assert_eq!(session.failed(503), json!("Unavailable"));
    set_read_only(&app.state.db, &app.url, false).await;
    until_ready(app, 200).await;
    ada.post(EMPLOYEES, json!({"name": "x", "department": "hr", "salary": 1})).await.is(201);
    assert_eq!(app.number("SELECT COUNT(*) FROM locks").await, 1, "the question whether it is ready leaves rows");
}

#[apply(each_database)]
#[tokio::test]
async fn repeated_readiness_checks_cost_few_commits(database: Database) {
    let app = &TestApp::start(database).await;
    let Some(file) = app.url.strip_prefix("sqlite://") else { return };
    let log = std::path::PathBuf::from(format!("{file}-wal"));
    until_ready(app, 200).await;
    let before = std::fs::metadata(&log).unwrap().len();
    for _ in 0..300 {
        app.anonymous().get("/readyz").await.is(200);
    }
    let grown = std::fs::metadata(&log).unwrap().len().saturating_sub(before);
    assert!(grown < 100 * 4096, "{grown} bytes for 300 requests");
}

#[apply(each_database)]
#[tokio::test]
async fn missing_database_makes_a_key_503_and_never_401(database: Database) {
    let app = &TestApp::start(database).await;
    let (key, session) = (app.with_key("ada").await, app.signed_in("ada").await);
    let read_only = app.with_read_only_key("ada").await;
    app.state.db.close().await;
    for client in [key, session, read_only] {
        for path in [EMPLOYEES, FIGURES, &format!("{EMPLOYEES}01890000-0000-7000-8000-000000000000/")] {
            let answer = client.get(path).await;
            answer.refused(503, "unavailable");
            assert_eq!(answer.header("retry-after"), "2");
        }
        client.post(EMPLOYEES, json!({"name": "x", "department": "hr", "salary": 1})).await.refused(503, "unavailable");
    }
    // What needs no database is still told apart.
    app.anonymous().get(EMPLOYEES).await.refused(401, "credentials_missing");
    app.anonymous().with_key("junk").get(EMPLOYEES).await.refused(401, "key_malformed");
    app.anonymous().get("/healthz").await.is(200);
    let answer = app.anonymous().get("/readyz").await.is(503);
    assert!(!answer.header("retry-after").is_empty());
}

#[apply(each_database)]
#[tokio::test]
async fn missing_database_fails_forms_and_signs_nobody_out(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    app.state.db.close().await;
    for (function, fields) in [
        ("sign_in", &[("email", "ada@example.com"), ("password", PASSWORD)][..]),
        ("sign_up", &[("email", "bob@example.com"), ("password", PASSWORD)]),
        ("sign_out", &[]),
        ("list_keys", &[("query[state]", "")]),
        ("save_name", &[("name", "x")]),
    ] {
        let answer = ada.call(function, fields).await;
        assert_eq!(answer.failed(503), json!("Unavailable"), "{function}");
        assert!(answer.all("set-cookie").is_empty(), "{function}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn missing_database_is_a_503_page_and_no_redirect(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    app.state.db.close().await;
    let page = ada.open("/profile").await;
    assert_eq!(page.status, 503, "{page:?}");
    assert!(page.body.contains("couldn't be loaded") && page.all("location").is_empty(), "{page:?}");
}

#[apply(each_database)]
#[tokio::test]
async fn a_query_that_fails_is_a_500_that_tells_nothing_of_it(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.with_key("ada").await;
    app.sql("ALTER TABLE employees RENAME TO employees_away").await;
    let answer = ada.get(EMPLOYEES).await;
    answer.refused(500, "internal_error");
    assert!(!answer.body.contains("no such table") && !answer.body.contains("relation"), "{answer:?}");
}
