//! Change of the email address by its owner and by the operator.

use rstest_reuse::apply;
use serde_json::json;

use crate::cli::keyfob;
use crate::support::{Answer, Client, Database, PASSWORD, TestApp, each_database};

const PROFILE: &str = "http://localhost:8000/profile";

async fn change(client: &Client, email: &str, password: &str) -> Answer {
    client.call("change_email", &[("email", email), ("password", password)]).await
}

async fn addresses(app: &TestApp) -> Vec<String> {
    app.texts("SELECT email FROM users ORDER BY email").await
}

#[apply(each_database)]
#[tokio::test]
async fn wrong_address_or_password_changes_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, key) = (app.signed_in("ada").await, app.make_key("ada").await.key);
    for name in ["bob", "émile", "x@bücher"] {
        app.user(name).await;
    }
    // Earlier versions stored other forms of an address.
    app.sql("UPDATE users SET email = 'x@bücher.example' WHERE email LIKE 'x@%'").await;
    app.sql("UPDATE users SET email = 'émile@example.com' WHERE email LIKE '%mile%'").await;
    let before = addresses(app).await;
    for taken in ["bob@example.com", " BOB@Example.COM ", "E\u{301}mile@example.com", "x@xn--bcher-kva.example"] {
        let sentence = change(&ada, taken, PASSWORD).await.failed_at("email");
        assert_eq!(sentence, "This address already has an account. Choose another.", "{taken}");
    }
    for wrong in ["", "ada", "ro\u{200b}ot@example.com", "ｒoot@example.com"] {
        change(&ada, wrong, PASSWORD).await.failed_at("email");
    }
    change(&ada, "Ada@example.com", PASSWORD).await.failed_at("email");
    change(&ada, "new@example.com", "wrong").await.failed_at("password");
    // Only who knows the password learns that an address is taken.
    change(&ada, "bob@example.com", "wrong").await.failed_at("password");
    change(&app.browser(), "new@example.com", PASSWORD).await.failed(401);
    assert_eq!(change(&ada.with_key(&key), "new@example.com", PASSWORD).await.failed(403), json!("SessionRequired"));
    assert_eq!(change(&ada.on_another_site(), "new@example.com", PASSWORD).await.status, 403);
    assert_eq!(addresses(app).await, before);
    assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action = 'account.email'").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn attempts_count_with_the_sign_ups_of_an_address(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("bob").await;
    let ada = app.signed_in("ada").await.coming_from("203.0.113.9");
    for _ in 0..10 {
        change(&ada, "bob@example.com", PASSWORD).await.failed_at("email");
    }
    change(&ada, "new@example.com", PASSWORD).await.is(429);
    let visitor = app.browser().coming_from("203.0.113.9");
    visitor.call("sign_up", &[("email", "new@example.com"), ("password", PASSWORD)]).await.is(429);
}

#[apply(each_database)]
#[tokio::test]
async fn new_address_counts_at_once_and_other_sessions_end(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, other, program) = (app.signed_in("ada").await, app.signed_in("ada").await, app.with_key("ada").await);
    assert_eq!(program.get("/api/v1/verify").await.is(200).header("x-auth-email"), "ada@example.com");
    let done = change(&ada, " Ada.L@BÜCHER.example", PASSWORD).await.is(200);
    assert_eq!(done.header("location"), "/profile?done=email");
    assert_eq!(addresses(app).await, ["ada.l@xn--bcher-kva.example"]);
    other.open("/profile").await.goes_to("/sign-in?next=/profile");
    ada.open("/profile").await.goes_to("/sign-in?next=/profile");
    assert!(ada.after(&done).open("/profile").await.is(200).body.contains("ada.l@xn--bcher-kva.example"));
    assert_eq!(program.get("/api/v1/verify").await.is(200).header("x-auth-email"), "ada.l@xn--bcher-kva.example");
    let sign_in = async |email: &str| app.browser().call("sign_in", &[("email", email), ("password", PASSWORD)]).await;
    sign_in("ada@example.com").await.failed(400);
    sign_in("ada.l@bücher.example").await.is(200);
    let events =
        app.texts("SELECT actor || ' ' || subject || ' ' || detail FROM audit WHERE action = 'account.email'").await;
    assert_eq!(events, ["ada@example.com ada@example.com now ada.l@xn--bcher-kva.example"]);
}

#[apply(each_database)]
#[tokio::test]
async fn address_is_changed_without_javascript(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let done = ada.submit(PROFILE, "change_email", &[("email", "new@example.com"), ("password", PASSWORD)]).await;
    done.goes_to("/profile?done=email");
    let page = ada.after(&done).open("/profile?done=email").await.is(200);
    assert!(page.body.contains("Email address changed. Your other sessions were signed out."), "{}", page.body);
}

#[apply(each_database)]
#[tokio::test]
async fn two_users_cannot_take_one_address_at_once(database: Database) {
    let app = &TestApp::start(database).await;
    for round in 0..4 {
        let (ada, bob) = (app.signed_in(&format!("ada{round}")).await, app.signed_in(&format!("bob{round}")).await);
        let wanted = format!("wanted{round}@example.com");
        let (one, two) = tokio::join!(change(&ada, &wanted, PASSWORD), change(&bob, &wanted, PASSWORD));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "{one:?} {two:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn operator_changes_and_deletes_accounts(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, program) = (app.signed_in("ada").await, app.with_key("ada").await);
    app.user("bob").await;
    let set = "user set-email --email ada@example.com --new-email";
    keyfob(&app.url, &format!("{set} bob@example.com")).await.refused("already has an account");
    keyfob(&app.url, &format!("{set} junk")).await.refused("email address");
    keyfob(&app.url, "user set-email --email nobody@example.com --new-email x@example.com").await.refused("no account");
    keyfob(&app.url, &format!("{set} ADA@example.org")).await.done();
    assert_eq!(addresses(app).await, ["ada@example.org", "bob@example.com"]);
    ada.open("/profile").await.goes_to("/sign-in?next=/profile");

    keyfob(&app.url, "user delete --email nobody@example.com").await.refused("there is no account");
    app.team("red", "bob", &["mia"]).await;
    keyfob(&app.url, "user delete --email bob@example.com").await.refused("The red (red)");
    let deleted = keyfob(&app.url, "user delete --email ada@example.org").await.done();
    assert_eq!((deleted.out.as_str(), deleted.err.as_str()), ("", "Deleted the user ada@example.org.\n"));
    app.state.db.invalidations().invalidate_all();
    program.get("/api/v1/me").await.refused(401, "key_unknown");
    assert_eq!(addresses(app).await, ["bob@example.com", "mia@example.com"]);
    assert_eq!(
        app.texts("SELECT actor || ' ' || subject FROM audit WHERE action = 'account.delete'").await,
        ["the command line a deleted user"]
    );
}
