//! A 429 says which limit was exceeded: in the member `limit`, in the detail and in the log.

use keyfob::error::{AppError, Limit};
use keyfob::server::auth::password::{MAX_CHECKS_PER_MINUTE, SlotOwner};
use keyfob::server::concurrency_limit::{MAX_RUNNING, MAX_WAITING};
use rstest_reuse::apply;
use serde_json::json;

use crate::support::server::Server;
use crate::support::{Answer, Client, Database, EMPLOYEES, PASSWORD, TestApp, each_database};

const LEAKED: &str = "/api/v1/leaked-keys";
const UNKNOWN: &str = "kf_12345678_";
const IP: &str = "203.0.113.9";

/// Fails unless a problem of the JSON API names this limit.
#[track_caller]
fn names(answer: &Answer, limit: &str) {
    let problem = answer.refused(429, "rate_limited");
    assert_eq!(problem["limit"], limit, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(". Wait "), "{problem}");
}

/// Fails unless a server function names this limit.
#[track_caller]
fn function_names(answer: &Answer, limit: Limit) {
    answer.failed(429);
    let error: AppError = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(error.limit(), Some(limit));
    assert_eq!(answer.header("retry-after"), error.retry_after().unwrap().to_string());
}

async fn sign_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.browser().coming_from(IP).call("sign_in", &[("email", email), ("password", password)]).await
}

fn unknown_key() -> String {
    use secrecy::ExposeSecret;
    keyfob::server::auth::key_format::make_secret_for(UNKNOWN.trim_end_matches('_')).key.expose_secret().to_owned()
}

#[apply(each_database)]
#[tokio::test]
async fn a_problem_names_the_limit(database: Database) {
    let app = &TestApp::start(database).await;
    let limited = app.configured(|config| config.key_rate = 1);
    let client = limited.with_key("ada").await;
    client.get(EMPLOYEES).await.is(200);
    names(&client.get(EMPLOYEES).await, "key_requests");
    for _ in 0..30 {
        app.anonymous().coming_from(IP).post(LEAKED, json!([])).await.is(202);
    }
    names(&app.anonymous().coming_from(IP).post(LEAKED, json!([])).await, "leak_reports");
    for _ in 0..100 {
        app.anonymous().coming_from(IP).with_key(&unknown_key()).get(EMPLOYEES).await.is(401);
    }
    let refused = app.anonymous().coming_from(IP).with_key(&unknown_key()).get(EMPLOYEES).await;
    names(&refused, "unknown_keys");
    assert_eq!(refused.header("ratelimit-policy"), "\"unknown_keys\";q=100;w=60");
    let owner = app.user("ada").await.id.to_string();
    let reads = &app.state.read_concurrency;
    let mut running = Vec::new();
    for _ in 0..MAX_RUNNING {
        running.push(reads.acquire(&owner).await.unwrap());
    }
    let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(reads.acquire(&owner))).collect();
    for wait in &mut waiting {
        assert!(futures_util::poll!(wait).is_pending());
    }
    names(&app.with_key("ada").await.get(&format!("{EMPLOYEES}?search=x")).await, "concurrent_reads");
    let other = app.with_key("bob").await.get("/api/v1/me").await.is(200);
    assert!(other.all("ratelimit").is_empty(), "a key without a limit has no such header: {other:?}");
}

#[apply(each_database)]
#[tokio::test]
async fn a_server_function_names_the_limit(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.sign_in_rate = 7);
    app.user("ada").await;
    for _ in 0..5 {
        sign_in(&app, "ada@example.com", "not the password").await.is(400);
    }
    function_names(&sign_in(&app, "ada@example.com", PASSWORD).await, Limit::LoginBackoff);
    let _slot = app.state.passwords.take_slot(SlotOwner::Email("bob@example.com"), app.state.now()).unwrap();
    function_names(&sign_in(&app, "bob@example.com", PASSWORD).await, Limit::ConcurrentPasswordChecks);
    function_names(&sign_in(&app, "eve@example.com", PASSWORD).await, Limit::SignIns);
    let sign_up = async |n: u32| {
        let (email, browser) = (format!("user{n}@example.com"), app.browser().coming_from(IP));
        browser.call("sign_up", &[("email", &email), ("password", PASSWORD)]).await
    };
    for n in 0..7 {
        sign_up(n).await.is(200);
    }
    function_names(&sign_up(7).await, Limit::SignUps);
}

#[apply(each_database)]
#[tokio::test]
async fn too_many_right_passwords_name_the_limit(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.sign_in_rate = 0);
    app.user("ada").await;
    for _ in 0..MAX_CHECKS_PER_MINUTE {
        sign_in(&app, "ada@example.com", PASSWORD).await.is(200);
    }
    function_names(&sign_in(&app, "ada@example.com", PASSWORD).await, Limit::PasswordChecks);
}

#[apply(each_database)]
#[tokio::test]
async fn too_many_invitations_name_the_limit(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia", "max"]).await;
    app.sql("UPDATE members SET role = 'admin'").await;
    let invite = async |from: &Client, n: u32| {
        let email = format!("new-{n}@example.com");
        from.call("add_member", &[("team", "red"), ("email", &email), ("role", "member")]).await
    };
    let (ada, mia, max) = (app.signed_in("ada").await, app.signed_in("mia").await, app.signed_in("max").await);
    for n in 0..20 {
        invite(&ada, n).await.is(200);
        invite(&mia, 20 + n).await.is(200);
    }
    function_names(&invite(&ada, 40).await, Limit::AccountInvitations);
    for n in 40..50 {
        invite(&max, n).await.is(200);
    }
    function_names(&invite(&max, 50).await, Limit::TeamInvitations);
}

#[apply(each_database)]
#[tokio::test]
async fn the_log_names_the_limit(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    let server = Server::start_with(&app.url, "info", "json", &["--key-rate=1"]).await;
    for _ in 0..2 {
        server.ask(&format!("GET {EMPLOYEES}"), &[("X-Api-Key", &key)], "").await;
    }
    let log = server.log();
    let line = log.lines().find(|line| line.contains("request denied")).unwrap_or_else(|| panic!("{log}"));
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["fields"]["code"], &line["fields"]["limit"]), (&json!("rate_limited"), &json!("key_requests")));
}
