//! Teams: who is in, who sees to them, and what a key for one reaches.

use keyfob::model::keys::NewKey;
use keyfob::model::teams::Team;
use keyfob::server::users::AccountChange;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Client, Database, NOW, TestApp, each_database};

fn employees(slug: &str) -> String {
    format!("/a/{slug}/employees/api/employees/")
}

async fn id(app: &TestApp, name: &str) -> String {
    app.user(name).await.id.to_string()
}

async fn key_for(app: &TestApp, name: &str, team: &Team) -> NewKey {
    let team = team.id.clone();
    app.make_key_that(name, |spec| spec.team = Some(team)).await
}

async fn roles(app: &TestApp) -> Vec<String> {
    app.texts("SELECT u.email || ' ' || m.role FROM members m JOIN users u ON u.id = m.user_id ORDER BY u.email").await
}

async fn leave(client: &Client, user: &str) -> crate::support::Answer {
    client.call("remove_member", &[("team", "red"), ("user", user)]).await
}

#[apply(each_database)]
#[tokio::test]
async fn team_is_404_for_non_members(database: Database) {
    let app = &TestApp::start(database).await;
    let red = app.team("red", "ada", &[]).await;
    let (bob, ada) = (app.signed_in("bob").await, id(app, "ada").await);
    let made = key_for(app, "ada", &red).await;
    for path in ["/a/red", "/a/red/employees", "/a/nothing", "/a/RED", "/a/%00"] {
        bob.open(path).await.is(404);
    }
    app.browser().open("/a/red").await.goes_to("/sign-in?next=/a/red");
    for client in [bob.clone(), app.with_key("bob").await] {
        client.get(&employees("red")).await.refused(404, "not_found");
        client.post(&employees("red"), json!({})).await.refused(404, "not_found");
        client.get("/a/red/employees/api/employee-data/").await.refused(404, "not_found");
    }
    for (function, fields) in [
        ("load_team", vec![("team", "red")]),
        ("add_member", vec![("team", "red"), ("email", "bob@example.com"), ("role", "admin")]),
        ("cancel_invitation", vec![("team", "red"), ("email", "bob@example.com")]),
        ("accept_invitation", vec![("team", "red")]),
        ("decline_invitation", vec![("team", "red")]),
        ("set_role", vec![("team", "red"), ("user", &ada), ("role", "member")]),
        ("remove_member", vec![("team", "red"), ("user", &ada)]),
        ("revoke_team_key", vec![("team", "red"), ("id", made.facts.id.as_str())]),
        ("list_employees", vec![("team", "red"), ("page", "1")]),
        ("add_employee", vec![("team", "red"), ("form[name]", "x")]),
        ("load_sample_employees", vec![("team", "red")]),
    ] {
        assert_eq!(bob.call(function, &fields).await.status, 404, "{function}");
        assert_eq!(app.browser().call(function, &fields).await.status, 401, "{function}");
    }
    assert_eq!(roles(app).await, ["ada@example.com admin"]);
    assert_eq!(app.number("SELECT COUNT(*) FROM employees").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn a_team_is_made_with_an_address_of_its_own(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    for (name, slug, wrong) in [
        ("", "red", "name"),
        ("Red", "", "slug"),
        ("Red", "Red", "slug"),
        ("Red", "r", "slug"),
        ("Red", "1red", "slug"),
    ] {
        ada.call("create_team", &[("form[name]", name), ("form[slug]", slug)]).await.failed_at(wrong);
    }
    ada.call("create_team", &[("form[name]", "Red <b>team"), ("form[slug]", "red")]).await.is(200);
    app.signed_in("bob")
        .await
        .call("create_team", &[("form[name]", "Mine"), ("form[slug]", "red")])
        .await
        .failed_at("slug");
    assert_eq!(roles(app).await, ["ada@example.com admin"]);
    let page = ada.open("/a/red").await.is(200).body;
    assert!(page.contains("ada@example.com") && !page.contains("Red <b>team"), "{page}");
    assert!(ada.open("/teams").await.is(200).body.contains("/a/red"));
}

#[apply(each_database)]
#[tokio::test]
async fn members_use_a_team_and_admins_see_to_it(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia"]).await;
    let (ada, mia, bob) = (app.signed_in("ada").await, app.signed_in("mia").await, app.signed_in("bob").await);
    let (bob_id, ada_id, mia_id) = (id(app, "bob").await, id(app, "ada").await, id(app, "mia").await);
    mia.call("add_member", &[("team", "red"), ("email", "bob@example.com"), ("role", "member")])
        .await
        .failed_at("non_field_errors");
    mia.call("set_role", &[("team", "red"), ("user", &mia_id), ("role", "admin")]).await.failed_at("non_field_errors");
    leave(&mia, &ada_id).await.failed_at("non_field_errors");
    assert!(!mia.open("/a/red").await.is(200).body.contains("Add member"));
    for (email, wrong) in [("junk", "email"), ("mia@example.com", "email")] {
        ada.call("add_member", &[("team", "red"), ("email", email), ("role", "member")]).await.failed_at(wrong);
    }
    ada.call("add_member", &[("team", "red"), ("email", "bob@example.com"), ("role", "owner")]).await.failed_at("role");
    ada.call("add_member", &[("team", "red"), ("email", " BOB@example.com "), ("role", "member")]).await.is(200);
    bob.call("accept_invitation", &[("team", "red")]).await.is(200);
    ada.call("set_role", &[("team", "red"), ("user", &mia_id), ("role", "admin")]).await.is(200);
    leave(&ada, &bob_id).await.is(200);
    leave(&ada, &bob_id).await.is(404);
    assert_eq!(roles(app).await, ["ada@example.com admin", "mia@example.com admin"]);
}

#[apply(each_database)]
#[tokio::test]
async fn the_last_admin_stays_also_when_two_go_at_once(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia"]).await;
    let (ada, mia) = (app.signed_in("ada").await, app.signed_in("mia").await);
    let (ada_id, mia_id) = (id(app, "ada").await, id(app, "mia").await);
    leave(&ada, &ada_id).await.failed_at("non_field_errors");
    ada.call("set_role", &[("team", "red"), ("user", &ada_id), ("role", "member")]).await.failed_at("non_field_errors");
    ada.call("set_role", &[("team", "red"), ("user", &mia_id), ("role", "admin")]).await.is(200);
    let (one, other) = tokio::join!(leave(&ada, &ada_id), leave(&mia, &mia_id));
    let statuses = [one.status, other.status];
    assert!(statuses.contains(&200) && statuses.contains(&400), "{statuses:?}");
    assert_eq!(app.number("SELECT COUNT(*) FROM members WHERE role = 'admin'").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn employees_of_team_and_user_are_separate(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia"]).await;
    let (ada, mia) = (app.with_key("ada").await, app.signed_in("mia").await);
    let body = json!({"name": "Grace Hopper", "department": "engineering", "salary": 1});
    let made = ada.post(&employees("red"), body.clone()).await.is(201);
    let place = made.header("location").to_owned();
    assert!(place.starts_with("http://localhost:8000/a/red/employees/api/employees/"), "{place}");
    let path = place.trim_start_matches("http://localhost:8000");
    assert_eq!(mia.get(path).await.is(200).json(), made.json());
    ada.post(crate::support::EMPLOYEES, body).await.is(201);
    for _ in 0..2 {
        ada.post(&employees("red"), json!({"name": "x", "department": "hr", "salary": 2})).await.is(201);
    }
    let page = mia.get(&format!("{}?page_size=2", employees("red"))).await.is(200).json();
    assert_eq!(page["count"], 3);
    assert_eq!(page["next"], "http://localhost:8000/a/red/employees/api/employees/?page_size=2&page=2");
    assert_eq!(mia.get(crate::support::EMPLOYEES).await.json()["count"], 0);
    let own = format!("{}{}/", crate::support::EMPLOYEES, made.json()["id"].as_str().unwrap());
    ada.get(&own).await.refused(404, "not_found");
    assert!(mia.open("/a/red/employees").await.is(200).body.contains("Grace Hopper"));
    assert!(!mia.open("/employees").await.is(200).body.contains("Grace Hopper"));
}

#[apply(each_database)]
#[tokio::test]
async fn team_key_works_while_its_user_is_a_member(database: Database) {
    let app = &TestApp::start(database).await;
    let red = app.team("red", "ada", &["mia"]).await;
    app.team("blue", "mia", &[]).await;
    let (made, own) = (key_for(app, "mia", &red).await, app.with_key("mia").await);
    let expired = app
        .make_key_that("mia", |spec| (spec.team, spec.expires_at) = (Some(red.id.clone()), Some(NOW.plus(-1))))
        .await;
    let client = app.anonymous().with_key(&made.key);
    client.get(&employees("red")).await.is(200);
    client.get(&employees("blue")).await.refused(403, "team_mismatch");
    client.get(crate::support::EMPLOYEES).await.refused(403, "team_mismatch");
    let mia = id(app, "mia").await;
    let (ada, browser) = (app.signed_in("ada").await, app.signed_in("mia").await);
    let add_again = async || {
        ada.call("add_member", &[("team", "red"), ("email", "mia@example.com"), ("role", "member")]).await.is(200);
        browser.call("accept_invitation", &[("team", "red")]).await.is(200);
    };
    leave(&ada, &mia).await.is(200);
    for again in [false, true] {
        if again {
            add_again().await;
        }
        for path in [&employees("red"), "/api/v1/me", "/api/v1/verify", "/api/v1/key"] {
            client.get(path).await.refused(401, "key_revoked");
        }
        own.get("/api/v1/me").await.is(200);
    }
    let keys = app.number("SELECT COUNT(*) FROM keys WHERE team_id IS NOT NULL AND revoked_at IS NULL").await;
    assert_eq!(keys, 0, "also {}, which has expired", expired.facts.prefix);
    let told =
        app.texts("SELECT subject || ' ' || actor || ' ' || detail FROM audit WHERE action = 'key.revoke'").await;
    assert_eq!(told, [format!("{} ada@example.com its user has left the team red", made.facts.prefix)]);

    // Somebody who leaves, in the other way; and whom an older server removed, which left the key as it was.
    let second = key_for(app, "mia", &red).await;
    leave(&browser, &mia).await.is(200);
    app.anonymous().with_key(&second.key).get("/api/v1/me").await.refused(401, "key_revoked");
    add_again().await;
    let third = key_for(app, "mia", &red).await;
    let client = app.anonymous().with_key(&third.key);
    client.get(&employees("red")).await.is(200);
    app.sql(&format!("DELETE FROM members WHERE user_id = '{mia}' AND team_id = '{}'", red.id)).await;
    client.get(&employees("red")).await.refused(403, "team_mismatch");
    for page in [browser.open("/profile").await, ada.open("/a/red").await] {
        assert!(page.is(200).body.contains("Rejected: its user left the team"));
    }
    add_again().await;
    client.get(&employees("red")).await.refused(401, "key_revoked");
}

#[apply(each_database)]
#[tokio::test]
async fn disabled_accounts_do_not_count_as_admins(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia", "bob"]).await;
    app.sql(
        "UPDATE members SET role = 'admin' WHERE user_id IN (SELECT id FROM users WHERE email IN ('mia@example.com'))",
    )
    .await;
    let (ada, ada_id, mia_id) = (app.signed_in("ada").await, id(app, "ada").await, id(app, "mia").await);
    app.disable("mia").await;
    let step_down = [("team", "red"), ("user", ada_id.as_str()), ("role", "member")];
    ada.call("set_role", &step_down).await.failed_at("non_field_errors");
    leave(&ada, &ada_id).await.failed_at("non_field_errors");
    assert_eq!(roles(app).await, ["ada@example.com admin", "bob@example.com member", "mia@example.com admin"]);
    // A member can leave a team that has no active admin at all.
    let bob = app.signed_in("bob").await;
    app.disable("ada").await;
    leave(&bob, &id(app, "bob").await).await.is(200);
    app.change("ada", AccountChange::Enable).await;
    // One who is disabled can be taken out.
    leave(&app.signed_in("ada").await, &mia_id).await.is(200);
    assert_eq!(roles(app).await, ["ada@example.com admin"]);
}

#[apply(each_database)]
#[tokio::test]
async fn non_member_cannot_make_a_team_key(database: Database) {
    let app = &TestApp::start(database).await;
    let red = app.team("red", "ada", &[]).await;
    let bob = app.signed_in("bob").await;
    let list = bob.call("list_keys", &[("query[state]", "active")]).await.is(200).json();
    let fields = [
        ("form[form_id]", list["form_id"].as_str().unwrap()),
        ("form[name]", "x"),
        ("form[expires]", "never"),
        ("form[access]", "full"),
        ("form[team]", red.id.as_str()),
    ];
    bob.call("create_key", &fields).await.failed_at("team");
    assert_eq!(app.number("SELECT COUNT(*) FROM keys").await, 0);
    assert!(!bob.open("/profile?create=").await.body.contains("name=\"team\""));
    assert!(app.signed_in("ada").await.open("/profile?create=").await.body.contains("name=\"team\""));
}

#[apply(each_database)]
#[tokio::test]
async fn an_admin_of_a_team_sees_and_revokes_its_keys_and_no_others(database: Database) {
    let app = &TestApp::start(database).await;
    let red = app.team("red", "ada", &["mia"]).await;
    let (made, own) = (key_for(app, "mia", &red).await, app.make_key("mia").await);
    let (ada, mia) = (app.signed_in("ada").await, app.signed_in("mia").await);
    let page = ada.open("/a/red").await.is(200).body;
    assert!(page.contains(&made.facts.prefix) && !page.contains(&own.facts.prefix), "{page}");
    assert!(!mia.open("/a/red").await.is(200).body.contains(&made.facts.prefix));
    mia.call("revoke_team_key", &[("team", "red"), ("id", made.facts.id.as_str())]).await.failed_at("non_field_errors");
    ada.call("revoke_team_key", &[("team", "red"), ("id", own.facts.id.as_str())]).await.is(404);
    ada.call("revoke_team_key", &[("team", "red"), ("id", made.facts.id.as_str())]).await.is(200);
    app.anonymous().with_key(&made.key).get("/api/v1/key").await.refused(401, "key_revoked");
    app.anonymous().with_key(&own.key).get("/api/v1/key").await.is(200);
}
