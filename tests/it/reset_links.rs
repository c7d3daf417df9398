//! One-time reset links: who makes one, when it works, and what its use does.

use std::time::Duration;

use keyfob::model::time::DAY;
use keyfob::server::users::AccountChange;
use regex::Regex;
use rstest_reuse::apply;

use crate::cli::{keyfob, run};
use crate::support::{Answer, Client, Database, ONE_DAY, PASSWORD, TestApp, each_database, trail};

const MAKE: &str = "/admin/users/reset-link";
const NEW: &str = "five other words for it";
const BROKEN: &str = "This link doesn't work";
const PAGE: &str = "http://localhost:8000/admin/users";

fn browser_of(client: &Client) -> Client {
    client.with("accept", "text/html").with("referer", PAGE)
}

/// Makes a link for a user; gives its address on the server.
async fn make(app: &TestApp, root: &Client, name: &str) -> String {
    let id = app.user(name).await.id.to_string();
    let page = browser_of(root).form(MAKE, &[("id", &id)]).await.is(200);
    let link = Regex::new("http://localhost:8000(/reset-password\\?token=([0-9a-f]{64}))").unwrap();
    let found = link.captures(&page.body).unwrap_or_else(|| panic!("{}", page.body));
    trail::secret(&found[2]);
    found[1].to_owned()
}

/// Opens a link; gives the browser that has the form.
async fn open(app: &TestApp, link: &str) -> Client {
    let visitor = app.browser().with("accept", "text/html");
    let answer = visitor.get(link).await.is(303);
    assert_eq!(answer.header("location"), "/reset-password");
    visitor.after(&answer)
}

async fn set(browser: &Client, password: &str) -> Answer {
    browser.form("/reset-password", &[("new", password)]).await
}

async fn sign_in(app: &TestApp, name: &str, password: &str) -> u16 {
    let email = format!("{name}@example.com");
    app.browser().call("sign_in", &[("email", &email), ("password", password)]).await.status
}

/// Fails unless a link is as unusable as one that never was.
async fn is_dead(app: &TestApp, link: &str) {
    let browser = open(app, link).await;
    let page = browser.get("/reset-password").await.is(200);
    assert!(page.body.contains(BROKEN) && !page.body.contains("<form"), "{}", page.body);
    let refused = set(&browser, NEW).await.is(400);
    assert!(refused.body.contains(BROKEN), "{}", refused.body);
    assert_eq!(
        refused.body.replace(|c: char| c.is_ascii_hexdigit(), ""),
        page.body.replace(|c: char| c.is_ascii_hexdigit(), "")
    );
}

#[apply(each_database)]
#[tokio::test]
async fn only_superusers_with_a_recent_password_make_a_link(database: Database) {
    let app = &TestApp::start(database).await;
    let (root, ada) = (app.admin().await, app.signed_in("ada").await);
    app.change("eve", AccountChange::Promote).await;
    let keys = [app.make_key("root").await.key, app.make_key("ada").await.key];
    for name in ["ada", "eve", "root"] {
        let id = app.user(name).await.id.to_string();
        for client in [&ada, &app.browser(), &app.anonymous().with_key(&keys[0]), &root.with_key(&keys[1])] {
            for client in [client, &browser_of(client)] {
                assert_eq!(client.form(MAKE, &[("id", &id)]).await.status, 404);
                assert_eq!(client.get(MAKE).await.status, 404);
            }
        }
        assert_eq!(browser_of(&root.on_another_site()).form(MAKE, &[("id", &id)]).await.status, 403);
    }
    for unknown in [&[("id", "junk")][..], &[("id", "01890000-0000-7000-8000-000000000000")], &[]] {
        assert_eq!(browser_of(&root).form(MAKE, unknown).await.status, 404);
    }
    let id = app.user("eve").await.id.to_string();
    app.disable("eve").await;
    let disabled = browser_of(&root).form(MAKE, &[("id", &id)]).await.is(400);
    assert!(disabled.body.contains("This account is disabled. Enable it first."), "{}", disabled.body);
    // A superuser's link for another superuser, and any other: the password first.
    app.change("eve", AccountChange::Enable).await;
    app.advance(Duration::from_mins(15));
    for name in ["ada", "eve"] {
        let id = app.user(name).await.id.to_string();
        let page = browser_of(&root).form(MAKE, &[("id", &id)]).await.is(403);
        assert!(
            page.body.contains("<h1>Confirm with your password") && page.body.contains(&format!("action=\"{MAKE}\"")),
            "{}",
            page.body
        );
        assert_eq!(root.form(MAKE, &[("id", &id)]).await.status, 403);
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM password_resets").await, 0);
    let fields = [("id", id.as_str()), ("sent_from", "/admin/users"), ("password_again", PASSWORD)];
    assert!(browser_of(&root).form(MAKE, &fields).await.is(200).body.contains("/reset-password?token="));
    assert_eq!(root.get(MAKE).await.status, 404, "the session has another secret now");
}

#[apply(each_database)]
#[tokio::test]
async fn link_sets_the_password_once_and_ends_all_sessions(database: Database) {
    let app = &TestApp::start(database).await;
    let (root, ada, program) = (app.admin().await, app.signed_in("ada").await, app.with_key("ada").await);
    let link = make(app, &root, "ada").await;
    let token = link.rsplit('=').next().unwrap();
    assert!(!app.rows().await.join("\n").contains(token), "only the digest is stored");
    let visitor = app.browser().with("accept", "text/html");
    let opened = visitor.get(&link).await.is(303);
    assert_eq!((opened.header("referrer-policy"), opened.header("cache-control")), ("no-referrer", "no-store"));
    let cookie = opened.header("set-cookie");
    assert!(
        cookie.starts_with("keyfob_reset=") && cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    assert!(cookie.contains("Max-Age=1800"), "{cookie}");
    // Opening it, by a preview as well, uses nothing up.
    let browser = open(app, &link).await;
    let page = browser.get("/reset-password").await.is(200);
    assert!(page.body.contains("ada@example.com") && !page.body.contains(token), "{}", page.body);
    assert_eq!((page.header("referrer-policy"), page.header("cache-control")), ("no-referrer", "no-store"));
    for (weak, says) in [("short", "at least 8"), ("password", "too easy to guess"), ("ada@example.com", "too easy")] {
        let again = set(&browser, weak).await.is(400);
        assert!(again.body.contains(says) && again.body.contains("<form"), "{}", again.body);
        assert!(!again.body.contains(token));
    }
    assert_eq!(set(&browser.on_another_site(), NEW).await.status, 403);
    ada.open("/profile").await.is(200);
    let done = set(&browser, NEW).await.is(303);
    assert_eq!(done.header("location"), "/sign-in?done=reset");
    assert!(done.all("set-cookie").iter().all(|cookie| cookie.starts_with("keyfob_reset=; ")), "nobody is signed in");
    assert!(
        app.browser().open("/sign-in?done=reset").await.body.contains("Password changed. Sign in with the new one.")
    );
    ada.open("/profile").await.goes_to("/sign-in?next=/profile");
    program.get("/api/v1/me").await.is(200);
    assert_eq!((sign_in(app, "ada", PASSWORD).await, sign_in(app, "ada", NEW).await), (400, 200));
    is_dead(app, &link).await;
    let events = app.texts("SELECT action || ' ' || actor || ' ' || subject FROM audit WHERE action IN ('account.reset_link', 'account.password') ORDER BY action").await;
    assert_eq!(
        events,
        ["account.password a reset link ada@example.com", "account.reset_link root@example.com ada@example.com"]
    );
}

#[apply(each_database)]
#[tokio::test]
async fn link_ends_after_a_day_and_with_what_replaces_it(database: Database) {
    let app = &TestApp::start(database).await;
    let root = app.admin().await;
    let (first, second) = (make(app, &root, "ada").await, make(app, &root, "ada").await);
    is_dead(app, &first).await;
    is_dead(app, &format!("/reset-password?token={}", "0".repeat(64))).await;
    for junk in ["", "x", "%00", "' OR 1=1 --"] {
        let browser = app.browser().with("accept", "text/html");
        let answer = browser.get(&format!("/reset-password?token={}", junk.replace(' ', "+"))).await.is(303);
        assert!(answer.header("set-cookie").starts_with("keyfob_reset=; "), "{answer:?}");
    }
    app.advance(ONE_DAY - Duration::from_millis(1));
    let browser = open(app, &second).await;
    assert!(browser.get("/reset-password").await.is(200).body.contains("Set a new password"));
    app.advance(Duration::from_millis(1));
    is_dead(app, &second).await;

    let root = app.admin().await;
    let ada = app.signed_in("ada").await;
    let link = make(app, &root, "ada").await;
    ada.call("change_password", &[("current", PASSWORD), ("new", NEW)]).await.is(200);
    is_dead(app, &link).await;
    let link = make(app, &root, "ada").await;
    app.set_password("ada", PASSWORD).await;
    is_dead(app, &link).await;
    let link = make(app, &root, "ada").await;
    app.disable("ada").await;
    is_dead(app, &link).await;
    app.change("ada", AccountChange::Enable).await;
    is_dead(app, &link).await;
    let link = make(app, &root, "ada").await;
    app.signed_in("ada").await.call("delete_account", &[("password", PASSWORD)]).await.is(200);
    is_dead(app, &link).await;
}

#[apply(each_database)]
#[tokio::test]
async fn of_two_uses_at_once_one_sets_the_password(database: Database) {
    let app = &TestApp::start(database).await;
    let root = app.admin().await;
    for round in 0..3 {
        let name = format!("ada{round}");
        let link = make(app, &root, &name).await;
        let (one, two) = (open(app, &link).await, open(app, &link).await);
        let (first, second) = tokio::join!(set(&one, "five other words first"), set(&two, "five other words second"));
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        // One user has one place among the passwords that are hashed.
        assert!(matches!(statuses, [303, 400 | 429]), "{first:?} {second:?}");
        let works =
            [sign_in(app, &name, "five other words first").await, sign_in(app, &name, "five other words second").await];
        assert_eq!(works.iter().filter(|status| **status == 200).count(), 1, "{works:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn wrong_tokens_are_limited_by_address(database: Database) {
    let app = &TestApp::start(database).await;
    let root = app.admin().await;
    let link = make(app, &root, "ada").await;
    let at = |ip: &str| app.browser().with("accept", "text/html").coming_from(ip);
    let wrong = at("203.0.113.9").with("cookie", &format!("keyfob_reset={}", "0".repeat(64)));
    for _ in 0..10 {
        wrong.get("/reset-password").await.is(200);
    }
    assert_ne!(wrong.get("/reset-password").await.is(429).header("retry-after"), "");
    set(&wrong, NEW).await.is(429);
    // A right token counts nothing, and another address is not limited.
    let right = at("203.0.113.10");
    let right = right.after(&right.get(&link).await.is(303));
    for _ in 0..12 {
        assert!(right.get("/reset-password").await.is(200).body.contains("<form"));
    }
}

#[apply(each_database)]
#[tokio::test]
async fn over_https_the_cookie_is_for_this_host_only(database: Database) {
    let app = &TestApp::start(database).await;
    let https = app.configured(|config| config.public_url = "https://keys.example.com".parse().unwrap());
    let answer = https.browser().open(&format!("/reset-password?token={}", "a".repeat(64))).await.is(303);
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-keyfob_reset=") && cookie.contains("Secure") && cookie.contains("Path=/;"),
        "{cookie}"
    );
    // Over plain http on a public host, browsers would send the form as one of another site.
    let http = app.configured(|config| config.public_url = "http://keys.example.com".parse().unwrap());
    let page = http.browser().open("/reset-password").await.is(200);
    assert_eq!(page.header("referrer-policy"), "same-origin");
    let opened = http.browser().open(&format!("/reset-password?token={}", "a".repeat(64))).await.is(303);
    assert_eq!(opened.header("referrer-policy"), "no-referrer");
}

#[apply(each_database)]
#[tokio::test]
async fn sign_in_leads_to_what_to_do_and_keeps_next(database: Database) {
    let app = &TestApp::start(database).await;
    let page = app.browser().open("/sign-in?next=/employees%3Fpage%3D2").await.is(200);
    let link = "/forgot-password?next=/employees%3Fpage%3D2";
    assert!(page.body.contains(&format!("href=\"{link}\"")), "{}", page.body);
    let page = app.browser().open(link).await.is(200);
    for text in ["<h1>Forgot your password?", "Ask an administrator", "href=\"/sign-in?next=/employees%3Fpage%3D2\""] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(!page.body.contains("type=\"email\""), "nothing is sent, so nothing is asked");
}

#[apply(each_database)]
#[tokio::test]
async fn operator_prints_the_link_alone(database: Database) {
    let app = &TestApp::start(database).await;
    app.signed_in("ada").await;
    keyfob(&app.url, "user reset-link --email nobody@example.com").await.refused("there is no account");
    let environment = [("KEYFOB_PUBLIC_URL", "https://keys.example.com")];
    let ran = run(&app.url, &["user", "reset-link", "--email", "ADA@example.com"], &environment, "").await.done();
    let link = Regex::new("^https://keys\\.example\\.com(/reset-password\\?token=[0-9a-f]{64})\n$").unwrap();
    let path = link.captures(&ran.out).unwrap_or_else(|| panic!("{ran:?}"))[1].to_owned();
    trail::secret(path.rsplit('=').next().unwrap());
    assert_eq!(ran.err, "");
    // The program has the real time, and the tests another.
    let until = app.state.now().plus(DAY).as_millis();
    app.sql(&format!("UPDATE password_resets SET expires_at = {until}")).await;
    set(&open(app, &path).await, NEW).await.is(303);
    assert_eq!(sign_in(app, "ada", NEW).await, 200);
    let wrong =
        run(&app.url, &["user", "reset-link", "--email", "ada@example.com"], &[("KEYFOB_PUBLIC_URL", "x")], "").await;
    wrong.refused("KEYFOB_PUBLIC_URL");
    app.disable("ada").await;
    keyfob(&app.url, "user reset-link --email ada@example.com").await.refused("Enable it first");
}
