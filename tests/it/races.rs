//! Rights that are taken away while a request that needs them is on its way: the request was let in, waits for the database,
//! and must not undo or outlive the change that was answered first.

use std::time::Duration;

use keyfob::model::keys::Access;
use keyfob::server::db::{Backend, Db, Tx};
use keyfob::server::users::AccountChange;
use rstest_reuse::apply;
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::keys::form_id;
use crate::support::{Answer, Client, Database, EMPLOYEES, PASSWORD, TestApp, each_database};

/// How long a request may take from the check of its rights to the lock. SQLite has no list of those who wait for it.
const TO_THE_LOCK: Duration = Duration::from_millis(100);
const ROUNDS: usize = 3;

/// A request that needs a right: the path of its server function, and its fields.
#[derive(Clone)]
struct Act {
    path: &'static str,
    fields: Vec<(&'static str, String)>,
}

fn act<const N: usize>(path: &'static str, fields: [(&'static str, &str); N]) -> Act {
    Act { path, fields: fields.map(|(name, value)| (name, value.to_owned())).to_vec() }
}

async fn send(client: &Client, act: &Act) -> Answer {
    let fields: Vec<_> = act.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client.with("accept", "application/json").form(act.path, &fields).await
}

async fn run(tx: &mut Tx, statement: &str) {
    let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
    match tx.backend().unwrap() {
        Backend::Sqlite(conn) => statement.execute(conn).await.map(|_| ()).unwrap(),
        Backend::Postgres(conn) => statement.execute(conn).await.map(|_| ()).unwrap(),
    }
}

/// Sends a request while a transaction that takes its right away is still open, so that the request is let in and then waits.
/// Commits when it waits, and returns its answer.
async fn overtaken(app: &TestApp, statements: &[&str], client: &Client, act: &Act) -> Answer {
    let (client, act) = (client.clone(), act.clone());
    overtaken_request(app, statements, async move { send(&client, &act).await }).await
}

async fn overtaken_request(
    app: &TestApp,
    statements: &[&str],
    request: impl Future<Output = Answer> + Send + 'static,
) -> Answer {
    let mut tx = app.state.db.begin().await.unwrap();
    for statement in statements {
        run(&mut tx, statement).await;
    }
    let mut request = tokio::spawn(request);
    match &app.state.db {
        Db::Sqlite { .. } => assert!(tokio::time::timeout(TO_THE_LOCK, &mut request).await.is_err(), "it did not wait"),
        Db::Postgres { .. } => {
            let waiting =
                "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let blocked = async {
                while app.number(waiting).await == 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), blocked).await.expect("the request waits for a lock");
        }
    }
    tx.commit().await.unwrap();
    let answer = request.await.unwrap();
    app.state.db.invalidations().invalidate_all();
    answer
}

/// What must be as before: who may do what and who is invited, all keys, and all sessions by their ids.
async fn rights(app: &TestApp) -> Vec<String> {
    let mut all = app.texts("SELECT id || name || password_hash || superuser FROM users ORDER BY id").await;
    all.extend(app.texts("SELECT team_id || user_id || role FROM members ORDER BY team_id, user_id").await);
    all.extend(app.texts("SELECT id || name || digest || COALESCE(revoked_at, 0) FROM keys ORDER BY id").await);
    all.extend(app.texts("SELECT slug FROM teams ORDER BY slug").await);
    all.extend(app.texts("SELECT team_id || email || role FROM invitations ORDER BY team_id, email").await);
    all
}

async fn id(app: &TestApp, name: &str) -> String {
    app.user(name).await.id.to_string()
}

/// A full key for the session's user, as the form asks for it.
async fn create_key(client: &Client) -> Act {
    let form = form_id(client).await;
    act(
        "/fn/create_key",
        [("form[form_id]", &form), ("form[name]", "ci"), ("form[expires]", "90"), ("form[access]", "full")],
    )
}

#[apply(each_database)]
#[tokio::test]
async fn removed_team_admin_cannot_act_on_the_team(database: Database) {
    let app = &TestApp::start(database).await;
    let red = app.team("red", "ada", &["eve", "mia"]).await;
    let (eve_id, mia) = (id(app, "eve").await, id(app, "mia").await);
    let eve = app.signed_in("eve").await;
    let key = app.make_key_that("mia", |spec| spec.team = Some(red.id.clone())).await.facts.id.to_string();
    app.user("bob").await;
    app.invite(&red, "ada", "guest@example.com").await;
    let lock = format!("UPDATE teams SET name = name WHERE id = '{}'", red.id);
    let demote = format!("UPDATE members SET role = 'member' WHERE user_id = '{eve_id}'");
    let remove = format!("DELETE FROM members WHERE user_id = '{eve_id}'");
    let team = ("team", "red");
    for taking in [&demote, &remove] {
        for deed in [
            act("/fn/set_role", [team, ("user", &eve_id), ("role", "admin")]),
            act("/fn/set_role", [team, ("user", &mia), ("role", "admin")]),
            act("/fn/add_member", [team, ("email", "bob@example.com"), ("role", "member")]),
            act("/fn/cancel_invitation", [team, ("email", "guest@example.com")]),
            act("/fn/remove_member", [team, ("user", &mia)]),
            act("/fn/revoke_team_key", [team, ("id", &key)]),
        ] {
            app.sql(&format!("DELETE FROM members WHERE user_id = '{eve_id}'")).await;
            let again = format!(
                "INSERT INTO members (team_id, user_id, role, created_at) VALUES ('{}', '{eve_id}', 'admin', 0)",
                red.id
            );
            app.sql(&again).await;
            let answer = overtaken(app, &[&lock, taking], &eve, &deed).await;
            // 503: on a busy machine SQLite's writer is not free in time.
            assert!(matches!(answer.status, 400 | 404 | 503), "{} {answer:?}", deed.path);
            let roles = app
                .texts(
                    "SELECT u.email || ' ' || m.role FROM members m JOIN users u ON u.id = m.user_id ORDER BY u.email",
                )
                .await;
            assert!(roles.contains(&"mia@example.com member".to_owned()), "{roles:?}");
            assert!(!roles.iter().any(|role| role.starts_with("bob") || role == "eve@example.com admin"), "{roles:?}");
            assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE revoked_at IS NOT NULL").await, 0, "{}", deed.path);
            assert_eq!(app.texts("SELECT email FROM invitations").await, ["guest@example.com"], "{}", deed.path);
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn former_superuser_cannot_act_as_one(database: Database) {
    let app = &TestApp::start(database).await;
    app.admin().await;
    app.change("eve", AccountChange::Promote).await;
    let (eve_id, ada) = (id(app, "eve").await, id(app, "ada").await);
    let key = app.make_key("ada").await.facts.id.to_string();
    let lock = "UPDATE locks SET name = name WHERE name = 'superusers'";
    let demote = format!("UPDATE users SET superuser = FALSE WHERE id = '{eve_id}'");
    let disable = format!(
        "UPDATE users SET disabled_at = 1 WHERE id = '{eve_id}'; DELETE FROM sessions WHERE user_id = '{eve_id}'"
    );
    let end = format!("DELETE FROM sessions WHERE user_id = '{eve_id}'");
    for (taking, enable) in [(&demote, false), (&disable, true), (&end, false)] {
        app.sql(&format!("UPDATE users SET superuser = TRUE, disabled_at = NULL WHERE id = '{eve_id}'")).await;
        let form = form_id(&app.signed_in("eve").await).await;
        let mut deeds = vec![
            act("/admin/fn/change_user", [("id", &eve_id), ("change", "promote")]),
            act("/admin/fn/change_user", [("id", &ada), ("change", "promote")]),
            act("/admin/fn/change_user", [("id", &ada), ("change", "disable")]),
            act(
                "/admin/fn/edit_key",
                [
                    ("form[id]", &key),
                    ("form[name]", "renamed"),
                    ("form[expires]", "never"),
                    ("form[date]", ""),
                    ("form[rate]", ""),
                ],
            ),
            act("/admin/fn/revoke_keys", [("ids[0]", &key)]),
            act(
                "/fn/create_key",
                [
                    ("form[form_id]", &form),
                    ("form[owner]", "ada@example.com"),
                    ("form[name]", "ci"),
                    ("form[expires]", "90"),
                    ("form[access]", "full"),
                ],
            ),
        ];
        if enable {
            deeds.push(act("/admin/fn/change_user", [("id", &eve_id), ("change", "enable")]));
        }
        for deed in deeds {
            app.sql(&format!("UPDATE users SET superuser = TRUE, disabled_at = NULL WHERE id = '{eve_id}'")).await;
            let eve = app.signed_in("eve").await;
            let answer = overtaken(app, &[lock, taking], &eve, &deed).await;
            assert!(matches!(answer.status, 401 | 404 | 503), "{} {answer:?}", deed.path);
            let changed = app
                .number("SELECT COUNT(*) FROM users WHERE email LIKE 'ada%' AND (superuser OR disabled_at IS NOT NULL)")
                .await;
            let keys =
                app.number("SELECT COUNT(*) FROM keys WHERE revoked_at IS NULL AND name = 'nightly report'").await;
            assert_eq!((changed, keys), (0, 1), "{} {:?}", deed.path, deed.fields);
            let restored =
                format!("SELECT COUNT(*) FROM users WHERE id = '{eve_id}' AND superuser AND disabled_at IS NULL");
            let still = i64::from(taking == &end);
            assert_eq!(app.number(&restored).await, still, "{} {:?}", deed.path, deed.fields);
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn ended_session_changes_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let ada_id = id(app, "ada").await;
    let made = app.make_key("ada").await.facts.id.to_string();
    let red = app.team("red", "mia", &[]).await;
    app.invite(&red, "mia", "ada@example.com").await;
    let end = format!("DELETE FROM sessions WHERE user_id = '{ada_id}'");
    let disable = format!("UPDATE users SET disabled_at = 1 WHERE id = '{ada_id}'");
    for _ in 0..ROUNDS {
        let ada = app.signed_in("ada").await;
        let other = app.signed_in("ada").await.call("list_sessions", &[]).await.is(200).json()[1]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        for deed in [
            create_key(&ada).await,
            act("/fn/rotate_key", [("form[id]", &made), ("form[grace]", "0"), ("form[seen]", "")]),
            act("/fn/revoke_key", [("id", &made)]),
            act("/fn/save_name", [("name", "Eve")]),
            act("/fn/create_team", [("form[name]", "Eve"), ("form[slug]", "eve")]),
            act("/fn/accept_invitation", [("team", "red")]),
            act("/fn/decline_invitation", [("team", "red")]),
            act("/fn/end_session", [("id", &other)]),
            act("/fn/end_other_sessions", []),
        ] {
            let ada = app.signed_in("ada").await;
            let before = rights(app).await;
            for taking in [&end, &disable] {
                let ada = if taking == &end { ada.clone() } else { app.signed_in("ada").await };
                let answer = overtaken(app, &["UPDATE users SET name = name", taking], &ada, &deed).await;
                assert!(matches!(answer.status, 401 | 503), "{} {answer:?}", deed.path);
                assert_eq!(rights(app).await, before, "{}", deed.path);
            }
            app.sql("UPDATE users SET disabled_at = NULL").await;
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn key_that_ended_meanwhile_changes_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let new = app.make_key("ada").await;
    let now = app.state.now().as_millis();
    for (end, code) in [
        (format!("revoked_at = {now}"), "key_revoked"),
        (format!("revoked_at = {now}, expires_at = {now}"), "key_revoked"),
        (format!("expires_at = {now}"), "key_expired"),
        (format!("expires_at = {}", now + 1), ""),
    ] {
        let client = app.anonymous().with_key(&new.key);
        let ada = json!({"name": "Ada Lovelace", "department": "engineering", "salary": 1});
        let post = async move { client.post(EMPLOYEES, ada).await };
        let statements = [&*format!("UPDATE keys SET {end}"), "UPDATE users SET name = name"];
        let answer = overtaken_request(app, &statements, post).await;
        if code.is_empty() {
            answer.is(201);
        } else {
            answer.refused(401, code);
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM employees").await, i64::from(code.is_empty()), "{end}");
        app.sql("UPDATE keys SET revoked_at = NULL, expires_at = NULL").await;
        app.state.db.invalidations().invalidate_all();
    }
}

#[apply(each_database)]
#[tokio::test]
async fn sign_in_with_a_replaced_password_begins_no_session(database: Database) {
    let app = &TestApp::start(database).await;
    let ada_id = id(app, "ada").await;
    let sign_in = act("/fn/sign_in", [("email", "ada@example.com"), ("password", PASSWORD)]);
    let hash = app.texts("SELECT password_hash FROM users").await.remove(0);
    let change = "UPDATE users SET password_hash = 'another'".to_owned();
    let disable = format!("UPDATE users SET disabled_at = 1 WHERE id = '{ada_id}'");
    for round in 0..ROUNDS {
        for taking in [&change, &disable] {
            let browser = app.browser().coming_from(&format!("192.0.2.{}", round + 1));
            let answer = overtaken(app, &[taking, "UPDATE failed_sign_ins SET ip = ip"], &browser, &sign_in).await;
            assert_eq!(answer.failed_at("non_field_errors"), "The email address or the password is wrong.");
            assert!(answer.all("set-cookie").is_empty(), "{answer:?}");
            assert_eq!(app.number("SELECT COUNT(*) FROM sessions").await, 0);
            app.sql(&format!(
                "UPDATE users SET disabled_at = NULL, password_hash = '{hash}'; DELETE FROM failed_sign_ins"
            ))
            .await;
        }
    }
    app.browser().call("sign_in", &[("email", "ada@example.com"), ("password", PASSWORD)]).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn replaced_password_confirms_nothing_and_changes_no_password(database: Database) {
    let app = &TestApp::start(database).await;
    let hash = app.texts("SELECT password_hash FROM users").await;
    assert!(hash.is_empty());
    let ada = app.signed_in("ada").await;
    let hash = app.texts("SELECT password_hash FROM users").await.remove(0);
    for (deed, field) in [
        (act("/fn/confirm_password", [("password", PASSWORD)]), "password"),
        (act("/fn/change_password", [("current", PASSWORD), ("new", "five other words for it")]), "current"),
    ] {
        let taking = ["UPDATE users SET password_hash = 'another'"];
        let answer = overtaken(app, &taking, &ada, &deed).await;
        answer.failed_at(field);
        assert_eq!(app.texts("SELECT password_hash FROM users").await, ["another"]);
        app.sql(&format!("UPDATE users SET password_hash = '{hash}'")).await;
    }
}

#[apply(each_database)]
#[tokio::test]
async fn rehash_at_a_sign_in_never_brings_an_old_password_back(database: Database) {
    let app = &TestApp::start(database).await;
    let id = id(app, "ada").await;
    let weak = argon2::Argon2::new(
        argon2::Algorithm::Argon2id,
        argon2::Version::V0x13,
        argon2::Params::new(64, 1, 1, None).unwrap(),
    );
    let weak: argon2::password_hash::phc::PasswordHash =
        argon2::PasswordHasher::hash_password(&weak, PASSWORD.as_bytes()).unwrap();
    let sign_in = act("/fn/sign_in", [("email", "ada@example.com"), ("password", PASSWORD)]);
    let store = format!("UPDATE users SET password_hash = '{weak}' WHERE id = '{id}'");
    app.sql(&store).await;
    let answer = overtaken(app, &["UPDATE users SET password_hash = 'another'"], &app.browser(), &sign_in).await;
    answer.failed_at("non_field_errors");
    assert_eq!(app.texts("SELECT password_hash FROM users").await, ["another"]);
    app.sql(&store).await;
    app.sql("DELETE FROM failed_sign_ins").await;
    send(&app.browser(), &sign_in).await.is(200);
    let stored = app.texts("SELECT password_hash FROM users").await.remove(0);
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
}

#[apply(each_database)]
#[tokio::test]
async fn password_change_ends_sessions_in_its_transaction(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, other) = (app.signed_in("ada").await, app.signed_in("ada").await);
    // No session can be deleted: then the password is not changed either.
    app.sql("CREATE TABLE holds (session_id TEXT NOT NULL REFERENCES sessions (id)); INSERT INTO holds SELECT id FROM sessions").await;
    let fields = [("current", PASSWORD), ("new", "five other words for it")];
    assert_eq!(ada.call("change_password", &fields).await.status, 500);
    app.sql("DROP TABLE holds").await;
    other.get("/api/v1/me").await.is(200);
    app.browser().call("sign_in", &[("email", "ada@example.com"), ("password", PASSWORD)]).await.is(200);
    ada.call("change_password", &fields).await.is(200);
    other.get("/api/v1/me").await.refused(401, "credentials_missing");
}

#[apply(each_database)]
#[tokio::test]
async fn key_for_a_team_is_not_made_past_a_removal(database: Database) {
    let app = &TestApp::start(database).await;
    let red = app.team("red", "ada", &["mia"]).await;
    let (mia, mia_id) = (app.signed_in("mia").await, id(app, "mia").await);
    for _ in 0..ROUNDS {
        let mut deed = create_key(&mia).await;
        deed.fields.push(("form[team]", red.id.to_string()));
        let remove = format!("DELETE FROM members WHERE user_id = '{mia_id}'");
        overtaken(app, &[&remove], &mia, &deed).await.failed_at("team");
        assert_eq!(app.number("SELECT COUNT(*) FROM keys").await, 0);
        app.sql(&format!(
            "INSERT INTO members (team_id, user_id, role, created_at) VALUES ('{}', '{mia_id}', 'member', 0)",
            red.id
        ))
        .await;
    }
}

#[apply(each_database)]
#[tokio::test]
async fn invitation_is_not_accepted_past_its_end(database: Database) {
    let app = &TestApp::start(database).await;
    let red = app.team("red", "ada", &["eve"]).await;
    let (bob, eve_id) = (app.signed_in("bob").await, id(app, "eve").await);
    let lock = format!("UPDATE teams SET name = name WHERE id = '{}'", red.id);
    for taking in [
        "DELETE FROM invitations".to_owned(),
        format!("UPDATE members SET role = 'member' WHERE user_id = '{eve_id}'"),
        format!("DELETE FROM members WHERE user_id = '{eve_id}'"),
        format!("UPDATE users SET disabled_at = 1 WHERE id = '{eve_id}'"),
    ] {
        app.sql(&format!("DELETE FROM invitations; DELETE FROM members WHERE user_id = '{eve_id}'; UPDATE users SET disabled_at = NULL")).await;
        app.sql(&format!(
            "INSERT INTO members (team_id, user_id, role, created_at) VALUES ('{}', '{eve_id}', 'admin', 0)",
            red.id
        ))
        .await;
        app.invite(&red, "eve", "bob@example.com").await;
        let accept = act("/fn/accept_invitation", [("team", "red")]);
        overtaken(app, &[&lock, &taking], &bob, &accept).await.failed(404);
        let role = "SELECT m.role FROM members m JOIN users u ON u.id = m.user_id WHERE u.email = 'bob@example.com'";
        assert!(app.texts(role).await.is_empty(), "{taking}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn concurrent_removals_leave_one_team_admin(database: Database) {
    let app = &TestApp::start(database).await;
    for round in 0..10 {
        let slug = format!("team-{round}");
        let team = app.team(&slug, "ada", &["eve"]).await;
        app.sql("UPDATE members SET role = 'admin'").await;
        let (ada, eve) = (app.signed_in("ada").await, app.signed_in("eve").await);
        let (ada_id, eve_id) = (id(app, "ada").await, id(app, "eve").await);
        let (remove_eve, remove_ada) = (
            [("team", slug.as_str()), ("user", eve_id.as_str())],
            [("team", slug.as_str()), ("user", ada_id.as_str())],
        );
        let (first, second) =
            tokio::join!(ada.call("remove_member", &remove_eve), eve.call("remove_member", &remove_ada));
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert!(matches!(statuses, [200, 302 | 404] | [302, 404]), "{statuses:?}");
        let left = format!("SELECT COUNT(*) FROM members WHERE team_id = '{}' AND role = 'admin'", team.id);
        assert_eq!(app.number(&left).await, 1);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn concurrent_demotions_leave_one_superuser(database: Database) {
    let app = &TestApp::start(database).await;
    for _ in 0..10 {
        app.change("ada", AccountChange::Promote).await;
        app.change("eve", AccountChange::Promote).await;
        let (ada, eve) = (app.signed_in("ada").await, app.signed_in("eve").await);
        let (ada_id, eve_id) = (id(app, "ada").await, id(app, "eve").await);
        let (demote_eve, disable_ada) =
            ([("id", eve_id.as_str()), ("change", "demote")], [("id", ada_id.as_str()), ("change", "disable")]);
        let (first, second) =
            tokio::join!(ada.call_admin("change_user", &demote_eve), eve.call_admin("change_user", &disable_ada));
        assert!(first.status < 500 && second.status < 500, "{first:?} {second:?}");
        assert_eq!(app.number("SELECT COUNT(*) FROM users WHERE superuser AND disabled_at IS NULL").await, 1);
        app.change("ada", AccountChange::Enable).await;
    }
}

#[apply(each_database)]
#[tokio::test]
async fn superusers_who_resign_at_once_leave_one(database: Database) {
    let app = &TestApp::start(database).await;
    for what in ["demote", "disable", "demote", "disable", "demote"] {
        for name in ["ada", "eve"] {
            app.change(name, AccountChange::Enable).await;
            app.change(name, AccountChange::Promote).await;
        }
        let (ada, eve) = (app.signed_in("ada").await, app.signed_in("eve").await);
        let (ada_id, eve_id) = (id(app, "ada").await, id(app, "eve").await);
        let own = |id| [("id", id), ("change", what)];
        let (of_ada, of_eve) = (own(ada_id.as_str()), own(eve_id.as_str()));
        tokio::join!(ada.call_admin("change_user", &of_ada), eve.call_admin("change_user", &of_eve));
        assert_eq!(app.number("SELECT COUNT(*) FROM users WHERE superuser AND disabled_at IS NULL").await, 1, "{what}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn removed_team_admin_cannot_come_back(database: Database) {
    let app = &TestApp::start(database).await;
    for round in 0..10 {
        let slug = format!("team-{round}");
        let team = app.team(&slug, "ada", &["eve"]).await;
        app.sql("UPDATE members SET role = 'admin'").await;
        let (ada, eve, eve_id) = (app.signed_in("ada").await, app.signed_in("eve").await, id(app, "eve").await);
        let fields = [("team", slug.as_str()), ("user", eve_id.as_str())];
        let insist = async {
            for _ in 0..5 {
                let add = [("team", slug.as_str()), ("email", "eve@example.com"), ("role", "admin")];
                assert!(eve.call("add_member", &add).await.status < 500);
                let promote = [("team", slug.as_str()), ("user", eve_id.as_str()), ("role", "admin")];
                assert!(eve.call("set_role", &promote).await.status < 500);
            }
        };
        let (removed, ()) = tokio::join!(ada.call("remove_member", &fields), insist);
        assert!(removed.status < 400, "{removed:?}");
        let there = format!("SELECT COUNT(*) FROM members WHERE team_id = '{}' AND user_id = '{eve_id}'", team.id);
        assert_eq!(app.number(&there).await, 0);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn retired_secret_does_not_revoke_its_successor(database: Database) {
    let app = &TestApp::start(database).await;
    let old = app.make_key_that("ada", |spec| spec.access = Access::Full).await.key;
    let client = app.anonymous();
    let rotated =
        client.with_key(&old).post("/api/v1/key/rotate", serde_json::json!({"grace": "15m"})).await.is(200).json();
    let new = rotated["key"].as_str().unwrap().to_owned();
    app.advance(Duration::from_mins(15));
    let report = serde_json::json!([{ "token": old }]);
    client.post("/api/v1/leaked-keys", report.clone()).await.is(202);
    client.with_key(&new).get("/api/v1/verify").await.is(200);
    // Within its grace it opens something, and so it does revoke.
    let again =
        client.with_key(&new).post("/api/v1/key/rotate", serde_json::json!({"grace": "15m"})).await.is(200).json();
    client.post("/api/v1/leaked-keys", report).await.is(202);
    client.with_key(again["key"].as_str().unwrap()).get("/api/v1/verify").await.is(200);
    client.post("/api/v1/leaked-keys", serde_json::json!([{ "token": new }])).await.is(202);
    client.with_key(again["key"].as_str().unwrap()).get("/api/v1/verify").await.refused(401, "key_revoked");
}
