//! The pages: each answers, with its heading, to whom it is for.

use axum::http::Method;
use keyfob::error::ERROR_CODES;
use keyfob::model::employees::Department::Hr;
use rstest_reuse::apply;

use crate::support::{Answer, Database, NOW, ONE_DAY, TestApp, each_database};

#[track_caller]
fn shows(answer: &Answer, texts: &[&str]) {
    assert!(answer.header("content-type").starts_with("text/html"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    for text in texts {
        assert!(answer.body.contains(text), "no {text} in {}", answer.body);
    }
}

/// The field of a page with this name.
fn has_field(answer: &Answer, name: &str) -> bool {
    answer.body.contains(&format!("name=\"{name}\""))
}

#[apply(each_database)]
#[tokio::test]
async fn visitor_sees_the_public_pages(database: Database) {
    let app = &TestApp::start(database).await;
    for (path, texts) in [
        ("/", &["<h1>API keys", "href=\"/sign-up\"", "href=\"/sign-in\"", "Sign up", "Sign in"][..]),
        ("/sign-up", &["<h1>Sign up", "Email", "Password"]),
        ("/sign-in", &["<h1>Sign in", "Email", "Password"]),
        ("/docs/errors", &["<h1>Errors"]),
    ] {
        for path in [path, &format!("{path}/").replace("//", "/")] {
            let answer = app.browser().open(path).await.is(200);
            shows(&answer, texts);
            assert!(answer.body.starts_with("<!DOCTYPE html><html lang=\"en\">") && !answer.body.contains("Sign out"));
            app.browser().bare(Method::HEAD, path).await.is(200);
        }
    }
    let form = app.browser().open("/sign-up").await;
    assert!(has_field(&form, "email") && has_field(&form, "password") && form.body.contains("action=\"/fn/sign_up\""));
}

#[apply(each_database)]
#[tokio::test]
async fn protected_page_sends_a_visitor_to_sign_in_and_back(database: Database) {
    let app = &TestApp::start(database).await;
    for path in ["/profile", "/employees"] {
        for (client, path) in [
            (app.browser(), path.to_owned()),
            (app.browser(), format!("{path}/")),
            (app.browser().with("cookie", "keyfob_session=junk"), path.to_owned()),
        ] {
            let answer = client.open(&path).await;
            answer.goes_to(&format!("/sign-in?next={}", path.trim_end_matches('/')));
            assert!(!answer.body.contains("@example.com"), "{}", answer.body);
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn protected_page_redirects_for_any_accept_header(database: Database) {
    let app = &TestApp::start(database).await;
    for client in [app.browser(), app.browser().with("accept", "*/*"), app.browser().with("accept", "application/json")]
    {
        client.get("/profile").await.goes_to("/sign-in?next=/profile");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn signed_in_user_sees_their_own(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    app.employee("ada", ("Grace Hopper", Hr, 134_000)).await;
    app.employee("bob", ("Edsger Dijkstra", Hr, 1)).await;
    let ada = app.signed_in("ada").await;
    for path in ["/profile", "/profile/"] {
        let profile = ada.open(path).await.is(200);
        shows(
            &profile,
            &[
                "<h1>Profile",
                "ada@example.com",
                "API keys",
                "Create key",
                "Display name",
                "Change password",
                "Sessions",
                "Sign out everywhere else",
                "Sign out",
                "nightly report",
                &made.facts.prefix,
                "Full access",
                "Active",
                "15 Apr 2027",
            ],
        );
    }
    for path in ["/employees", "/employees/"] {
        let employees = ada.open(path).await.is(200);
        shows(&employees, &["<h1>Employees", "Grace Hopper", "Human Resources", "134\u{202f}000", "Add employee"]);
        assert!(!employees.body.contains("Edsger") && !employees.body.contains("Load sample employees"));
    }
    shows(&ada.open("/").await.is(200), &["Go to your keys", "ada@example.com"]);
}

#[apply(each_database)]
#[tokio::test]
async fn an_empty_list_says_so(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    shows(&ada.open("/profile").await.is(200), &["You have no keys yet."]);
    shows(&ada.open("/employees").await.is(200), &["There are no employees yet.", "Load sample employees"]);
    let made = app.make_key("ada").await;
    ada.call("revoke_key", &[("id", made.facts.id.as_str())]).await.is(200);
    shows(&ada.open("/profile").await.is(200), &[">Revoked<"]);
}

#[apply(each_database)]
#[tokio::test]
async fn what_could_not_be_loaded_says_so_and_is_not_empty(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    app.sql("ALTER TABLE keys RENAME TO keys_away").await;
    let page = ada.open("/profile").await.is(200);
    shows(&page, &["Your keys couldn't be loaded."]);
    assert!(!page.body.contains("You have no keys") && !page.body.contains("no such table"), "{}", page.body);
}

#[apply(each_database)]
#[tokio::test]
async fn a_path_that_is_not_there_is_404_with_a_page(database: Database) {
    let app = &TestApp::start(database).await;
    for client in [app.browser(), app.signed_in("ada").await] {
        for path in [
            "/nothing",
            "/profile/nothing",
            "/sign-in/x",
            "/a/b/c",
            "/employees/1",
            "/%F0%9F%94%91",
            "/index.php",
            "/admin/keys",
        ] {
            shows(&client.open(path).await.is(404), &["Page not found"]);
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn the_dialogs_open_by_the_url_too(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let create = ada.open("/profile?create=").await.is(200);
    shows(&create, &["Create API key", "90 days", "Read only", "action=\"/profile/keys\"", "15 Apr 2027"]);
    assert!(["form_id", "name", "expires", "date", "access"].iter().all(|name| has_field(&create, name)));
    assert!(!ada.open("/profile").await.body.contains("Create API key"));
    let id = app.employee("ada", ("Grace Hopper", Hr, 5)).await;
    let edit = ada.open(&format!("/employees?edit={id}")).await.is(200);
    shows(&edit, &["Edit employee", "value=\"Grace Hopper\"", "value=\"5\""]);
    shows(&ada.open(&format!("/employees?delete={id}")).await.is(200), &["Delete this employee?", "alertdialog"]);
    shows(&ada.open("/employees?add=").await.is(200), &["<h2 id=\"add-employee\""]);
    for junk in ["edit=junk", "delete=junk", "page=junk", "page=-1", "page=0", "page=99999999999", "edit=%FF"] {
        shows(&ada.open(&format!("/employees?{junk}")).await.is(200), &["Grace Hopper"]);
    }
    for junk in ["revoke=junk", "revoke=%22%3E%3Cscript%3Ealert(1)", "__path=/fn/x&__err=junk", "__err=%FF"] {
        let page = ada.open(&format!("/profile?{junk}")).await.is(200);
        assert!(!page.body.contains("<script>alert"), "{junk}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn employees_are_added_changed_and_removed_without_javascript(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let page = "http://localhost:8000/employees";
    let fields = [("form[name]", "Grace Hopper"), ("form[department]", "hr"), ("form[salary]", "5")];
    ada.submit(&format!("{page}?add="), "add_employee", &fields).await.goes_to("/employees?done=added");
    let id = app.texts("SELECT id FROM employees").await.remove(0);
    app.advance(ONE_DAY);
    let fields = [
        ("id", id.as_str()),
        ("form[name]", "Grace M. Hopper"),
        ("form[department]", "sales"),
        ("form[salary]", " 6 "),
    ];
    ada.submit(&format!("{page}?edit={id}"), "edit_employee", &fields).await.goes_to("/employees?done=saved");
    shows(&ada.open("/employees").await.is(200), &["Grace M. Hopper", "Sales"]);
    assert_eq!(app.number("SELECT created_at FROM employees").await, NOW.as_millis());
    ada.submit(&format!("{page}?delete={id}"), "delete_employee", &[("id", &id)])
        .await
        .goes_to("/employees?done=deleted");
    shows(&ada.open("/employees").await.is(200), &["There are no employees yet."]);
    assert_eq!(ada.submit(page, "load_sample_employees", &[]).await.status, 302);
    ada.submit(page, "load_sample_employees", &[]).await;
    assert_eq!(app.number("SELECT COUNT(*) FROM employees").await, 12);
}

#[apply(each_database)]
#[tokio::test]
async fn a_wrong_employee_is_refused_field_by_field(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let wrong = [("form[name]", " "), ("form[department]", "x"), ("form[salary]", "1.5")];
    let answer = ada.call("add_employee", &wrong).await;
    for field in ["name", "department", "salary"] {
        answer.failed_at(field);
    }
    let theirs = app.employee("bob", ("Edsger Dijkstra", Hr, 1)).await;
    let right = [("id", theirs.as_str()), ("form[name]", "x"), ("form[department]", "hr"), ("form[salary]", "1")];
    for id in [theirs.as_str(), "junk", ""] {
        ada.call("delete_employee", &[("id", id)]).await.failed(404);
    }
    ada.call("edit_employee", &right).await.failed(404);
    ada.call("list_employees", &[("page", "junk")]).await.failed_at("non_field_errors");
    assert_eq!(app.texts("SELECT name FROM employees").await, ["Edsger Dijkstra"]);
}

#[apply(each_database)]
#[tokio::test]
async fn a_long_list_of_employees_comes_in_pages_of_25(database: Database) {
    let app = &TestApp::start(database).await;
    for n in 0..30 {
        app.employee("ada", (&format!("Person {n:02}"), Hr, 1)).await;
    }
    let ada = app.signed_in("ada").await;
    shows(&ada.open("/employees").await.is(200), &["Person 00", "Person 24", "Page 1 of 2", "/employees?page=2"]);
    let last = ada.open("/employees?page=2").await.is(200);
    shows(&last, &["Person 25", "Person 29", "Page 2 of 2"]);
    assert!(!last.body.contains("Person 24"));
    shows(&ada.open("/employees?page=9").await.is(200), &["Person 29", "Page 2 of 2"]);
}

#[apply(each_database)]
#[tokio::test]
async fn each_error_has_its_entry_on_the_page_that_problems_point_to(database: Database) {
    let app = &TestApp::start(database).await;
    let page = app.browser().open("/docs/errors").await.is(200);
    for error in ERROR_CODES {
        assert!(page.body.contains(&format!("id=\"{}\"", error.code)), "{}", error.code);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn browser_files_are_immutable_under_versioned_names(database: Database) {
    let app = &TestApp::start(database).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("pkg")).unwrap();
    for name in ["pkg/keyfob.js", "pkg/keyfob.wasm", "pkg/keyfob.css", "favicon.svg", "robots.txt"] {
        std::fs::write(folder.path().join(name), "/* one */").unwrap();
    }
    std::fs::write(folder.path().join("pkg/keyfob.css.br"), "packed").unwrap();
    let site = || app.configured(|config| folder.path().clone_into(&mut config.site_root));
    let (first, old) = (site(), site().state.site.version.clone());
    let style = format!("{old}/pkg/keyfob.css");
    assert!(first.browser().open("/").await.body.contains(&format!("href=\"{style}\"")));
    let plain = first.browser().get(&style).await.is(200);
    assert_eq!(
        (plain.header("cache-control"), plain.body.as_str()),
        ("public, max-age=31536000, immutable", "/* one */")
    );
    let packed = first.browser().with("accept-encoding", "gzip, br").get(&style).await.is(200);
    assert_eq!((packed.header("content-encoding"), packed.body.as_str()), ("br", "packed"));
    for (path, status) in [("/favicon.svg", 200), ("/favicon.ico", 200), ("/robots.txt", 200)] {
        assert_eq!(first.browser().get(path).await.status, status, "{path}");
    }
    for path in ["/pkg/../favicon.svg", "/pkg/%2e%2e/%2e%2e/keyfob.db", "/pkg/", "/pkg/nothing.js"] {
        let answer = first.browser().get(&format!("{old}{path}")).await;
        assert!(answer.status == 404 && !answer.header("cache-control").contains("immutable"), "{path}: {answer:?}");
    }
    std::fs::write(folder.path().join("pkg/keyfob.css"), "/* two */").unwrap();
    assert_ne!(site().state.site.version, old);
}
