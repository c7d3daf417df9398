//! Administration: for superusers only, and what they can do.

use axum::http::Method;
use std::collections::BTreeSet;

use keyfob::model::keys::KeyName;
use keyfob::model::users::Email;
use keyfob::server::users;
use keyfob::server::users::AccountChange;
use rstest_reuse::apply;

use crate::support::{Answer, Client, Database, EMPLOYEES, TestApp, each_database};

async fn id(app: &TestApp, name: &str) -> String {
    app.user(name).await.id.to_string()
}

/// The prefixes of the keys on a page, in its order.
fn prefixes(page: &Answer) -> Vec<String> {
    let prefix = regex::Regex::new(r"<code>(kf_[0-9A-Za-z]{8})").unwrap();
    prefix.captures_iter(&page.body).map(|found| found[1].to_owned()).collect()
}

async fn found(admin: &Client, query: &str) -> Vec<String> {
    prefixes(&admin.open(&format!("/admin/keys?{query}")).await.is(200))
}

async fn edit(admin: &Client, id: &str, name: &str, expires: (&str, &str)) -> Answer {
    let fields = [
        ("form[id]", id),
        ("form[name]", name),
        ("form[expires]", expires.0),
        ("form[date]", expires.1),
        ("form[rate]", ""),
    ];
    admin.call_admin("edit_key", &fields).await
}

#[apply(each_database)]
#[tokio::test]
async fn for_everybody_else_nothing_is_there(database: Database) {
    let app = &TestApp::start(database).await;
    let (made, ada_id) = (app.make_key("ada").await, id(app, "ada").await);
    app.admin().await;
    let root = app.make_key("root").await;
    for client in [
        app.browser(),
        app.signed_in("ada").await,
        app.anonymous().with_key(&root.key),
        app.anonymous().with_key(&made.key),
    ] {
        for path in [
            "/admin",
            "/admin/keys",
            "/admin/users",
            "/admin/audit",
            "/admin/audit.csv",
            "/admin/keys/",
            "/admin/keys?search=x",
        ] {
            let answer = client.open(path).await;
            assert!(answer.status == 404, "{path}: {answer:?}");
        }
        for function in ["find_keys", "edit_key", "revoke_keys", "find_users", "change_user", "find_events", "nothing"]
        {
            for fields in [&[][..], &[("ids[]", made.facts.id.as_str()), ("id", &ada_id), ("change", "promote")]] {
                assert_eq!(client.call_admin(function, fields).await.status, 404, "{function}");
                assert_eq!(client.call(function, fields).await.status, 404, "{function}");
            }
        }
        assert_eq!(client.form("/admin/keys", &[("search", &made.key)]).await.status, 404);
        assert_eq!(client.form("/admin/keys", &[("search", "x")]).await.status, 404);
        for method in [Method::DELETE, Method::PUT] {
            assert_eq!(client.bare(method, "/admin/keys").await.status, 404);
        }
    }
    let ada = app.signed_in("ada").await;
    let list = ada.call("list_keys", &[("query[state]", "active")]).await.is(200).json();
    let fields = [
        ("form[form_id]", list["form_id"].as_str().unwrap()),
        ("form[name]", "x"),
        ("form[expires]", "never"),
        ("form[access]", "full"),
        ("form[owner]", "root@example.com"),
    ];
    ada.call("create_key", &fields).await.is(404);
    assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE revoked_at IS NULL").await, 2);
    assert_eq!(app.number("SELECT COUNT(*) FROM users WHERE superuser").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn first_account_is_no_superuser(database: Database) {
    let app = &TestApp::start(database).await;
    app.browser()
        .call("sign_up", &[("email", "first@example.com"), ("password", "four words for tests")])
        .await
        .is(200);
    assert_eq!(app.number("SELECT COUNT(*) FROM users WHERE superuser").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_is_found_by_name_prefix_owner_and_by_pasting_it(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key_that("ada", |spec| spec.name = KeyName::parse("Übersicht 50%").unwrap()).await;
    app.advance(std::time::Duration::from_secs(1));
    let other = app.make_key("bob").await;
    let admin = app.admin().await;
    let (mine, others) = (made.facts.prefix.clone(), other.facts.prefix.clone());
    for query in [
        "search=%C3%BCBERSICHT",
        "search=50%25",
        "search=ADA@example.com",
        &format!("search={mine}"),
        &format!("search={}", made.key),
    ] {
        assert_eq!(found(&admin, query).await, std::slice::from_ref(&mine), "{query}");
    }
    assert_eq!(found(&admin, "search=example.com").await, [others.clone(), mine.clone()]);
    assert!(admin.open("/admin/keys?search=nothing").await.body.contains("No keys match your search."));
    let several = format!("old={} new={} old={}", made.key, other.key, made.key);
    let pasted = admin.form("/admin/keys", &[("search", &several)]).await.is(200);
    let found: BTreeSet<_> = prefixes(&pasted).into_iter().collect();
    assert_eq!(found, BTreeSet::from([mine, others.clone()]));
    assert_eq!(prefixes(&pasted).len(), 2);
    let pasted = admin.form("/admin/keys", &[("search", &format!(" {} ", other.key))]).await.is(200);
    assert_eq!(prefixes(&pasted), [others]);
    assert!(pasted.body.contains("Found by the pasted key.") && !pasted.body.contains(&other.key), "{}", pasted.body);
    let other = admin.form("/admin/keys", &[("search", "ada"), ("state", "active")]).await.is(303);
    assert_eq!(other.header("location"), "/admin/keys?search=ada&state=active");
}

#[apply(each_database)]
#[tokio::test]
async fn keys_are_filtered_by_state(database: Database) {
    let app = &TestApp::start(database).await;
    let (live, late, gone) = (app.make_key("ada").await, app.make_key("ada").await, app.make_key("ada").await);
    app.sql(&format!("UPDATE keys SET expires_at = 1 WHERE id = '{}'", late.facts.id)).await;
    app.sql(&format!("UPDATE keys SET revoked_at = 1 WHERE id = '{}'", gone.facts.id)).await;
    let admin = app.admin().await;
    for (state, made) in [("active", live), ("expired", late), ("revoked", gone)] {
        assert_eq!(found(&admin, &format!("state={state}")).await, [made.facts.prefix], "{state}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn the_pages_of_every_order_show_each_key_once(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.keys.max_keys_per_user = 100);
    for n in 0..75 {
        let now = app.state.now();
        app.make_key_that("ada", |spec| {
            spec.name = KeyName::parse(&format!("key {}", n % 7)).unwrap();
            spec.expires_at = Some(now.plus(1000 * (n % 5 + 1)));
        })
        .await;
        if n % 3 == 0 {
            app.advance(std::time::Duration::from_millis(1));
        }
    }
    let admin = app.admin().await;
    let next = regex::Regex::new(r#"name="after" value="([^"]+)""#).unwrap();
    for sort in ["newest", "oldest", "name", "expiry"] {
        let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("sort", sort)
                .append_pair("after", &after)
                .finish();
            let page = admin.open(&format!("/admin/keys?{query}")).await.is(200);
            seen.extend(prefixes(&page));
            pages += 1;
            let found =
                next.captures_iter(&page.body).last().map(|found| found[1].to_owned()).filter(|found| *found != after);
            let Some(found) = found else { break };
            after = found;
        }
        assert_eq!((pages, seen.len()), (3, 75), "{sort}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 75, "{sort}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn revoked_key_cannot_be_edited_and_others_can(database: Database) {
    let app = &TestApp::start(database).await;
    let (made, admin) = (app.make_key("ada").await, app.admin().await);
    let id = made.facts.id.as_str();
    for (name, expires, wrong) in
        [(" ", ("keep", ""), "name"), ("x", ("date", "2020-01-01"), "date"), ("x", ("junk", ""), "expires")]
    {
        edit(&admin, id, name, expires).await.failed_at(wrong);
    }
    edit(&admin, "junk", "x", ("keep", "")).await.is(404);
    edit(&admin, id, "Renamed", ("keep", "")).await.is(200);
    assert_eq!(app.number("SELECT expires_at FROM keys").await, made.facts.expires_at.unwrap().as_millis());
    edit(&admin, id, "Renamed", ("never", "")).await.is(200);
    assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE name = 'Renamed' AND expires_at IS NULL").await, 1);
    edit(&admin, id, "Renamed", ("7", "")).await.is(200);
    assert_eq!(app.number("SELECT expires_at FROM keys").await, app.state.now().plus(7 * 86_400_000).as_millis());
    let events: BTreeSet<_> =
        app.texts("SELECT detail FROM audit WHERE action = 'key.edit'").await.into_iter().collect();
    let until = app.state.now().plus(7 * 86_400_000).minute();
    for expected in ["Renamed, expires: never".to_owned(), format!("Renamed, expires: {until}")] {
        assert!(events.contains(&expected), "{expected} is not in {events:?}");
    }
    admin.call_admin("revoke_keys", &[("ids[]", id)]).await.is(200);
    edit(&admin, id, "Again", ("never", "")).await.failed_at("non_field_errors");
    assert_eq!(app.texts("SELECT name FROM keys").await, ["Renamed"]);
}

#[apply(each_database)]
#[tokio::test]
async fn many_keys_are_revoked_at_once_and_none_is_a_sentence(database: Database) {
    let app = &TestApp::start(database).await;
    let (one, two, three) = (app.make_key("ada").await, app.make_key("bob").await, app.make_key("bob").await);
    let admin = app.admin().await;
    admin.call_admin("revoke_keys", &[]).await.is(400);
    let many = vec![("ids[]", "01890000-0000-7000-8000-000000000000"); 101];
    admin.call_admin("revoke_keys", &many).await.is(400);
    admin.call_admin("revoke_keys", &many[1..]).await.is(200);
    let page = admin.open(&format!("/admin/keys?revoke={}&revoke={}", one.facts.id, two.facts.id)).await.is(200);
    assert!(page.body.contains("Revoke these 2 keys?") && page.body.contains("alertdialog"), "{}", page.body);
    let fields = [("ids[]", one.facts.id.as_str()), ("ids[]", two.facts.id.as_str()), ("ids[]", "junk")];
    let sent = admin.with("accept", "text/html").with("referer", "http://localhost:8000/admin/keys");
    sent.form("/admin/fn/revoke_keys", &fields).await.goes_to("/admin/keys?done=revoked&n=2");
    for (key, status) in [(one, 401), (two, 401), (three, 200)] {
        app.anonymous().with_key(&key.key).get(EMPLOYEES).await.is(status);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn an_administrator_makes_a_key_for_a_user(database: Database) {
    let app = &TestApp::start(database).await;
    let (admin, ada) = (app.admin().await, app.user("ada").await);
    let form_id = regex::Regex::new("name=\"form_id\" value=\"([^\"]+)\"").unwrap();
    let page = admin.open("/admin/keys?create=").await.is(200).body;
    let fields = |owner: &'static str| {
        [
            ("form[form_id]", form_id.captures(&page).unwrap()[1].to_owned()),
            ("form[name]", "x".into()),
            ("form[expires]", "30".into()),
            ("form[access]", "read_only".into()),
            ("form[owner]", owner.to_owned()),
        ]
    };
    for junk in ["nobody@example.com", "junk"] {
        let fields = fields(junk);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        admin.call("create_key", &fields).await.failed_at("owner");
    }
    let fields = fields(" ADA@example.com");
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let made = admin.call("create_key", &fields).await.is(200).json();
    let me = app.anonymous().with_key(made["key"].as_str().unwrap()).get("/api/v1/me").await.is(200).json();
    assert_eq!(me["user"]["id"], ada.id.as_str());
    assert!(!admin.open("/admin/keys").await.body.contains(made["key"].as_str().unwrap()));
}

#[apply(each_database)]
#[tokio::test]
async fn disabling_ends_sessions_and_keys_and_enabling_restores_keys(database: Database) {
    let app = &TestApp::start(database).await;
    let (admin, ada, key, id) =
        (app.admin().await, app.signed_in("ada").await, app.with_key("ada").await, id(app, "ada").await);
    let change = async |what: &str| admin.call_admin("change_user", &[("id", &id), ("change", what)]).await;
    change("junk").await.is(404);
    change("disable").await.is(200);
    change("disable").await.is(200);
    ada.open("/profile").await.goes_to("/sign-in?next=/profile");
    key.get(EMPLOYEES).await.refused(401, "account_disabled");
    let told = "Rejected: the account is disabled";
    assert!(admin.open("/admin/keys").await.is(200).body.contains(told));
    assert_eq!(
        app.number(
            "SELECT COUNT(*) FROM sessions WHERE user_id = (SELECT id FROM users WHERE email = 'ada@example.com')"
        )
        .await,
        0
    );
    change("enable").await.is(200);
    key.get(EMPLOYEES).await.is(200);
    assert!(!admin.open("/admin/keys").await.is(200).body.contains(told));
    ada.open("/profile").await.goes_to("/sign-in?next=/profile");
    admin
        .call_admin("change_user", &[("id", "01890000-0000-7000-8000-000000000000"), ("change", "disable")])
        .await
        .is(404);
}

#[apply(each_database)]
#[tokio::test]
async fn promoted_and_demoted_count_from_the_next_request_on(database: Database) {
    let app = &TestApp::start(database).await;
    let (admin, ada, id) = (app.admin().await, app.signed_in("ada").await, id(app, "ada").await);
    ada.open("/admin/keys").await.is(404);
    admin.call_admin("change_user", &[("id", &id), ("change", "promote")]).await.is(200);
    assert!(ada.open("/admin/users").await.is(200).body.contains("root@example.com"));
    admin.call_admin("change_user", &[("id", &id), ("change", "demote")]).await.is(200);
    ada.open("/admin/users").await.is(404);
}

#[apply(each_database)]
#[tokio::test]
async fn the_last_superuser_stays_also_when_two_go_at_once(database: Database) {
    let app = &TestApp::start(database).await;
    let (root, root_id) = (app.admin().await, id(app, "root").await);
    for what in ["disable", "demote"] {
        root.call_admin("change_user", &[("id", &root_id), ("change", what)]).await.failed_at("non_field_errors");
    }
    app.change("ada", AccountChange::Promote).await;
    let (ada, ada_id) = (app.signed_in("ada").await, id(app, "ada").await);
    for what in ["demote", "disable"] {
        let (one, other) = ([("id", ada_id.as_str()), ("change", what)], [("id", root_id.as_str()), ("change", what)]);
        let (one, other) = tokio::join!(root.call_admin("change_user", &one), ada.call_admin("change_user", &other));
        assert!(one.status == 200 || other.status == 200, "{one:?} {other:?}");
        assert_eq!(app.number("SELECT COUNT(*) FROM users WHERE superuser AND disabled_at IS NULL").await, 1);
        for name in ["ada", "root"] {
            app.change(name, AccountChange::Enable).await;
            app.change(name, AccountChange::Promote).await;
        }
        app.sql("UPDATE users SET disabled_at = NULL").await;
    }
}

#[apply(each_database)]
#[tokio::test]
async fn users_are_searched_and_come_in_pages(database: Database) {
    let app = &TestApp::start(database).await;
    let admin = app.admin().await;
    for n in 0..30 {
        app.user(&format!("user{n:02}")).await;
    }
    let email = regex::Regex::new("<bdi id=\"user-[^\"]+\">([^<]+)").unwrap();
    let emails = |page: &Answer| email.captures_iter(&page.body).map(|found| found[1].to_owned()).collect::<Vec<_>>();
    let first = emails(&admin.open("/admin/users").await.is(200));
    let second = emails(&admin.open(&format!("/admin/users?after={}", first[24])).await.is(200));
    assert_eq!((first.len(), second.len()), (25, 6));
    assert!(first.iter().all(|email| !second.contains(email)));
    assert_eq!(emails(&admin.open("/admin/users?search=USER07").await), ["user07@example.com"]);
    assert!(admin.open("/admin/users?search=%25").await.body.contains("No users match your search."));
    let user = users::find(&app.state.db, &Email::parse("user07@example.com").unwrap()).await.unwrap();
    assert!(user.is_some());
}
