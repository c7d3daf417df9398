//! Sessions: their cookie, how long they live, and who ends them.

use std::time::Duration;

use rstest_reuse::apply;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Answer, Client, Database, EMPLOYEES, NOW, ONE_DAY, PASSWORD, TestApp, each_database};

const SECOND: Duration = Duration::from_secs(1);

async fn sign_in(client: &Client) -> Answer {
    client.call("sign_in", &[("email", "ada@example.com"), ("password", PASSWORD)]).await.is(200)
}

async fn listed(client: &Client) -> Vec<Value> {
    client.call("list_sessions", &[]).await.is(200).json().as_array().unwrap().clone()
}

fn attributes_of(cookie: &str) -> Vec<&str> {
    let mut parts: Vec<_> = cookie.split("; ").skip(1).collect();
    parts.sort_unstable();
    parts
}

/// The attributes of the session's cookie. At a sign-in the cookie of the known browser stands beside it: the same ones, for a year.
fn attributes(answer: &Answer) -> Vec<&str> {
    let cookies = answer.all("set-cookie");
    let session = attributes_of(cookies[0]);
    if let [session_cookie, device] = cookies[..] {
        let name = session_cookie.split('=').next().unwrap().replace("session", "device=");
        assert!(device.starts_with(&name), "{cookies:?}");
        let year = session.iter().map(|one| if one.starts_with("Max-Age") { "Max-Age=31536000" } else { one });
        assert_eq!(attributes_of(device), year.collect::<Vec<_>>());
    }
    assert!(cookies.len() <= 2, "{cookies:?}");
    session
}

#[apply(each_database)]
#[tokio::test]
async fn http_cookie_is_host_only_and_http_only(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    let answer = sign_in(&app.browser()).await;
    assert!(answer.header("set-cookie").starts_with("keyfob_session="));
    assert_eq!(attributes(&answer), ["HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=Lax"]);
}

#[apply(each_database)]
#[tokio::test]
async fn over_https_the_cookie_is_secure_and_no_other_host_can_set_it(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    let app = app.configured(|config| config.public_url = "https://keys.example.com".parse().unwrap());
    let answer = sign_in(&app.browser()).await;
    assert!(answer.header("set-cookie").starts_with("__Host-keyfob_session="));
    assert_eq!(attributes(&answer), ["HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=Lax", "Secure"]);
    let ada = app.browser().after(&answer);
    ada.get(EMPLOYEES).await.is(200);
    let plain = answer.header("set-cookie").split(';').next().unwrap().replace("__Host-", "");
    app.browser().with("cookie", &plain).get(EMPLOYEES).await.refused(401, "credentials_missing");
    let out = ada.call("sign_out", &[]).await.is(200);
    assert!(out.header("set-cookie").starts_with("__Host-keyfob_session=;"));
    assert_eq!(attributes(&out), ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax", "Secure"]);
}

#[apply(each_database)]
#[tokio::test]
async fn the_table_holds_the_digest_of_the_cookie_and_not_the_cookie(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    let answer = sign_in(&app.browser()).await;
    let secret = answer.header("set-cookie").split(['=', ';']).nth(1).unwrap();
    assert!(secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_hexdigit()), "{secret}");
    let digest = Sha256::digest(secret).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(app.texts("SELECT digest FROM sessions").await, std::slice::from_ref(&digest));
    for stolen in [digest, app.texts("SELECT id FROM sessions").await.remove(0)] {
        let thief = app.browser().with("cookie", &format!("keyfob_session={stolen}"));
        thief.get(EMPLOYEES).await.refused(401, "credentials_missing");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn one_session_too_many_ends_the_one_seen_least_recently(database: Database) {
    let app = &TestApp::start(database).await;
    let (first, others) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let mut second = None;
    for n in 1..100 {
        app.advance(SECOND);
        let next = app.signed_in("ada").await;
        second.get_or_insert(next);
        assert_eq!(app.number("SELECT COUNT(*) FROM sessions").await, n + 2);
    }
    // Kept to the minute, so only from then on it counts as seen after the second one.
    app.advance(SECOND * 60);
    first.get(EMPLOYEES).await.is(200);
    let answer = sign_in(&app.browser().coming_from("203.0.113.9")).await;
    assert_eq!(listed(&app.browser().after(&answer)).await.len(), 100);
    second.unwrap().get(EMPLOYEES).await.refused(401, "credentials_missing");
    for client in [first, others, app.browser().after(&answer)] {
        client.get(EMPLOYEES).await.is(200);
    }
    let told = app.texts("SELECT actor || ' ' || ip || ' ' || detail FROM audit WHERE action = 'session.end'").await;
    assert_eq!(told, ["ada@example.com 203.0.113.9 least recently used: too many sessions"]);
    // One password of an account is checked at a time, so some of these are refused.
    let at_once = [(); 4].map(|()| app.browser());
    let form = [("email", "ada@example.com"), ("password", PASSWORD)];
    let many = futures_util::future::join_all(at_once.iter().map(|browser| browser.call("sign_in", &form))).await;
    assert_eq!(
        (
            many.len(),
            app.number(
                "SELECT COUNT(*) FROM sessions WHERE user_id = (SELECT id FROM users WHERE email = 'ada@example.com')"
            )
            .await
        ),
        (4, 100)
    );
}

#[apply(each_database)]
#[tokio::test]
async fn sign_in_replaces_the_session_of_this_browser(database: Database) {
    let app = &TestApp::start(database).await;
    let (first, elsewhere) = (app.signed_in("ada").await, app.signed_in("ada").await);
    let answer = sign_in(&first).await;
    let second = first.after(&answer);
    second.get(EMPLOYEES).await.is(200);
    elsewhere.get(EMPLOYEES).await.is(200);
    first.get(EMPLOYEES).await.refused(401, "credentials_missing");
    // A cookie that somebody planted before is not the one after.
    let planted = format!("keyfob_session={}", "a".repeat(64));
    let answer = sign_in(&app.browser().with("cookie", &planted)).await;
    assert!(!answer.header("set-cookie").starts_with(&planted));
    app.browser().with("cookie", &planted).get(EMPLOYEES).await.refused(401, "credentials_missing");
}

#[apply(each_database)]
#[tokio::test]
async fn signing_out_ends_the_session_and_takes_its_cookie_away(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, elsewhere) = (app.signed_in("ada").await, app.signed_in("ada").await);
    let answer = ada.call("sign_out", &[]).await.is(200);
    assert!(answer.header("set-cookie").starts_with("keyfob_session=;"));
    assert_eq!(attributes(&answer), ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax"]);
    ada.get(EMPLOYEES).await.refused(401, "credentials_missing");
    elsewhere.get(EMPLOYEES).await.is(200);
    // Once more, and without any: no error.
    ada.call("sign_out", &[]).await.is(200);
    app.browser().call("sign_out", &[]).await.is(200);
    elsewhere.submit("http://localhost:8000/profile", "sign_out", &[]).await.goes_to("/");
    elsewhere.get(EMPLOYEES).await.refused(401, "credentials_missing");
}

#[apply(each_database)]
#[tokio::test]
async fn a_session_ends_after_seven_idle_days(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    app.advance(ONE_DAY * 7 - SECOND);
    ada.get(EMPLOYEES).await.is(200);
    app.advance(ONE_DAY * 7 - SECOND);
    ada.get(EMPLOYEES).await.is(200);
    app.advance(ONE_DAY * 7);
    ada.get(EMPLOYEES).await.refused(401, "credentials_missing");
    ada.open("/profile").await.goes_to("/sign-in?next=/profile");
}

#[apply(each_database)]
#[tokio::test]
async fn a_session_ends_after_thirty_days_however_much_it_is_used(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    for _ in 0..5 {
        app.advance(ONE_DAY * 6 - SECOND);
        ada.get(EMPLOYEES).await.is(200);
    }
    app.advance(SECOND * 5);
    ada.get(EMPLOYEES).await.refused(401, "credentials_missing");
}

#[apply(each_database)]
#[tokio::test]
async fn session_use_is_recorded_once_per_minute(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let seen = async || app.number("SELECT seen_at FROM sessions").await - NOW.as_millis();
    app.advance(SECOND * 59);
    ada.get(EMPLOYEES).await.is(200);
    assert_eq!(seen().await, 0);
    app.advance(SECOND);
    ada.get(EMPLOYEES).await.is(200);
    assert_eq!(seen().await, 60_000);
    app.advance(SECOND * 100);
    ada.get("/profile").await.is(200);
    assert_eq!(seen().await, 160_000);
}

#[apply(each_database)]
#[tokio::test]
async fn the_list_has_the_live_sessions_of_the_user_the_newest_first(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    app.signed_in("bob").await;
    app.signed_in("ada").await;
    app.advance(ONE_DAY * 7);
    let program = sign_in(&app.browser().with("user-agent", &"x".repeat(300))).await;
    app.advance(SECOND);
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let ada = app.browser().after(&sign_in(&app.browser().with("user-agent", agent)).await);
    let sessions = listed(&ada).await;
    let browsers: Vec<_> = sessions.iter().map(|one| one["browser"].as_str().unwrap()).collect();
    assert_eq!(browsers, ["Firefox on Linux", "Unknown program"]);
    let events = app.texts("SELECT detail FROM audit WHERE action = 'session.begin' ORDER BY id DESC").await;
    assert_eq!(&events[..2], browsers);
    let failures = "SELECT COUNT(*) FROM audit WHERE action IN ('session.fail', 'session.delay')";
    assert_eq!(app.number(failures).await, 0, "no failure went before");
    assert_eq!(app.number("SELECT CAST(MAX(LENGTH(user_agent)) AS BIGINT) FROM sessions").await, 200);
    assert_eq!(sessions.iter().map(|one| &one["current"]).collect::<Vec<_>>(), [&json!(true), &json!(false)]);
    let page = ada.get("/profile").await.is(200).body;
    for text in ["Firefox on Linux", "This session", "End session"] {
        assert!(page.contains(text), "{text}");
    }
    assert_eq!(listed(&app.browser().after(&program)).await.len(), 2);
    app.browser().call("list_sessions", &[]).await.failed(401);
}

#[apply(each_database)]
#[tokio::test]
async fn one_session_is_ended_from_another(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, lost, bob) = (app.signed_in("ada").await, app.signed_in("ada").await, app.signed_in("bob").await);
    let sessions = listed(&ada).await;
    let id = sessions.iter().find(|one| one["current"] == false).unwrap()["id"].as_str().unwrap();
    bob.call("end_session", &[("id", id)]).await.failed(404);
    app.browser().call("end_session", &[("id", id)]).await.failed(401);
    lost.get(EMPLOYEES).await.is(200);
    ada.call("end_session", &[("id", id)]).await.is(200);
    lost.get(EMPLOYEES).await.refused(401, "credentials_missing");
    ada.get(EMPLOYEES).await.is(200);
    ada.call("end_session", &[("id", id)]).await.failed(404);
    for junk in ["", "x", "' OR 1=1"] {
        ada.call("end_session", &[("id", junk)]).await.failed(404);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn signing_out_everywhere_else_leaves_this_session(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, one, other) = (app.signed_in("ada").await, app.signed_in("ada").await, app.signed_in("ada").await);
    let bob = app.signed_in("bob").await;
    app.browser().call("end_other_sessions", &[]).await.failed(401);
    assert_eq!(ada.call("end_other_sessions", &[]).await.is(200).json(), json!(2));
    for gone in [one, other] {
        gone.get(EMPLOYEES).await.refused(401, "credentials_missing");
    }
    ada.get(EMPLOYEES).await.is(200);
    bob.get(EMPLOYEES).await.is(200);
    assert_eq!(ada.call("end_other_sessions", &[]).await.is(200).json(), json!(0));
    let page = "http://localhost:8000/profile";
    let answer = ada.submit(page, "end_other_sessions", &[]).await.is(302);
    answer.goes_to("/profile?done=signed-out&n=0");
    let events = app.texts("SELECT actor || ' ' || detail FROM audit WHERE action = 'session.end'").await;
    assert_eq!(events, ["ada@example.com everywhere else"], "ending none is no event");
}

#[apply(each_database)]
#[tokio::test]
async fn session_ended_in_another_tab_is_reported(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    ada.call("sign_out", &[]).await.is(200);
    for function in [
        "list_keys",
        "save_name",
        "list_sessions",
        "end_other_sessions",
        "change_password",
        "list_employees",
        "add_employee",
        "edit_employee",
        "delete_employee",
        "load_sample_employees",
    ] {
        let fields = [
            ("query[state]", ""),
            ("name", "x"),
            ("current", "x"),
            ("new", "x"),
            ("page", "1"),
            ("id", "x"),
            ("form[name]", "x"),
        ];
        assert_eq!(ada.call(function, &fields).await.failed(401), json!("CredentialsMissing"), "{function}");
    }
}
