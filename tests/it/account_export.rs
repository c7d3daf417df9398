//! The download of one's own data.

use keyfob::model::employees::Department::Hr;
use keyfob::model::employees::{EmployeeName, EmployeeSpec, OwnerId, Salary};
use keyfob::server::employees;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Database, PASSWORD, TestApp, each_database};

const EXPORT: &str = "/profile/export.json";

#[apply(each_database)]
#[tokio::test]
async fn export_is_for_the_session_of_its_user_only(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    app.browser().open(EXPORT).await.goes_to("/sign-in?next=/profile/export.json");
    for client in [app.anonymous().with_key(&key), app.signed_in("ada").await.with_key(&key)] {
        let refused = client.get(EXPORT).await.is(403);
        assert!(!refused.body.contains("ada@example.com"), "{refused:?}");
    }
    for method in [axum::http::Method::POST, axum::http::Method::DELETE] {
        assert_eq!(app.signed_in("ada").await.bare(method, EXPORT).await.status, 405);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn export_has_all_own_data_and_no_secret(database: Database) {
    let app = &TestApp::start(database).await;
    let visitor = app.browser().coming_from("203.0.113.9").with("user-agent", "Tests/2.0 \"quoted\"");
    let ada =
        visitor.after(&visitor.call("sign_up", &[("email", "ada@example.com"), ("password", PASSWORD)]).await.is(200));
    ada.call("save_name", &[("name", "Ada \"</script>\" Lovelace")]).await.is(200);
    app.team("red", "ada", &["bob"]).await;
    let host = app.team("blue", "bob", &[]).await;
    app.invite(&host, "bob", "ada@example.com").await;
    let spec = |n| {
        let name = EmployeeName::parse(&format!("Employee {n}")).unwrap();
        EmployeeSpec { name, department: Hr, salary: Salary::new(n).unwrap() }
    };
    let mut tx = app.state.db.begin().await.unwrap();
    let owner = OwnerId::from(&app.user("ada").await.id);
    employees::insert(&mut tx, &owner, (0..1_203).map(spec).collect(), app.state.now()).await.unwrap();
    tx.commit().await.unwrap();
    app.employee("bob", ("Somebody else's", Hr, 1)).await;
    let (made, others) = (app.make_key("ada").await, app.make_key("bob").await);
    app.anonymous().with_key(&made.key).coming_from("203.0.113.9").get("/api/v1/me").await.is(200);
    app.write_usage().await;
    let root = app.admin().await.coming_from("198.51.100.1");
    let second = app.make_key("ada").await;
    root.call_admin("revoke_keys", &[("ids[]", second.facts.id.as_str())]).await.is(200);

    let answer = ada.get(EXPORT).await.is(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"keyfob-account.json\"");
    assert_eq!(answer.header("cache-control"), "no-store");
    let export: Value = answer.json();
    assert_eq!(export["exported_at"], "2027-01-15T08:00:00.000Z");
    assert_eq!(export["account"]["name"], "Ada \"</script>\" Lovelace");
    assert_eq!(export["sessions"][0]["user_agent"], "Tests/2.0 \"quoted\"");
    assert_eq!((&export["teams"][0]["slug"], &export["teams"][0]["role"]), (&"red".into(), &"admin".into()));
    assert_eq!(export["invitations"][0]["slug"], "blue");
    let keys = export["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    let used = keys.iter().find(|key| key["id"] == made.facts.id.as_str()).unwrap();
    assert_eq!((&used["prefix"], &used["last_used_from"]), (&made.facts.prefix.as_str().into(), &"203.0.113.9".into()));
    assert_eq!(used["requests_by_day"], json!([{"day": "2027-01-15", "allowed": 1, "rejected": 0}]));
    let employees = export["employees"].as_array().unwrap();
    assert_eq!(employees.len(), 1_203);
    let mut ids: Vec<_> = employees.iter().map(|one| one["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1_203);
    let actions: Vec<_> = export["activity"].as_array().unwrap().iter().map(|event| &event["action"]).collect();
    assert!(actions.contains(&&"account.create".into()) && actions.contains(&&"key.revoke".into()), "{actions:?}");
    let mut secrets = app.texts("SELECT digest FROM keys UNION SELECT digest FROM sessions").await;
    secrets.extend(app.texts("SELECT password_hash FROM users").await);
    secrets.extend([made.key[12..].to_owned(), others.facts.prefix, "Somebody else's".to_owned()]);
    // Where administrators work from is not for everybody.
    secrets.extend(["198.51.100.1", "$argon2", PASSWORD].map(str::to_owned));
    for secret in secrets {
        assert!(!answer.body.contains(&secret), "{secret}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn export_of_an_empty_account_is_whole(database: Database) {
    let app = &TestApp::start(database).await;
    let export = app.signed_in("ada").await.get(EXPORT).await.is(200).json();
    for list in ["teams", "invitations", "keys", "employees", "activity"] {
        assert_eq!(export[list], Value::Array(Vec::new()), "{list}");
    }
    let keys: Vec<_> = export.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 8, "{keys:?}");
    assert!(app.signed_in("ada").await.open("/profile").await.body.contains("href=\"/profile/export.json\""));
}
