//! Deletion of accounts: by their owner, by a superuser and by the operator; who is refused, and what is left.

use std::time::Duration;

use keyfob::model::employees::Department::Hr;
use keyfob::model::employees::{EmployeeName, EmployeeSpec, OwnerId, Salary};
use keyfob::server::audit::Actor;
use keyfob::server::users;
use keyfob::server::users::AccountChange;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Answer, Client, Database, EMPLOYEES, PASSWORD, TestApp, each_database};

const PROFILE: &str = "http://localhost:8000/profile";
const IP: &str = "203.0.113.9";
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

async fn id(app: &TestApp, name: &str) -> String {
    app.user(name).await.id.to_string()
}

async fn delete_own(client: &Client) -> Answer {
    client.call("delete_account", &[("password", PASSWORD)]).await
}

async fn delete(admin: &Client, id: &str) -> Answer {
    admin.call_admin("delete_user", &[("id", id)]).await
}

async fn accounts(app: &TestApp) -> Vec<String> {
    app.texts("SELECT email FROM users ORDER BY email").await
}

#[apply(each_database)]
#[tokio::test]
async fn deletion_is_refused_without_the_password(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    app.sql("UPDATE users SET password_hash = 'none' WHERE email = 'bob@example.com'").await;
    let key = app.make_key("ada").await.key;
    for wrong in ["", "not the password", "FOUR WORDS FOR TESTS"] {
        let sentence = ada.call("delete_account", &[("password", wrong)]).await.failed_at("password");
        assert_eq!(sentence, "This is not your password.");
    }
    delete_own(&bob).await.failed_at("password");
    delete_own(&app.browser()).await.failed(401);
    assert_eq!(delete_own(&ada.with_key(&key)).await.failed(403), json!("SessionRequired"));
    assert_eq!(delete_own(&app.anonymous().with_key(&key)).await.failed(403), json!("SessionRequired"));
    assert_eq!(delete_own(&ada.on_another_site()).await.status, 403);
    assert_eq!(ada.get("/fn/delete_account?password=x").await.status, 405);
    assert_eq!(accounts(app).await, ["ada@example.com", "bob@example.com"]);
    // Wrong passwords in a row are delayed, so that nobody guesses the password in an open session.
    for _ in 0..2 {
        ada.call("delete_account", &[("password", "wrong")]).await.failed(400);
    }
    ada.call("delete_account", &[("password", PASSWORD)]).await.is(429);
}

#[apply(each_database)]
#[tokio::test]
async fn only_superusers_delete_another_account(database: Database) {
    let app = &TestApp::start(database).await;
    let (root, ada, victim) = (app.admin().await, app.signed_in("ada").await, id(app, "victim").await);
    let keys = [app.make_key("root").await.key, app.make_key("ada").await.key];
    for client in [&ada, &app.browser(), &app.anonymous().with_key(&keys[0]), &app.anonymous().with_key(&keys[1])] {
        delete(client, &victim).await.is(404);
    }
    assert_eq!(delete(&root.on_another_site(), &victim).await.status, 403);
    for unknown in ["junk", "", "01890000-0000-7000-8000-000000000000"] {
        delete(&root, unknown).await.is(404);
    }
    let own = delete(&root, &id(app, "root").await).await.failed_at("non_field_errors");
    assert_eq!(own, "Delete your own account on your profile page.");
    assert_eq!(accounts(app).await, ["ada@example.com", "root@example.com", "victim@example.com"]);
    assert_eq!(delete(&root, &victim).await.is(200).header("location"), "/admin/users?done=delete-user");
    assert_eq!(accounts(app).await, ["ada@example.com", "root@example.com"]);
    delete(&root, &victim).await.is(404);
}

/// Makes an account by the pages, with all that one can have; gives the browser and the key.
async fn full_life(app: &TestApp) -> (Client, String) {
    let visitor = app.browser().coming_from(IP).with("user-agent", AGENT);
    let fields = [("email", "before@example.com"), ("password", PASSWORD)];
    let ada = visitor.after(&visitor.call("sign_up", &fields).await.is(200));
    ada.call("save_name", &[("name", "Ada Lovelace")]).await.is(200);
    let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
    ada.call("change_email", &fields).await.is(200);
    visitor.call("sign_in", &[("email", "ada@example.com"), ("password", "wrong")]).await.is(400);
    app.advance(Duration::from_mins(1));
    app.maintain().await;
    let browser = visitor.after(&visitor.call("sign_in", &fields).await.is(200));
    let list = browser.call("list_keys", &[("query[state]", "")]).await.json();
    let fields = [
        ("form[form_id]", list["form_id"].as_str().unwrap()),
        ("form[name]", "Ada's laptop"),
        ("form[expires]", "90"),
        ("form[access]", "full"),
    ];
    let made = browser.call("create_key", &fields).await.is(200).json();
    let key = made["key"].as_str().unwrap().to_owned();
    let program = app.anonymous().with_key(&key).coming_from(IP).with("user-agent", AGENT);
    program.post(EMPLOYEES, json!({"name": "Grace Hopper", "department": "hr", "salary": 1})).await.is(201);
    app.write_usage().await;
    // Of a team with others, she is a member; another has invited her by both addresses.
    app.team("red", "mia", &[]).await;
    let mia = app.signed_in("mia").await;
    for email in ["ada@example.com", "before@example.com"] {
        mia.call("add_member", &[("team", "red"), ("email", email), ("role", "member")]).await.is(200);
    }
    browser.call("accept_invitation", &[("team", "red")]).await.is(200);
    app.team("blue", "mia", &[]).await;
    mia.call("add_member", &[("team", "blue"), ("email", "ada@example.com"), ("role", "admin")]).await.is(200);
    let root = app.admin().await;
    let ada_id = id(app, "ada").await;
    root.with("accept", "text/html").form("/admin/users/reset-link", &[("id", &ada_id)]).await.is(200);
    (browser, key)
}

#[apply(each_database)]
#[tokio::test]
async fn deleted_account_leaves_nothing_personal(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, key) = full_life(app).await;
    let (ada_id, prefix) = (id(app, "ada").await, key[..11].to_owned());
    let (other, program) = (app.signed_in("ada").await, app.anonymous().with_key(&key));
    program.get(EMPLOYEES).await.is(200);
    let personal = ["ada@example.com", "before@example.com", "Ada", IP, "Firefox", "Grace"];
    let before = app.rows().await.join("\n");
    assert!(personal.iter().all(|text| before.contains(text)), "{before}");

    let done = delete_own(&ada).await.is(200);
    assert_eq!(
        (done.header("location"), done.header("clear-site-data")),
        ("/?done=account-deleted", "\"cache\", \"storage\"")
    );
    assert!(
        done.header("set-cookie").starts_with("keyfob_session=; ") && done.header("set-cookie").contains("Max-Age=0")
    );
    program.get(EMPLOYEES).await.refused(401, "key_unknown");
    for session in [&ada, &other] {
        session.open("/profile").await.goes_to("/sign-in?next=/profile");
    }
    app.browser()
        .call("sign_in", &[("email", "ada@example.com"), ("password", PASSWORD)])
        .await
        .failed_at("non_field_errors");
    let rows = app.rows().await;
    for text in personal {
        assert_eq!(rows.iter().find(|row| row.contains(text)), None, "{text}");
    }
    let with_id: Vec<_> = rows.iter().filter(|row| row.contains(&ada_id)).collect();
    assert!(with_id.iter().all(|row| row.starts_with("audit: ")), "{with_id:#?}");
    assert_eq!(app.number("SELECT COUNT(*) FROM deletions").await, 0);

    // What happened is still there.
    let events = app.texts(&format!("SELECT action || ' ' || actor || ' ' || subject || ' ' || detail FROM audit WHERE user_id = '{ada_id}' OR actor_id = '{ada_id}'")).await;
    for expected in [
        "account.create a deleted user a deleted user ",
        "account.email a deleted user a deleted user ",
        "session.begin a deleted user a deleted user ",
        "session.fail unknown a deleted user 1 in a row",
        &format!("key.create a deleted user {prefix} "),
        &format!("key.revoke a deleted user {prefix} its user was deleted"),
        "team.join a deleted user red as member",
        "account.reset_link root@example.com a deleted user ",
        "account.delete a deleted user a deleted user 1 live key revoked",
    ] {
        assert!(events.contains(&expected.to_owned()), "{expected}: {events:#?}");
    }
    let invited = app
        .texts("SELECT actor || ' ' || subject || ' ' || detail FROM audit WHERE action = 'team.invite' ORDER BY id")
        .await;
    assert_eq!(invited.len(), 3, "{invited:?}");
    assert!(invited.iter().all(|event| event.starts_with("mia@example.com ") && event.ends_with(" a deleted user")));
    // The address is free again, and its next account has nothing of the one before.
    let visitor = app.browser();
    let again =
        visitor.after(&visitor.call("sign_up", &[("email", "ada@example.com"), ("password", PASSWORD)]).await.is(200));
    assert_eq!(again.get(EMPLOYEES).await.is(200).json()["count"], 0);
    assert!(!again.call("list_activity", &[]).await.is(200).body.contains(&prefix));
    assert!(!again.open("/teams").await.is(200).body.contains("/a/red"));
}

#[apply(each_database)]
#[tokio::test]
async fn deletion_works_without_javascript(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let wrong = ada.submit(PROFILE, "delete_account", &[("password", "wrong")]).await.is(302);
    let page = ada.keeping(&wrong).open("/profile").await.is(200);
    assert!(page.body.contains("This is not your password."), "{}", page.body);
    let done = ada.submit(PROFILE, "delete_account", &[("password", PASSWORD)]).await;
    done.goes_to("/?done=account-deleted");
    assert!(app.browser().open("/?done=account-deleted").await.is(200).body.contains("Your account was deleted."));
    assert_eq!(accounts(app).await, Vec::<String>::new());
}

#[apply(each_database)]
#[tokio::test]
async fn only_admin_of_a_team_hands_over_first(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["bob"]).await;
    app.team("blue", "ada", &["bob"]).await;
    app.team("solo", "ada", &[]).await;
    let (root, ada, ada_id) = (app.admin().await, app.signed_in("ada").await, id(app, "ada").await);
    let db = &app.state.db;
    let by = Actor::operator(app.state.now());
    let refused = async || {
        let named = "The account is the only active admin of The blue (blue), The red (red).";
        let own = delete_own(&ada).await.failed_at("non_field_errors");
        assert_eq!(own, format!("{named} Make another member an admin first, or remove the other members."));
        let by_admin = delete(&root, &ada_id).await.failed_at("non_field_errors");
        assert_eq!(by_admin, format!("{named} Make another member an admin first: keyfob team set-role."));
        assert_eq!(users::delete(db, &app.user("ada").await, &by).await.unwrap_err().detail(), by_admin);
        assert_eq!(app.number("SELECT COUNT(*) FROM members").await, 5);
        assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action LIKE '%.delete'").await, 0);
    };
    refused().await;
    // A disabled admin does not count.
    app.sql("UPDATE members SET role = 'admin'").await;
    app.disable("bob").await;
    refused().await;
    app.change("bob", AccountChange::Enable).await;
    delete_own(&ada).await.is(200);
    assert_eq!(app.texts("SELECT slug FROM teams ORDER BY slug").await, ["blue", "red"]);
    // A plain member may go, whoever else is there.
    app.team("green", "mia", &["kim"]).await;
    delete_own(&app.signed_in("kim").await).await.is(200);
    assert_eq!(delete_own(&app.signed_in("mia").await).await.is(200).header("location"), "/?done=account-deleted");
    assert_eq!(app.texts("SELECT slug FROM teams ORDER BY slug").await, ["blue", "red"]);
}

#[apply(each_database)]
#[tokio::test]
async fn team_of_nobody_else_is_deleted_with_its_data(database: Database) {
    let app = &TestApp::start(database).await;
    let team = app.team("solo", "ada", &["bob"]).await;
    let spec = || EmployeeSpec {
        name: EmployeeName::parse("Grace").unwrap(),
        department: Hr,
        salary: Salary::new(5).unwrap(),
    };
    app.employee_of(&OwnerId::from(&team.id), spec()).await;
    app.invite(&team, "ada", "guest@example.com").await;
    let of_team = app.make_key_that("bob", |spec| spec.team = Some(team.id.clone())).await;
    app.make_key_that("ada", |spec| spec.team = Some(team.id.clone())).await;
    let (ada, bob_id) = (app.signed_in("ada").await, id(app, "bob").await);
    // As an earlier version left it: bob is out of the team, and his key is not revoked.
    app.sql(&format!("DELETE FROM members WHERE user_id = '{bob_id}'")).await;
    delete_own(&ada).await.is(200);
    for table in ["teams", "members", "invitations", "employees", "deletions"] {
        assert_eq!(app.number(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
    }
    // A key that was limited to the team must not become one for everything.
    app.anonymous().with_key(&of_team.key).get(EMPLOYEES).await.refused(401, "key_revoked");
    assert!(app.signed_in("bob").await.open("/profile").await.is(200).body.contains(&of_team.facts.prefix));
    let events =
        app.texts("SELECT actor || ' ' || subject || ' ' || detail FROM audit WHERE action = 'team.delete'").await;
    assert_eq!(events, ["a deleted user solo with the account of its last member"]);
    app.team("solo", "bob", &[]).await;
}

#[apply(each_database)]
#[tokio::test]
async fn last_superuser_is_not_deleted_also_when_two_go_at_once(database: Database) {
    let app = &TestApp::start(database).await;
    let root = app.admin().await;
    let sentence = "This is the last superuser. Make someone else a superuser first.";
    assert_eq!(delete_own(&root).await.failed_at("non_field_errors"), sentence);
    let by = Actor::operator(app.state.now());
    let refused = users::delete(&app.state.db, &app.user("root").await, &by).await.unwrap_err();
    assert_eq!(refused.detail(), sentence);
    // A disabled superuser does not count.
    app.change("eve", AccountChange::Promote).await;
    app.disable("eve").await;
    delete_own(&root).await.failed_at("non_field_errors");
    for round in 0..3 {
        let (one, two) = (format!("one{round}"), format!("two{round}"));
        for name in [&one, &two] {
            app.change(name, AccountChange::Promote).await;
        }
        app.sql(&format!(
            "UPDATE users SET superuser = FALSE WHERE email NOT IN ('{one}@example.com', '{two}@example.com')"
        ))
        .await;
        let (first, second) = (app.signed_in(&one).await, app.signed_in(&two).await);
        let two_id = id(app, &two).await;
        let (own, other) = if round == 0 {
            tokio::join!(delete_own(&first), delete_own(&second))
        } else {
            tokio::join!(delete_own(&second), delete(&first, &two_id))
        };
        assert!([own.status, other.status].contains(&200), "{own:?} {other:?}");
        assert!(own.status < 500 && other.status < 500, "{own:?} {other:?}");
        assert_eq!(
            app.number("SELECT COUNT(*) FROM users WHERE superuser AND disabled_at IS NULL").await,
            1,
            "{round}"
        );
    }
}

#[apply(each_database)]
#[tokio::test]
async fn two_admins_of_a_team_do_not_both_leave(database: Database) {
    let app = &TestApp::start(database).await;
    for round in 0..4 {
        let slug = format!("team-{round}");
        let (one, two) = (format!("one{round}"), format!("two{round}"));
        let team = app.team(&slug, &one, &[&two, "member"]).await;
        let two_id = id(app, &two).await;
        app.sql(&format!("UPDATE members SET role = 'admin' WHERE user_id = '{two_id}'")).await;
        let (first, second) = (app.signed_in(&one).await, app.signed_in(&two).await);
        let leave = [("team", slug.as_str()), ("user", two_id.as_str())];
        let (deleted, left) = if round % 2 == 0 {
            tokio::join!(delete_own(&first), delete_own(&second))
        } else {
            tokio::join!(delete_own(&first), second.call("remove_member", &leave))
        };
        assert!(deleted.status < 500 && left.status < 500, "{deleted:?} {left:?}");
        let admins = format!("SELECT COUNT(*) FROM members WHERE team_id = '{}' AND role = 'admin'", team.id);
        assert_eq!(app.number(&admins).await, 1, "{round}: {deleted:?} {left:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn of_two_deletions_at_once_one_succeeds(database: Database) {
    let app = &TestApp::start(database).await;
    let root = app.admin().await;
    for round in 0..4 {
        let name = format!("ada{round}");
        let (ada, ada_id) = (app.signed_in(&name).await, id(app, &name).await);
        let (own, other) = tokio::join!(delete_own(&ada), delete(&root, &ada_id));
        let mut statuses = [own.status, other.status];
        statuses.sort_unstable();
        assert!(matches!(statuses, [200, 401 | 404]), "{own:?} {other:?}");
        let events = format!("SELECT COUNT(*) FROM audit WHERE action = 'account.delete' AND user_id = '{ada_id}'");
        assert_eq!(app.number(&events).await, 1);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn nothing_that_runs_at_once_outlives_the_account(database: Database) {
    let app = &TestApp::start(database).await;
    let root = app.admin().await;
    for round in 0..4 {
        let name = format!("ada{round}");
        let (ada, made, ada_id) = (app.signed_in(&name).await, app.make_key(&name).await, id(app, &name).await);
        let program = app.anonymous().with_key(&made.key);
        let email = format!("{name}@example.com");
        let list = ada.call("list_keys", &[("query[state]", "")]).await.is(200).json();
        let form = list["form_id"].as_str().unwrap().to_owned();
        let create = [
            ("form[form_id]", form.as_str()),
            ("form[name]", "ci"),
            ("form[expires]", "90"),
            ("form[access]", "full"),
            ("form[owner]", &email),
        ];
        let sign_in = [("email", email.as_str()), ("password", PASSWORD)];
        let (browser, promote) = (app.browser(), [("id", ada_id.as_str()), ("change", "promote")]);
        let (deleted, rotated, created, added, signed_in, disabled) = tokio::join!(
            delete_own(&ada),
            program.post("/api/v1/key/rotate", json!({"grace": "1h"})),
            root.call("create_key", &create),
            program.post(EMPLOYEES, json!({"name": "Grace", "department": "hr", "salary": 1})),
            browser.call("sign_in", &sign_in),
            root.call_admin("change_user", &promote),
        );
        deleted.is(200);
        for answer in [rotated, created, added, signed_in, disabled] {
            assert!(answer.status < 500 || answer.status == 503, "{answer:?}");
        }
        app.write_usage().await;
        let rows = app.rows().await;
        let left: Vec<_> = rows.iter().filter(|row| row.contains(&ada_id) || row.contains(&email)).collect();
        assert!(left.iter().all(|row| row.starts_with("audit: ")), "{left:#?}");
        assert!(!left.iter().any(|row| row.contains(&email)), "{left:#?}");
        program.get(EMPLOYEES).await.refused(401, "key_unknown");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn use_of_a_deleted_key_does_not_hold_up_the_others(database: Database) {
    let app = &TestApp::start(database).await;
    let (deleted, kept) = (app.with_key("ada").await, app.with_key("bob").await);
    let ada = app.signed_in("ada").await;
    for client in [&deleted, &kept] {
        client.get(EMPLOYEES).await.is(200);
    }
    delete_own(&ada).await.is(200);
    app.write_usage().await;
    assert_eq!(
        app.texts("SELECT u.email FROM usage g JOIN keys k ON k.id = g.key_id JOIN users u ON u.id = k.user_id").await,
        ["bob@example.com"]
    );
}

#[apply(each_database)]
#[tokio::test]
async fn rest_of_a_deletion_is_finished_after_a_crash(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let spec = || EmployeeSpec {
        name: EmployeeName::parse("Grace").unwrap(),
        department: Hr,
        salary: Salary::new(5).unwrap(),
    };
    let mut tx = app.state.db.begin().await.unwrap();
    for (user, number) in [(&ada, 2_300), (&bob, 3)] {
        let specs = (0..number).map(|_| spec()).collect();
        keyfob::server::employees::insert(&mut tx, &OwnerId::from(&user.id), specs, app.state.now()).await.unwrap();
        for _ in 0..number / 2 {
            let about =
                keyfob::server::audit::AuditTarget { user: Some(&user.id), subject: &user.email, ..Default::default() };
            keyfob::server::audit::record(&mut tx, &app.by(user), keyfob::model::audit::Action::SessionEnd, about)
                .await
                .unwrap();
        }
    }
    tx.commit().await.unwrap();
    // As after a crash between the transaction of a deletion and the rest.
    app.sql(&format!(
        "DELETE FROM users WHERE id = '{0}'; INSERT INTO deletions (owner_id, deleted_at) VALUES ('{0}', 1)",
        ada.id
    ))
    .await;
    users::finish_deletions(&app.state.db).await.unwrap();
    assert_eq!(app.number("SELECT COUNT(*) FROM employees").await, 3);
    assert_eq!(app.number("SELECT COUNT(*) FROM deletions").await, 0);
    assert_eq!(
        app.number("SELECT COUNT(*) FROM audit WHERE actor = 'a deleted user' AND subject = 'a deleted user'").await,
        1_150
    );
    assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE actor = 'bob@example.com'").await, 1);
}
