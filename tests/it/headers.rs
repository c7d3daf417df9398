//! The headers that protect every answer, whatever it is and whoever gives it.

use axum::http::Method;
use keyfob::model::employees::Department::Hr;
use regex::Regex;
use rstest_reuse::apply;
use serde_json::json;

use crate::keys::form_id;
use crate::support::{Answer, Database, EMPLOYEES, ONE_DAY, PASSWORD, TestApp, each_database};

/// What every answer has, and is the same for all of them.
const ALWAYS: [(&str, &str); 7] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
];
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";
const CSP: &str = "content-security-policy";
const HSTS: &str = "strict-transport-security";

#[track_caller]
fn protected(answer: &Answer) {
    for (name, value) in ALWAYS {
        assert_eq!(answer.all(name), [value], "{name} of {answer:?}");
    }
    assert_eq!(answer.all(CSP).len(), 1, "{answer:?}");
    let kind = answer.header("content-type");
    let text = kind.starts_with("text/") || kind.contains("+xml");
    assert!(!text || kind.ends_with("; charset=utf-8"), "{kind} of {answer:?}");
    for banner in ["server", "x-powered-by", "access-control-allow-origin"] {
        assert!(!answer.headers.contains_key(banner), "{answer:?}");
    }
}

/// Fails unless the answer is a page whose policy lets the scripts of this very page run and nothing else; gives its nonce.
#[track_caller]
fn page(answer: &Answer) -> String {
    protected(answer);
    let nonce = Regex::new("'nonce-([0-9a-f]{32})'").unwrap().captures(answer.header(CSP)).unwrap()[1].to_owned();
    assert_eq!(
        answer.header(CSP),
        format!(
            "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; \
             font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
             object-src 'none'; frame-ancestors 'none'"
        )
    );
    assert!(answer.body.starts_with("<!DOCTYPE html>"), "{answer:?}");
    let scripts = Regex::new("<script[^>]*>").unwrap();
    for script in scripts.find_iter(&answer.body) {
        assert!(script.as_str().contains(&format!(" nonce=\"{nonce}\"")), "{}", script.as_str());
    }
    let inline = Regex::new(
        r#"<[^>]* (style|on[a-z]+)=|<style|<(script|link|img|iframe)[^>]* (src|href)="?(https?:)?//|javascript:"#,
    );
    let found = inline.unwrap().find(&answer.body).map(|found| found.as_str().to_owned());
    assert_eq!(found, None, "a policy without exceptions does not let this in");
    nonce
}

#[track_caller]
fn no_page(answer: &Answer) {
    protected(answer);
    assert_eq!(answer.header(CSP), NO_PAGE, "{answer:?}");
}

/// A folder with the browser's files.
fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("pkg")).unwrap();
    for name in
        ["pkg/keyfob.js", "pkg/keyfob.wasm", "pkg/keyfob.css", "favicon.svg", "robots.txt", "profile-light.webp"]
    {
        std::fs::write(folder.path().join(name), "/* one */").unwrap();
    }
    folder
}

/// The pages of a superuser who has one of everything, with each dialog that opens by the address.
async fn pages_of_an_admin(app: &TestApp) -> Vec<String> {
    app.team("red-team", "root", &["bob"]).await;
    let made = app.make_key("root").await;
    let employee = app.employee("root", ("Grace Hopper", Hr, 5)).await;
    let key = made.facts.id;
    let mut paths: Vec<String> = [
        "/",
        "/sign-up",
        "/sign-in",
        "/forgot-password",
        "/profile",
        "/profile?create=",
        "/employees",
        "/employees?add=",
        "/teams",
        "/a/red-team",
        "/a/red-team/employees",
        "/docs/errors",
        "/admin/keys",
        "/admin/keys?create=",
        "/admin/users",
        "/admin/audit",
        "/not-there",
        "/profile?revoked=",
        "/sign-in?__path=/fn/sign_in&__err=junk",
    ]
    .map(str::to_owned)
    .into();
    paths.extend([
        format!("/profile?rotate={key}"),
        format!("/profile?revoke={key}"),
        format!("/admin/keys?edit={key}"),
        format!("/employees?edit={employee}"),
        format!("/employees?delete={employee}"),
    ]);
    paths
}

#[apply(each_database)]
#[tokio::test]
async fn every_page_runs_its_own_scripts_and_nothing_else(database: Database) {
    let app = &TestApp::start(database).await;
    let admin = app.admin().await;
    let mut nonces = Vec::new();
    for path in pages_of_an_admin(app).await {
        for answer in [admin.open(&path).await, app.browser().open(&path).await, admin.open(&path).await] {
            if answer.status != 302 {
                nonces.push(page(&answer));
            }
        }
    }
    let made = nonces.len();
    nonces.sort();
    nonces.dedup();
    assert!(made > 50 && nonces.len() == made, "{made} pages, {} nonces", nonces.len());
}

#[apply(each_database)]
#[tokio::test]
async fn a_page_has_scripts_and_they_have_the_nonce(database: Database) {
    let app = &TestApp::start(database).await;
    let answer = app.browser().open("/").await.is(200);
    assert!(answer.body.matches("<script").count() >= 2 && answer.body.contains(&page(&answer)), "{answer:?}");
}

#[apply(each_database)]
#[tokio::test]
async fn one_time_and_error_pages_have_the_page_headers(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let id = form_id(&ada).await;
    let fields =
        [("form_id", &id[..]), ("name", "x"), ("expires", "90"), ("date", ""), ("access", "full"), ("team", "")];
    let made = ada.form("/profile/keys", &fields).await.is(200);
    assert!(made.body.contains("Your new API key"), "{made:?}");
    page(&made);
    page(&ada.form("/profile/keys", &[("name", "x")]).await);
    page(&ada.form("/profile/keys/rotate", &[("id", "junk"), ("grace", "15m")]).await);
    page(&app.admin().await.form("/admin/keys", &[("search", &app.make_key("ada").await.key)]).await.is(200));
    app.state.db.close().await;
    page(&ada.open("/profile").await.is(503));
}

#[apply(each_database)]
#[tokio::test]
async fn responses_other_than_pages_run_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let folder = site();
    let app = app.configured(|config| folder.path().clone_into(&mut config.site_root));
    let (visitor, browser, ada) = (app.anonymous(), app.browser(), app.signed_in("ada").await);
    let key = app.with_key("ada").await;
    for path in [
        "/healthz",
        "/readyz",
        "/readyz/",
        "/robots.txt",
        "/favicon.svg",
        "/favicon.ico",
        "/api/openapi.json",
        "/api/docs/swagger-ui.css",
        "/api/docs/swagger-ui-bundle.js",
    ] {
        no_page(&visitor.get(path).await.is(200));
        no_page(&visitor.bare(Method::HEAD, path).await.is(200));
    }
    for name in ["keyfob.css", "keyfob.js", "keyfob.wasm"] {
        let path = format!("{}/pkg/{name}", app.state.site.version);
        let answer = visitor.get(&path).await.is(200);
        no_page(&answer);
        no_page(&visitor.with("if-modified-since", answer.header("last-modified")).get(&path).await.is(304));
        no_page(&visitor.with("range", "bytes=0-3").get(&path).await.is(206));
    }
    no_page(&visitor.get(&format!("{}/pkg/nothing.js", app.state.site.version)).await.is(404));
    no_page(&visitor.get("/profile").await.is(302));
    no_page(&ada.get("/profile/keys").await.is(303));
    no_page(&browser.submit("/sign-in", "sign_in", &[("email", "x"), ("password", PASSWORD)]).await.is(302));
    no_page(&browser.call("sign_in", &[("email", "x"), ("password", PASSWORD)]).await.is(400));
    no_page(&browser.call("nothing", &[]).await.is(404));
    no_page(&ada.call("list_keys", &[("query[state]", "")]).await.is(200));
    no_page(&ada.on_another_site().call("save_name", &[("name", "x")]).await.is(403));
    no_page(&browser.form("/fn/sign_in", &[("email", &"x".repeat(70_000))]).await.is(413));
    no_page(&visitor.bare(Method::POST, "/healthz").await.is(405));
    for path in ["/", "/healthz", "/robots.txt", "/api/v1/me"] {
        no_page(&visitor.bare(Method::TRACE, path).await.is(405));
    }
    no_page(&visitor.bare(Method::POST, "/profile").await);
    no_page(&app.admin().await.get("/admin/audit.csv").await.is(200));
    no_page(&key.get(EMPLOYEES).await.is(200));
    no_page(&key.bare(Method::OPTIONS, EMPLOYEES).await.is(204));
    no_page(&key.post(EMPLOYEES, json!({"name": "x", "department": "hr", "salary": 1})).await.is(201));
    no_page(&key.post(EMPLOYEES, json!({})).await.is(400));
    no_page(&key.text(Method::POST, EMPLOYEES, "{").await.is(400));
    no_page(&key.typed(Method::POST, EMPLOYEES, "text/plain", "x").await.is(415));
    no_page(&key.with("accept", "text/html").get(EMPLOYEES).await.is(406));
    no_page(&key.bare(Method::PUT, EMPLOYEES).await.is(405));
    no_page(&key.get("/api/v1/me").await.is(200));
    no_page(&key.get("/api/v1/verify").await.is(200));
    no_page(&visitor.get("/api/v1/verify").await.is(401));
    no_page(&visitor.get("/api/nothing").await.is(404));
    no_page(&ada.on_another_site().post(EMPLOYEES, json!({})).await.is(403));
    app.advance(100 * ONE_DAY);
    no_page(&key.get(EMPLOYEES).await.is(401));
    app.sql("ALTER TABLE employees RENAME TO employees_away").await;
    no_page(&app.with_key("ada").await.get(EMPLOYEES).await.is(500));
    app.state.db.close().await;
    no_page(&app.anonymous().get("/readyz").await.is(503));
    no_page(&key.get(EMPLOYEES).await.is(503));
}

#[apply(each_database)]
#[tokio::test]
async fn api_docs_alone_allow_inline_images_and_load_nothing_foreign(database: Database) {
    let app = &TestApp::start(database).await;
    for path in ["/api/docs", "/api/docs/"] {
        let docs = app.anonymous().get(path).await.is(200);
        protected(&docs);
        assert_eq!(
            docs.header(CSP),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
        );
        assert!(!docs.body.contains("<script>") && !docs.body.contains("://"), "{docs:?}");
    }
    no_page(&app.anonymous().get("/api/docs/nothing.js").await.is(404));
}

#[apply(each_database)]
#[tokio::test]
async fn hsts_is_said_of_https_only(database: Database) {
    let app = &TestApp::start(database).await;
    let https = app.configured(|config| config.public_url = "https://keys.example.com".parse().unwrap());
    for path in ["/", "/healthz", "/profile", "/not-there", EMPLOYEES, "/api/docs", "/api/openapi.json", "/robots.txt"]
    {
        let secure = https.anonymous().get(path).await;
        assert_eq!(secure.all(HSTS), ["max-age=63072000; includeSubDomains"], "{path}");
        protected(&secure);
        assert!(app.anonymous().get(path).await.all(HSTS).is_empty(), "{path}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn connect_policy_is_wider_only_with_live_reload(database: Database) {
    let app = &TestApp::start(database).await;
    let watched = app.configured(|config| config.watch = Some("true".to_owned()));
    let policy = watched.browser().open("/").await.header(CSP).to_owned();
    assert!(policy.contains("connect-src 'self' ws:;"), "{policy}");
    no_page(&watched.anonymous().get("/healthz").await);
}

#[apply(each_database)]
#[tokio::test]
async fn only_signing_out_clears_site_data(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    for answer in
        [ada.open("/profile").await, ada.call("save_name", &[("name", "Ada")]).await, ada.get(EMPLOYEES).await]
    {
        assert!(!answer.headers.contains_key("clear-site-data"), "{answer:?}");
    }
    for answer in [ada.submit("/profile", "sign_out", &[]).await, app.browser().call("sign_out", &[]).await] {
        assert_eq!(answer.all("clear-site-data"), ["\"cache\", \"storage\""], "{answer:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn security_txt_names_the_contact_where_there_is_one(database: Database) {
    let app = &TestApp::start(database).await;
    let path = "/.well-known/security.txt";
    page(&app.browser().open(path).await.is(404));
    let app = app.configured(|config| {
        config.security_contact = Some("mailto:security@example.com".parse().unwrap());
        config.public_url = "https://keys.example.com".parse().unwrap();
    });
    let answer = app.anonymous().get(path).await.is(200);
    no_page(&answer);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(
        answer.body,
        "Contact: mailto:security@example.com\nExpires: 2027-04-15T08:00:00.000Z\n\
         Canonical: https://keys.example.com/.well-known/security.txt\n"
    );
    app.advance(ONE_DAY);
    assert!(app.anonymous().get(path).await.body.contains("Expires: 2027-04-16T"));
}
