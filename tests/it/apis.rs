//! Registered APIs and scopes: what superusers and the operator change, and what keys may do with them.

use keyfob::model::audit::Action;
use keyfob::model::keys::{Access, ApiLimit, NewKey, Scopes};
use keyfob::server::auth::key_format::Digest;
use rstest_reuse::apply;

use crate::cli::keyfob;
use crate::invalidation::{is_cached, second_listening, wait_until};
use crate::support::{Answer, Client, Database, EMPLOYEES, TestApp, each_database};

const VERIFY: &str = "/api/v1/verify";

/// The recorded action, the server function, and its form.
type Change<'a> = (Action, &'a str, &'a [(&'a str, &'a str)]);

fn one_api(slug: &str) -> Access {
    Access::Api(Some(ApiLimit { slug: slug.to_owned(), name: String::new() }))
}

/// Access to registered scopes; those whose name ends in `see` read.
fn only(names: &[&str]) -> Access {
    let mut scopes = Scopes::parse(names.iter().copied()).unwrap();
    scopes.registered.iter_mut().for_each(|scope| scope.writes = !scope.name.ends_with("see"));
    Access::Only(scopes)
}

async fn key(app: &TestApp, access: Access) -> (NewKey, Client) {
    let made = app.make_key_that("ada", |spec| spec.access = access).await;
    let client = app.anonymous().with_key(&made.key);
    (made, client)
}

async fn remove(app: &TestApp, root: &Client, slug: &str) {
    let id = app.texts(&format!("SELECT id FROM apis WHERE slug = '{slug}'")).await.remove(0);
    root.call_admin("remove_api", &[("id", &id)]).await.is(200);
}

async fn scope_id(app: &TestApp, name: &str) -> String {
    app.texts(&format!("SELECT id FROM api_scopes WHERE name = '{name}'")).await.remove(0)
}

#[apply(each_database)]
#[tokio::test]
async fn superuser_registers_changes_and_removes_apis(database: Database) {
    let app = &TestApp::start(database).await;
    let root = app.admin().await;
    assert!(root.open("/admin/apis").await.is(200).body.contains("There are no APIs yet."));
    let add = async |slug: &str, name: &str, rate: &str| {
        let fields = [("form[slug]", slug), ("form[name]", name), ("form[description]", "Money"), ("form[rate]", rate)];
        root.call_admin("add_api", &fields).await
    };
    for (slug, name, rate, field) in [
        ("Billing", "Billing", "", "slug"),
        ("employees", "Employees", "", "slug"),
        ("admin", "Admin", "", "slug"),
        ("billing", "", "", "name"),
        ("billing", "Billing", "-1", "rate"),
    ] {
        add(slug, name, rate).await.failed_at(field);
    }
    add("billing", "The Billing", "60").await.is(200);
    add("billing", "Another", "").await.failed_at("slug");
    let id = app.texts("SELECT id FROM apis").await.remove(0);
    let scope = async |name: &str, kind: &str| {
        root.call_admin("add_scope", &[("api", &id), ("name", name), ("kind", kind)]).await
    };
    scope("see", "read").await.is(200);
    scope("billing:pay", "write").await.is(200);
    scope("see", "write").await.failed_at("name");
    scope("See", "read").await.failed_at("name");
    scope("more", "both").await.failed_at("kind");
    let edited = [("id", id.as_str()), ("form[name]", "Invoices"), ("form[description]", ""), ("form[rate]", "")];
    root.call_admin("edit_api", &edited).await.is(200);

    let page = root.open("/admin/apis").await.is(200).body;
    for shown in ["Invoices", "billing:pay, billing:see"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let pay = scope_id(app, "pay").await;
    for (query, shown) in [
        ("add=", "Add API"),
        (&format!("edit={id}"), "Edit API"),
        (&format!("scopes={id}"), "Add scope"),
        (&format!("remove={id}"), "Remove API?"),
        (&format!("remove-scope={pay}"), "Remove scope?"),
    ] {
        let page = root.open(&format!("/admin/apis?{query}")).await.is(200).body;
        assert!(page.contains(shown) && page.contains("<dialog"), "{query}: {page}");
    }
    root.call_admin("remove_scope", &[("id", &pay)]).await.is(200);
    root.call_admin("remove_scope", &[("id", &pay)]).await.failed(404);
    root.call_admin("remove_api", &[("id", &id)]).await.is(200);
    for function in ["remove_api", "edit_api"] {
        root.call_admin(function, &edited).await.failed(404);
    }
    let mut actions =
        app.texts("SELECT action || ' ' || subject || ' ' || detail FROM audit WHERE action LIKE 'api.%'").await;
    actions.sort();
    assert_eq!(
        actions,
        [
            "api.add billing The Billing",
            "api.edit billing Invoices",
            "api.remove billing ",
            "api.scope_add billing billing:pay, write",
            "api.scope_add billing billing:see, read",
            "api.scope_remove billing billing:pay",
        ]
    );
    assert_eq!(app.number("SELECT COUNT(*) FROM api_scopes").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn numbers_of_apis_and_scopes_are_bounded(database: Database) {
    let app = &TestApp::start(database).await;
    let root = app.admin().await;
    let rows: Vec<_> = (0..99).map(|n| format!("('a{n}', 'a{n}', 'A', '', 1, 1)")).collect();
    let columns = "INSERT INTO apis (id, slug, name, description, created_at, updated_at) VALUES";
    app.sql(&format!("{columns} {}", rows.join(", "))).await;
    let id = app.api("last", &[]).await;
    root.call_admin("add_api", &[("form[slug]", "more"), ("form[name]", "More")]).await.failed_at("non_field_errors");
    let rows: Vec<_> = (0..50).map(|n| format!("('s{n}', '{id}', 's{n}', FALSE, 1)")).collect();
    app.sql(&format!("INSERT INTO api_scopes (id, api_id, name, writes, created_at) VALUES {}", rows.join(", "))).await;
    let more = [("api", id.as_str()), ("name", "more"), ("kind", "read")];
    root.call_admin("add_scope", &more).await.failed_at("non_field_errors");
    assert_eq!(app.number("SELECT COUNT(*) FROM apis").await, 100);
}

#[apply(each_database)]
#[tokio::test]
async fn key_of_one_api_works_for_that_api_only(database: Database) {
    let app = &TestApp::start(database).await;
    app.api("billing", &[("see", false), ("pay", true)]).await;
    app.api("crm", &[("see", false)]).await;
    let (made, key) = key(app, one_api("billing")).await;
    for path in [EMPLOYEES, "/api/v1/me", VERIFY, "/api/v1/verify?api=crm", "/api/v1/verify?scope=billing:see"] {
        key.get(path).await.refused(403, "api_mismatch");
    }
    let answer = key.get("/api/v1/verify?api=billing&scope=billing:pay").await.is(200);
    assert_eq!(answer.header("x-auth-scopes"), "billing:pay billing:see");
    let facts = key.get("/api/v1/key").await.is(200).json();
    assert_eq!((&facts["access"], &facts["api"]), (&"api".into(), &"billing".into()));
    let page = app.signed_in("ada").await.open("/profile").await.is(200).body;
    assert!(page.contains("One API: The billing"), "{page}");

    let root = app.admin().await;
    let id = app.texts("SELECT id FROM apis WHERE slug = 'billing'").await.remove(0);
    let dialog = root.open(&format!("/admin/apis?remove={id}")).await.is(200).body;
    for shown in ["1 key", made.facts.prefix.as_str(), "ada@example.com"] {
        assert!(dialog.contains(shown), "{shown}: {dialog}");
    }
    remove(app, &root, "billing").await;
    for path in ["/api/v1/key", EMPLOYEES, VERIFY, "/api/v1/verify?api=crm", "/api/v1/verify?api=billing"] {
        key.get(path).await.refused(403, "api_mismatch");
    }
    key.post("/api/v1/key/rotate", serde_json::json!({})).await.refused(403, "api_mismatch");
    let page = app.signed_in("ada").await.open("/profile").await.is(200).body;
    assert!(page.contains("One API, which was removed") && page.contains("Rejected: its API was removed"), "{page}");
    app.api("billing", &[("see", false)]).await;
    key.get("/api/v1/verify?api=billing").await.refused(403, "api_mismatch");
}

#[apply(each_database)]
#[tokio::test]
async fn registered_scopes_limit_a_key_and_end_with_their_removal(database: Database) {
    let app = &TestApp::start(database).await;
    app.api("billing", &[("see", false), ("pay", true)]).await;
    app.api("crm", &[("see", false)]).await;
    let (_, key) = key(app, only(&["billing:see", "billing:pay", "profile:read"])).await;
    let scopes =
        async |query: &str| key.get(&format!("{VERIFY}{query}")).await.is(200).header("x-auth-scopes").to_owned();
    assert_eq!(scopes("").await, "profile:read billing:pay billing:see");
    assert_eq!(scopes("?api=billing").await, "billing:pay billing:see");
    assert_eq!(
        scopes("?scope=billing:see&scope=billing:pay&scope=billing:see").await,
        "profile:read billing:pay billing:see"
    );
    key.get("/api/v1/verify?scope=crm:see").await.refused(403, "scope_missing");
    key.get("/api/v1/verify?api=crm").await.refused(403, "api_mismatch");
    key.get("/api/v1/me").await.is(200);
    key.get(EMPLOYEES).await.refused(403, "scope_missing");

    let root = app.admin().await;
    let pay = scope_id(app, "pay").await;
    let dialog = root.open(&format!("/admin/apis?remove-scope={pay}")).await.is(200).body;
    assert!(dialog.contains("1 key") && dialog.contains("billing:pay"), "{dialog}");
    root.call_admin("remove_scope", &[("id", &pay)]).await.is(200);
    key.get("/api/v1/verify?scope=billing:pay").await.refused(400, "validation_failed");
    assert_eq!(scopes("?api=billing").await, "billing:see");
    let api = app.texts("SELECT id FROM apis WHERE slug = 'billing'").await.remove(0);
    root.call_admin("add_scope", &[("api", &api), ("name", "pay"), ("kind", "write")]).await.is(200);
    key.get("/api/v1/verify?scope=billing:pay").await.refused(403, "scope_missing");
    remove(app, &root, "billing").await;
    assert_eq!(scopes("").await, "profile:read");
    let read_only = app.with_read_only_key("ada").await;
    read_only.get("/api/v1/verify?api=crm&scope=crm:see").await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn key_whose_scopes_were_all_removed_has_none(database: Database) {
    let app = &TestApp::start(database).await;
    app.api("billing", &[("see", false)]).await;
    let (_, key) = key(app, only(&["billing:see"])).await;
    remove(app, &app.admin().await, "billing").await;
    for path in [EMPLOYEES, "/api/v1/me"] {
        key.get(path).await.refused(403, "scope_missing");
    }
    assert_eq!(key.get(VERIFY).await.is(200).header("x-auth-scopes"), "");
    assert!(app.signed_in("ada").await.open("/profile").await.body.contains("No scopes: they were removed"));
}

#[apply(each_database)]
#[tokio::test]
async fn wrong_requirements_are_refused_with_the_known_ones(database: Database) {
    let app = &TestApp::start(database).await;
    app.api("billing", &[("see", false)]).await;
    let (key, session) = (app.with_key("ada").await, app.signed_in("ada").await);
    let long = format!("api={}", "a".repeat(2000));
    for (query, field, says) in [
        ("api=crm", "api", "Known APIs: billing."),
        ("scope=crm:see", "scope", "Known APIs: billing."),
        ("scope=billing:pay", "scope", "Known scopes: billing:see."),
        ("api=billing&api=billing", "api", "one API"),
        ("api=", "api", "slug"),
        ("api=b%C3%AFlling", "api", "slug"),
        (long.as_str(), "api", "slug"),
        ("scope=see", "scope", "billing:invoices"),
    ] {
        for client in [&key, &session] {
            let problem = client.get(&format!("{VERIFY}?{query}")).await.refused(400, "validation_failed");
            assert!(problem["errors"][field][0].as_str().unwrap().contains(says), "{query}: {problem}");
        }
    }
    // What is registered is for callers only.
    app.anonymous().get("/api/v1/verify?api=crm").await.refused(401, "credentials_missing");
}

#[apply(each_database)]
#[tokio::test]
async fn limit_of_an_api_counts_each_key(database: Database) {
    let app = &TestApp::start(database).await;
    app.api("billing", &[]).await;
    app.api("crm", &[]).await;
    app.sql("UPDATE apis SET rate = 2 WHERE slug = 'billing'").await;
    let (key, other) = (app.with_key("ada").await, app.with_key("ada").await);
    let ask = async |key: &Client| key.get("/api/v1/verify?api=billing").await;
    let left = |answer: &Answer| answer.header("ratelimit").to_owned();
    assert!(left(&ask(&key).await.is(200)).starts_with("\"api_requests\";r=1;"));
    ask(&key).await.is(200);
    let answer = ask(&key).await;
    let problem = answer.refused(429, "rate_limited");
    assert_eq!(problem["limit"], "api_requests");
    assert!(left(&answer).starts_with("\"api_requests\";r=0;") && !answer.header("retry-after").is_empty());
    ask(&other).await.is(200);
    key.get("/api/v1/verify?api=crm").await.is(200);
    key.get(VERIFY).await.is(200);
    // Of two limits, the answer names the one with less left; of equal ones, that of the API.
    for (of_key, named) in [(1, "\"key_requests\";r=0;"), (2, "\"api_requests\";r=1;"), (3, "\"api_requests\";r=1;")] {
        let app = app.configured(|config| config.key_rate = of_key);
        let answer = ask(&app.with_key("bob").await).await.is(200);
        assert!(left(&answer).starts_with(named), "{of_key}: {answer:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn requests_are_counted_per_api(database: Database) {
    let app = &TestApp::start(database).await;
    let billing = app.api("billing", &[("see", false)]).await;
    app.api("crm", &[("see", false)]).await;
    let (key, session) = (app.with_key("ada").await, app.signed_in("ada").await);
    let (_, limited) = self::key(app, one_api("crm")).await;
    let verify = async |client: &Client, query: &str, status: u16| {
        client.get(&format!("{VERIFY}{query}")).await.is(status);
    };
    // What names no API, or an unknown one, counts for none.
    for (query, status) in
        [("", 200), ("?scope=profile:read", 200), ("?api=none", 400), ("?api=billing&session=no", 400)]
    {
        verify(&key, query, status).await;
    }
    app.write_usage().await;
    assert_eq!(app.number("SELECT COUNT(*) FROM api_usage").await, 0);

    verify(&key, "?api=billing&scope=billing:see&scope=crm:see", 200).await;
    verify(&key, "?scope=billing:see&scope=crm:see", 200).await;
    verify(&session, "?api=billing", 200).await;
    verify(&limited, "?api=billing", 403).await;
    verify(&app.anonymous(), "?api=billing", 401).await;
    let usage = "SELECT COALESCE(slug, 'removed') || ' ' || allowed || ' ' || refused FROM api_usage \
                 LEFT JOIN apis ON apis.id = api_id ORDER BY slug";
    let written = async || {
        app.write_usage().await;
        app.texts(usage).await
    };
    assert_eq!(written().await, ["billing 3 2", "crm 1 0"]);
    verify(&key, "?api=billing", 200).await;
    assert_eq!(written().await, ["billing 4 2", "crm 1 0"]);

    let root = app.admin().await;
    let page = root.open("/admin/apis").await.is(200).body;
    assert!(page.contains("6 requests in 30 days") && page.contains("2 rejected"), "{page}");
    let dialog = root.open(&format!("/admin/apis?usage={billing}")).await.is(200).body;
    assert!(dialog.contains("6 requests in the last 30 days, 2 rejected."), "{dialog}");

    app.sql("UPDATE api_usage SET day = day - 90").await;
    verify(&key, "?api=crm", 200).await;
    assert_eq!(written().await, ["crm 1 0"]);
    // Counts of an API that is removed meanwhile lose nobody else's.
    verify(&key, "?api=billing", 200).await;
    verify(&key, "?api=crm", 200).await;
    remove(app, &root, "billing").await;
    assert!(written().await.contains(&"crm 2 0".to_owned()));
    remove(app, &root, "crm").await;
    assert_eq!(app.texts(usage).await, ["removed 1 0"]);
}

#[apply(each_database)]
#[tokio::test]
async fn form_offers_what_is_registered_and_checks_it(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    assert!(!ada.open("/profile?create=").await.is(200).body.contains("One API"));
    app.api("billing", &[("see", false), ("pay", true)]).await;
    assert!(!ada.open("/profile").await.is(200).body.contains("billing:see"));
    for (client, path) in [(&ada, "/profile?create="), (&app.admin().await, "/admin/keys?create=")] {
        let page = client.open(path).await.is(200).body;
        for shown in ["One API", "The billing", "value=\"billing:see\"", "value=\"billing:pay\""] {
            assert!(page.contains(shown), "{path}: {shown}");
        }
    }
    let create = async |access: &str, api: &str, scope: &str| {
        let id = keyfob::server::auth::random::make_id(app.state.now());
        let fields = [
            ("form[form_id]", id.as_str()),
            ("form[name]", "ci"),
            ("form[expires]", "90"),
            ("form[access]", access),
            ("form[api]", api),
            ("form[scopes][]", scope),
        ];
        ada.call("create_key", &fields).await
    };
    create("api", "", "").await.failed_at("api");
    create("api", "crm", "").await.failed_at("api");
    create("only", "", "billing:none").await.failed_at("scopes");
    create("only", "", "crm:see").await.failed_at("scopes");
    for (access, api, scope, label) in
        [("api", "billing", "billing:see", "One API: The billing"), ("only", "", "billing:pay", "billing:pay")]
    {
        create(access, api, scope).await.is(200);
        assert!(ada.open("/profile").await.is(200).body.contains(label), "{label}");
    }
    let details = app.texts("SELECT detail FROM audit WHERE action = 'key.create'").await;
    assert_eq!(details.len(), 2);
    assert!(
        ["ci, One API: The billing", "ci, billing:pay"].iter().all(|detail| details.contains(&(*detail).to_owned()))
    );
}

#[apply(each_database)]
#[tokio::test]
async fn keys_that_only_read_a_registered_api_need_no_password(database: Database) {
    let app = &TestApp::start(database).await;
    app.api("billing", &[("see", false), ("pay", true)]).await;
    let ada = app.signed_in("ada").await;
    app.sql("UPDATE sessions SET confirmed_at = 0").await;
    let create = async |access: &str, scope: &str| {
        let id = keyfob::server::auth::random::make_id(app.state.now());
        let fields = [
            ("form[form_id]", id.as_str()),
            ("form[name]", "ci"),
            ("form[expires]", "90"),
            ("form[access]", access),
            ("form[api]", "billing"),
            ("form[scopes][]", scope),
        ];
        ada.call("create_key", &fields).await
    };
    create("api", "").await.failed(403);
    create("only", "billing:pay").await.failed(403);
    create("only", "billing:see").await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn every_change_of_what_is_registered_reaches_every_server(database: Database) {
    let app = &TestApp::start(database).await;
    let (second, listener) = &second_listening(app).await;
    app.state.db.invalidations().set_connected(true);
    let (root, billing) = (app.admin().await, app.api("billing", &[("see", false), ("oversee", false)]).await);
    let ((limited, _), (scoped, _), (full, _)) = (
        key(app, one_api("billing")).await,
        key(app, only(&["billing:see", "billing:oversee"])).await,
        key(app, Access::Full).await,
    );
    let digests = [&limited, &scoped].map(|made| Digest::of(&made.key));
    let see = scope_id(app, "see").await;
    let form = [("form[slug]", "crm"), ("form[name]", "CRM"), ("form[description]", ""), ("form[rate]", "")];
    let with_id: Vec<_> = form.into_iter().chain([("id", billing.as_str())]).collect();
    let changes: [Change<'_>; 5] = [
        (Action::ApiAdd, "add_api", &form),
        (Action::ApiEdit, "edit_api", &with_id),
        (Action::ApiScopeAdd, "add_scope", &[("api", &billing), ("name", "pay"), ("kind", "write")]),
        (Action::ApiScopeRemove, "remove_scope", &[("id", &see)]),
        (Action::ApiRemove, "remove_api", &[("id", &billing)]),
    ];
    for (action, function, fields) in changes {
        // Nothing of an earlier change is on its way.
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        for server in [app, second] {
            for made in [&limited, &scoped, &full] {
                server.anonymous().with_key(&made.key).get(VERIFY).await;
            }
            assert!(digests.iter().all(|digest| is_cached(server, digest)), "{action:?}");
        }
        root.call_admin(function, fields).await.is(200);
        assert!(digests.iter().all(|digest| !is_cached(app, digest)), "{action:?}: this server still has it");
        let is_gone = || digests.iter().all(|digest| !is_cached(second, digest));
        wait_until(&format!("{action:?}: the second server still has it"), is_gone).await;
        assert!(is_cached(app, &Digest::of(&full.key)) && is_cached(second, &Digest::of(&full.key)), "{action:?}");
        let slugs = app.texts("SELECT slug FROM apis ORDER BY slug").await;
        for server in [app, second] {
            let known = keyfob::server::apis::current(&server.state).await.unwrap();
            assert_eq!(known.iter().map(|api| api.slug.clone()).collect::<Vec<_>>(), slugs, "{action:?}");
        }
    }
    second.anonymous().with_key(&limited.key).get("/api/v1/key").await.refused(403, "api_mismatch");
    listener.abort();
    second.state.db.close().await;
}

#[apply(each_database)]
#[tokio::test]
async fn operator_registers_and_removes_apis(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    let run = async |line: &str| keyfob(&app.url, line).await;
    run("api add --slug billing --name Billing --rate 60 --scope pay --read-scope see").await.done();
    let list = run("api list").await.done().out;
    assert_eq!(list, "billing\t60/min\tbilling:pay (write) billing:see (read)\tBilling\n");
    run("api add --slug billing --name Again").await.refused("taken");
    run("api add --slug key --name Key").await.refused("Choose another");
    run("api add --slug crm --name Crm --scope a:b").await.refused("lowercase");
    assert_eq!(app.number("SELECT COUNT(*) FROM apis").await, 1);
    let user = "key create --user ada@example.com --name ci";
    let limited = run(&format!("{user} --api billing")).await.done().out;
    let scoped = run(&format!("{user} --scope billing:see --scope profile:read")).await.done().out;
    for (line, says) in
        [("--api crm", "keyfob api list"), ("--scope billing:no", "keyfob api list"), ("--scope no", "employees:read")]
    {
        run(&format!("{user} {line}")).await.refused(says);
    }
    for (line, code) in [("--api billing --read-only", 2), ("--api billing --scope billing:see", 2)] {
        assert_eq!(run(&format!("{user} {line}")).await.code, code);
    }
    let limited = app.anonymous().with_key(limited.trim());
    limited.get("/api/v1/verify?api=billing").await.is(200);
    let listed = run("key list --user ada@example.com").await.done().out;
    assert!(listed.contains("\tOne API: Billing\t") && listed.contains("\tprofile:read, billing:see\t"), "{listed}");
    let removed = run("api remove billing").await.done();
    assert!(removed.err.contains("Keys that lost it or its scopes: 2."), "{removed:?}");
    run("api remove billing").await.refused("keyfob api list");
    app.state.db.invalidations().invalidate_all();
    limited.get("/api/v1/key").await.refused(403, "api_mismatch");
    app.anonymous().with_key(scoped.trim()).get("/api/v1/me").await.is(200);
}
