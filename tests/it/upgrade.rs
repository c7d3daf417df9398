//! A database of the oldest version, with data, through all migrations. `tests/fixtures/README.md` says how it was made.

use std::collections::BTreeMap;

use keyfob::server::auth::random::make_id;
use keyfob::server::db::Db;
use keyfob::server::maintenance::fold_names::fold_some;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{
    Client, Database, EMPLOYEES, ONE_DAY, PASSWORD, ScratchDatabase, TestApp, each_database, execute, open_scratch,
    texts,
};

/// Every event, as one text.
const EVENTS: &str =
    "SELECT id || ' ' || action || ' ' || actor || ' ' || subject || ' ' || detail FROM audit ORDER BY id";

/// A server on a database that was made by 0.1.0 and migrated now.
struct Upgraded {
    app: TestApp,
    scratch: ScratchDatabase,
    /// Keys and cookies of the fixture by their names.
    secrets: BTreeMap<String, String>,
    /// The audit before the migrations.
    events: Vec<String>,
}

impl Upgraded {
    async fn from_0_1_0(database: Database) -> Self {
        let (scratch, db) = open_scratch(database).await;
        let dump = match database {
            Database::Sqlite => include_str!("../fixtures/0.1.0.sqlite.sql"),
            Database::Postgres => include_str!("../fixtures/0.1.0.postgres.sql"),
        };
        execute(&db, dump).await;
        let events = texts(&db, EVENTS).await;
        db.close().await;
        let db = Db::open(&scratch.url).await.unwrap();
        db.migrate().await.unwrap();
        db.close().await;
        let app = TestApp::start(database).await;
        let secrets = serde_json::from_str(include_str!("../fixtures/0.1.0.json")).unwrap();
        Self { app: app.over_another(&scratch.url).await, scratch, secrets, events }
    }

    fn key(&self, name: &str) -> Client {
        self.app.anonymous().with_key(&self.secrets[name])
    }

    /// A browser with a session of 0.1.0. The cookie has another name since then.
    fn session(&self, name: &str) -> Client {
        self.app.browser().with("cookie", &format!("keyfob_session={}", self.secrets[name]))
    }
}

#[apply(each_database)]
#[tokio::test]
async fn keys_of_0_1_0_work_and_fail_as_before(#[case] database: Database) {
    let upgraded = Upgraded::from_0_1_0(database).await;
    for name in ["full", "reader", "scoped", "team", "before", "after"] {
        upgraded.key(name).get("/api/v1/key").await.is(200);
    }
    for (name, code) in [
        ("expired", "key_expired"),
        ("revoked", "key_revoked"),
        ("leaked", "key_revoked"),
        ("disabled", "account_disabled"),
    ] {
        upgraded.key(name).get("/api/v1/key").await.refused(401, code);
    }
    let employee = json!({"name": "New", "department": "hr", "salary": 1});
    upgraded.key("reader").post(EMPLOYEES, employee.clone()).await.refused(403, "scope_missing");
    upgraded.key("scoped").post(EMPLOYEES, employee.clone()).await.refused(403, "scope_missing");
    upgraded.key("full").post(EMPLOYEES, employee).await.is(201);
    // The grace of the rotation was a week.
    upgraded.app.advance(3 * ONE_DAY);
    upgraded.key("before").get("/api/v1/key").await.refused(401, "key_expired");
    upgraded.key("after").get("/api/v1/key").await.is(200);
    upgraded.scratch.throw_away().await;
}

#[apply(each_database)]
#[tokio::test]
async fn people_of_0_1_0_stay_signed_in_with_their_rights(#[case] database: Database) {
    let upgraded = Upgraded::from_0_1_0(database).await;
    let (ada, bob) = (upgraded.session("ada"), upgraded.session("bob"));
    let profile = ada.open("/profile").await.is(200);
    assert!(profile.body.contains("Ada Łovelace") && profile.body.contains("nightly"));
    for path in ["/admin/keys", "/admin/users", "/admin/audit"] {
        ada.open(path).await.is(200);
        bob.open(path).await.is(404);
    }
    assert!(bob.open("/a/ops").await.is(200).body.contains("Ops Straße"));
    let employees = upgraded.key("team").get("/a/ops/employees/api/employees/").await.is(200);
    assert!(employees.body.contains("Jürgen"));
    // 0.1.0 did not note when a password was entered.
    let id = make_id(upgraded.app.state.now());
    let form = [
        ("form[form_id]", id.as_str()),
        ("form[name]", "x"),
        ("form[expires]", "90"),
        ("form[date]", ""),
        ("form[access]", "full"),
    ];
    ada.call("create_key", &form).await.is(403);
    let fields = [("email", "bob@example.com"), ("password", PASSWORD)];
    upgraded.app.browser().call("sign_in", &fields).await.is(200);
    upgraded.app.browser().call("sign_in", &[("email", "dave@example.com"), ("password", PASSWORD)]).await.is(400);
    upgraded.scratch.throw_away().await;
}

#[apply(each_database)]
#[tokio::test]
async fn no_row_of_0_1_0_is_lost_and_the_tables_are_those_of_today(#[case] database: Database) {
    let upgraded = Upgraded::from_0_1_0(database).await;
    assert!(upgraded.events.len() > 20, "{}", upgraded.events.len());
    assert_eq!(upgraded.app.texts(EVENTS).await, upgraded.events);
    let export = upgraded.session("ada").get("/admin/audit.csv").await.is(200).body;
    for action in ["user.create", "key.create", "key.rotate", "key.revoke", "team.create", "user.disable"] {
        let count = |text: &str| text.matches(action).count();
        assert_eq!(count(&export), count(&upgraded.events.join("\n")), "{action}");
    }
    for (table, rows) in [("users", 4), ("keys", 9), ("employees", 4), ("members", 2), ("sessions", 2), ("usage", 6)] {
        assert_eq!(upgraded.app.number(&format!("SELECT COUNT(*) FROM {table}")).await, rows, "{table}");
    }
    // The server folds names of that time after its start. They are searched as those of today.
    while let 1.. = fold_some(&upgraded.app.state.db).await.unwrap() {}
    for (search, name) in [("zoë", "Zoë"), ("ÅD", "Ådne")] {
        let path = format!("{EMPLOYEES}?search={}", search.replace('ë', "%C3%AB").replace('Å', "%C3%85"));
        let found = upgraded.key("full").get(&path).await.is(200).json();
        assert_eq!((&found["count"], &found["results"][0]["name"]), (&json!(1), &json!(name)));
    }
    let fresh = TestApp::start(database).await;
    assert_eq!(upgraded.app.columns().await, fresh.columns().await);
    upgraded.scratch.throw_away().await;
}
