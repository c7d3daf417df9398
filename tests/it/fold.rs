//! Searches find what people take for the same, on both databases alike.

use keyfob::model::keys::KeyName;
use keyfob::server::maintenance::fold_names::fold_some;
use regex::Regex;
use rstest_reuse::apply;

use crate::support::{Answer, Database, EMPLOYEES, TestApp, each_database};

/// The same name as it may be typed: in capitals, in small letters, and with the accent as a character of its own.
const TYPED: [&str; 4] = ["%C3%89mile", "%C3%A9mile", "E%CC%81MILE", "%C3%89MIL"];

fn users(page: &Answer) -> Vec<String> {
    let email = Regex::new("<bdi id=\"user-[^\"]+\">([^<]+)").unwrap();
    email.captures_iter(&page.body).map(|found| found[1].to_owned()).collect()
}

/// Who and what is found by each way to type the name.
async fn check(app: &TestApp) {
    let (admin, ada) = (app.admin().await, app.with_key("ada").await);
    for typed in TYPED {
        assert_eq!(
            users(&admin.open(&format!("/admin/users?search={typed}")).await.is(200)),
            ["ada@example.com"],
            "{typed}"
        );
        let keys = admin.open(&format!("/admin/keys?search={typed}")).await.is(200);
        assert_eq!(keys.body.matches("<bdi id=\"key-").count(), 1, "{typed}: {}", keys.body);
        assert_eq!(ada.get(&format!("{EMPLOYEES}?search={typed}")).await.is(200).json()["count"], 1, "{typed}");
    }
    assert!(users(&admin.open("/admin/users?search=emile").await.is(200)).is_empty());
}

async fn everything_has_this_name(app: &TestApp) {
    app.make_key_that("bob", |spec| spec.name = KeyName::parse("Émile").unwrap()).await;
    let ada = app.signed_in("ada").await;
    ada.call("save_name", &[("name", "Émile")]).await.is(200);
    ada.call("add_employee", &[("form[name]", "Émile"), ("form[department]", "hr"), ("form[salary]", "1")])
        .await
        .is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn a_name_is_found_however_it_is_typed(database: Database) {
    let app = &TestApp::start(database).await;
    everything_has_this_name(app).await;
    check(app).await;
}

#[apply(each_database)]
#[tokio::test]
async fn names_from_before_are_folded_by_the_program(database: Database) {
    let app = &TestApp::start(database).await;
    everything_has_this_name(app).await;
    for table in ["users", "keys", "employees"] {
        app.sql(&format!("UPDATE {table} SET name_folded = ''")).await;
    }
    assert!(fold_some(&app.state.db).await.unwrap() >= 3);
    assert_eq!(fold_some(&app.state.db).await.unwrap(), 0);
    check(app).await;
}

#[apply(each_database)]
#[tokio::test]
async fn many_names_are_folded_in_parts(database: Database) {
    let app = &TestApp::start(database).await;
    app.sql(
        "INSERT INTO users (id, email, name, password_hash, superuser, created_at, updated_at) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) \
         SELECT '01890000-0000-7000-8000-' || CAST(100000000000 + i AS TEXT), CAST(i AS TEXT) || '@example.com', \
         'ÀÉ ' || CAST(i AS TEXT), '', FALSE, 1, 1 FROM n",
    )
    .await;
    let mut parts = Vec::new();
    while let found @ 1.. = fold_some(&app.state.db).await.unwrap() {
        parts.push(found);
    }
    assert_eq!(parts, [500, 500, 200]);
    assert_eq!(app.number("SELECT COUNT(*) FROM users WHERE name_folded LIKE 'àé %'").await, 1200);
}

#[apply(each_database)]
#[tokio::test]
async fn an_email_address_is_found_without_case_too(database: Database) {
    let app = &TestApp::start(database).await;
    let admin = app.admin().await;
    app.browser()
        .call("sign_up", &[("email", "ÉMILE@example.com"), ("password", crate::support::PASSWORD)])
        .await
        .is(200);
    app.make_key_that("x", |spec| spec.name = KeyName::parse("x").unwrap()).await;
    assert_eq!(users(&admin.open("/admin/users?search=%C3%89MILE%40").await.is(200)), ["émile@example.com"]);
    for who in ["%C3%89MILE%40EXAMPLE.com", "%C3%A9mile%40example.com"] {
        let audit = admin.open(&format!("/admin/audit?who={who}")).await.is(200);
        assert!(audit.body.matches("<bdi>émile@example.com").count() >= 2, "{}", audit.body);
    }
    app.team("red", "ada", &[]).await;
    // One stands in the choice of events.
    assert_eq!(admin.open("/admin/audit?who=RED").await.is(200).body.matches("Team created").count(), 2);
}

#[apply(each_database)]
#[tokio::test]
async fn a_search_of_any_length_is_answered(database: Database) {
    let app = &TestApp::start(database).await;
    let admin = app.admin().await;
    let long = "x%".repeat(15_000);
    admin.call_admin("find_users", &[("search", &long), ("after", "")]).await.is(200);
    admin.call_admin("find_keys", &[("query[search]", &long)]).await.is(200);
    admin.call_admin("find_events", &[("query[who]", &long)]).await.is(200);
}
