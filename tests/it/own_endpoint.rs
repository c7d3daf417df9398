//! Endpoints that a developer adds: protected by what they name, described, and never rewritten.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use keyfob::error::AppError;
use keyfob::model::keys::scope::EmployeesRead;
use keyfob::model::own_link::OwnLink;
use keyfob::server::auth::Caller;
use keyfob::server::auth::Scoped;
use keyfob::server::db::OwnMigration;
use keyfob::server::db::row::params;
use keyfob::server::state::AppState;
use keyfob::web::page_request::UserPage;
use leptos::prelude::*;
use rstest_reuse::apply;
use serde_json::json;
use tokio::sync::Notify;
use tower::ServiceExt;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::support::{Database, ONE_DAY, TestApp, each_database};

/// Statuses that Keyfob's errors have too.
const OWN_STATUSES: [u16; 10] = [400, 401, 403, 404, 405, 406, 413, 415, 429, 500];

async fn hello(caller: Caller) -> Json<String> {
    Json(format!("Hello, {}", caller.user().label()))
}

fn own_routes() -> Router<AppState> {
    Router::new().route("/api/hello", any(hello))
}

/// Greet the caller
#[utoipa::path(
    get,
    path = "/api/scoped",
    security(("api_key" = ["employees:read"])),
    responses((status = 200, body = String))
)]
async fn scoped(caller: Scoped<EmployeesRead>) -> Json<String> {
    Json(caller.user().label().to_owned())
}

fn own_answers() -> Router<AppState> {
    let text = |status: StatusCode| move || async move { (status, [("x-own", "yes")], format!("own {status}")) };
    let html = || async { (StatusCode::FORBIDDEN, Html("<p>own page</p>")) };
    let bytes = |body: Json<serde_json::Value>| async move { body.into_response() };
    let cached = || async { ([(header::CACHE_CONTROL, "max-age=60")], "cached") };
    let mut router = Router::new();
    for status in OWN_STATUSES {
        router = router.route(&format!("/api/own/{status}"), any(text(StatusCode::from_u16(status).unwrap())));
    }
    router
        .route("/api/own/html", get(html))
        .route("/api/own/cached", get(cached))
        .route("/api/own/json", post(bytes).layer(DefaultBodyLimit::max(10)))
        .route("/api/own/caller", get(async |_: Caller| StatusCode::NO_CONTENT))
}

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
async fn an_own_answer_stays_as_it_is(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.with_own(own_answers());
    let key = app.with_key("ada").await;
    for client in [app.anonymous(), key.clone(), app.browser().with("accept", "text/html")] {
        for status in OWN_STATUSES {
            for method in [Method::GET, Method::OPTIONS] {
                let answer = client.bare(method, &format!("/api/own/{status}")).await.is(status);
                assert_eq!(
                    (answer.header("x-own"), answer.header("content-type")),
                    ("yes", "text/plain; charset=utf-8")
                );
                assert!(answer.body.starts_with(&format!("own {status}")), "{answer:?}");
                assert_eq!(answer.header("cache-control"), "no-store");
            }
        }
        let page = client.get("/api/own/html").await.is(403);
        assert_eq!((page.header("content-type"), &*page.body), ("text/html; charset=utf-8", "<p>own page</p>"));
        assert_eq!(client.get("/api/own/cached").await.is(200).header("cache-control"), "max-age=60");
    }
    // An extractor of axum answers in its own words, one of Keyfob with a problem.
    let answer = key.typed(Method::POST, "/api/own/json", "application/json", "junk").await.is(400);
    assert!(answer.body.contains("parse"), "{answer:?}");
    let answer = key.typed(Method::POST, "/api/own/json", "application/json", "\"a long text\"").await.is(413);
    assert!(answer.header("content-type").starts_with("text/plain"), "{answer:?}");
    key.typed(Method::POST, "/api/own/json", "text/plain", "1").await.is(415);
    for accept in ["application/json", "text/html", "image/png"] {
        let client = app.anonymous().with("accept", accept);
        client.get("/api/own/caller").await.refused(401, "credentials_missing");
    }
    key.with("accept", "image/png").get("/api/own/caller").await.is(204);
    // Nobody handles this method: the router answers, and not an endpoint.
    let refused = key.bare(Method::DELETE, "/api/own/caller").await;
    refused.refused(405, "method_not_allowed");
    assert_eq!(refused.header("allow"), "GET,HEAD");
    let foreign = app.signed_in("ada").await.on_another_site();
    foreign.bare(Method::POST, "/api/own/400").await.refused(403, "cross_origin");
}

#[apply(each_database)]
#[tokio::test]
async fn an_own_endpoint_is_in_the_document(database: Database) {
    let app = &TestApp::start(database).await;
    let own = || OpenApiRouter::new().routes(routes!(scoped));
    let router = keyfob::web::router::router(app.state.clone(), own());
    let request = crate::support::request(Method::GET, "/api/openapi.json", Body::empty());
    let answer = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let served: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let printed = keyfob::web::api::document("http://localhost:8000", "keyfob_session", own());
    for document in [served, serde_json::to_value(printed).unwrap()] {
        let operation = &document["paths"]["/api/scoped"]["get"];
        assert_eq!(operation["summary"], "Greet the caller", "{operation}");
        assert_eq!(operation["security"], json!([{"api_key": ["employees:read"]}]));
        let denial = &operation["responses"]["403"]["content"]["application/problem+json"]["examples"];
        assert!(denial.get("scope_missing").is_some(), "{operation}");
        assert!(operation["responses"]["200"]["headers"].get("RateLimit").is_some(), "{operation}");
        assert!(document["paths"].get("/pegasus/employees/api/employees/").is_some());
    }
    let app = app.with_own(own().into());
    app.with_key("ada").await.get("/api/scoped").await.is(200);
    app.anonymous().get("/api/scoped").await.refused(401, "credentials_missing");
}

#[apply(each_database)]
#[tokio::test]
async fn revocation_rejects_the_next_request_not_the_running(database: Database) {
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

const NOTES: OwnMigration = OwnMigration {
    version: 1,
    name: "notes",
    sql: "CREATE TABLE notes (user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE, text TEXT NOT NULL)",
};

async fn notes(page: UserPage) -> Result<Response, AppError> {
    let sql = "SELECT text FROM notes WHERE user_id = $1";
    let notes = page.state.db.query(sql, params![page.session.user.id], |row| row.get::<String>("text")).await?;
    Ok(page.render_own("Notes & more", move || view! { <h1>{notes}</h1> }))
}

#[apply(each_database)]
#[tokio::test]
async fn own_migrations_run_once_and_must_not_change(database: Database) {
    let app = &TestApp::start(database).await;
    let db = &app.state.db;
    for _ in 0..2 {
        db.migrate_own(&[NOTES]).await.unwrap();
        db.migrate().await.unwrap();
    }
    let second = OwnMigration { version: 2, name: "colour", sql: "ALTER TABLE notes ADD COLUMN colour TEXT" };
    db.migrate_own(&[second, NOTES]).await.unwrap();
    app.sql("UPDATE notes SET colour = text").await;
    let changed = OwnMigration { sql: "CREATE TABLE notes (id TEXT)", ..NOTES };
    let error = db.migrate_own(&[changed, second]).await.unwrap_err().to_string();
    assert!(error.contains("migration 1 "), "{error}");
    let broken =
        OwnMigration { version: 3, name: "broken", sql: "CREATE TABLE half (id TEXT); CREATE TABLE users (id TEXT)" };
    db.migrate_own(&[NOTES, second, broken]).await.unwrap_err();
    app.sql("CREATE TABLE half (id TEXT)").await;
}

#[apply(each_database)]
#[tokio::test]
async fn own_page_has_the_navigation_and_its_link(database: Database) {
    let app = &TestApp::start(database).await;
    app.state.db.migrate_own(&[NOTES]).await.unwrap();
    let link = OwnLink { path: "/notes".to_owned(), label: "Notes <b>".to_owned() };
    let app = app.configured(|config| config.own_links = vec![link]);
    let app = app.with_own(Router::new().route("/notes", get(notes)));
    let ada = app.user("ada").await;
    app.sql(&format!("INSERT INTO notes (user_id, text) VALUES ('{}', 'of <Ada>')", ada.id)).await;
    let visitor = app.browser().open("/notes?a=b").await.is(302);
    assert_eq!(visitor.header("location"), "/sign-in?next=/notes%3Fa%3Db");
    let link = r#"<a href="/notes" target="_self""#;
    for name in ["ada", "bob"] {
        let client = app.signed_in(name).await;
        for path in ["/profile", "/notes", "/notes/"] {
            let page = client.open(path).await.is(200);
            assert!(page.body.contains(link) && page.body.contains("Notes &lt;b&gt;"), "{path}: {}", page.body);
            assert_eq!(page.body.contains(r#"target="_self" aria-current="page""#), path != "/profile", "{path}");
        }
        let page = client.with("cookie", "theme=dark").open("/notes").await.is(200);
        assert_eq!(page.body.contains("<h1>of &lt;Ada&gt;"), name == "ada", "{}", page.body);
        for part in [
            "<title>Notes &amp; more · Keyfob</title>",
            "data-theme=\"dark\"",
            "Sign out",
            "/api/docs",
            "pkg/keyfob.css",
        ] {
            assert!(page.body.contains(part), "{part} is not in {}", page.body);
        }
        assert!(page.header("content-security-policy").contains("default-src"), "{page:?}");
        assert_eq!((page.header("cache-control"), page.body.contains("<script")), ("no-store", false));
    }
    app.with_key("ada").await.open("/notes").await.is(403);
    assert!(!app.browser().open("/sign-in").await.is(200).body.contains(link));
}

/// Every request moves it several times: 5 kB in it cost `verify` 3 to 6 %.
#[apply(each_database)]
#[tokio::test]
async fn future_of_an_extractor_is_small(database: Database) {
    let app = &TestApp::start(database).await;
    let (mut parts, ()) = Request::get("/").body(()).unwrap().into_parts();
    let caller = size_of_val(&Caller::from_request_parts(&mut parts, &app.state));
    let scoped = size_of_val(&Scoped::<EmployeesRead>::from_request_parts(&mut parts, &app.state));
    assert!(caller.max(scoped) < 2048, "{caller} and {scoped} bytes");
}

#[test]
fn documents_show_the_example() {
    let source = include_str!("../../examples/protected_endpoint.rs");
    let example = source.split("// README: begin\n").nth(1).unwrap().split("// README: end").next().unwrap();
    for document in ["README.md", "docs/protect-an-endpoint.md"] {
        let text = std::fs::read_to_string(format!("{}/{document}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let shown: Vec<_> = text.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(shown.contains(&example), "put this into {document}, between ```rust and ```:\n\n{example}");
    }
    assert!(example.lines().count() <= 25, "more than 25 lines are no small example");
}
