//! What one account may ask for: how much it may store, how much it may read at once, and how often its password is hashed.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::any;
use axum::{Json, Router};
use futures_util::future::join_all;
use keyfob::model::employees::Department::Hr;
use keyfob::model::employees::{EmployeeId, EmployeeName, EmployeeSpec, OwnerId, Salary};
use keyfob::model::keys::scope::EmployeesWrite;
use keyfob::server::auth::Scoped;
use keyfob::server::auth::password::{MAX_CHECKS_PER_MINUTE, SlotOwner};
use keyfob::server::concurrency_limit::{MAX_RUNNING, MAX_WAITING};
use keyfob::server::employees;
use keyfob::server::employees::Change;
use keyfob::server::keys::MAX_CREATED_PER_DAY;
use keyfob::server::state::AppState;
use rstest_reuse::apply;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{Client, Database, EMPLOYEES, FIGURES, ONE_DAY, PASSWORD, TestApp, each_database};

const NEW: &str = "five other words for it";

fn spec() -> EmployeeSpec {
    EmployeeSpec { name: EmployeeName::parse("Grace").unwrap(), department: Hr, salary: Salary::new(1).unwrap() }
}

fn body() -> Value {
    json!({"name": "Grace Hopper", "department": "engineering", "salary": 134_000})
}

/// Adds a number of employees behind the server's back.
async fn fill(app: &TestApp, owner: &str, number: u32) {
    let row = |n| format!("('{}', '{owner}', 'n{n}', 'n{n}', 'hr', {n}, {n}, {n})", id(n));
    let rows: Vec<_> = (0..number).map(row).collect();
    let columns = "id, owner_id, name, name_folded, department, salary, created_at, updated_at";
    app.sql(&format!("INSERT INTO employees ({columns}) VALUES {}", rows.join(", "))).await;
}

fn id(n: u32) -> String {
    format!("00000000-0000-7000-8000-{n:012}")
}

async fn post_form(client: &Client, team: &str) -> crate::support::Answer {
    let fields = [("team", team), ("form[name]", "Grace"), ("form[department]", "hr"), ("form[salary]", "1")];
    client.call("add_employee", &fields[usize::from(team.is_empty())..]).await
}

/// What a member of a team does to its employees, with a moment between the check and the change.
#[derive(Clone, Copy, Debug)]
enum Act {
    Add,
    Edit,
    Delete,
    Samples,
}

/// Endpoints that wait, after they have found out who calls, until they are let go on.
fn slow(begun: &Arc<Semaphore>, go_on: &Arc<Semaphore>) -> Router<AppState> {
    let acts = [("add", Act::Add), ("edit", Act::Edit), ("delete", Act::Delete), ("samples", Act::Samples)];
    acts.into_iter().fold(Router::new(), |router, (name, act)| {
        let (begun, go_on) = (Arc::clone(begun), Arc::clone(go_on));
        let handler = async move |State(state): State<AppState>,
                                  with: Scoped<EmployeesWrite>,
                                  Path((_, id)): Path<(String, String)>| {
            begun.add_permits(1);
            go_on.acquire().await.unwrap().forget();
            let (id, tenant) = (EmployeeId::parse(&id).unwrap(), with.tenant());
            let done = match act {
                Act::Add => employees::create(&state, &tenant, spec()).await.map(|_| ()),
                Act::Edit => {
                    let change = Change { salary: Some(Salary::new(9).unwrap()), ..Change::default() };
                    employees::update(&state, &tenant, &id, change).await.map(|_| ())
                }
                Act::Delete => employees::delete(&state, &tenant, &id).await,
                Act::Samples => employees::load_samples(&state, &tenant).await,
            };
            done.map(Json)
        };
        router.route(&format!("/a/{{team}}/slow/{name}/{{id}}"), any(handler))
    })
}

#[apply(each_database)]
#[tokio::test]
async fn employees_per_owner_are_limited(database: Database) {
    let app = &TestApp::start(database).await;
    let team = app.team("red", "ada", &[]).await;
    let app = app.configured(|config| config.max_employees = 14);
    let (ada, key) = (app.signed_in("ada").await, app.with_key("ada").await);
    for (owner, slug, api) in [
        (app.user("ada").await.id.to_string(), "", EMPLOYEES.to_owned()),
        (team.id.to_string(), "red", "/a/red/employees/api/employees/".to_owned()),
    ] {
        fill(&app, &owner, 12).await;
        post_form(&ada, slug).await.is(200);
        // Of many at once there is room for one.
        let answers = join_all((0..5).map(|_| key.post(&api, body()))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        let problem = key.post(&api, body()).await.invalid(&["non_field_errors"]);
        assert!(problem["detail"].as_str().unwrap().contains("14 is the most"), "{problem}");
        assert!(post_form(&ada, slug).await.failed_at("non_field_errors").contains("14 is the most"));
        let count = format!("SELECT COUNT(*) FROM employees WHERE owner_id = '{owner}'");
        assert_eq!(app.number(&count).await, 14);
        app.sql(&format!("DELETE FROM employees WHERE owner_id = '{owner}' AND salary < 100")).await;
        key.post(&api, body()).await.is(201);
        app.sql("DELETE FROM employees").await;
    }
    ada.call("load_sample_employees", &[]).await.is(200);
    let small = app.configured(|config| config.max_employees = 11);
    let ada = small.signed_in("ada").await;
    let sentence = ada.call("load_sample_employees", &[("team", "red")]).await.failed_at("non_field_errors");
    assert!(sentence.contains("11"), "{sentence}");
}

#[apply(each_database)]
#[tokio::test]
async fn searches_of_one_owner_queue_and_delay_no_other(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, bob) = (app.with_key("ada").await, app.with_key("bob").await);
    let owner = app.user("ada").await.id.to_string();
    fill(app, &owner, 60).await;
    let deep = format!("{EMPLOYEES}?page=2&page_size=25");
    let mut held = Vec::new();
    for _ in 0..MAX_RUNNING {
        held.push(app.state.read_concurrency.acquire(&owner).await.unwrap());
    }
    for path in
        [format!("{EMPLOYEES}?search=n"), deep.clone(), format!("{EMPLOYEES}?department=hr"), FIGURES.to_owned()]
    {
        let waits = tokio::time::timeout(Duration::from_millis(50), ada.get(&path)).await;
        assert!(waits.is_err(), "{path} does not wait: {waits:?}");
        bob.get(&path).await.is(if path == deep { 404 } else { 200 });
    }
    ada.get(EMPLOYEES).await.is(200);
    let waiting: Vec<_> = (0..MAX_WAITING)
        .map(|_| {
            let (turns, owner) = (app.state.read_concurrency.clone(), owner.clone());
            tokio::spawn(async move { turns.acquire(&owner).await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    let refused = ada.get(&deep).await;
    assert_eq!(refused.header("retry-after"), "1");
    refused.refused(429, "rate_limited");
    drop(held);
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    ada.get(&deep).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn a_teams_searches_take_a_turn_of_the_member_too(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["bob"]).await;
    let (ada, bob) = (app.with_key("ada").await, app.with_key("bob").await);
    let path = "/a/red/employees/api/employees/?search=x";
    let user = app.user("ada").await.id.to_string();
    let held = (
        app.state.read_concurrency.acquire(&user).await.unwrap(),
        app.state.read_concurrency.acquire(&user).await.unwrap(),
    );
    assert!(tokio::time::timeout(Duration::from_millis(50), ada.get(path)).await.is_err());
    bob.get(path).await.is(200);
    drop(held);
    ada.get(path).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn member_removed_meanwhile_changes_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let team = app.team("red", "ada", &["mia"]).await;
    let mia = app.user("mia").await.id;
    let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (app, remove) = (app.with_own(slow(&begun, &go_on)), format!("DELETE FROM members WHERE user_id = '{mia}'"));
    let join = format!(
        "INSERT INTO members (team_id, user_id, role, created_at) VALUES ('{}', '{mia}', 'member', 1)",
        team.id
    );
    let end = |client: &'static str, what: &'static str| (client, what.replace("MIA", mia.as_str()));
    for round in 0..3 {
        for act in ["add", "edit", "delete", "samples"] {
            for (by, change) in [
                end("session", ""),
                end("key", ""),
                end("session", "DELETE FROM sessions WHERE user_id = 'MIA'"),
                end("session", "UPDATE users SET disabled_at = 1 WHERE id = 'MIA'"),
                end("key", "UPDATE users SET disabled_at = 1 WHERE id = 'MIA'"),
                end("key", "UPDATE keys SET revoked_at = 1 WHERE user_id = 'MIA'"),
            ] {
                app.sql("DELETE FROM employees").await;
                if act != "samples" {
                    fill(&app, team.id.as_str(), 1).await;
                }
                let before = app.texts("SELECT name || salary || updated_at FROM employees").await;
                let client = if by == "key" { app.with_key("mia").await } else { app.signed_in("mia").await };
                let path = format!("/a/red/slow/{act}/{}", id(0));
                let acting = tokio::spawn({
                    let client = client.clone();
                    async move { client.post(&path, json!({})).await }
                });
                begun.acquire().await.unwrap().forget();
                app.sql(if change.is_empty() { &remove } else { &change }).await;
                go_on.add_permits(1);
                let answer = acting.await.unwrap();
                assert!([401, 404].contains(&answer.status), "{round} {act} by {by}, {change}: {answer:?}");
                assert_eq!(
                    app.texts("SELECT name || salary || updated_at FROM employees").await,
                    before,
                    "{act} by {by}"
                );
                app.sql("UPDATE users SET disabled_at = NULL").await;
                app.sql("DELETE FROM keys").await;
                app.sql(&remove).await;
                app.sql(&join).await;
            }
        }
    }
    // Whoever stays does all of it.
    fill(&app, OwnerId::from(&team.id).as_str(), 1).await;
    for (act, client) in [
        ("add", app.with_key("mia").await),
        ("edit", app.signed_in("mia").await),
        ("delete", app.with_key("mia").await),
    ] {
        go_on.add_permits(1);
        client.post(&format!("/a/red/slow/{act}/{}", id(0)), json!({})).await.is(200);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn keys_per_day_are_limited_on_pages_not_for_the_operator(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.keys.max_keys_per_user = 10_000);
    let (ada, user) = (app.signed_in("ada").await, app.user("ada").await.id);
    for _ in 0..3 {
        app.make_key("ada").await;
    }
    let at = app.state.now().as_millis();
    let row = |n| format!("('{}', '{user}', 'f{n}', 'k', 'k', 'p{n}', 'd{n}', 'full', {at}, {at})", id(n));
    let rows: Vec<_> = (1..u32::try_from(MAX_CREATED_PER_DAY).unwrap()).map(row).collect();
    let columns = "id, user_id, form_id, name, name_folded, prefix, digest, access, created_at, revoked_at";
    app.sql(&format!("INSERT INTO keys ({columns}) VALUES {}", rows.join(", "))).await;
    let create = async |ada: &Client| {
        let form = crate::keys::form_id(ada).await;
        let fields = [
            ("form[form_id]", form.as_str()),
            ("form[name]", "ci"),
            ("form[expires]", "90"),
            ("form[access]", "read_only"),
        ];
        ada.call("create_key", &fields).await
    };
    create(&ada).await.is(200);
    let sentence = create(&ada).await.failed_at("non_field_errors");
    assert!(sentence.contains("200 keys were made in the last 24 hours"), "{sentence}");
    app.make_key("ada").await;
    app.advance(ONE_DAY);
    create(&app.signed_in("ada").await).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn a_user_has_one_password_in_the_queue(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, bob, user) = (app.signed_in("ada").await, app.signed_in("bob").await, app.user("ada").await.id);
    let held = app.state.passwords.take_slot(SlotOwner::User(&user), app.state.now()).unwrap();
    let fields = [("current", PASSWORD), ("new", NEW)];
    let refused = ada.call("change_password", &fields).await.is(429);
    assert_eq!(refused.header("retry-after"), "1");
    ada.call("confirm_password", &[("password", PASSWORD)]).await.is(429);
    bob.call("confirm_password", &[("password", PASSWORD)]).await.is(200);
    // Whoever is new to the account counts apart, or strangers could keep its user out.
    app.browser().call("sign_in", &[("email", "ada@example.com"), ("password", PASSWORD)]).await.is(200);
    drop(held);
    let held = app.state.passwords.take_slot(SlotOwner::Email("ada@example.com"), app.state.now()).unwrap();
    app.browser().call("sign_in", &[("email", "Ada@example.com"), ("password", PASSWORD)]).await.is(429);
    ada.call("change_password", &fields).await.is(200);
    drop(held);
    assert_eq!(app.number("SELECT COUNT(*) FROM failed_sign_ins").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn a_right_password_is_taken_so_often_a_minute_and_no_more(database: Database) {
    let app = &TestApp::start(database).await;
    let mut ada = app.signed_in("ada").await;
    for _ in 0..MAX_CHECKS_PER_MINUTE {
        let answer = ada.call("confirm_password", &[("password", PASSWORD)]).await.is(200);
        ada = ada.after(&answer);
    }
    let refused = ada.call("confirm_password", &[("password", PASSWORD)]).await.is(429);
    assert_eq!(refused.header("retry-after"), "60");
    ada.call("change_password", &[("current", PASSWORD), ("new", NEW)]).await.is(429);
    for (email, times) in [("ada@example.com", MAX_CHECKS_PER_MINUTE), ("bob@example.com", 1)] {
        app.user("bob").await;
        for _ in 0..times {
            app.browser().call("sign_in", &[("email", email), ("password", PASSWORD)]).await.is(200);
        }
    }
    app.browser().call("sign_in", &[("email", "ada@example.com"), ("password", PASSWORD)]).await.is(429);
    app.advance(Duration::from_mins(1));
    ada.call("confirm_password", &[("password", PASSWORD)]).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn too_long_values_are_rejected_and_never_cut(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &[]).await;
    let (ada, long) = (app.signed_in("ada").await, "🔑".repeat(140));
    let employee = app.employee("ada", ("Grace", Hr, 1)).await;
    for page in [
        "/sign-up",
        "/sign-in",
        "/profile",
        "/profile?create=",
        "/teams",
        "/teams?create=",
        "/a/red",
        "/employees?add=",
        &format!("/employees?edit={employee}"),
    ] {
        let page = if page.starts_with("/sign") { app.browser().open(page).await } else { ada.open(page).await };
        assert!(!page.is(200).body.contains("maxlength"));
    }
    let known = [("email", "ada@example.com"), ("password", long.as_str())];
    let new = [("email", "new@example.com"), ("password", long.as_str())];
    let says = "has 140";
    assert!(app.browser().call("sign_in", &known).await.failed_at("password").contains(says));
    assert!(app.browser().call("sign_up", &new).await.failed_at("password").contains(says));
    assert!(ada.call("confirm_password", &known[1..]).await.failed_at("password").contains(says));
    let change =
        async |current: &str, new: &str| ada.call("change_password", &[("current", current), ("new", new)]).await;
    assert!(change(&long, NEW).await.failed_at("current").contains(says));
    assert!(change(PASSWORD, &long).await.failed_at("new").contains(says));
    assert!(ada.call("save_name", &[("name", &long)]).await.failed_at("name").contains(says));
    let fields = [("form[name]", long.as_str()), ("form[slug]", "blue")];
    assert!(ada.call("create_team", &fields).await.failed_at("name").contains(says));
    let fields = [("form[name]", "Blue"), ("form[slug]", long.as_str())];
    assert!(ada.call("create_team", &fields).await.failed_at("slug").contains(says));
    let problem = ada.post(EMPLOYEES, json!({"name": long, "department": "hr", "salary": 1})).await.invalid(&["name"]);
    assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    // Without JavaScript the form says it, too.
    let page = "http://localhost:8000/sign-in";
    let sent = app.browser().submit(page, "sign_in", &known).await.is(302);
    let path = sent.header("location").strip_prefix("http://localhost:8000").unwrap().to_owned();
    assert!(app.browser().after(&sent).open(&path).await.is(200).body.contains(says), "{path}");
    // What has that many characters is taken, however many bytes and code units that is.
    ada.call("save_name", &[("name", &"🔑".repeat(100))]).await.is(200);
    change(PASSWORD, &format!("{NEW}{}", "🔑".repeat(128 - NEW.len()))).await.is(200);
    assert_eq!(app.number("SELECT COUNT(*) FROM users WHERE email = 'new@example.com'").await, 0);
}

#[test]
fn unbounded_reads_are_off_the_request_threads() {
    let known = [
        "server/audit/mod.rs",
        "server/auth/sessions.rs",
        "server/db/mod.rs",
        "server/employees/lists.rs",
        "server/keys/authenticate.rs",
        "server/keys/mod.rs",
        "server/keys/lists.rs",
        "server/teams/memberships.rs",
    ];
    for (path, text) in crate::architecture::sources() {
        let reads = text
            .lines()
            .any(|line| line.contains("db.rows(") || line.contains("db.row(") || line.contains("self.rows("));
        assert!(
            !reads || known.contains(&path.as_str()),
            "{path}: is it a look-up by a unique index, or bounded like one?"
        );
    }
}
