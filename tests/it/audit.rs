//! The audit: what happened is in it, nothing secret is, and keys that leaked.

use std::time::Duration;

use keyfob::model::audit::Action;
use keyfob::model::teams::Role;
use keyfob::server::audit::Actor;
use keyfob::server::teams::operator;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Client, Database, PASSWORD, TestApp, each_database};

const LEAKED: &str = "/api/v1/leaked-keys";

async fn events(app: &TestApp) -> Vec<String> {
    app.texts("SELECT action || ' ' || actor || ' ' || ip || ' ' || subject FROM audit ORDER BY id").await
}

async fn everything(app: &TestApp) -> String {
    let columns = "id || action || COALESCE(actor_id, '') || actor || ip || COALESCE(user_id, '') || COALESCE(key_id, '') || subject || detail";
    app.texts(&format!("SELECT {columns} FROM audit")).await.join("\n")
}

async fn report(client: &Client, body: Value) -> u16 {
    client.post(LEAKED, body).await.status
}

#[apply(each_database)]
#[tokio::test]
async fn every_event_records_actor_and_address_and_no_secret(database: Database) {
    let app = &TestApp::start(database).await;
    let visitor = app.browser().coming_from("203.0.113.9");
    let ada =
        visitor.after(&visitor.call("sign_up", &[("email", "ada@example.com"), ("password", PASSWORD)]).await.is(200));
    let cookie = app.texts("SELECT digest FROM sessions").await;
    ada.call("save_name", &[("name", "Ada")]).await.is(200);
    let form_id =
        ada.call("list_keys", &[("query[state]", "active")]).await.json()["form_id"].as_str().unwrap().to_owned();
    let fields = [
        ("form[form_id]", form_id.as_str()),
        ("form[name]", "nightly"),
        ("form[expires]", "90"),
        ("form[access]", "full"),
    ];
    let made = ada.call("create_key", &fields).await.is(200).json();
    let (key, id) = (made["key"].as_str().unwrap().to_owned(), made["facts"]["id"].as_str().unwrap().to_owned());
    let rotated =
        ada.call("rotate_key", &[("form[id]", &id), ("form[grace]", "1h"), ("form[seen]", "")]).await.is(200).json();
    ada.call("create_team", &[("form[name]", "Red"), ("form[slug]", "red")]).await.is(200);
    let (new, bob) = (app.signed_in("bob").await, app.user("bob").await.id.to_string());
    let (to, answer) = ([("team", "red"), ("email", "bob@example.com"), ("role", "member")], [("team", "red")]);
    for (client, function, fields) in [
        (&ada, "cancel_invitation", &to[..2]),
        (&new, "decline_invitation", &answer[..]),
        (&new, "accept_invitation", &answer[..]),
    ] {
        ada.call("add_member", &to).await.is(200);
        client.call(function, fields).await.is(200);
    }
    ada.call("set_role", &[("team", "red"), ("user", &bob), ("role", "admin")]).await.is(200);
    ada.call("remove_member", &[("team", "red"), ("user", &bob)]).await.is(200);
    let (team, rescuer) = (operator::find(&app.state.db, "red").await.unwrap().unwrap(), app.user("rescuer").await);
    operator::set_role(&app.state.db, &team, &rescuer, Role::Admin, &Actor::operator(app.state.now())).await.unwrap();
    let of_team = app.make_key_that("rescuer", |spec| spec.team = Some(team.id.clone())).await.facts;
    let root = app.admin().await.coming_from("203.0.113.1");
    let edit = [("form[id]", id.as_str()), ("form[name]", "renamed"), ("form[expires]", "keep"), ("form[rate]", "")];
    root.call_admin("edit_key", &edit).await.is(200);
    let api = [("form[slug]", "billing"), ("form[name]", "Billing"), ("form[description]", ""), ("form[rate]", "")];
    root.call_admin("add_api", &api).await.is(200);
    let api_id = app.texts("SELECT id FROM apis").await.remove(0);
    root.call_admin("edit_api", &[&[("id", api_id.as_str())], &api[..]].concat()).await.is(200);
    root.call_admin("add_scope", &[("api", &api_id), ("name", "pay"), ("kind", "write")]).await.is(200);
    let scope_id = app.texts("SELECT id FROM api_scopes").await.remove(0);
    root.call_admin("remove_scope", &[("id", &scope_id)]).await.is(200);
    root.call_admin("remove_api", &[("id", &api_id)]).await.is(200);
    for what in ["promote", "demote", "disable", "enable"] {
        root.call_admin("change_user", &[("id", &bob), ("change", what)]).await.is(200);
    }
    assert_eq!(report(&app.anonymous().coming_from("198.51.100.7"), json!([{"token": key}])).await, 202);
    let other = app.make_key("ada").await;
    ada.call("revoke_key", &[("id", other.facts.id.as_str())]).await.is(200);
    root.with("accept", "text/html").form("/admin/users/reset-link", &[("id", &bob)]).await.is(200);
    let leaver = app.signed_in("leaver").await;
    leaver.call("create_team", &[("form[name]", "Alone"), ("form[slug]", "alone")]).await.is(200);
    leaver.call("delete_account", &[("password", PASSWORD)]).await.is(200);
    let ada = ada.after(&ada.call("confirm_password", &[("password", PASSWORD)]).await.is(200));
    let changed =
        ada.call("change_password", &[("current", PASSWORD), ("new", "another four words here")]).await.is(200);
    let ada = ada.after(&changed);
    let fields = [("email", "ada@example.org"), ("password", "another four words here")];
    let ada = ada.after(&ada.call("change_email", &fields).await.is(200));
    let fields = [("email", "ada@example.com"), ("password", "another four words here")];
    let ada = ada.after(&ada.call("change_email", &fields).await.is(200));
    ada.call("sign_out", &[]).await.is(200);
    for (email, times) in [("ada@example.com", 1), ("bob@example.com", 5)] {
        for _ in 0..times {
            visitor.call("sign_in", &[("email", email), ("password", "not the password")]).await.is(400);
        }
    }
    app.advance(Duration::from_mins(1));
    app.maintain().await;

    let events = events(app).await;
    let prefix = made["facts"]["prefix"].as_str().unwrap();
    for expected in [
        "account.create ada@example.com 203.0.113.9 ada@example.com",
        "session.begin ada@example.com 203.0.113.9 ada@example.com",
        "session.confirm ada@example.com 203.0.113.9 ada@example.com",
        "session.end ada@example.com 203.0.113.9 ada@example.com",
        "session.fail unknown 203.0.113.9 ada@example.com",
        "session.delay unknown 203.0.113.9 bob@example.com",
        "team.invite ada@example.com 203.0.113.9 red",
        "team.add the command line  red",
        "team.join bob@example.com  red",
        "account.disable root@example.com 203.0.113.1 bob@example.com",
        "account.email ada@example.com 203.0.113.9 ada@example.com",
        "account.email ada@example.org 203.0.113.9 ada@example.org",
        "account.reset_link root@example.com 203.0.113.1 bob@example.com",
        "account.delete a deleted user  a deleted user",
        "team.delete a deleted user  alone",
        &format!("key.create ada@example.com 203.0.113.9 {prefix}"),
        &format!("key.edit root@example.com 203.0.113.1 {prefix}"),
        &format!("key.leak a report 198.51.100.7 {prefix}"),
        &format!("key.revoke ada@example.com 203.0.113.9 {}", other.facts.prefix),
    ] {
        assert!(events.contains(&expected.to_owned()), "{expected} is not in {events:#?}");
    }
    for action in Action::ALL.iter().map(|action| action.as_str()) {
        assert!(events.iter().any(|event| event.starts_with(&format!("{action} "))), "{action} is not in {events:#?}");
    }
    let rotations = app.texts("SELECT subject || ' ' || detail FROM audit WHERE action = 'key.rotate'").await;
    assert_eq!(rotations, [format!("{prefix} the old secret works on for: 1 hour")]);
    // Whom and what an event is about, by ids that names and prefixes can be looked up by.
    let ids = "SELECT key_id || ' ' || user_id || ' ' || team_id FROM audit WHERE action = 'key.create'";
    let about = format!("{} {} {}", of_team.id, rescuer.id, team.id);
    assert!(app.texts(&format!("{ids} AND team_id IS NOT NULL")).await.contains(&about), "{about}");
    for nothing in [
        "LIKE 'key.%' AND (key_id IS NULL OR user_id IS NULL)",
        "LIKE 'team.%' AND team_id IS NULL",
        "IN ('session.begin', 'session.confirm', 'session.end') AND user_id IS NULL AND actor <> 'a deleted user'",
    ] {
        let events = app.texts(&format!("SELECT action || ' ' || subject FROM audit WHERE action {nothing}")).await;
        assert!(events.is_empty(), "{events:?}");
    }
    let all = everything(app).await;
    for secret in [
        &key[12..],
        &rotated["key"].as_str().unwrap()[12..],
        PASSWORD,
        "another four words here",
        &cookie[0],
        "$argon2",
    ] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn what_was_refused_is_not_recorded_as_done(database: Database) {
    let app = &TestApp::start(database).await;
    let (made, bob) = (app.make_key("ada").await, app.signed_in("bob").await);
    let before = events(app).await.len();
    bob.call("revoke_key", &[("id", made.facts.id.as_str())]).await.is(404);
    bob.call("rotate_key", &[("form[id]", made.facts.id.as_str()), ("form[grace]", "0")]).await.is(404);
    bob.call("change_password", &[("current", "wrong"), ("new", "another four words here")]).await.is(400);
    assert_eq!(events(app).await.len(), before);
}

#[apply(each_database)]
#[tokio::test]
async fn administrators_filter_page_and_take_it_as_csv(database: Database) {
    let app = &TestApp::start(database).await;
    let admin = app.admin().await;
    for _ in 0..60 {
        app.advance(Duration::from_millis(1));
        let made = app
            .make_key_that("ada", |spec| {
                spec.name = keyfob::model::keys::KeyName::parse("=HYPERLINK(\"x\"), \"y\"").unwrap();
            })
            .await;
        app.sql(&format!("UPDATE keys SET revoked_at = 1 WHERE id = '{}'", made.facts.id)).await;
    }
    // One stands in the choice of events.
    let rows = |page: &crate::support::Answer| page.body.matches("Key created").count() - 1;
    let page = admin.open("/admin/audit?action=key.create&who=ADA@example.com").await.is(200);
    assert_eq!(rows(&page), 50);
    let next = regex::Regex::new("name=\"before\" value=\"([^\"]+)\"").unwrap();
    let before = next.captures(&page.body).unwrap()[1].to_owned();
    assert_eq!(rows(&admin.open(&format!("/admin/audit?action=key.create&before={before}")).await), 10);
    assert!(admin.open("/admin/audit?who=nobody@example.com").await.body.contains("No events match your search."));
    let csv = admin.get("/admin/audit.csv?action=key.create").await.is(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert!(csv.header("content-disposition").contains("audit.csv"));
    assert!(csv.body.starts_with("\"when\",\"what\",\"to\",\"detail\",\"by\",\"from\"\r\n"), "{}", csv.body);
    for line in csv.body.lines() {
        assert!(line.starts_with('"') && line.ends_with('"') && line.matches("\",\"").count() >= 5, "{line}");
    }
    assert_eq!(csv.body.lines().count(), 61);
    assert!(csv.body.contains("\"'=HYPERLINK(\"\"x\"\"), \"\"y\"\", Full access\""), "{}", csv.body);
    let some = app.texts("SELECT prefix FROM keys LIMIT 1").await;
    assert_eq!(rows(&admin.open(&format!("/admin/audit?who={}", some[0])).await), 1);
}

#[apply(each_database)]
#[tokio::test]
async fn on_the_profile_page_everybody_sees_their_own_part(database: Database) {
    let app = &TestApp::start(database).await;
    let (made, others) = (app.make_key("ada").await, app.make_key("bob").await);
    let ada = app.signed_in("ada").await;
    let list = ada.call("list_activity", &[]).await.is(200);
    assert!(list.body.contains(&made.facts.prefix) && !list.body.contains(&others.facts.prefix), "{}", list.body);
    assert!(ada.open("/profile").await.body.contains("Recent activity"));
    app.browser().call("list_activity", &[]).await.is(401);
}

/// Each of these began with a formula for some spreadsheet.
#[apply(each_database)]
#[tokio::test]
async fn no_field_of_the_csv_begins_with_a_formula(database: Database) {
    let app = &TestApp::start(database).await;
    let admin = app.admin().await;
    for start in ["=", "+", "-", "@", "＝", "＋", "－", "＠"] {
        app.sql(&format!("UPDATE audit SET detail = '{start}1+1', actor = '{start}2+2'")).await;
        app.make_key("ada").await;
        app.sql(&format!("UPDATE audit SET detail = '{start}1+1', actor = '{start}2+2', subject = '{start}3+3'")).await;
        let csv = admin.get("/admin/audit.csv").await.is(200).body;
        for field in ["1+1", "2+2", "3+3"] {
            assert!(csv.contains(&format!("\"'{start}{field}\"")), "{csv}");
        }
    }
}

/// Only administrators see the address that somebody else works from, such as that of a person who revoked or reported a key.
#[apply(each_database)]
#[tokio::test]
async fn address_of_another_person_is_shown_to_superusers_only(database: Database) {
    let app = &TestApp::start(database).await;
    let visitor = app.browser().coming_from("203.0.113.9");
    let ada =
        visitor.after(&visitor.call("sign_up", &[("email", "ada@example.com"), ("password", PASSWORD)]).await.is(200));
    let root = app.admin().await.coming_from("198.51.100.1");
    let (revoked, leaked) = (app.make_key("ada").await, app.make_key("ada").await);
    root.call_admin("revoke_keys", &[("ids[]", revoked.facts.id.as_str())]).await.is(200);
    assert_eq!(report(&app.anonymous().coming_from("198.51.100.2"), json!([{"token": leaked.key}])).await, 202);
    app.browser()
        .coming_from("198.51.100.3")
        .call("sign_in", &[("email", "ada@example.com"), ("password", "wrong")])
        .await
        .is(400);
    app.advance(Duration::from_mins(1));
    app.maintain().await;
    for seen in [ada.call("list_activity", &[]).await.is(200).body, ada.open("/profile").await.is(200).body] {
        assert!(!seen.contains("198.51.100.1") && !seen.contains("198.51.100.2"), "{seen}");
        // Their own, and those of strangers who try to sign in as them.
        assert!(seen.contains("203.0.113.9") && seen.contains("198.51.100.3"), "{seen}");
    }
    let seen = root.open("/admin/audit").await.is(200).body;
    for ip in ["203.0.113.9", "198.51.100.1", "198.51.100.2"] {
        assert!(seen.contains(ip), "{ip}: {seen}");
    }
    // What administrators did themselves, they see in their own activity.
    let own = root.call("list_activity", &[]).await.is(200).body;
    assert!(own.contains("198.51.100.1"), "{own}");
}

/// The same on a team's page: where its members use their keys.
#[apply(each_database)]
#[tokio::test]
async fn a_team_admin_does_not_see_from_where_members_use_their_keys(database: Database) {
    let app = &TestApp::start(database).await;
    let team = app.team("red", "ada", &["bob"]).await;
    for (name, ip) in [("ada", "203.0.113.9"), ("bob", "198.51.100.1")] {
        let made = app.make_key_that(name, |spec| spec.team = Some(team.id.clone())).await;
        let client = app.anonymous().with_key(&made.key).coming_from(ip);
        client.get("/a/red/employees/api/employees/").await.is(200);
    }
    app.write_usage().await;
    let ada = app.signed_in("ada").await;
    for seen in [ada.open("/a/red").await.is(200).body, ada.call("load_team", &[("team", "red")]).await.is(200).body] {
        assert!(seen.contains("203.0.113.9") && !seen.contains("198.51.100.1"), "{seen}");
    }
    assert!(app.admin().await.open("/admin/keys").await.is(200).body.contains("198.51.100.1"));
}

#[apply(each_database)]
#[tokio::test]
async fn leak_report_is_always_accepted_and_revokes_real_keys(database: Database) {
    let app = &TestApp::start(database).await;
    let (one, two, three) = (app.make_key("ada").await, app.make_key("ada").await, app.make_key("bob").await);
    let client = app.anonymous();
    let real =
        report(&client, json!([{"token": one.key, "url": "https://example.com"}, {"token": "junk"}, {"token": ""}]))
            .await;
    let junk = report(&client, json!([{"token": "kf_12345678_12345678901234567890123456789012345678"}])).await;
    assert_eq!(
        (real, junk, report(&client, json!([])).await, report(&client, json!({"token": two.key})).await),
        (202, 202, 202, 202)
    );
    assert_eq!(report(&client, json!([{"token": one.key}])).await, 202, "again");
    for key in [&one.key, &two.key] {
        app.anonymous().with_key(key).get("/api/v1/key").await.refused(401, "key_revoked");
    }
    app.anonymous().with_key(&three.key).get("/api/v1/key").await.is(200);
    let ada = app.signed_in("ada").await.open("/profile").await.is(200).body;
    assert!(
        ada.contains("was reported as leaked, so it was revoked") && ada.contains("Key reported as leaked"),
        "{ada}"
    );
    assert!(!app.signed_in("bob").await.open("/profile").await.body.contains("was reported as leaked"));
    assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action = 'key.leak'").await, 2);
}

#[apply(each_database)]
#[tokio::test]
async fn previous_secret_can_be_reported_within_its_grace(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    let new =
        app.anonymous().with_key(&made.key).post("/api/v1/key/rotate", json!({"grace": "15m"})).await.is(200).json();
    assert_eq!(report(&app.anonymous(), json!([{"token": made.key}])).await, 202);
    app.anonymous().with_key(new["key"].as_str().unwrap()).get("/api/v1/key").await.refused(401, "key_revoked");
}

#[apply(each_database)]
#[tokio::test]
async fn leak_reports_are_limited_to_250_keys_and_by_address(database: Database) {
    let app = &TestApp::start(database).await;
    let tokens = |n: usize| json!(vec![json!({"token": "kf_12345678_12345678901234567890123456789012345678"}); n]);
    let client = app.anonymous().coming_from("203.0.113.9");
    assert_eq!(report(&client, tokens(250)).await, 202);
    client.post(LEAKED, tokens(251)).await.refused(400, "validation_failed");
    for wrong in [json!("kf_"), json!(["kf_"]), json!([["kf_"]]), json!([{"token": 5}]), json!({}), json!(null)] {
        client.post(LEAKED, wrong).await.refused(400, "malformed_json");
    }
    client.typed(axum::http::Method::POST, LEAKED, "text/plain", "[]").await.refused(415, "unsupported_media_type");
    for _ in 9..30 {
        assert_eq!(report(&client, json!([])).await, 202);
    }
    client.post(LEAKED, json!([])).await.refused(429, "rate_limited");
    assert_eq!(report(&app.anonymous().coming_from("203.0.113.10"), json!([])).await, 202);
}

#[test]
fn no_statement_changes_or_removes_an_event() {
    for (path, source) in crate::architecture::sources() {
        for statement in ["UPDATE audit", "DELETE FROM audit"] {
            // A deleted account takes its names and addresses along.
            let is_allowed = path == "server/audit/erase.rs" && statement == "UPDATE audit";
            assert!(is_allowed || !source.contains(statement), "{path}");
        }
    }
}
