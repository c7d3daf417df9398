//! Accounts: signing up and in, the display name, the password, and what a disabled account loses.

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use keyfob::server::config::Signup;
use rstest_reuse::apply;

use crate::support::{Answer, Client, Database, EMPLOYEES, PASSWORD, TestApp, each_database};

const PAGE: &str = "http://localhost:8000/sign-in";

async fn sign_up(client: &Client, email: &str, password: &str) -> Answer {
    client.call("sign_up", &[("email", email), ("password", password)]).await
}

async fn sign_in(client: &Client, email: &str, password: &str) -> Answer {
    client.call("sign_in", &[("email", email), ("password", password)]).await
}

#[apply(each_database)]
#[tokio::test]
async fn signing_up_signs_in(database: Database) {
    let app = &TestApp::start(database).await;
    let answer = sign_up(&app.browser(), "ada@example.com", PASSWORD).await.is(200);
    assert_eq!((answer.header("location"), answer.header("cache-control")), ("/profile", "no-store"));
    let ada = app.browser().after(&answer);
    assert!(ada.get("/profile").await.is(200).body.contains("ada@example.com"));
    ada.get(EMPLOYEES).await.is(200);
    assert!(ada.open("/profile").await.is(200).body.contains("ada@example.com"));
    assert!(!app.browser().open("/").await.is(200).body.contains("ada@example.com"));
}

#[apply(each_database)]
#[tokio::test]
async fn signing_up_and_in_works_without_javascript(database: Database) {
    let app = &TestApp::start(database).await;
    let fields = [("email", "ada@example.com"), ("password", PASSWORD), ("next", "")];
    let up = app.browser().submit("http://localhost:8000/sign-up", "sign_up", &fields).await;
    up.goes_to("/profile");
    app.browser().after(&up).get("/profile").await.is(200);
    let inside = app.browser().submit(PAGE, "sign_in", &fields).await;
    inside.goes_to("/profile");
    app.browser().after(&inside).get("/profile").await.is(200);
    // What was wrong is said on the page that the browser is sent back to.
    let wrong = app.browser().submit(PAGE, "sign_in", &[("email", "ada@example.com"), ("password", "x")]).await.is(302);
    let location = wrong.header("location");
    assert_eq!((location, wrong.all("set-cookie").len()), (PAGE, 1));
    let page = app.browser().after(&wrong).get("/sign-in").await.is(200);
    assert!(page.body.contains("The email address or the password is wrong."), "{}", page.body);
    assert!(!page.body.contains(PASSWORD) && !location.contains("password"), "{location}");
}

#[apply(each_database)]
#[tokio::test]
async fn password_has_8_to_128_characters_and_is_not_common(database: Database) {
    let app = &TestApp::start(database).await;
    let (long, longer) = ("ü3 Ø-".repeat(25) + "abc", "ü3 Ø-".repeat(25) + "abcd");
    assert_eq!((long.chars().count(), longer.chars().count()), (128, 129));
    for (password, says) in [
        ("", "at least 8"),
        ("1234567", "at least 8"),
        ("üüüüüüü", "at least 8"),
        (longer.as_str(), "at most 128"),
        ("password", "too easy to guess"),
        ("12345678", "too easy to guess"),
        ("qwertyuiop", "too easy to guess"),
        ("ada.lovelace", "too easy to guess"),
        ("keyfob12", "too easy to guess"),
    ] {
        println!("{password}");
        let sentence = sign_up(&app.browser(), "ada.lovelace@example.com", password).await.failed_at("password");
        assert!(sentence.contains(says), "{password}: {sentence}");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 0);
    for (n, password) in [&long, "zq8-vX1!", "🔑🔑 two keys 🔑🔑", "  spaces around them  "].into_iter().enumerate()
    {
        let email = format!("ada{n}@example.com");
        sign_up(&app.browser(), &email, password).await.is(200);
        sign_in(&app.browser(), &email, password).await.is(200);
        let mut cut = password.to_owned();
        cut.pop();
        assert_eq!(sign_in(&app.browser(), &email, &cut).await.status, 400, "{cut:?} for {password:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn what_can_be_no_email_address_is_refused(database: Database) {
    let app = &TestApp::start(database).await;
    let long = format!("{}@example.com", "a".repeat(243));
    for email in ["", " ", "ada", "@", "ada@", "@example.com", "a da@example.com", "ada@exa\0mple.com", &long] {
        sign_up(&app.browser(), email, PASSWORD).await.failed_at("email");
    }
    for missing in [&[("password", PASSWORD)][..], &[("email", "ada@example.com")], &[]] {
        app.browser().call("sign_up", missing).await.failed_at("non_field_errors");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn an_email_address_is_compared_without_case_and_taken_once(database: Database) {
    let app = &TestApp::start(database).await;
    sign_up(&app.browser(), " Ada@Example.COM ", PASSWORD).await.is(200);
    assert_eq!(app.texts("SELECT email FROM users").await, ["ada@example.com"]);
    for email in ["ada@example.com", "ADA@EXAMPLE.COM", "ada@example.com "] {
        sign_in(&app.browser(), email, PASSWORD).await.is(200);
        let sentence = sign_up(&app.browser(), email, "another long password").await.failed_at("email");
        assert!(sentence.contains("Sign in instead"), "{sentence}");
    }
    sign_in(&app.browser(), "ada@example.com", "another long password").await.failed_at("non_field_errors");
}

#[apply(each_database)]
#[tokio::test]
async fn concurrent_sign_ups_with_one_address_make_one_account(database: Database) {
    let app = &TestApp::start(database).await;
    let browser = app.browser();
    let (one, other) =
        tokio::join!(sign_up(&browser, "ada@example.com", PASSWORD), sign_up(&browser, "ADA@example.com", PASSWORD));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn unknown_wrong_and_disabled_sign_ins_get_the_same_answer(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    app.disable("bob").await;
    let wrong = sign_in(&app.browser(), "ada@example.com", "not the password").await;
    assert_eq!(wrong.failed_at("non_field_errors"), "The email address or the password is wrong.");
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("ada@example.com", ""),
        ("bob@example.com", PASSWORD),
        ("junk", PASSWORD),
        ("", ""),
        ("ada@example.com", "FOUR WORDS FOR TESTS"),
        ("ada@exa\0mple.com", PASSWORD),
        ("ada@example.com", "a\0b"),
    ] {
        let answer = sign_in(&app.browser(), email, password).await;
        assert_eq!((answer.status, &answer.body), (wrong.status, &wrong.body), "{email}");
        assert!(answer.all("set-cookie").is_empty());
    }
    sign_in(&app.browser(), "ada@example.com", PASSWORD).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn closed_sign_up_rejects_everyone(database: Database) {
    let app = &TestApp::start(database).await;
    let closed = app.configured(|config| config.signup = Signup::Closed);
    let sentence = sign_up(&closed.browser(), "ada@example.com", PASSWORD).await.failed_at("non_field_errors");
    assert!(sentence.contains("administrator"), "{sentence}");
    assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 0);
    app.user("ada").await;
    sign_in(&closed.browser(), "ada@example.com", PASSWORD).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn after_signing_in_one_stays_on_this_site(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    for (next, goes) in [
        ("", "/profile"),
        ("/employees", "/employees"),
        ("/employees?page=2&x=%C3%A9", "/employees?page=2&x=%C3%A9"),
        ("//evil.example", "/profile"),
        ("/\\evil.example", "/profile"),
        ("https://evil.example", "/profile"),
        ("evil.example", "/profile"),
        ("javascript:alert(1)", "/profile"),
        ("/\t/evil.example", "/profile"),
        ("/a\r\nset-cookie: a=b", "/profile"),
        (" //evil.example", "/profile"),
        ("\\\\evil.example", "/profile"),
    ] {
        let fields = [("email", "ada@example.com"), ("password", PASSWORD), ("next", next)];
        app.browser().submit(PAGE, "sign_in", &fields).await.goes_to(goes);
        let called = app.browser().call("sign_in", &fields).await.is(200);
        assert_eq!(called.header("location"), goes, "{next}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn the_sign_in_page_carries_where_to_go_next(database: Database) {
    let app = &TestApp::start(database).await;
    let page = app.browser().get("/sign-in?next=/employees?page%3D2").await.is(200);
    assert!(page.body.contains("name=\"next\" value=\"/employees?page=2\""), "{}", page.body);
    let page = app.browser().get("/sign-in?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await.is(200);
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
}

#[apply(each_database)]
#[tokio::test]
async fn password_with_old_parameters_is_rehashed_at_sign_in(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
    let hash: PasswordHash = weak.hash_password(PASSWORD.as_bytes()).unwrap();
    app.sql(&format!("UPDATE users SET password_hash = '{hash}'")).await;
    sign_in(&app.browser(), "ada@example.com", "not the password").await.is(400);
    assert_eq!(app.texts("SELECT password_hash FROM users").await, [hash.to_string()]);
    sign_in(&app.browser(), "ada@example.com", PASSWORD).await.is(200);
    let new = app.texts("SELECT password_hash FROM users").await.remove(0);
    assert!(new.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{new}");
    sign_in(&app.browser(), "ada@example.com", PASSWORD).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn a_display_name_has_up_to_100_characters(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    for name in ["x".repeat(101), "x".repeat(120), "a\nb".into(), "a\0b".into(), "a\u{202e}b".into(), "\u{2800}".into()]
    {
        ada.call("save_name", &[("name", &name)]).await.failed_at("name");
    }
    let long = "é".repeat(100);
    for name in ["Ada", &long, "🔑 מפתח", "<b>Ada</b>", ""] {
        ada.call("save_name", &[("name", &format!(" {name} "))]).await.is(200);
        assert_eq!(app.user("ada").await.name, *name);
        let page = ada.get("/profile").await.is(200).body;
        assert!(!page.contains("<b>Ada"), "{page}");
    }
    // A name at its longest is in nobody's way.
    ada.call("save_name", &[("name", &long)]).await.is(200);
    let form = crate::keys::form_id(&ada).await;
    let fields =
        [("form[form_id]", form.as_str()), ("form[name]", "ci"), ("form[expires]", "7"), ("form[access]", "full")];
    ada.call("create_key", &fields).await.is(200);
    app.browser().call("save_name", &[("name", "x")]).await.failed(401);
}

#[apply(each_database)]
#[tokio::test]
async fn password_change_needs_the_current_one_and_ends_sessions(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, other, bob) = (app.signed_in("ada").await, app.signed_in("ada").await, app.signed_in("bob").await);
    let new = "five other words for it";
    let change =
        async |current: &str, new: &str| ada.call("change_password", &[("current", current), ("new", new)]).await;
    change("not it", new).await.failed_at("current");
    change("", new).await.failed_at("current");
    change(PASSWORD, "short").await.failed_at("new");
    change(PASSWORD, "password").await.failed_at("new");
    change(PASSWORD, "ada@example.com").await.failed_at("new");
    app.browser().call("change_password", &[("current", PASSWORD), ("new", new)]).await.failed(401);
    other.get(EMPLOYEES).await.is(200);
    let changed = change(PASSWORD, new).await.is(200);
    ada.get(EMPLOYEES).await.refused(401, "credentials_missing");
    ada.after(&changed).get(EMPLOYEES).await.is(200);
    bob.get(EMPLOYEES).await.is(200);
    other.get(EMPLOYEES).await.refused(401, "credentials_missing");
    sign_in(&app.browser(), "ada@example.com", PASSWORD).await.is(400);
    sign_in(&app.browser(), "ada@example.com", new).await.is(200);
    sign_in(&app.browser(), "bob@example.com", PASSWORD).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn a_disabled_account_loses_its_sessions_for_good(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    ada.get(EMPLOYEES).await.is(200);
    app.disable("ada").await;
    ada.get(EMPLOYEES).await.refused(401, "credentials_missing");
    ada.open("/profile").await.goes_to("/sign-in?next=/profile");
    bob.get(EMPLOYEES).await.is(200);
    app.sql("UPDATE users SET disabled_at = NULL").await;
    ada.get(EMPLOYEES).await.refused(401, "credentials_missing");
    sign_in(&app.browser(), "ada@example.com", PASSWORD).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn leftover_session_of_a_disabled_account_opens_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    app.sql("UPDATE users SET disabled_at = 1").await;
    ada.get(EMPLOYEES).await.refused(401, "credentials_missing");
    ada.call("list_keys", &[("query[state]", "")]).await.failed(401);
}

#[apply(each_database)]
#[tokio::test]
async fn another_site_can_do_nothing_with_an_account(database: Database) {
    let app = &TestApp::start(database).await;
    let foreign = app.signed_in("ada").await.on_another_site();
    let fields = [
        ("email", "ada@example.com"),
        ("password", PASSWORD),
        ("name", "x"),
        ("current", PASSWORD),
        ("new", "x"),
        ("id", "x"),
    ];
    for function in [
        "sign_up",
        "sign_in",
        "sign_out",
        "save_name",
        "change_password",
        "end_session",
        "end_other_sessions",
        "add_employee",
        "edit_employee",
        "delete_employee",
        "load_sample_employees",
    ] {
        let (called, sent) = (foreign.call(function, &fields).await, foreign.submit(PAGE, function, &fields).await);
        assert_eq!((called.status, sent.status), (403, 403), "{function}");
        assert!(called.all("set-cookie").is_empty() && sent.all("set-cookie").is_empty(), "{function}");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM sessions").await, 1);
    assert_eq!(app.number("SELECT COUNT(*) FROM employees").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn nothing_is_done_by_get_and_an_unknown_function_is_not_found(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    for function in ["sign_out", "end_other_sessions", "save_name?name=x", "load_sample_employees"] {
        assert_eq!(ada.get(&format!("/fn/{function}")).await.status, 405, "{function}");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM employees").await, 0);
    let unknown = ada.call("no_such_function", &[]).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    assert!(!unknown.body.contains("register_explicit"), "{unknown:?}");
}
