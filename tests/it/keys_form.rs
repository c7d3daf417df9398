//! The form "Create API key" as a browser without JavaScript sends it: the answer is a page that shows the key once.

use axum::body::Body;
use axum::http::Method;
use keyfob::model::time::DAY;
use rstest_reuse::apply;
use serde_json::json;

use crate::keys::form_id;
use crate::support::{Answer, Client, Database, EMPLOYEES, NOW, TestApp, each_database, request};

async fn send(client: &Client, form: &str, changed: &[(&str, &str)]) -> Answer {
    let mut fields = vec![("form_id", form), ("name", "ci"), ("expires", "90"), ("date", ""), ("access", "full")];
    for (name, value) in changed {
        fields.retain(|(usual, _)| usual != name);
        fields.push((name, value));
    }
    client.with("accept", "text/html").form("/profile/keys", &fields).await
}

/// The key that a page shows, if it shows one.
fn key_in(page: &str) -> Option<String> {
    let key = regex::Regex::new("kf_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}").unwrap();
    key.find(page).map(|found| found.as_str().to_owned())
}

#[apply(each_database)]
#[tokio::test]
async fn without_a_session_the_form_makes_no_key(database: Database) {
    let app = &TestApp::start(database).await;
    let form = form_id(&app.signed_in("ada").await).await;
    let stranger = send(&app.browser(), &form, &[]).await;
    assert!(matches!(stranger.status, 302 | 303), "{stranger:?}");
    assert_eq!(stranger.header("location"), "/sign-in?next=/profile%3Fcreate%3D");
    let program = app.with_key("ada").await;
    let refused = send(&program, &form, &[]).await.is(403);
    assert_eq!(key_in(&refused.body), None);
    assert_eq!(send(&app.signed_in("ada").await.on_another_site(), &form, &[]).await.status, 403);
    assert_eq!(app.texts("SELECT name FROM keys").await, ["nightly report"]);
}

#[apply(each_database)]
#[tokio::test]
async fn the_answer_shows_the_key_once(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let answer = send(&ada, &form_id(&ada).await, &[]).await.is(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.all("location").is_empty() && answer.all("set-cookie").is_empty());
    let key = key_in(&answer.body).unwrap();
    assert!(answer.body.contains(&format!(">{key}</textarea>")), "{}", answer.body);
    assert!(answer.body.contains("Your new API key") && answer.body.contains("won't be shown again"));
    let curl = format!("curl http://localhost:8000{EMPLOYEES} -H &quot;Authorization: Api-Key {key}&quot;");
    assert!(answer.body.contains(&curl) || answer.body.contains(&curl.replace("&quot;", "\"")), "{}", answer.body);
    app.anonymous().with_key(&key).get(EMPLOYEES).await.is(200);
    for page in ["/profile", "/profile?create=", "/profile/keys", "/"] {
        assert_eq!(key_in(&ada.get(page).await.body), None, "{page}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn form_makes_the_requested_key(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let changed = [("name", " reader "), ("expires", "7"), ("access", "read_only")];
    let answer = send(&ada, &form_id(&ada).await, &changed).await.is(200);
    let key = key_in(&answer.body).unwrap();
    app.anonymous().with_key(&key).post(EMPLOYEES, json!({})).await.refused(403, "scope_missing");
    assert_eq!(app.texts("SELECT name FROM keys").await, ["reader"]);
    assert_eq!(app.number("SELECT expires_at FROM keys").await, NOW.plus(7 * DAY).as_millis());
}

#[apply(each_database)]
#[tokio::test]
async fn back_and_reload_after_the_answer_find_no_key(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let form = form_id(&ada).await;
    send(&ada, &form, &[]).await.is(200);
    let again = send(&ada, &form, &[]).await.is(400);
    assert_eq!(key_in(&again.body), None);
    assert!(again.body.contains("sent already"), "{}", again.body);
    let reload = ada.get("/profile/keys").await;
    assert!(matches!(reload.status, 302 | 303) && reload.header("location") == "/profile", "{reload:?}");
    assert_eq!(app.number("SELECT COUNT(*) FROM keys").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn field_errors_are_shown_on_the_page(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let long = "x".repeat(101);
    for (changed, sentence) in [
        (("name", " "), "Give the key a name."),
        (("name", &long[..]), "at most 100"),
        (("name", "a\0b"), "control"),
        (("expires", "x"), "Choose when the key expires."),
        (("expires", "date"), "YYYY-MM-DD"),
        (("access", "x"), "Choose an access level."),
    ] {
        let answer = send(&ada, &form_id(&ada).await, &[changed]).await.is(400);
        assert!(answer.body.contains(sentence), "{changed:?}: {}", answer.body);
        assert_eq!((key_in(&answer.body), answer.header("cache-control")), (None, "no-store"));
    }
    send(&ada, "junk", &[]).await.is(400);
    ada.form("/profile/keys", &[]).await.is(400);
    ada.post("/profile/keys", json!({"name": "x"})).await.is(400);
    assert_eq!(app.number("SELECT COUNT(*) FROM keys").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn a_name_cannot_break_out_of_the_page(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let name = "\"><script>alert(1)</script>";
    let answer = send(&ada, &form_id(&ada).await, &[("name", name)]).await.is(200);
    assert!(!answer.body.contains("<script>alert") && answer.body.contains("&lt;script&gt;alert"), "{}", answer.body);
}

#[apply(each_database)]
#[tokio::test]
async fn a_form_of_more_than_64_kb_is_413_however_it_is_sent(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let huge = "x".repeat(70_000);
    for path in ["/profile/keys", "/fn/create_key", "/fn/sign_in"] {
        assert_eq!(ada.form(path, &[("name", &huge)]).await.status, 413, "{path}");
        // The same where nobody says beforehand how long it is.
        let mut unsaid = request(Method::POST, path, Body::from(format!("name={huge}")));
        unsaid.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        let answer = ada.send(unsaid).await;
        assert!(matches!(answer.status, 400 | 413), "{path}: {answer:?}");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM keys").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn revoking_without_javascript_goes_back_to_the_profile(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, made) = (app.signed_in("ada").await, app.make_key("ada").await);
    let dialog = format!("http://localhost:8000/profile?revoke={}", made.facts.id);
    let page = ada.get(&format!("/profile?revoke={}", made.facts.id)).await.is(200);
    assert!(page.body.contains("alertdialog") && page.body.contains("Revoke key"), "{}", page.body);
    ada.submit(&dialog, "revoke_key", &[("id", made.facts.id.as_str())]).await.goes_to("/profile?done=revoked");
    app.anonymous().with_key(&made.key).get(EMPLOYEES).await.refused(401, "key_revoked");
    let page = ada.get("/profile").await.is(200);
    let row = format!("id=\"key-{}\"", made.facts.id);
    assert!(page.body.contains(&row) && page.body.contains(">Revoked<"), "{}", page.body);
    assert!(!ada.get("/profile?state=active").await.is(200).body.contains(&row));
}
