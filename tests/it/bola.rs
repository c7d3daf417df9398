//! Broken object level authorization: every route and every server function with every kind of id of another user and of
//! another team. The lists of both come from the program, so that a new one without a row here fails.

use std::collections::BTreeSet;

use axum::http::Method;
use leptos::server_fn::axum::server_fn_paths;
use regex::Regex;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::architecture::sources;
use crate::openapi::{document, operations};
use crate::support::functions::{Belongings, FUNCTIONS, For, REACHED_BY_ID, ids};
use crate::support::{Answer, Client, Database, TestApp, each_database};

/// Every route but those of the API: the parameters of its path, address or form, and the status for an id of somebody else.
/// `@` marks a value of [`Belongings`].
#[rustfmt::skip]
const ROUTES: [(&str, &str, &str, u16); 36] = [
    ("GET", "/", "", 200),
    ("GET", "/sign-up", "", 200),
    ("GET", "/sign-in", "", 200),
    ("GET", "/forgot-password", "", 200),
    ("GET", "/reset-password", "", 200),
    ("POST", "/reset-password", "new=four other words here", 400),
    ("GET", "/profile/export.json", "", 200),
    ("GET", "/profile", "rotate=@key", 200),
    ("GET", "/profile", "revoke=@key&state=", 200),
    ("POST", "/profile", "search=@key&state=", 303),
    ("GET", "/employees", "edit=@employee&page=1", 200),
    ("GET", "/employees", "delete=@employee", 200),
    ("GET", "/teams", "", 200),
    ("GET", "/a/{team}", "team=@team", 404),
    ("GET", "/a/{team}", "team=@team&revoke=@team_key", 404),
    ("GET", "/a/{team}/employees", "team=@team", 404),
    ("GET", "/a/{team}/employees", "team=@team&edit=@team_employee", 404),
    ("POST", "/profile/keys", "form_id=@new_id&name=ci&expires=90&access=full&team=@team_id", 400),
    ("POST", "/profile/keys", "form_id=@new_id&name=ci&expires=90&access=full&owner=@nobody", 404),
    ("POST", "/profile/keys/rotate", "id=@key&grace=0&seen=", 404),
    ("GET", "/admin/keys", "search=@prefix", 404),
    ("GET", "/admin/keys", "edit=@key", 404),
    ("GET", "/admin/keys", "revoke=@key", 404),
    ("POST", "/admin/keys", "search=@prefix", 404),
    ("GET", "/admin/users", "disable=@user", 404),
    ("GET", "/admin/users", "delete=@user", 404),
    ("GET", "/admin/apis", "remove=@api", 404),
    ("GET", "/admin/apis", "remove-scope=@api_scope", 404),
    ("GET", "/admin/audit", "who=@prefix", 404),
    ("GET", "/admin/audit.csv", "who=@prefix", 404),
    ("GET", "/docs", "", 200),
    ("GET", "/docs/errors", "", 200),
    ("GET", "/healthz", "", 200),
    ("GET", "/readyz", "", 200),
    ("GET", "/api/openapi.json", "", 200),
    ("GET", "/api/docs", "", 200),
];

/// Routes that need no row, as the source writes them: the pages' and the server functions', which have a list of their own,
/// files that are the same for everybody, and what of the API answers that there is nothing.
const WITHOUT_ROW: [&str; 23] = [
    "\"/fn/{name}\"",
    "\"/admin/fn/{name}\"",
    // It changes something: see reset_links.rs.
    "\"/admin/users/reset-link\"",
    "\"/docs/{page}\"",
    // On the second listener: see metrics.rs.
    "\"/metrics\"",
    "\"/api/docs/{file}\"",
    "\"/v-{version}/pkg/{file}\"",
    "\"/favicon.svg\"",
    "\"/favicon.ico\"",
    "\"/robots.txt\"",
    "\"/profile-light.webp\"",
    "\"/profile-dark.webp\"",
    "\"/profile-phone-light.webp\"",
    "\"/profile-phone-dark.webp\"",
    "&format!(\"{}/pkg\"",
    "PATH",
    "\"/pegasus\"",
    "\"/pegasus/{*rest}\"",
    "\"/api\"",
    "\"/api/{*rest}\"",
    "\"/a/{team}/employees/api/{*rest}\"",
    "\"/pegasus/employees/api\"",
    "\"/a/{team}/employees/api\"",
];

/// The one of the tests themselves, in panics.rs.
const BROKEN: &str = "/fn/broken_function";

/// Two users with all that one can have.
pub async fn scene(app: &TestApp) -> (TestApp, Belongings, Belongings) {
    let app = app.configured(|config| config.keys.max_keys_per_user = 10_000);
    app.admin().await;
    let (own, theirs) =
        (Box::pin(Belongings::of(&app, "bob", "blue")).await, Box::pin(Belongings::of(&app, "zoe", "red")).await);
    (app, own, theirs)
}

/// Forms of one's own in which one id is somebody else's, of whatever kind, or all are.
fn forged<'a>(form: &'a str, own: &'a Belongings, theirs: &'a Belongings) -> Vec<Vec<(&'a str, &'a str)>> {
    let mut forged = Vec::new();
    for id in ids(form) {
        for thing in REACHED_BY_ID.into_iter().chain(["email"]) {
            let mut filled = own.fill(form);
            filled.iter_mut().find(|(name, _)| *name == id).unwrap().1 = theirs.get(thing);
            forged.push(filled);
        }
    }
    if ids(form).len() > 1 {
        forged.push(theirs.fill(form));
    }
    forged
}

/// Fails if an answer has something of somebody in it, but for what was sent.
#[track_caller]
fn tells_nothing(answer: &Answer, of: &Belongings, sent: &str) {
    let told = format!("{:?} {}", answer.headers, answer.body);
    for thing in REACHED_BY_ID.into_iter().chain(["email", "key_name", "employee_name", "guest"]) {
        let value = of.get(thing);
        // A slug is a word like others.
        assert!(thing == "team" || sent.contains(value) || !told.contains(value), "{thing} for {sent}: {told}");
    }
}

/// The rows of the database that have something of somebody in them.
pub async fn rows(app: &TestApp, of: &Belongings) -> Vec<String> {
    let values: Vec<_> = REACHED_BY_ID.iter().filter(|thing| **thing != "team").map(|thing| of.get(thing)).collect();
    app.rows().await.into_iter().filter(|row| values.iter().any(|value| row.contains(value))).collect()
}

/// Asks for a path whose parameters are filled in; the other fields go into the address, or are the form.
async fn ask(client: &Client, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let (in_path, rest): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| path.contains(&format!("{{{name}}}")));
    let path = in_path.iter().fold(path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish();
    match (method, query.as_str()) {
        ("GET", "") => client.open(&path).await,
        ("GET", query) => client.open(&format!("{path}?{query}")).await,
        (_, form) => client.typed(Method::POST, &path, "application/x-www-form-urlencoded", form).await,
    }
}

pub async fn call(client: &Client, path: &str, fields: &[(&str, &str)]) -> Answer {
    ask(&client.with("accept", "application/json"), "POST", path, fields).await
}

#[apply(each_database)]
#[tokio::test]
async fn server_functions_reject_ids_of_others(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, own, theirs) = Box::pin(scene(app)).await;
    let listed: BTreeSet<_> = FUNCTIONS.iter().map(|(path, ..)| *path).collect();
    let mut there: BTreeSet<_> = server_fn_paths().map(|(path, _)| path).collect();
    assert!(there.remove(BROKEN));
    assert_eq!(there, listed);
    let (nobody, bob) = (app.browser(), app.signed_in("bob").await);
    let zoes = app.make_key("zoe").await.key;
    let with_keys = [app.with_key("bob").await, bob.with_key(&zoes), app.with_key("root").await];
    let before = app.rows().await;
    for (path, whose, form, refusal) in FUNCTIONS {
        for fields in forged(form, &own, &theirs) {
            let answer = call(&bob, path, &fields).await;
            assert_eq!(answer.status, refusal, "{path} {fields:?}: {answer:?}");
            tells_nothing(&answer, &theirs, &format!("{fields:?}"));
        }
        // Nor an id of one's own, without a session or beside a key; and for superusers only is for nobody else.
        let (without, with_a_key) = match whose {
            For::Everybody => continue,
            For::Users => (401, 403),
            For::Superusers => (404, 404),
        };
        let mut refused = vec![(&nobody, without)];
        refused.extend(with_keys.iter().map(|client| (client, with_a_key)));
        if whose == For::Superusers {
            refused.push((&bob, 404));
        }
        for (client, status) in refused {
            assert_eq!(call(client, path, &own.fill(form)).await.status, status, "{path}");
        }
        assert_eq!(app.rows().await, before, "{path} changed something");
    }
}

/// What shows that the test above refuses the ids, not the forms.
#[apply(each_database)]
#[tokio::test]
async fn server_functions_work_for_their_user_and_touch_no_other(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, _, theirs) = Box::pin(scene(app)).await;
    for (n, (path, whose, form, _)) in FUNCTIONS.into_iter().enumerate() {
        // A user each: nobody can be in so many teams.
        let user = format!("bob-{n}");
        let own = Box::pin(Belongings::of(&app, &user, &format!("blue-{n}"))).await;
        let client = if whose == For::Superusers { app.admin().await } else { app.signed_in(&user).await };
        let before = rows(&app, &theirs).await;
        let answer = call(&client, path, &own.fill(form)).await.is(200);
        assert_eq!(rows(&app, &theirs).await, before, "{path}");
        if whose != For::Superusers {
            tells_nothing(&answer, &theirs, "");
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn pages_reject_ids_of_others(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, own, theirs) = Box::pin(scene(app)).await;
    let (bob, key, root) = (app.signed_in("bob").await, app.with_key("bob").await, app.admin().await);
    let before = app.rows().await;
    for (method, path, form, refusal) in ROUTES {
        for fields in forged(form, &own, &theirs) {
            let answer = ask(&bob, method, path, &fields).await;
            // A team of one's own, and something of somebody else's in its dialog.
            let own_team = path.contains("{team}") && fields.contains(&("team", own.get("team")));
            assert_eq!(answer.status, if own_team { 200 } else { refusal }, "{path} {fields:?}: {answer:?}");
            tells_nothing(&answer, &theirs, &format!("{fields:?}"));
        }
        let fields = own.fill(form);
        if path.starts_with("/admin") {
            for client in [&app.browser(), &key, &bob] {
                assert_eq!(ask(client, method, path, &fields).await.status, 404, "{path}");
            }
            let found = if method == "GET" { 200 } else { 303 };
            assert_eq!(ask(&root, method, path, &fields).await.status, found, "{path}");
        } else if method == "GET" {
            tells_nothing(&ask(&bob, method, path, &fields).await.is(200), &theirs, "");
        }
        assert_eq!(app.rows().await, before, "{path} changed something");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn api_operations_reject_ids_of_others(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, own, theirs) = Box::pin(scene(app)).await;
    let parameter = Regex::new(r"\{(\w+)\}").unwrap();
    for (n, (method, path, operation)) in operations(&document(&app).await).into_iter().enumerate() {
        let things = parameter.captures_iter(&path).map(|found| match (&found[1], path.contains("{team}")) {
            ("team", _) => "team=@team",
            ("id", true) => "id=@team_employee",
            ("id", false) => "id=@employee",
            (other, _) => panic!("{path}: what is {other}?"),
        });
        let form = things.collect::<Vec<_>>().join("&");
        let at = |fields: &[(&str, &str)]| {
            fields.iter().fold(path.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value))
        };
        let body = &operation["requestBody"]["content"]["application/json"]["example"];
        let ask = async |client: &Client, path: &str, body: &Value| match body {
            Value::Null => client.bare(method.clone(), path).await,
            body => client.json(method.clone(), path, body.clone()).await,
        };
        for client in [app.signed_in("bob").await, app.with_key("bob").await] {
            let before = app.rows().await;
            for fields in forged(&form, &own, &theirs) {
                let answer = ask(&client, &at(&fields), body).await;
                answer.refused(404, "not_found");
                tells_nothing(&answer, &theirs, &format!("{fields:?}"));
            }
            assert_eq!(app.rows().await, before, "{method} {path} changed something");
        }
        let more = Box::pin(Belongings::of(&app, "bob", &format!("blue-{n}"))).await;
        let before = rows(&app, &theirs).await;
        let answer = ask(&app.with_key("bob").await, &at(&more.fill(&form)), body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        tells_nothing(&answer, &theirs, "");
        assert_eq!(rows(&app, &theirs).await, before, "{method} {path}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn nothing_but_the_key_itself_reports_it_as_leaked(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, _, theirs) = Box::pin(scene(app)).await;
    let before = app.rows().await;
    let digest = app.texts("SELECT digest FROM keys").await.remove(0);
    for token in REACHED_BY_ID.into_iter().map(|thing| theirs.get(thing)).chain([digest.as_str()]) {
        app.signed_in("bob").await.post("/api/v1/leaked-keys", json!([{"token": token}])).await.is(202);
    }
    let unlike = |row: &String| !row.starts_with("sessions: ");
    let after = app.rows().await;
    assert!(after.iter().filter(|row| unlike(row)).eq(before.iter().filter(|row| unlike(row))));
}

#[test]
fn every_route_has_a_row() {
    let route = Regex::new(r"\.(?:route|nest)(?:_service)?\(\s*([^,]+),").unwrap();
    let begun = Regex::new(r"\.(?:route|nest)(?:_service)?\(").unwrap();
    let mut routes = BTreeSet::new();
    for (path, text) in sources().iter().filter(|(path, _)| path.starts_with("web")) {
        let found: Vec<_> = route.captures_iter(text).map(|found| found[1].to_owned()).collect();
        assert_eq!(found.len(), begun.find_iter(text).count(), "{path}: a route that is not seen");
        routes.extend(found);
    }
    assert!(routes.len() > 30, "{routes:#?}");
    let known: BTreeSet<_> = ROUTES.iter().map(|(_, path, ..)| format!("\"{path}\"")).collect();
    let known = known.into_iter().chain(WITHOUT_ROW.map(str::to_owned)).collect();
    assert_eq!(routes.symmetric_difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}
