//! Mass assignment: whatever column of the database a body or a form names beside its own fields, nothing is set by it. The
//! names come from the database, the bodies from the API's description, the forms from the list of server functions.

use axum::http::Method;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::bola::{call, rows, scene};
use crate::openapi::{document, operations};
use crate::support::functions::{Belongings, FUNCTIONS, For};
use crate::support::{Answer, Database, TestApp, each_database};

/// Names that are no columns, and might be tried.
const MORE: [&str; 6] = ["user", "team", "owner", "is_superuser", "is_staff", "password"];

/// The names to try, each with the value that would do most harm.
async fn names(app: &TestApp, theirs: &Belongings) -> Vec<(String, String)> {
    let names = app.columns().await.into_iter().chain(MORE.map(str::to_owned));
    let harm = |name: &str| match name {
        "superuser" | "is_superuser" | "is_staff" => "true".to_owned(),
        "team_id" | "team" => theirs.get("team_id").to_owned(),
        _ => theirs.get("user").to_owned(),
    };
    let names: Vec<_> = names.map(|name| (name.clone(), harm(&name))).collect();
    assert!(names.len() > 40, "{names:?}");
    names
}

async fn superusers(app: &TestApp) -> Vec<String> {
    app.texts("SELECT email FROM users WHERE superuser ORDER BY email").await
}

/// The fields that an operation says its body has: those that are taken, and those that may only be sent back.
fn fields(document: &Value, operation: &Value) -> (Vec<String>, Vec<String>) {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let referred = schema["$ref"].as_str().map(|to| document.pointer(to.trim_start_matches('#')).unwrap());
    let schema = referred.unwrap_or(schema);
    assert_eq!(schema["additionalProperties"], false, "{schema}");
    let properties = schema["properties"].as_object().unwrap();
    let (back, taken): (Vec<_>, Vec<_>) = properties.iter().partition(|(_, about)| about["readOnly"] == true);
    let names = |fields: Vec<(&String, &Value)>| fields.into_iter().map(|(name, _)| name.clone()).collect();
    (names(taken), names(back))
}

#[apply(each_database)]
#[tokio::test]
async fn no_body_of_the_api_sets_more_than_its_fields(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, _, theirs) = Box::pin(scene(app)).await;
    let (document, names) = (document(&app).await, names(&app, &theirs).await);
    let mut bodies = 0;
    for (n, (method, path, operation)) in operations(&document).into_iter().enumerate() {
        // What stands in a report beside the key is not looked at: scanners write much there.
        if operation["requestBody"].is_null() || operation["operationId"] == "leaked_keys_report" {
            continue;
        }
        bodies += 1;
        let own = Box::pin(Belongings::of(&app, "bob", &format!("blue-{n}"))).await;
        let (employee, team) = (if path.contains("{team}") { "team_employee" } else { "employee" }, own.get("team"));
        let path = path.replace("{team}", team).replace("{id}", own.get(employee));
        let client = app.with_key("bob").await;
        let (taken, back) = fields(&document, &operation);
        let example = &operation["requestBody"]["content"]["application/json"]["example"];
        let body = |name: &str, value: &str| {
            let mut body = example.clone();
            body[name] = if value == "true" { json!(true) } else { json!(value) };
            body
        };
        let before = app.rows().await;
        for (name, harm) in names.iter().filter(|(name, _)| !taken.contains(name) && !back.contains(name)) {
            client.json(method.clone(), &path, body(name, harm)).await.invalid(&[name]);
        }
        assert_eq!(app.rows().await, before, "{method} {path} changed something");
        let before = rows(&app, &theirs).await;
        for (name, harm) in names.iter().filter(|(name, _)| back.contains(name)) {
            let answer = client.json(method.clone(), &path, body(name, harm)).await;
            assert!((200..300).contains(&answer.status) && !answer.body.contains(harm), "{name}: {answer:?}");
        }
        assert_eq!(rows(&app, &theirs).await, before, "{method} {path} changed what is another's");
    }
    assert_eq!((bodies, superusers(&app).await.len()), (7, 1));
}

#[apply(each_database)]
#[tokio::test]
async fn no_form_sets_more_than_its_fields(database: Database) {
    const WITHOUT_JAVASCRIPT: [(&str, For, &str, u16); 3] = [
        ("/profile/keys", For::Users, "form_id=@new_id&name=ci&expires=90&access=full&team=&owner=", 0),
        ("/profile/keys/rotate", For::Users, "id=@key&grace=0&seen=", 0),
        ("/admin/users/reset-link", For::Superusers, "id=@member", 0),
    ];
    let app = &TestApp::start(database).await;
    let (app, _, theirs) = Box::pin(scene(app)).await;
    let names = names(&app, &theirs).await;
    for (n, (path, whose, form, _)) in FUNCTIONS.into_iter().chain(WITHOUT_JAVASCRIPT).enumerate() {
        let user = format!("bob-{n}");
        let own = Box::pin(Belongings::of(&app, &user, &format!("blue-{n}"))).await;
        let client = if whose == For::Superusers { app.admin().await } else { app.signed_in(&user).await };
        // Fields of the function, also those that this form leaves out.
        let known: Vec<_> = FUNCTIONS.iter().filter(|row| row.0 == path).flat_map(|row| own.fill(row.2)).collect();
        let mut more = Vec::new();
        for (name, harm) in &names {
            more.extend([name.clone(), format!("form[{name}]"), format!("query[{name}]")].map(|name| (name, harm)));
        }
        let mut fields = own.fill(form);
        let taken: Vec<_> = fields.iter().chain(&known).map(|(name, _)| *name).collect();
        more.retain(|(name, _)| !taken.contains(&name.as_str()));
        fields.extend(more.iter().map(|(name, harm)| (name.as_str(), harm.as_str())));
        let (before, admins) = (rows(&app, &theirs).await, superusers(&app).await);
        let answer: Answer = call(&client, path, &fields).await.is(200);
        assert!(!answer.body.contains(theirs.get("user")), "{path}: {answer:?}");
        assert_eq!((rows(&app, &theirs).await, superusers(&app).await), (before, admins), "{path}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn redirect_stays_on_this_site_for_any_form(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, own, _) = Box::pin(scene(app)).await;
    let (bob, root) = (app.signed_in("bob").await, app.admin().await);
    for team in [" blue", "blue\n", "blue\r\nSet-Cookie: a=b", "//evil.example", "blue/..", "blue?x", "\\evil.example"]
    {
        let fields = [("team", team), ("email", own.get("stranger")), ("role", "member")];
        bob.call("add_member", &fields).await.failed(404);
        bob.submit("http://localhost:8000/teams", "add_member", &fields).await.is(302);
    }
    let form = "application/x-www-form-urlencoded";
    for search in ["search=a\nb", "search=a\r\nSet-Cookie: a=b", "search=é\u{0}", "//evil.example", "search=%0d%0aX: y"]
    {
        let answer = root.typed(Method::POST, "/admin/keys", form, search).await.is(303);
        assert!(answer.header("location").starts_with("/admin/keys?"), "{answer:?}");
        assert!(!answer.headers.contains_key("set-cookie") && !answer.headers.contains_key("x"), "{answer:?}");
    }
    // A form that is sent in vain leads back to where it came from, if that is here.
    for (from, back) in [
        ("http://localhost:8000/profile?create=", "http://localhost:8000/profile?create="),
        ("https://evil.example/profile", "/"),
        ("http://localhost:8000@evil.example/", "/"),
        ("//evil.example", "/"),
        ("junk", "/"),
    ] {
        let answer = bob.submit(from, "save_name", &[("name", &"x".repeat(200))]).await.is(302);
        assert!(
            answer.header("location").starts_with(back) && !answer.header("location").contains("evil"),
            "{answer:?}"
        );
    }
}
