//! A page that was rendered for one account does nothing as another, after a sign-in in a second tab.

use keyfob::error::AppError;
use regex::Regex;
use rstest_reuse::apply;

use crate::support::functions::{Belongings, FUNCTIONS, For};
use crate::support::{Answer, Client, Database, PASSWORD, TestApp, each_database};

const SENTENCE: &str = "You're signed in to another account now.";

/// Calls a server function as the script of a page does that was rendered for a user.
async fn call_from(browser: &Client, user: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    browser.with("accept", "application/json").form(&format!("/as/{user}{path}"), fields).await
}

/// Sends a form as a page without JavaScript does that was rendered for a user.
async fn send_from(browser: &Client, user: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let fields: Vec<_> = [("page_user", user)].into_iter().chain(fields.iter().copied()).collect();
    let browser = browser.with("accept", "text/html").with("referer", "http://localhost:8000/profile?create=");
    browser.form(path, &fields).await
}

#[apply(each_database)]
#[tokio::test]
async fn page_of_another_account_can_change_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let own = Box::pin(Belongings::of(app, "bob", "blue")).await;
    let (ada, root) = (app.user("ada").await.id.to_string(), app.admin().await);
    let bob = app.signed_in("bob").await;
    for (path, whose, form, _) in FUNCTIONS.into_iter().filter(|row| row.1 != For::Everybody) {
        let browser = if whose == For::Superusers { &root } else { &bob };
        let (fields, before) = (own.fill(form), app.rows().await);
        let answer = call_from(browser, &ada, path, &fields).await.is(409);
        assert_eq!(serde_json::from_str::<AppError>(&answer.body).unwrap(), AppError::AccountChanged, "{path}");
        let page = send_from(browser, &ada, path, &fields).await.is(409);
        assert!(
            page.body.contains(SENTENCE) && page.body.contains("href=\"/profile?create=\""),
            "{path}: {}",
            page.body
        );
        assert_eq!(app.rows().await, before, "{path}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn from_a_page_of_the_same_account_each_works_as_before(database: Database) {
    let app = &TestApp::start(database).await;
    let (bob, id) = (app.signed_in("bob").await, app.user("bob").await.id.to_string());
    call_from(&bob, &id, "/fn/save_name", &[("name", "Bob")]).await.is(200);
    send_from(&bob, &id, "/fn/save_name", &[("name", "Robert")]).await.is(302);
    assert_eq!(app.texts("SELECT name FROM users").await, ["Robert"]);
    // What says nothing acts as its session does; a page of a visitor is nobody's.
    bob.call("save_name", &[("name", "B")]).await.is(200);
    for junk in ["/as/junk/fn/save_name", "/as//fn/save_name", &format!("/as/{id}/profile"), &format!("/as/{id}")] {
        assert_eq!(bob.with("accept", "application/json").form(junk, &[("name", "x")]).await.status, 404, "{junk}");
    }
    assert_eq!(app.texts("SELECT name FROM users").await, ["B"]);
}

#[apply(each_database)]
#[tokio::test]
async fn the_forms_for_keys_are_refused_too(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, bob) = (app.user("ada").await.id.to_string(), app.signed_in("bob").await);
    let form = [("form_id", "x"), ("name", "x"), ("expires", "90"), ("date", ""), ("access", "full"), ("team", "")];
    for (path, fields) in
        [("/profile/keys", &form[..]), ("/profile/keys/rotate", &[("id", "x"), ("grace", "0"), ("seen", "")])]
    {
        assert!(send_from(&bob, &ada, path, fields).await.is(409).body.contains(SENTENCE), "{path}");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM keys").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn the_page_that_asks_for_the_password_says_whose_it_is(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let id = app.user("ada").await.id.to_string();
    app.advance(std::time::Duration::from_mins(15));
    let page = send_from(&ada, &id, "/fn/end_other_sessions", &[]).await.is(403);
    assert!(page.body.contains(&format!("name=\"page_user\" value=\"{id}\"")), "{}", page.body);
    let fields = [("sent_from", "/profile"), ("password_again", PASSWORD)];
    assert!(send_from(&bob, &id, "/fn/end_other_sessions", &fields).await.is(409).body.contains(SENTENCE));
    send_from(&ada, &id, "/fn/end_other_sessions", &fields).await.is(302);
}

#[apply(each_database)]
#[tokio::test]
async fn signing_out_and_in_works_from_any_page(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, bob) = (app.user("ada").await.id.to_string(), app.signed_in("bob").await);
    let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
    call_from(&bob, &ada, "/fn/sign_in", &fields).await.is(200);
    let bob = app.signed_in("bob").await;
    send_from(&bob, &ada, "/fn/sign_out", &[]).await.goes_to("/");
    bob.open("/profile").await.is(302);
    // After signing out, the sentence is the one of before.
    call_from(&bob, &ada, "/fn/save_name", &[("name", "x")]).await.is(401);
}

#[apply(each_database)]
#[tokio::test]
async fn every_form_of_every_page_says_for_whom_it_was_rendered(database: Database) {
    let app = &TestApp::start(database).await;
    let (admin, id) = (app.admin().await, app.user("root").await.id.to_string());
    app.user("ada").await;
    app.employee("root", ("Grace", keyfob::model::employees::Department::Hr, 5)).await;
    app.team("red-team", "root", &["bob"]).await;
    let key = app.make_key("root").await.facts.id;
    let form = Regex::new("(?s)<form method=\"post\" action=\"([^\"]+)\".*?</form>").unwrap();
    let stated = format!("name=\"page_user\" value=\"{id}\"");
    let mut seen = 0;
    for path in [
        "/profile?create=",
        "/employees?add=",
        "/teams",
        "/a/red-team",
        "/a/red-team?leave=",
        "/admin/keys?create=",
        "/admin/users",
        "/admin/audit",
        &format!("/profile?rotate={key}"),
        &format!("/profile?revoke={key}"),
        &format!("/admin/keys?edit={key}"),
        &format!("/admin/keys?revoke={key}"),
    ] {
        let page = admin.open(path).await.is(200);
        for found in form.captures_iter(&page.body).filter(|found| {
            !["/profile", "/admin/keys", "/admin/users", "/admin/audit", "/fn/sign_out", "/fn/set_theme"]
                .contains(&&found[1])
        }) {
            assert!(found[0].contains(&stated), "{path}: {}", &found[0]);
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
    assert!(!app.browser().open("/sign-in").await.body.contains("page_user"));
}

#[test]
fn every_form_in_the_source_says_for_whom_it_was_rendered() {
    // Those of visitors, the one of a reset link, the one that signs out, the theme, a search, and the page that sends the fields of another form again.
    let without = [
        ("pages/sign_in.rs", 3),
        ("pages/keys/mod.rs", 1),
        ("pages/admin/keys.rs", 1),
        ("pages/admin/users.rs", 1),
        ("pages/admin/audit.rs", 1),
        ("pages/reauth.rs", 1),
        ("pages/reset_password.rs", 1),
        ("pages/theme.rs", 1),
    ];
    for (path, text) in crate::architecture::sources().into_iter().filter(|(path, _)| path.starts_with("pages/")) {
        let forms = text.matches("<form method=\"post\"").count();
        let excepted = without.iter().find(|(file, _)| *file == path).map_or(0, |(_, number)| *number);
        // The forms of employees share their hidden fields.
        let shared = text.matches("{form.fields()}").count();
        let own = text.matches("<PageUser/>").count() - usize::from(path == "pages/employees/mod.rs");
        assert_eq!(own + shared, forms - excepted, "src/{path}: a form without <PageUser/>");
    }
}
