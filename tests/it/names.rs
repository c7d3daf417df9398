//! Names and addresses that people give themselves: none looks like another's, none is empty to the eye, and none changes the text
//! around it. What older versions took still works, and is shown for what it is.

use keyfob::model::employees::Department;
use rstest_reuse::apply;
use serde_json::json;

use crate::cli::run;
use crate::keys::form_id;
use crate::support::{Answer, Client, Database, EMPLOYEES, PASSWORD, TestApp, each_database};

/// Characters that are not shown, or change the direction.
const HIDDEN: [&str; 9] =
    ["\u{200b}", "\u{200d}", "\u{200e}", "\u{202e}", "\u{2066}", "\u{2060}", "\u{feff}", "\u{ad}", "\u{e0072}"];

async fn sign_up(client: &Client, email: &str) -> Answer {
    client.call("sign_up", &[("email", email), ("password", PASSWORD)]).await
}

async fn sign_in(client: &Client, email: &str) -> Answer {
    client.call("sign_in", &[("email", email), ("password", PASSWORD)]).await
}

#[apply(each_database)]
#[tokio::test]
async fn an_address_that_looks_like_another_makes_no_account(database: Database) {
    let app = &TestApp::start(database).await;
    app.admin().await;
    for hidden in HIDDEN {
        for email in [
            format!("ro{hidden}ot@example.com"),
            format!("root{hidden}@example.com"),
            format!("root@exam{hidden}ple.com"),
            format!("{hidden}root@example.com"),
        ] {
            let sentence = sign_up(&app.browser(), &email).await.failed_at("email");
            assert!(sentence.contains("U+"), "{email:?}: {sentence}");
            let create = ["user", "create", "--email", &email, "--password-stdin"];
            run(&app.url, &create, &[], &format!("{PASSWORD}\n")).await.refused("U+");
        }
    }
    for email in ["ｒｏｏｔ@example.com", "root@ｅｘａｍｐｌｅ.com", "r\u{43e}ot@example.com", "ro\u{3bf}t@example.com"]
    {
        sign_up(&app.browser(), email).await.failed_at("email");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn an_address_is_the_same_in_every_form_that_keyboards_send(database: Database) {
    let app = &TestApp::start(database).await;
    sign_up(&app.browser(), "E\u{301}mile@bu\u{308}cher.example").await.is(200);
    assert_eq!(app.texts("SELECT email FROM users").await, ["émile@xn--bcher-kva.example"]);
    for email in [
        "émile@bücher.example",
        "ÉMILE@BÜCHER.example",
        "E\u{301}MILE@xn--bcher-kva.example",
        "émile@xn--bcher-kva.example",
    ] {
        sign_in(&app.browser(), email).await.is(200);
        sign_up(&app.browser(), email).await.failed_at("email");
        run(&app.url, &["user", "promote", "--email", email], &[], "").await.done();
    }
    let admin = app.admin().await;
    for search in ["e\u{301}mile", "émile"] {
        let value: String = url::form_urlencoded::byte_serialize(search.as_bytes()).collect();
        assert!(
            admin.open(&format!("/admin/users?search={value}")).await.body.contains("émile@xn--bcher-kva.example"),
            "{search}"
        );
    }
}

/// In whatever form it is typed, it is one account whose tries are counted.
#[apply(each_database)]
#[tokio::test]
async fn the_forms_of_an_address_are_guessed_at_together(database: Database) {
    let app = &TestApp::start(database).await;
    for known in [true, false] {
        if known {
            sign_up(&app.browser(), "émile@bücher.example").await.is(200);
        }
        let name = if known { "mile" } else { "douard" };
        for n in 0..6 {
            let email = if n % 2 == 0 {
                format!("E\u{301}{name}@bücher.example")
            } else {
                format!("é{name}@xn--bcher-kva.example")
            };
            let status = app.browser().call("sign_in", &[("email", &email), ("password", "wrong")]).await.status;
            assert_eq!(status, if n < 5 { 400 } else { 429 }, "{known} {n}");
        }
    }
}

/// Versions before this one took any address.
#[apply(each_database)]
#[tokio::test]
async fn an_old_account_can_sign_in_and_is_shown_for_what_it_is(database: Database) {
    let app = &TestApp::start(database).await;
    let admin = app.admin().await;
    for (stored, shown, typed) in [
        (
            "ro\u{200b}ot@example.com",
            "ro[U+200B]ot@example.com",
            vec!["ro\u{200b}ot@example.com", "RO\u{200b}OT@example.com"],
        ),
        (
            "e\u{301}mile@example.com",
            "e\u{301}mile@example.com",
            vec!["e\u{301}mile@example.com", "émile@example.com", "É\u{6d}ile@example.com"],
        ),
        (
            "ada@bücher.example",
            "ada@bücher.example",
            vec!["ada@bücher.example", "ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example"],
        ),
    ] {
        let user = app.user("old").await;
        app.sql(&format!("UPDATE users SET email = '{stored}', name = 'a\u{202e}b' WHERE id = '{}'", user.id)).await;
        for email in typed {
            sign_in(&app.browser(), email).await.is(200);
            sign_up(&app.browser(), email).await.failed_at("email");
            run(&app.url, &["user", "enable", "--email", email], &[], "").await.done();
        }
        let page = admin.open("/admin/users").await.is(200).body;
        assert!(
            page.contains(shown)
                && page.contains("a[U+202E]b")
                && !page.contains('\u{200b}')
                && !page.contains('\u{202e}'),
            "{page}"
        );
        let list = run(&app.url, &["user", "list"], &[], "").await.done().out;
        assert!(list.contains(shown) && list.contains("a[U+202E]b"), "{list}");
        let audit = admin.open("/admin/audit").await.is(200).body;
        assert!(audit.contains(shown) && !audit.contains('\u{200b}'), "{audit}");
        // The one without the character is another.
        if stored.contains('\u{200b}') {
            assert_eq!(sign_in(&app.browser(), "root@example.com").await.is(200).header("location"), "/profile");
            run(&app.url, &["user", "disable", "--email", stored], &[], "").await.done();
            assert_eq!(app.texts("SELECT email FROM users WHERE disabled_at IS NOT NULL").await, [stored]);
        }
        app.sql(&format!("UPDATE users SET email = '{0}@example.com' WHERE id = '{0}'", user.id)).await;
    }
}

#[apply(each_database)]
#[tokio::test]
async fn every_name_is_checked_wherever_it_is_given(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, admin, program) = (app.signed_in("ada").await, app.admin().await, app.with_key("ada").await);
    let id = app.make_key("ada").await.facts.id.to_string();
    let form = form_id(&ada).await;
    let hidden = HIDDEN.map(|hidden| format!("a{hidden}b"));
    let names = hidden.iter().map(String::as_str).chain(["\u{2800}", "a\u{2028}b", "\u{3164}"]);
    for name in names {
        let create =
            [("form[form_id]", form.as_str()), ("form[name]", name), ("form[expires]", "90"), ("form[access]", "full")];
        ada.call("create_key", &create).await.failed_at("name");
        admin
            .call_admin("edit_key", &[("form[id]", &id), ("form[name]", name), ("form[expires]", "keep")])
            .await
            .failed_at("name");
        ada.call("save_name", &[("name", name)]).await.failed_at("name");
        ada.call("create_team", &[("form[name]", name), ("form[slug]", "blue")]).await.failed_at("name");
        ada.call("add_employee", &[("form[name]", name), ("form[department]", "hr"), ("form[salary]", "1")])
            .await
            .failed_at("name");
        program.post(EMPLOYEES, json!({"name": name, "department": "hr", "salary": 1})).await.invalid(&["name"]);
        run(&app.url, &["key", "create", "--user", "ada@example.com", "--name", name], &[], "").await.refused("");
        let create = ["user", "create", "--email", "x@example.com", "--name", name, "--password-stdin"];
        run(&app.url, &create, &[], &format!("{PASSWORD}\n")).await.refused("");
    }
    // What a script needs is no reason to refuse a name, and each has one form.
    for (typed, kept) in
        [("E\u{301}mile", "Émile"), ("نامه\u{200c}ای", "نامه\u{200c}ای"), ("👩\u{200d}💻", "👩\u{200d}💻")]
    {
        ada.call("save_name", &[("name", typed)]).await.is(200);
        assert_eq!(app.user("ada").await.name, kept);
        let made =
            program.post(EMPLOYEES, json!({"name": typed, "department": "hr", "salary": 1})).await.is(201).json();
        assert_eq!(made["name"], kept);
        let value: String = url::form_urlencoded::byte_serialize(typed.as_bytes()).collect();
        assert_eq!(program.get(&format!("{EMPLOYEES}?search={value}")).await.json()["count"], 1, "{typed}");
    }
}

/// A name from right to left stays within itself.
#[apply(each_database)]
#[tokio::test]
async fn a_name_is_isolated_from_the_text_around_it(database: Database) {
    let app = &TestApp::start(database).await;
    let name = "מפתח (א)";
    let isolated = format!("\u{2068}{name}\u{2069}");
    let made = app.make_key_that("ada", |spec| spec.name = keyfob::model::keys::KeyName::parse(name).unwrap()).await;
    app.employee("ada", (name, Department::Hr, 1)).await;
    let (ada, admin) = (app.signed_in("ada").await, app.admin().await);
    ada.call("save_name", &[("name", name)]).await.is(200);
    ada.call("create_team", &[("form[name]", name), ("form[slug]", "red")]).await.is(200);
    let team = ada.open("/a/red").await.is(200).body;
    assert!(team.contains(&format!("<title>{isolated} · Keyfob</title>")), "{team}");
    let keys = admin.open("/admin/keys").await.is(200).body;
    assert!(keys.contains(&format!("aria-label=\"Select {isolated}\"")), "{keys}");
    let detail = format!("{isolated}, Full access");
    for page in ["/admin/audit", "/profile"] {
        let page = if page == "/profile" { ada.open(page).await } else { admin.open(page).await }.is(200).body;
        assert!(page.contains(&format!("<bdi class=\"under\">{detail}")), "{page}");
    }
    // Everywhere else on a page it has an element of its own.
    for (client, path) in [
        (&ada, "/profile"),
        (&ada, "/employees"),
        (&ada, "/teams"),
        (&ada, "/a/red"),
        (&admin, "/admin/keys"),
        (&admin, "/admin/users"),
        (&ada, &format!("/profile?revoke={}", made.facts.id)),
        (&ada, &format!("/profile?rotate={}", made.facts.id)),
        (&admin, &format!("/admin/keys?revoke={}", made.facts.id)),
    ] {
        let page = client.open(path).await.is(200).body;
        let body = page.split_once("<body>").unwrap().1;
        for (at, _) in body.match_indices(name) {
            let before = body[..at].trim_end_matches('\u{2068}');
            let alone = before.ends_with('>') && before.rsplit_once('<').unwrap().1.starts_with("bdi");
            assert!(
                alone || before.ends_with("value=\"") || body[..at].ends_with('\u{2068}'),
                "{path}: {}",
                &before[before.len().saturating_sub(80)..]
            );
        }
    }
}
