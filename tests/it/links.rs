//! Anybody can write a link. No words of one stand in our alerts. Only the browser that sent a form learns what was wrong with it.

use keyfob::error::AppError;
use keyfob::model::fields::FieldErrors;
use leptos::server_fn::error::ServerFnUrlError;
use rstest_reuse::apply;

use crate::support::{Answer, Database, PASSWORD, TestApp, each_database};

const WORDS: &str = "Your account is locked. Call +1 555 0100.";

/// A link to a page that tells an error of a server function, as Leptos writes them.
fn link(page: &str, function: &str, error: AppError) -> String {
    let url = ServerFnUrlError::new(function, error).to_url(&format!("http://localhost:8000{page}")).unwrap();
    url.as_str().strip_prefix("http://localhost:8000").unwrap().to_owned()
}

/// All that a page alerts or tells.
fn alerts(page: &Answer) -> Vec<String> {
    let told = regex::Regex::new("(?s)role=\"(?:alert|status)\"[^>]*>(.*?)</(?:div|p)>").unwrap();
    told.captures_iter(&page.body).map(|found| found[1].to_owned()).collect()
}

#[apply(each_database)]
#[tokio::test]
async fn no_words_of_a_link_stand_in_an_alert(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "root", &[]).await;
    let admin = app.admin().await;
    let errors = [
        AppError::Invalid(FieldErrors::whole(WORDS)),
        AppError::Invalid(FieldErrors::one("password", WORDS)),
        AppError::Invalid(FieldErrors::one("email", WORDS)),
        AppError::MalformedJson(WORDS.into()),
        AppError::ScopeMissing(WORDS.into()),
        AppError::RateLimited { limit: keyfob::error::Limit::SignIns, retry_after: 5_550_100 },
    ];
    for (page, function, client) in [
        ("/sign-in", "sign_in", app.browser()),
        ("/sign-up", "sign_up", app.browser()),
        ("/profile", "save_name", admin.clone()),
        ("/profile?create=", "create_key", admin.clone()),
        ("/employees?add=", "add_employee", admin.clone()),
        ("/teams", "create_team", admin.clone()),
        ("/a/red", "set_role", admin.clone()),
        ("/a/red", "add_member", admin.clone()),
        ("/a/red", "remove_member", admin.clone()),
        ("/admin/users", "change_user", admin.clone()),
    ] {
        for error in errors.clone() {
            for prefix in ["/fn", "/admin/fn"] {
                let opened = client.open(&link(page, &format!("{prefix}/{function}"), error.clone())).await.is(200);
                assert!(!opened.body.contains("1 555"), "{page}: {}", opened.body);
                assert!(alerts(&opened).iter().all(|told| !told.contains("1 555")), "{:?}", alerts(&opened));
            }
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn status_messages_come_from_a_fixed_list(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "root", &[]).await;
    let admin = app.admin().await;
    for page in ["/admin/keys", "/admin/users", "/teams", "/a/red"] {
        for (done, n) in [
            ("revoked", "Call+555"),
            ("revoked", "-1"),
            ("revoked", "5550100"),
            ("revoked", "1e3"),
            ("Call+555", "1"),
            ("saved", "Call+555"),
        ] {
            let opened = admin.open(&format!("{page}?done={done}&n={n}")).await.is(200);
            assert!(
                alerts(&opened).iter().all(|told| !told.contains("1 555") && !told.contains("Call")),
                "{page} {done} {n}: {:?}",
                alerts(&opened)
            );
        }
    }
    let told = alerts(&admin.open("/admin/keys?done=revoked&n=12").await).join(" ");
    assert!(told.contains("12 keys were revoked."), "{told}");
}

/// Without JavaScript the page before tells what was wrong, once, and only to the browser that sent the form.
#[apply(each_database)]
#[tokio::test]
async fn form_error_is_shown_once_and_never_in_a_url(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    let (wrong, browser) = ("The email address or the password is wrong.", app.browser());
    let fields = [("email", "ada@example.com"), ("password", "not it")];
    let answer = browser.submit("http://localhost:8000/sign-in?next=/teams", "sign_in", &fields).await;
    answer.goes_to("http://localhost:8000/sign-in?next=/teams");
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Max-Age=300"),
        "{cookie}"
    );
    let page = browser.keeping(&answer).open("/sign-in?next=/teams").await.is(200);
    assert!(alerts(&page).join(" ").contains(wrong) && page.body.contains("value=\"/teams\""), "{}", page.body);
    let forgotten = page.header("set-cookie");
    assert!(forgotten.starts_with("keyfob-told=;") && forgotten.contains("Max-Age=0"), "{forgotten}");
    // Another browser learns nothing, and neither does another form.
    assert!(!browser.open("/sign-in?next=/teams").await.body.contains(wrong));
    assert!(!alerts(&browser.keeping(&answer).open("/sign-up").await).join(" ").contains(wrong));
    // After a form that was right the page says nothing.
    let right = browser
        .submit("http://localhost:8000/sign-in", "sign_in", &[("email", "ada@example.com"), ("password", PASSWORD)])
        .await;
    right.goes_to("/profile");
    assert!(right.all("set-cookie").iter().all(|cookie| !cookie.starts_with("keyfob-told")), "{right:?}");
    // With https no other host can set the cookie.
    let https = app.configured(|config| config.public_url = "https://keys.example.com".parse().unwrap());
    let answer = https.browser().submit("https://keys.example.com/sign-in", "sign_in", &fields).await.is(302);
    assert!(
        answer.header("set-cookie").starts_with("__Host-keyfob-told=")
            && answer.header("set-cookie").contains("Secure"),
        "{answer:?}"
    );
}

#[apply(each_database)]
#[tokio::test]
async fn a_cookie_that_says_nonsense_is_no_error(database: Database) {
    let app = &TestApp::start(database).await;
    for value in ["", "~", "x", "null", "{}", "[]", "%FF", "{%22action%22:%22/fn/sign_in%22}", "%7B%22action%22%3A1%7D"]
    {
        let page = app.browser().with("cookie", &format!("keyfob-told={value}")).open("/sign-in").await.is(200);
        assert!(page.body.contains("Sign in"), "{}", page.body);
    }
}
