//! Links, redirects and dialogs that open by the address: values are encoded whole, things are found by their ids, and a sign-in
//! goes back to where it came from.

use keyfob::model::employees::Department::Hr;
use keyfob::model::keys::KeyName;
use keyfob::server::config::Signup;
use regex::Regex;
use rstest_reuse::apply;

use crate::support::{Answer, Client, Database, PASSWORD, TestApp, each_database};

/// The address of a row's action, as a browser reads it.
#[track_caller]
fn action(page: &Answer, about: &str, label: &str) -> String {
    let link = Regex::new(&format!("href=\"([^\"]+)\" aria-describedby=\"{about}\"[^>]*>{label}")).unwrap();
    let found = link.captures(&page.body).unwrap_or_else(|| panic!("no {label} at {about} in {}", page.body));
    found[1].replace("&amp;", "&")
}

/// The value of a hidden field, as a browser reads it.
fn hidden(page: &Answer, name: &str) -> String {
    let field = Regex::new(&format!("name=\"{name}\" value=\"([^\"]*)\"")).unwrap();
    field.captures(&page.body).map(|found| found[1].replace("&amp;", "&")).unwrap_or_default()
}

/// Without JavaScript, from a browser that says nothing of the page that it comes from.
async fn sign_in(browser: &Client, fields: &[(&str, &str)]) -> Answer {
    browser.with("accept", "text/html").form("/fn/sign_in", fields).await
}

/// What stands in a dialog.
fn dialog(page: &Answer) -> String {
    page.body.split("<dialog").nth(1).and_then(|rest| rest.split("</dialog>").next()).unwrap_or_default().to_owned()
}

#[apply(each_database)]
#[tokio::test]
async fn account_dialog_is_found_by_id_in_any_list(database: Database) {
    let app = &TestApp::start(database).await;
    let admin = app.admin().await;
    for name in ["c#sharp", "a+b", "x&y=z", "50%25", "q?d", "émile", "100%"] {
        let user = app.user(name).await;
        let list = admin.open("/admin/users").await.is(200);
        let page = admin.open(&action(&list, &format!("user-{}", user.id), "Disable")).await.is(200);
        assert!(
            dialog(&page).contains("Disable this account?") && dialog(&page).contains(user.id.as_str()),
            "{name}: {}",
            page.body
        );
        // Also where the list shows others, or none.
        for query in ["search=nothing-like-it", "after=zzz"] {
            let page = admin.open(&format!("/admin/users?{query}&disable={}", user.id)).await.is(200);
            assert!(dialog(&page).contains("Disable this account?"), "{name}: {}", page.body);
        }
    }
    let user = app.user("ada").await;
    app.disable("ada").await;
    for junk in [user.id.as_str(), "junk", "", "01890000-0000-7000-8000-000000000000"] {
        assert_eq!(dialog(&admin.open(&format!("/admin/users?disable={junk}")).await.is(200)), "", "{junk}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_dialog_leads_back_to_the_list_below_it(database: Database) {
    let app = &TestApp::start(database).await;
    let (admin, user) = (app.admin().await, app.user("c#sharp").await);
    let list = admin.open("/admin/users?search=c%23").await.is(200);
    let link = action(&list, &format!("user-{}", user.id), "Disable");
    assert_eq!(link, format!("/admin/users?search=c%23&disable={}", user.id));
    let page = dialog(&admin.open(&link).await.is(200));
    assert!(page.contains("name=\"search\" value=\"c#\""), "{page}");
}

#[apply(each_database)]
#[tokio::test]
async fn key_dialog_is_found_by_id_in_any_list(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key_that("ada", |spec| spec.name = KeyName::parse("50% & more").unwrap()).await.facts;
    let other = app.make_key("bob").await.facts;
    let admin = app.admin().await;
    let list = admin.open("/admin/keys?search=50%25%20%26&sort=oldest").await.is(200);
    for (label, title) in [("Edit", "Edit API key"), ("Revoke", "Revoke this key?")] {
        let link = action(&list, &format!("key-{}", made.id), label);
        assert!(link.contains("search=50%25%20%26&sort=oldest"), "{link}");
        let page = dialog(&admin.open(&link).await.is(200));
        assert!(page.contains(title) && page.contains(&made.prefix), "{page}");
        let name = label.to_lowercase();
        for query in ["search=nothing-like-it", "state=revoked", "after=x~0", ""] {
            let page = dialog(&admin.open(&format!("/admin/keys?{query}&{name}={}", made.id)).await.is(200));
            assert!(page.contains(title) && page.contains(&made.prefix), "{query}: {page}");
        }
    }
    let both = format!("/admin/keys?search=nothing&revoke={}&revoke={}", made.id, other.id);
    assert!(dialog(&admin.open(&both).await).contains("Revoke these 2 keys?"));
    app.sql(&format!("UPDATE keys SET revoked_at = 1 WHERE id = '{}'", made.id)).await;
    for name in ["edit", "revoke"] {
        assert_eq!(dialog(&admin.open(&format!("/admin/keys?{name}={}", made.id)).await), "");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn employee_dialog_is_found_by_id_on_any_page(database: Database) {
    let app = &TestApp::start(database).await;
    for n in 0..30 {
        app.employee("ada", (&format!("Person {n:02}"), Hr, 1)).await;
    }
    let last = app.employee("ada", ("Zuse", Hr, 1)).await;
    let theirs = app.employee("bob", ("Edsger", Hr, 1)).await;
    let ada = app.signed_in("ada").await;
    for (name, title) in [("edit", "Edit employee"), ("delete", "Delete this employee?")] {
        let page = ada.open(&format!("/employees?{name}={last}")).await.is(200);
        assert!(
            !page.body.contains("Page 2 of 2") && dialog(&page).contains(title) && dialog(&page).contains("Zuse"),
            "{}",
            page.body
        );
        let page = ada.open(&format!("/employees?{name}={theirs}")).await.is(200);
        assert!(dialog(&page).is_empty() && !page.body.contains("Edsger"), "{}", page.body);
    }
    app.team("red", "bob", &["ada"]).await;
    assert_eq!(dialog(&ada.open(&format!("/a/red/employees?edit={last}")).await.is(200)), "");
}

#[apply(each_database)]
#[tokio::test]
async fn a_sign_in_goes_back_to_the_page_with_its_query(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &[]).await;
    for (page, next) in [
        ("/employees?page=2", "/employees%3Fpage%3D2"),
        ("/a/red?leave=", "/a/red%3Fleave%3D"),
        ("/profile?create=&x=a%26b%2Bc", "/profile%3Fcreate%3D%26x%3Da%2526b%252Bc"),
        ("/profile?__path=/fn/save_name&__err=x&revoked=", "/profile%3Frevoked%3D"),
    ] {
        let asked = app.browser().open(page).await;
        asked.goes_to(&format!("/sign-in?next={next}"));
        let form = app.browser().open(asked.header("location")).await.is(200);
        let back = hidden(&form, "next");
        assert!(page.starts_with(&back[..back.find('?').unwrap()]), "{back}");
        let fields = [("email", "ada@example.com"), ("password", PASSWORD), ("next", back.as_str())];
        sign_in(&app.browser(), &fields).await.goes_to(&back);
        assert_eq!(app.browser().call("sign_in", &fields).await.is(200).header("location"), back);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn where_to_go_on_survives_the_links_and_a_sign_in_that_fails(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    let next = "/employees?page=2";
    let encoded = "/employees%3Fpage%3D2";
    let page = app.browser().open(&format!("/sign-in?next={encoded}")).await.is(200);
    assert!(page.body.contains(&format!("href=\"/sign-up?next={encoded}\"")), "{}", page.body);
    let page = app.browser().open(&format!("/sign-up?next={encoded}")).await.is(200);
    assert!(
        page.body.contains(&format!("href=\"/sign-in?next={encoded}\"")) && hidden(&page, "next") == next,
        "{}",
        page.body
    );
    let wrong = [("email", "ada@example.com"), ("password", "not the password"), ("next", next)];
    // A browser may not say where it comes from, or come from the answer to an earlier try.
    for referrer in ["", "http://localhost:8000/fn/sign_in", "http://localhost:8000/sign-in", "http://other.example/x"]
    {
        let browser = if referrer.is_empty() { app.browser() } else { app.browser().with("referer", referrer) };
        let failed = sign_in(&browser, &wrong).await.is(302);
        let location = failed.header("location").strip_prefix("http://localhost:8000").unwrap().to_owned();
        assert!(location.starts_with("/sign-in?next="), "{location}");
        let again = browser.keeping(&failed).open(&location).await.is(200);
        assert!(hidden(&again, "next") == next && again.body.contains("password is wrong"), "{}", again.body);
    }
    let elsewhere = [("email", "ada@example.com"), ("password", PASSWORD), ("next", "//evil.example")];
    sign_in(&app.browser(), &elsewhere).await.goes_to("/profile");
}

#[apply(each_database)]
#[tokio::test]
async fn where_sign_up_is_closed_no_page_offers_it(database: Database) {
    let app = &TestApp::start(database).await;
    let closed = app.configured(|config| config.signup = Signup::Closed);
    for path in ["/", "/sign-in", "/sign-in?next=/teams", "/docs/errors", "/not-there", "/sign-up"] {
        let page = closed.browser().open(path).await;
        assert!(
            !page.body.contains("href=\"/sign-up") && !page.body.contains("action=\"/fn/sign_up"),
            "{path}: {}",
            page.body
        );
    }
    let page = closed.browser().open("/sign-up?next=/teams").await.is(200);
    assert!(
        page.body.contains("Ask an administrator for an account.")
            && page.body.contains("href=\"/sign-in?next=/teams\""),
        "{}",
        page.body
    );
    assert!(app.browser().open("/").await.body.contains("href=\"/sign-up\""));
}

#[apply(each_database)]
#[tokio::test]
async fn over_http_a_sign_in_says_to_use_https(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    let https = app.configured(|config| config.public_url = "https://keys.example.com".parse().unwrap());
    let right = [("email", "ada@example.com"), ("password", PASSWORD), ("next", "/teams")];
    let plain = https.anonymous().with("host", "keys.example.com:8000").with("origin", "http://keys.example.com:8000");
    for function in ["sign_in", "sign_up"] {
        assert!(plain.call(function, &right).await.failed(400).to_string().contains("HttpsNeeded"));
    }
    let sent = plain.with("referer", "http://keys.example.com:8000/sign-in?next=/teams");
    let answer = sign_in(&sent, &right).await.is(302);
    assert!(answer.all("set-cookie").iter().all(|cookie| !cookie.contains("session")), "{answer:?}");
    let back = answer.header("location").strip_prefix("http://keys.example.com:8000").unwrap().to_owned();
    let page = sent.without("origin").open(&back).await.is(200);
    let there = "href=\"https://keys.example.com/sign-in?next=/teams\"";
    assert!(page.body.contains("opened this page over http") && page.body.contains(there), "{}", page.body);
    // Nobody can know where the browser names no address, and a proxy may say that all is well.
    for client in [https.browser(), https.anonymous(), plain.with("x-forwarded-proto", "https")] {
        client.call("sign_in", &right).await.is(200);
        assert!(!client.open("/sign-in").await.is(200).body.contains("opened this page over http"));
    }
    // On their own machine most browsers keep the cookie; where one does not, the page says why it is here again.
    let local = https.anonymous().with("host", "localhost:8000").with("origin", "http://localhost:8000");
    local.call("sign_in", &right).await.is(200);
    let again = local.without("origin").with("referer", "http://localhost:8000/sign-in").open("/sign-in").await.is(200);
    assert!(again.body.contains("opened this page over http"), "{}", again.body);
}

#[test]
fn script_only_controls_are_shown_by_the_running_script() {
    let style = include_str!("../../style/main.css");
    assert!(!style.contains("(scripting") && style.contains("[data-running] .needs-script"));
}
