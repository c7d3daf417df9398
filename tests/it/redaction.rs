//! A key that somebody pastes reaches no address, no page, no log line and no row: whatever it is pasted into, and whatever
//! surrounds it.

use keyfob::model::redact::{CONTAINS_KEY, candidates, contains_key};
use keyfob::model::teams::TeamForm;
use keyfob::server::auth::key_format::{PresentedKey, make_key};
use rstest_reuse::apply;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::cli::run;
use crate::keys::form_id;
use crate::support::functions::{Belongings, FUNCTIONS, For};
use crate::support::server::Server;
use crate::support::{Answer, Database, EMPLOYEES, PASSWORD, TestApp, each_database};

/// The ways in which a key is pasted: what surrounds it, how it is written, and what is wrong with it.
fn forms(key: &str) -> Vec<String> {
    vec![
        key.to_owned(),
        format!("Api-Key {key}"),
        format!("Bearer {key}"),
        format!("\"{key}\""),
        format!("'{key}',"),
        format!("Authorization: Api-Key {key}"),
        format!("{{\"key\":\"{key}\"}}"),
        format!("https://example.com/?key={key}&x=1"),
        format!("KEYFOB_KEY={key}"),
        format!("x{key}y"),
        format!("{key} {key}"),
        format!("{key}{key}"),
        key.replace('_', "%5F"),
        key.replace('_', "%255F"),
        key.replace('_', "\\u005f"),
        key.replace('_', "\\_"),
        key.replace('_', "&#95;"),
        key.replace('_', "_\u{200b}"),
        key.chars().flat_map(|c| [c, '\u{2060}']).collect(),
        format!("{}\r\n{}", &key[..30], &key[30..]),
        format!("{}\n> {}", &key[..30], &key[30..]),
        key.to_uppercase(),
        key.to_lowercase(),
        // The checksum is wrong, and the brand another.
        format!("{}000000", &key[..key.len() - 6]),
        format!("acmecorp{}", &key[2..]),
    ]
}

/// Fails if an answer has a key in it.
#[track_caller]
fn clean(what: &str, answer: &Answer, key: &str) {
    let whole = format!("{:?} {}", answer.headers, answer.body);
    let bare = whole.replace(['\u{200b}', '\u{2060}'], "");
    assert!(!bare.to_lowercase().contains(&key[12..].to_lowercase()), "{what}: {whole}");
    // A new key, this once.
    if answer.status == 200
        && ["/fn/create_key", "/fn/rotate_key", "/profile/keys"].iter().any(|path| what.starts_with(path))
    {
        return;
    }
    assert!(!contains_key(&format!("{:?}", answer.headers)), "{what}: {whole}");
    let lines = answer.body.split(['"', '<', '>', '\n']);
    lines.for_each(|part| assert!(!contains_key(part), "{what}: {part:?} in {whole}"));
}

async fn no_row_has_one(app: &TestApp) {
    app.write_usage().await;
    for row in app.rows().await {
        for value in row.split(['|', '\t', ',']) {
            assert!(!contains_key(value), "{row}");
        }
    }
}

/// Each server function, each of its fields, with JavaScript and without.
#[apply(each_database)]
#[tokio::test]
async fn key_in_any_form_field_is_never_returned_or_stored(database: Database) {
    let app = &TestApp::start(database).await;
    let app = &app.configured(|config| config.keys.max_keys_per_user = 10_000);
    let key = app.make_key("ada").await.key;
    let things = Box::pin(Belongings::of(app, "ada", "red")).await;
    let all = forms(&key);
    let some = [&all[1], &all[9], &all[12], &all[17], &all[23]];
    for (path, who, form, _) in FUNCTIONS {
        let client = if who == For::Superusers { app.admin().await } else { app.signed_in("ada").await };
        let fields = things.fill(form);
        let typed = fields.iter().enumerate().filter(|(_, (name, _))| !matches!(*name, "password" | "current" | "new"));
        for (n, (name, _)) in typed {
            for pasted in some {
                let mut fields = fields.clone();
                fields[n].1 = pasted;
                let what = format!("{path} {name} {pasted:?}");
                let called = client.with("accept", "application/json").form(path, &fields).await;
                clean(&what, &called, &key);
                let page = format!("http://localhost:8000/profile?x={}", key.replace('_', "%5F"));
                let sent = client.with("accept", "text/html").with("referer", &page).form(path, &fields).await;
                clean(&what, &sent, &key);
            }
        }
    }
    for (path, client) in
        [("/profile/keys", app.signed_in("ada").await), ("/profile/keys/rotate", app.signed_in("ada").await)]
    {
        for field in
            ["name", "form_id", "expires", "date", "access", "scopes[]", "team", "owner", "id", "grace", "seen"]
        {
            for pasted in some {
                let answer = client.with("accept", "text/html").form(path, &[(field, pasted)]).await;
                clean(&format!("{path} {field}"), &answer, &key);
            }
        }
    }
    no_row_has_one(app).await;
}

/// An address that somebody opens, or that a form without JavaScript leads to.
#[apply(each_database)]
#[tokio::test]
async fn a_key_in_an_address_is_in_no_page_and_no_redirect(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    let (admin, ada, visitor) = (app.admin().await, app.signed_in("ada").await, app.browser());
    app.team("red", "ada", &[]).await;
    for pasted in forms(&key) {
        let value: String = url::form_urlencoded::byte_serialize(pasted.as_bytes()).collect();
        for page in [
            "/",
            "/sign-in",
            "/sign-up",
            "/profile",
            "/employees",
            "/teams",
            "/a/red",
            "/docs/errors",
            "/nothing",
            "/admin/keys",
            "/admin/users",
            "/admin/audit",
        ] {
            for name in [
                "search", "who", "action", "after", "before", "state", "sort", "next", "email", "done", "n", "x",
                "revoke", "edit", "__path", "__err", &value,
            ] {
                let clients = if page.starts_with("/admin") { vec![&admin] } else { vec![&ada, &visitor] };
                for client in clients.into_iter().filter(|_| name != "search") {
                    let path = format!("{page}?{name}={value}");
                    clean(&path, &client.open(&path).await, &key);
                }
            }
            clean(page, &admin.open(&format!("{page}?search={value}")).await, &key);
        }
        let segment = value.replace('+', "%20");
        for path in [
            format!("/{segment}"),
            format!("/a/{segment}"),
            format!("/a/{segment}/employees"),
            format!("/profile/{segment}"),
            format!("/admin/{segment}"),
            format!("/fn/{segment}"),
            format!("/api/{segment}"),
            format!("{EMPLOYEES}{segment}/"),
        ] {
            for client in [&admin, &visitor] {
                clean(&path, &client.open(&path).await, &key);
                clean(&path, &client.get(&path).await, &key);
            }
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_search_leads_to_an_address_without_the_key(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    let (key, prefix, admin) = (&made.key, &made.facts.prefix, app.admin().await);
    for pasted in forms(key) {
        for (page, field) in
            [("/admin/users", "search"), ("/admin/audit", "who"), ("/admin/audit", "action"), ("/admin/keys", "state")]
        {
            let answer = admin.form(page, &[(field, &pasted), ("x", &pasted), (&pasted, "x")]).await.is(303);
            clean(page, &answer, key);
            let there = answer.header("location").to_owned();
            assert!(there.starts_with(&format!("{page}?{field}=")), "{there}");
            clean(page, &admin.open(&there).await.is(200), key);
        }
    }
    // The audit is searched by the prefix of a key, so by a key that is pasted.
    let answer = admin.form("/admin/audit", &[("who", &format!("Api-Key {key}"))]).await.is(303);
    assert_eq!(answer.header("location"), format!("/admin/audit?who={prefix}"));
    let found = admin.open(answer.header("location")).await.is(200).body;
    assert!(found.contains("Key created") && found.contains(prefix), "{found}");
    let answer = admin.form("/admin/users", &[("search", "ada")]).await.is(303);
    assert_eq!(answer.header("location"), "/admin/users?search=ada");
}

#[apply(each_database)]
#[tokio::test]
async fn administrators_find_a_pasted_key_whatever_surrounds_it(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    let (key, prefix, admin) = (&made.key, &made.facts.prefix, app.admin().await);
    app.make_key("bob").await;
    for pasted in forms(key) {
        let is_whole = candidates(&pasted).iter().any(|found| found == key);
        let answer = admin.form("/admin/keys", &[("search", &pasted), ("state", "")]).await.is(200);
        clean("/admin/keys", &answer, key);
        assert_eq!(answer.header("location"), "");
        assert!(answer.body.contains("Found by the pasted key."), "{pasted:?}");
        assert_eq!(answer.body.contains(&format!("<code>{prefix}")), is_whole, "{pasted:?}: {}", answer.body);
        assert_eq!(answer.body.contains("No keys match your search."), !is_whole, "{pasted:?}");
        let called = admin
            .call_admin(
                "find_keys",
                &[
                    ("query[search]", &pasted),
                    ("query[state]", &pasted),
                    ("query[sort]", "newest"),
                    ("query[after]", &pasted),
                ],
            )
            .await
            .is(200);
        clean("find_keys", &called, key);
    }
    assert!(forms(key).iter().filter(|pasted| candidates(pasted).contains(key)).count() >= 20);
}

#[apply(each_database)]
#[tokio::test]
async fn a_name_with_a_key_in_it_is_refused_with_a_sentence(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    let (ada, admin, program) = (app.signed_in("ada").await, app.admin().await, app.with_key("ada").await);
    let id = app.make_key("ada").await.facts.id.to_string();
    let form = form_id(&ada).await;
    for pasted in [&forms(&key)[1], &forms(&key)[0], &format!("{}000000", &key[..key.len() - 6])] {
        let says = |sentence: String| assert_eq!(sentence, CONTAINS_KEY);
        let fields = [
            ("form[form_id]", form.as_str()),
            ("form[name]", pasted),
            ("form[expires]", "90"),
            ("form[access]", "full"),
        ];
        says(ada.call("create_key", &fields).await.failed_at("name"));
        let fields = [("form[id]", id.as_str()), ("form[name]", pasted), ("form[expires]", "keep")];
        says(admin.call_admin("edit_key", &fields).await.failed_at("name"));
        says(ada.call("save_name", &[("name", pasted)]).await.failed_at("name"));
        says(ada.call("create_team", &[("form[name]", pasted), ("form[slug]", "blue")]).await.failed_at("name"));
        let fields = [("form[name]", pasted.as_str()), ("form[department]", "hr"), ("form[salary]", "1")];
        says(ada.call("add_employee", &fields).await.failed_at("name"));
        says(
            app.browser()
                .call("sign_up", &[("email", &format!("{key}@example.com")), ("password", PASSWORD)])
                .await
                .failed_at("email"),
        );
        let refused =
            program.post(EMPLOYEES, json!({"name": pasted, "department": "hr", "salary": 1})).await.invalid(&["name"]);
        assert_eq!(refused["errors"]["name"][0], CONTAINS_KEY);
        // A field that is not there is named in the answer.
        let refused =
            program.post(EMPLOYEES, json!({"name": "Ada", "department": "hr", "salary": 1, (&key): 1})).await.is(400);
        clean("an unknown field", &refused, &key);
        let create = run(&app.url, &["key", "create", "--user", "ada@example.com", "--name", pasted], &[], "").await;
        create.refused("This contains an API key.");
        let create = ["user", "create", "--email", "x@example.com", "--name", pasted, "--password-stdin"];
        run(&app.url, &create, &[], &format!("{PASSWORD}\n")).await.refused("This contains an API key.");
    }
    assert!(TeamForm { name: key, slug: "blue".into() }.parse().is_err());
    no_row_has_one(app).await;
}

#[apply(each_database)]
#[tokio::test]
async fn a_link_to_the_next_page_of_a_list_has_no_key_in_it(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    let program = app.anonymous().with_key(&key);
    for n in 0..3 {
        program.post(EMPLOYEES, json!({"name": format!("Ada {n}"), "department": "hr", "salary": 1})).await.is(201);
    }
    for pasted in [&key, &key.replace('_', "%5F")] {
        let list = program.get(&format!("{EMPLOYEES}?page_size=1&api_key={pasted}&{pasted}=1")).await.is(200);
        clean("next", &list, &key);
        let next = list.json()["next"].as_str().unwrap().to_owned();
        assert!(next.contains("page_size=1") && next.contains("page=2"), "{next}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_in_a_header_is_stored_nowhere(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    for pasted in forms(&made.key).into_iter().filter(|pasted| pasted.bytes().all(|b| (b' '..=b'~').contains(&b))) {
        // Not even its beginning, where it is cut.
        for agent in [pasted.clone(), format!("{} {pasted}", "x".repeat(170))] {
            let browser = app
                .browser()
                .with("user-agent", &agent)
                .with("referer", &format!("http://localhost:8000/?k={}", made.key));
            app.user("ada").await;
            // Past the limit of sign-ins in a minute.
            app.advance(std::time::Duration::from_mins(1));
            browser
                .call(
                    "sign_in",
                    &[("email", "ada@example.com"), ("password", PASSWORD), ("next", &format!("/?k={pasted}"))],
                )
                .await
                .is(200);
            app.anonymous().with_key(&made.key).with("user-agent", &agent).get(EMPLOYEES).await.is(200);
            app.write_usage().await;
            let stored = app
                .texts("SELECT user_agent FROM sessions UNION SELECT used_agent FROM keys WHERE used_agent IS NOT NULL")
                .await;
            assert!(stored.iter().all(|agent| !agent.contains(&made.key[12..24])), "{stored:?}");
        }
    }
    let next = app
        .browser()
        .call(
            "sign_in",
            &[("email", "ada@example.com"), ("password", PASSWORD), ("next", &format!("/teams?k={}", made.key))],
        )
        .await;
    assert_eq!(next.is(200).header("location"), "/profile");
    no_row_has_one(app).await;
}

/// What older versions stored.
#[apply(each_database)]
#[tokio::test]
async fn an_old_name_with_a_key_in_it_is_shown_without(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    // One whose checksum is wrong, for scripts/leaks.sh looks for real ones in the database.
    let mistyped = format!("{}{}", &made.key[..made.key.len() - 1], if made.key.ends_with('A') { 'B' } else { 'A' });
    app.employee("ada", ("Ada", keyfob::model::employees::Department::Hr, 1)).await;
    for (table, column) in
        [("keys", "name"), ("employees", "name"), ("audit", "subject"), ("audit", "detail"), ("audit", "actor")]
    {
        app.sql(&format!("UPDATE {table} SET {column} = 'Api-Key {mistyped}'")).await;
    }
    let (ada, admin) = (app.signed_in("ada").await, app.admin().await);
    for page in ["/profile", "/employees"] {
        let page = ada.open(page).await.is(200);
        assert!(page.body.contains(&format!("Api-Key {}...", made.facts.prefix)), "{}", page.body);
        clean("an old name", &page, &mistyped);
    }
    for page in ["/admin/keys", "/admin/audit", "/admin/audit.csv"] {
        clean(page, &admin.open(page).await.is(200), &mistyped);
    }
    let program = app.anonymous().with_key(&made.key);
    for path in [EMPLOYEES, "/api/v1/key", "/api/v1/me"] {
        clean(path, &program.get(path).await.is(200), &mistyped);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_on_the_command_line_is_not_repeated(database: Database) {
    let app = &TestApp::start(database).await;
    let made = make_key("kf");
    let key = made.key.expose_secret();
    assert!(PresentedKey::parse(key.as_bytes()).is_some());
    for pasted in [key.to_owned(), format!("Api-Key {key}"), key.replace('_', "%5F")] {
        for line in [
            &["user", "promote", "--email", &pasted][..],
            &["user", "promote", "--email", &format!("{pasted}@x")],
            &["key", "list", "--user", &format!("{pasted}@x")],
            &["key", "revoke", &pasted],
            &["key", &pasted],
            &[&pasted],
            &["key", "create", "--user", "a@b", "--name", "x", "--team", &pasted],
            &["serve", "--addr", &pasted],
            &["copy", "--from", &pasted, "--to", &pasted],
            &["seed", "--users", &pasted],
            &["backup", &format!("/nowhere/{pasted}")],
        ] {
            let ran = run(&app.url, line, &[], "").await;
            assert!(ran.code != 0 && !ran.err.contains(&key[12..]) && !contains_key(&ran.err), "{line:?}: {ran:?}");
        }
        for name in ["KEYFOB_ADDR", "KEYFOB_PUBLIC_URL", "KEYFOB_TRUSTED_PROXIES", "KEYFOB_KEY_BRAND"] {
            let ran = run(&app.url, &["serve"], &[(name, &pasted)], "").await;
            assert!(ran.code == 1 && !contains_key(&ran.err), "{name}: {ran:?}");
        }
    }
}

/// The program itself, with its log at trace.
#[apply(each_database)]
#[tokio::test]
async fn no_log_line_has_a_key_in_it(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    for format in ["text", "json"] {
        let server = Server::start(&app.url, "trace", format).await;
        for pasted in forms(&key) {
            let encoded: String =
                url::form_urlencoded::byte_serialize(pasted.as_bytes()).collect::<String>().replace('+', "%20");
            let raw: String = pasted.chars().filter(|c| !c.is_control() && *c != ' ').collect();
            for path in [&encoded, &raw] {
                for line in [format!("GET {EMPLOYEES}{path}/?x={path}"), format!("POST /fn/{path}")] {
                    server
                        .ask(&line, &[("User-Agent", &raw), ("X-Forwarded-For", &raw), ("Accept", "text/html")], "")
                        .await;
                }
            }
            let plain = raw.is_ascii() && !raw.contains(['"', '{', '}', '/', ':', '?', '=', '\\', ',', '&', ';', '>']);
            if plain {
                server.ask(&format!("{raw} /"), &[], "").await;
            }
        }
        let log = server.log();
        assert!(log.contains(&format!("{}...", &key[..11])) && log.contains("sqlx::query"), "{log}");
        for line in log.lines() {
            assert!(!line.contains(&key[12..]) && !contains_key(line), "{line}");
        }
    }
}
