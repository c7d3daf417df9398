//! API keys by the server functions that the profile page calls: create, see once, list, revoke.

use keyfob::model::time::{DAY, Timestamp};
use rstest_reuse::apply;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Answer, Client, Database, EMPLOYEES, NOW, ONE_DAY, TestApp, each_database};

/// A fresh showing of the form.
pub async fn form_id(client: &Client) -> String {
    client.call("list_keys", &[("query[state]", "active")]).await.is(200).json()["form_id"].as_str().unwrap().to_owned()
}

/// Sends the form with some fields other than the usual.
async fn create(client: &Client, form: &str, changed: &[(&str, &str)]) -> Answer {
    let mut fields = vec![
        ("form[form_id]", form),
        ("form[name]", "ci"),
        ("form[expires]", "90"),
        ("form[date]", ""),
        ("form[access]", "full"),
    ];
    for (name, value) in changed {
        fields.retain(|(usual, _)| usual != name);
        fields.push((name, value));
    }
    client.call("create_key", &fields).await
}

async fn create_new(client: &Client, changed: &[(&str, &str)]) -> Answer {
    create(client, &form_id(client).await, changed).await
}

async fn listed(client: &Client, state: &str) -> Vec<Value> {
    let list = client.call("list_keys", &[("query[state]", state)]).await.is(200).json();
    list["keys"].as_array().unwrap().iter().map(|entry| entry["key"].clone()).collect()
}

fn names(keys: &[Value]) -> Vec<&str> {
    keys.iter().map(|key| key["name"].as_str().unwrap()).collect()
}

fn id(made: &Value) -> String {
    made["facts"]["id"].as_str().unwrap().to_owned()
}

#[apply(each_database)]
#[tokio::test]
async fn keys_are_managed_by_sessions_only(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await;
    let gone = app.signed_in("carl").await;
    app.disable("carl").await;
    for (client, status, error) in [
        (app.browser(), 401, json!("CredentialsMissing")),
        (app.browser().with("cookie", &format!("keyfob_session={}", "0".repeat(64))), 401, json!("CredentialsMissing")),
        (gone, 401, json!("CredentialsMissing")),
        (app.anonymous().with_key(&key.key), 403, json!("SessionRequired")),
        (app.signed_in("ada").await.with_key(&key.key), 403, json!("SessionRequired")),
        (app.signed_in("ada").await.with("x-api-key", "junk"), 403, json!("SessionRequired")),
    ] {
        for function in ["list_keys", "create_key", "revoke_key"] {
            let fields = [("query[state]", ""), ("id", key.facts.id.as_str()), ("form[name]", "x")];
            assert_eq!(client.call(function, &fields).await.failed(status), error, "{function}");
        }
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE revoked_at IS NULL").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_from_the_page_calls_the_api_until_it_is_revoked(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let answer = create_new(&ada, &[]).await.is(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let made = answer.json();
    let key = made["key"].as_str().unwrap();
    let program = app.anonymous().with_key(key);
    assert_eq!(program.get(EMPLOYEES).await.is(200).json()["count"], 0);
    ada.call("revoke_key", &[("id", &id(&made))]).await.is(200);
    program.get(EMPLOYEES).await.refused(401, "key_revoked");
}

#[apply(each_database)]
#[tokio::test]
async fn database_stores_digest_and_prefix_of_a_key_only(database: Database) {
    let app = &TestApp::start(database).await;
    let made = create_new(&app.signed_in("ada").await, &[]).await.is(200).json();
    let key = made["key"].as_str().unwrap();
    let digest = Sha256::digest(key).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(app.texts("SELECT digest FROM keys").await, [digest]);
    assert_eq!(app.texts("SELECT prefix FROM keys").await, [&key[..11]]);
    assert_eq!(made["facts"]["prefix"], key[..11]);
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_is_nowhere_after_its_creation(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let answer = create_new(&ada, &[]).await.is(200);
    assert!(answer.all("location").is_empty() && answer.all("set-cookie").is_empty());
    let made = answer.json();
    let secret = &made["key"].as_str().unwrap()[12..];
    let digest = app.texts("SELECT digest FROM keys").await.remove(0);
    let revoke = format!("/profile?revoke={}", id(&made));
    for page in ["/", "/profile", "/profile?create=", "/profile?revoked=", &revoke, "/employees", "/profile/keys"] {
        let seen = ada.get(page).await;
        assert!(!seen.body.contains(secret) && !seen.body.contains(&digest), "{page}");
    }
    assert!(ada.get("/profile").await.body.contains(&made["key"].as_str().unwrap()[..11]));
    for function in ["list_keys", "list_sessions"] {
        let seen = ada.call(function, &[("query[state]", "")]).await.is(200);
        assert!(!seen.body.contains(secret) && !seen.body.contains(&digest), "{function}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_wrong_field_is_refused_with_a_sentence(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let long = "é".repeat(101);
    for (field, name, value) in [
        ("name", "form[name]", ""),
        ("name", "form[name]", " \u{2003} "),
        ("name", "form[name]", &long),
        ("name", "form[name]", "a\0b"),
        ("name", "form[name]", "a\nb"),
        ("expires", "form[expires]", ""),
        ("expires", "form[expires]", "8"),
        ("expires", "form[expires]", "-7"),
        ("expires", "form[expires]", "9999999999999999999"),
        ("date", "form[expires]", "date"),
        ("access", "form[access]", ""),
        ("access", "form[access]", "admin"),
        ("access", "form[access]", "Full"),
        ("non_field_errors", "form[form_id]", ""),
        ("non_field_errors", "form[form_id]", "junk"),
    ] {
        let sentence = create_new(&ada, &[(name, value)]).await.failed_at(field);
        assert!(sentence.ends_with('.'), "{sentence}");
    }
    for date in ["", "2027-01-14", "1999-12-31", "2027-02-30", "soon", "10000-01-01", "2027-1", "-1-01-01"] {
        create_new(&ada, &[("form[expires]", "date"), ("form[date]", date)]).await.failed_at("date");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM keys").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn all_wrong_fields_are_reported_at_once(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let answer = create(&ada, "", &[("form[name]", ""), ("form[expires]", "x"), ("form[access]", "x")]).await;
    for field in ["name", "expires", "access", "non_field_errors"] {
        answer.failed_at(field);
    }
    ada.call("create_key", &[]).await.failed_at("non_field_errors");
    ada.call("create_key", &[("form", "junk")]).await.failed_at("non_field_errors");
    ada.call("create_key", &[("form[form_id][a]", "junk")]).await.failed_at("non_field_errors");
}

#[apply(each_database)]
#[tokio::test]
async fn a_name_is_kept_as_it_was_typed_but_for_white_space_around(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let long = "é".repeat(100);
    for name in ["a", &long, "🔑 מפתח", "<script>alert(1)</script>", "a&b=c", "Robert'); DROP TABLE keys;--"] {
        let made = create_new(&ada, &[("form[name]", &format!(" {name}\u{2003}"))]).await.is(200).json();
        assert_eq!(made["facts"]["name"], name);
    }
    let page = ada.get("/profile").await;
    assert!(!page.body.contains("<script>alert(1)") && page.body.contains("🔑 מפתח"));
    assert_eq!(listed(&ada, "active").await.len(), 6);
}

#[apply(each_database)]
#[tokio::test]
async fn each_expiry_comes_to_its_day(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    for days in [7, 30, 60, 90, 180, 365] {
        let made = create_new(&ada, &[("form[expires]", &days.to_string())]).await.is(200).json();
        assert_eq!(made["facts"]["expires_at"], NOW.plus(days * DAY).as_millis());
    }
    let made = create_new(&ada, &[("form[expires]", "never"), ("form[date]", "2027-01-14")]).await.is(200).json();
    assert_eq!(made["facts"]["expires_at"], json!(null));
    for date in ["2027-01-15", "2027-02-21", "9999-12-31"] {
        let made = create_new(&ada, &[("form[expires]", "date"), ("form[date]", date)]).await.is(200).json();
        let at = Timestamp::from_millis(made["facts"]["expires_at"].as_i64().unwrap());
        assert_eq!(at.rfc3339(), format!("{date}T23:59:59.000Z"));
    }
}

#[apply(each_database)]
#[tokio::test]
async fn an_expired_key_is_refused_and_says_so_in_the_list(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let made = create_new(&ada, &[("form[expires]", "7")]).await.is(200).json();
    let program = app.anonymous().with_key(made["key"].as_str().unwrap());
    for (days, status) in [(0, "Active"), (5, "Expires soon"), (2, "Expired")] {
        app.advance(ONE_DAY * days);
        let ada = app.signed_in("ada").await;
        assert!(ada.get("/profile").await.is(200).body.contains(&format!(">{status}<")), "{status}");
    }
    program.get(EMPLOYEES).await.refused(401, "key_expired");
}

#[apply(each_database)]
#[tokio::test]
async fn a_read_only_key_from_the_page_reads_and_writes_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let made = create_new(&app.signed_in("ada").await, &[("form[access]", "read_only")]).await.is(200).json();
    let program = app.anonymous().with_key(made["key"].as_str().unwrap());
    program.get(EMPLOYEES).await.is(200);
    program.post(EMPLOYEES, json!({})).await.refused(403, "scope_missing");
}

#[apply(each_database)]
#[tokio::test]
async fn a_form_that_is_sent_twice_makes_one_key(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let form = form_id(&ada).await;
    create(&ada, &form, &[]).await.is(200);
    let sentence = create(&ada, &form, &[("form[name]", "again")]).await.failed_at("non_field_errors");
    assert!(sentence.contains("sent already"), "{sentence}");
    assert_eq!(names(&listed(&ada, "").await), ["ci"]);
    // Somebody else's form is another form.
    create(&app.signed_in("bob").await, &form, &[]).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn a_form_that_is_sent_five_times_at_once_makes_one_key(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let form = form_id(&ada).await;
    let five = tokio::join!(
        create(&ada, &form, &[]),
        create(&ada, &form, &[]),
        create(&ada, &form, &[]),
        create(&ada, &form, &[]),
        create(&ada, &form, &[])
    );
    let mut statuses = [five.0.status, five.1.status, five.2.status, five.3.status, five.4.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400, 400]);
    assert_eq!(app.number("SELECT COUNT(*) FROM keys").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn one_live_key_too_many_is_refused_until_one_is_gone(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.keys.max_keys_per_user = 2);
    let ada = app.signed_in("ada").await;
    let first = create_new(&ada, &[]).await.is(200).json();
    create_new(&ada, &[("form[expires]", "7")]).await.is(200);
    let sentence = create_new(&ada, &[]).await.failed_at("non_field_errors");
    assert!(sentence.contains('2') && sentence.contains("Revoke"), "{sentence}");
    create_new(&app.signed_in("bob").await, &[]).await.is(200);
    ada.call("revoke_key", &[("id", &id(&first))]).await.is(200);
    create_new(&ada, &[]).await.is(200);
    create_new(&ada, &[]).await.failed_at("non_field_errors");
    app.advance(ONE_DAY * 7);
    create_new(&app.signed_in("ada").await, &[]).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn keys_that_are_created_at_once_do_not_pass_the_limit(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.keys.max_keys_per_user = 3);
    let ada = app.signed_in("ada").await;
    let new = || create_new(&ada, &[]);
    let eight = tokio::join!(new(), new(), new(), new(), new(), new(), new(), new());
    let statuses = [&eight.0, &eight.1, &eight.2, &eight.3, &eight.4, &eight.5, &eight.6, &eight.7];
    assert_eq!(statuses.iter().filter(|answer| answer.status == 200).count(), 3);
    assert_eq!(statuses.iter().filter(|answer| answer.status == 400).count(), 5);
    assert_eq!(app.number("SELECT COUNT(*) FROM keys").await, 3);
}

#[apply(each_database)]
#[tokio::test]
async fn revoking_twice_is_no_error_and_changes_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let made = create_new(&ada, &[]).await.is(200).json();
    ada.call("revoke_key", &[("id", &id(&made))]).await.is(200);
    app.advance(ONE_DAY);
    ada.call("revoke_key", &[("id", &id(&made))]).await.is(200);
    assert_eq!(app.number("SELECT revoked_at FROM keys").await, NOW.as_millis());
    let listed = listed(&ada, "").await;
    assert_eq!(listed[0]["revoked_at"], NOW.as_millis());
}

#[apply(each_database)]
#[tokio::test]
async fn key_of_another_user_is_not_found_and_keeps_working(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    let bob = app.signed_in("bob").await;
    let others = bob.call("revoke_key", &[("id", made.facts.id.as_str())]).await;
    let nobodys = bob.call("revoke_key", &[("id", "01890000-0000-7000-8000-000000000000")]).await;
    assert_eq!(others.failed(404), json!("NotFound"));
    assert_eq!((others.status, &others.body), (nobodys.status, &nobodys.body));
    app.anonymous().with_key(&made.key).get(EMPLOYEES).await.is(200);
    assert_eq!(listed(&bob, "").await.len(), 0);
}

#[apply(each_database)]
#[tokio::test]
async fn junk_for_an_id_is_not_found(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let made = app.make_key("ada").await;
    for junk in ["", "x", "\0", "' OR 1=1", "🔑", &made.facts.prefix, &made.key, &"0".repeat(10_000)] {
        assert_eq!(ada.call("revoke_key", &[("id", junk)]).await.failed(404), json!("NotFound"), "{junk:.50}");
    }
    ada.call("revoke_key", &[]).await.failed_at("non_field_errors");
}

#[apply(each_database)]
#[tokio::test]
async fn list_shows_active_then_expired_then_revoked_keys(database: Database) {
    let app = &TestApp::start(database).await;
    for (name, expires) in [("old", "never"), ("short", "7"), ("gone", "never"), ("new", "never")] {
        let ada = app.signed_in("ada").await;
        let made = create_new(&ada, &[("form[name]", name), ("form[expires]", expires)]).await.is(200).json();
        if name == "gone" {
            ada.call("revoke_key", &[("id", &id(&made))]).await.is(200);
        }
        app.advance(ONE_DAY / 2);
    }
    app.advance(ONE_DAY * 6);
    let ada = app.signed_in("ada").await;
    assert_eq!(names(&listed(&ada, "active").await), ["new", "old"]);
    assert_eq!(names(&listed(&ada, "expired").await), ["short"]);
    assert_eq!(names(&listed(&ada, "revoked").await), ["gone"]);
    assert_eq!(names(&listed(&ada, "").await), ["new", "old", "short", "gone"]);
    assert_eq!(listed(&app.signed_in("bob").await, "").await.len(), 0);
}

#[apply(each_database)]
#[tokio::test]
async fn nothing_about_keys_is_done_by_get(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let made = app.make_key("ada").await;
    for call in ["create_key?form[name]=x", "list_keys?revoked=true", &format!("revoke_key?id={}", made.facts.id)] {
        assert_eq!(ada.get(&format!("/fn/{call}")).await.status, 405, "{call}");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE revoked_at IS NULL").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn another_site_can_neither_create_nor_revoke(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    let ada = app.signed_in("ada").await;
    let form = form_id(&ada).await;
    let foreign = ada.on_another_site();
    assert_eq!(create(&foreign, &form, &[]).await.status, 403);
    assert_eq!(foreign.call("revoke_key", &[("id", made.facts.id.as_str())]).await.status, 403);
    assert_eq!(foreign.form("/profile/keys", &[("form_id", &form), ("name", "x")]).await.status, 403);
    assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE revoked_at IS NULL").await, 1);
}
