//! Who may call what: each endpoint of the API by each actor, and every cell of the table is asserted.

use axum::http::Method;
use axum::{Json, Router, routing::any};
use keyfob::model::employees::Department::Hr;
use keyfob::model::employees::{EmployeeName, EmployeeSpec, OwnerId, Salary};
use keyfob::model::keys::{Access, KeySpec, Scope, Scopes};
use keyfob::model::teams::TeamId;
use keyfob::server::auth::{Caller, Superuser};
use keyfob::server::state::AppState;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Database, TestApp, each_database};

/// Each endpoint, the status of its success, and what each of [`SESSIONS`] and each of [`KEYS`] is answered: `.` success, or
/// a letter of [`REFUSALS`].
#[rustfmt::skip]
const TABLE: [(&str, u16, &str, &str); 22] = [
    // The employees are ada's, or those of the team red. ada is in red and blue.
    //
    //                                    nobody, a disabled user
    //                                    | | bob, in no team            the old secret after its grace
    //                                    | | | a superuser              | expired  a disabled user's
    //                                    | | | | mia, in red            | | revoked   of a user who left red
    //                                    | | | | | tess, admin of red   | | | | |  for blue, for red
    //                                    | | | | | | ada                | | | | |  | |  each scope  read-only  old, in its grace
    //                                    | | | | | | |                  | | | | |  | |  er ew pr kr  |  full  | a superuser's, reading
    ("GET    {own}/employees/",      200, "- - . . . . .",              "X X R D T  T T  . S S S  . . .  . ."),
    ("POST   {own}/employees/",      201, "- - . . . . .",              "X X R D T  T T  S . S S  S . .  . S"),
    ("GET    {own}/employees/{id}/", 200, "- - N N N N .",              "X X R D T  T T  . S S S  . . .  N N"),
    ("PATCH  {own}/employees/{id}/", 200, "- - N N N N .",              "X X R D T  T T  S . S S  S . .  N S"),
    ("DELETE {own}/employees/{id}/", 204, "- - N N N N .",              "X X R D T  T T  S . S S  S . .  N S"),
    ("GET    {own}/employee-data/",  200, "- - . . . . .",              "X X R D T  T T  . S S S  . . .  . ."),
    ("GET    {red}/employees/",      200, "- - N N . . .",              "X X R D T  T .  . S S S  . . .  N N"),
    ("POST   {red}/employees/",      201, "- - N N . . .",              "X X R D T  T .  S . S S  S . .  N S"),
    ("GET    {red}/employees/{id}/", 200, "- - N N . . .",              "X X R D T  T .  . S S S  . . .  N N"),
    ("PATCH  {red}/employees/{id}/", 200, "- - N N . . .",              "X X R D T  T .  S . S S  S . .  N S"),
    ("DELETE {red}/employees/{id}/", 204, "- - N N . . .",              "X X R D T  T .  S . S S  S . .  N S"),
    ("GET    {red}/employee-data/",  200, "- - N N . . .",              "X X R D T  T .  . S S S  . . .  N N"),
    ("GET    /api/v1/me",            200, "- - . . . . .",              "X X R D T  . .  S S . S  . . .  . ."),
    ("GET    /api/v1/key",           200, "- - - - - - -",              "X X R D T  . .  . . . .  . . .  . ."),
    ("DELETE /api/v1/key",           204, "- - - - - - -",              "X X R D T  . .  . . . .  . . .  . ."),
    ("POST   /api/v1/key/rotate",    200, "- - - - - - -",              "X X R D T  . .  S S S .  S . V  . S"),
    ("GET    /api/v1/verify",        200, "- - . . . . .",              "X X R D T  T T  . . . .  . . .  . ."),
    ("POST   /api/v1/verify",        200, "- - . . . . .",              "X X R D T  T T  . . . .  . . .  . ."),
    ("POST   /api/v1/verify?team=red", 200, "- - T T . . .",            "X X R D T  T .  . . . .  . . .  T T"),
    ("GET    /api/superusers",       200, "- - U . U U U",              "X X R D T  U U  U U U U  U U U  . U"),
    ("GET    /api/unstated",         200, "- - . . . . .",              "X X R D T  T T  S S S S  . . .  . ."),
    ("POST   /api/unstated",         200, "- - . . . . .",              "X X R D T  T T  S S S S  S . .  . S"),
];

const SESSIONS: [&str; 7] = ["nobody", "dee", "bob", "root", "mia", "tess", "ada"];

const KEYS: [&str; 16] = [
    "old after its grace",
    "expired",
    "revoked",
    "of a disabled user",
    "for red, of a user who left",
    "for blue",
    "for red",
    "employees:read",
    "employees:write",
    "profile:read",
    "key:rotate",
    "read-only",
    "full",
    "old in its grace",
    "full, of a superuser",
    "read-only, of a superuser",
];

const REFUSALS: [(&str, u16, &str); 9] = [
    ("-", 401, "credentials_missing"),
    ("X", 401, "key_expired"),
    ("R", 401, "key_revoked"),
    ("D", 401, "account_disabled"),
    ("S", 403, "scope_missing"),
    ("T", 403, "team_mismatch"),
    ("U", 403, "superuser_required"),
    ("N", 404, "not_found"),
    ("V", 400, "validation_failed"),
];

fn own_routes() -> Router<AppState> {
    async fn superusers(Superuser(caller): Superuser) -> Json<String> {
        Json(caller.user().email.clone())
    }
    async fn unstated(caller: Caller) -> Json<String> {
        Json(caller.user().email.clone())
    }
    Router::new().route("/api/superusers", any(superusers)).route("/api/unstated", any(unstated))
}

/// The app with everybody and both teams in it; gives the ids of red and blue.
async fn populated(app: &TestApp) -> (TestApp, TeamId, TeamId) {
    let app = app.configured(|config| config.keys.max_keys_per_user = 10_000).with_own(own_routes());
    let red = app.team("red", "tess", &["mia", "ada", "lou"]).await.id;
    let blue = app.team("blue", "ada", &[]).await.id;
    app.admin().await;
    app.user("dee").await;
    app.disable("dee").await;
    (app, red, blue)
}

/// A client of this session; a new one each time.
async fn session(app: &TestApp, name: &str) -> Client {
    if name == "nobody" { app.browser() } else { app.signed_in(name).await }
}

/// A client with a key of this kind; a new one each time, for a cell may revoke it.
async fn key(app: &TestApp, kind: &str, (red, blue): (&TeamId, &TeamId)) -> Client {
    let user = match kind {
        "of a disabled user" => "dee",
        "for red, of a user who left" => "lou",
        kind if kind.ends_with("of a superuser") => "root",
        _ => "ada",
    };
    let now = app.state.now();
    if user == "lou" {
        let rejoin = format!(
            "INSERT INTO members (team_id, user_id, role, created_at) \
             SELECT '{red}', id, 'member', 1 FROM users WHERE email = 'lou@example.com' ON CONFLICT DO NOTHING"
        );
        app.sql(&rejoin).await;
    }
    let made = app
        .make_key_that(user, |spec: &mut KeySpec| match kind {
            "expired" => spec.expires_at = Some(now),
            "for blue" => spec.team = Some(blue.clone()),
            "for red" | "for red, of a user who left" => spec.team = Some(red.clone()),
            "read-only" | "read-only, of a superuser" => spec.access = Access::ReadOnly,
            scope if scope.contains(':') => {
                spec.access = Access::Only(Scopes::parse([scope].into_iter()).unwrap());
            }
            _ => {}
        })
        .await;
    let client = app.anonymous().with_key(&made.key);
    match kind {
        "old in its grace" => drop(client.post("/api/v1/key/rotate", json!({"grace": "15m"})).await.is(200)),
        "old after its grace" => drop(client.post("/api/v1/key/rotate", json!({"grace": "0"})).await.is(200)),
        "revoked" => drop(client.delete("/api/v1/key").await.is(204)),
        "for red, of a user who left" => {
            app.sql("DELETE FROM members WHERE user_id = (SELECT id FROM users WHERE email = 'lou@example.com')").await;
        }
        _ => {}
    }
    client
}

/// Calls an endpoint on an employee of its own.
async fn call(app: &TestApp, client: &Client, endpoint: &str, red: &TeamId) -> Answer {
    let (method, path) = endpoint.split_once(' ').unwrap();
    let owner = if path.contains("{red}") { OwnerId::from(red) } else { OwnerId::from(&app.user("ada").await.id) };
    let mut path = path.trim().replace("{own}", "/pegasus/employees/api").replace("{red}", "/a/red/employees/api");
    if path.contains("{id}") {
        let name = EmployeeName::parse("Grace Hopper").unwrap();
        let spec = EmployeeSpec { name, department: Hr, salary: Salary::new(5).unwrap() };
        path = path.replace("{id}", &app.employee_of(&owner, spec).await);
    }
    let body = match (method, path.as_str()) {
        ("POST", path) if path.ends_with("/employees/") => json!({"name": "x", "department": "hr", "salary": 1}),
        ("POST", "/api/v1/key/rotate") => json!({"grace": "1h"}),
        ("PATCH", _) => json!({"salary": 6}),
        _ => Value::Null,
    };
    let method: Method = method.parse().unwrap();
    if body.is_null() { client.bare(method, &path).await } else { client.json(method, &path, body).await }
}

/// The cell for an answer; a refusal must be a whole one.
fn cell(answer: &Answer, success: u16) -> String {
    if answer.status == success {
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
        return ".".to_owned();
    }
    let found = REFUSALS.iter().find(|(_, status, code)| answer.status == *status && answer.body.contains(code));
    let Some((letter, status, code)) = found else { return format!("{}?", answer.status) };
    answer.refused(*status, code);
    (*letter).to_owned()
}

/// Writes a table's cells as the table has them, so that what differs can be seen.
fn row(expected: &str, cells: &[String]) -> String {
    let mut cells = cells.iter();
    expected
        .split("  ")
        .map(|group| group.split(' ').map(|_| cells.next().unwrap().as_str()).collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("  ")
}

#[apply(each_database)]
#[tokio::test]
async fn every_session_is_answered_as_the_table_says(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, red, _) = populated(app).await;
    for (endpoint, success, expected, _) in TABLE {
        let mut cells = Vec::new();
        for name in SESSIONS {
            cells.push(cell(&call(&app, &session(&app, name).await, endpoint, &red).await, success));
        }
        assert_eq!(row(expected, &cells), expected, "{endpoint}: {SESSIONS:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn every_key_is_answered_as_the_table_says(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, red, blue) = populated(app).await;
    for (endpoint, success, _, expected) in TABLE {
        let mut cells = Vec::new();
        for kind in KEYS {
            let client = key(&app, kind, (&red, &blue)).await;
            cells.push(cell(&call(&app, &client, endpoint, &red).await, success));
        }
        assert_eq!(row(expected, &cells), expected, "{endpoint}: {KEYS:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_missing_scope_is_named_for_people_and_for_programs(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, red, blue) = populated(app).await;
    for (kind, endpoint, scope) in [
        ("key:rotate", "GET {own}/employees/", "employees:read"),
        ("employees:read", "POST {red}/employees/", "employees:write"),
        ("employees:read", "GET /api/v1/me", "profile:read"),
        ("profile:read", "POST /api/v1/key/rotate", "key:rotate"),
    ] {
        let answer = call(&app, &key(&app, kind, (&red, &blue)).await, endpoint, &red).await;
        let problem = answer.refused(403, "scope_missing");
        assert!(problem["detail"].as_str().unwrap().contains(scope), "{endpoint}: {problem}");
        let challenge = format!("Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"{scope}\"");
        assert_eq!(answer.all("www-authenticate"), [challenge], "{endpoint}");
    }
    let answer = call(&app, &key(&app, "employees:read", (&red, &blue)).await, "GET /api/unstated", &red).await;
    assert!(answer.refused(403, "scope_missing")["detail"].as_str().unwrap().contains("full access"));
    assert_eq!(answer.all("www-authenticate"), ["Bearer realm=\"api\", error=\"insufficient_scope\""]);
}

#[apply(each_database)]
#[tokio::test]
async fn whoever_calls_is_told_who_they_are_and_what_the_key_may(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, red, blue) = populated(app).await;
    let ada = app.user("ada").await.id;
    let session = app.signed_in("ada").await.get("/api/v1/me").await.is(200).json();
    let user = json!({"id": ada.as_str(), "email": "ada@example.com", "name": ""});
    assert_eq!(session, json!({"user": user, "via": "session", "key": null}));
    let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    for (kind, access, scopes, team) in [
        ("full", "full", all, None),
        ("read-only", "read_only", vec!["employees:read", "profile:read"], None),
        ("profile:read", "profile:read", vec!["profile:read"], None),
        ("for red", "full", Scope::ALL.iter().map(|scope| scope.as_str()).collect(), Some(&red)),
    ] {
        let client = key(&app, kind, (&red, &blue)).await;
        let me = client.get("/api/v1/me").await.is(200).json();
        let facts = client.get("/api/v1/key").await.is(200).json();
        assert_eq!((&me["user"], &me["via"], &me["key"]), (&user, &json!("api_key"), &facts), "{kind}");
        assert_eq!((&facts["name"], &facts["access"]), (&json!("nightly report"), &json!(access)), "{kind}");
        assert_eq!((&facts["scopes"], &facts["team"]), (&json!(scopes), &json!(team.map(TeamId::as_str))), "{kind}");
        assert_eq!(facts["expires_at"], "2027-04-15T08:00:00.000Z");
        assert!(facts.get("digest").is_none() && facts.get("key").is_none(), "{facts}");
        let path = if team.is_some() { "/api/v1/verify?team=red" } else { "/api/v1/verify" };
        let verified = client.bare(Method::PUT, path).await.is(200);
        assert_eq!(verified.header("x-auth-user"), ada.as_str());
        assert_eq!(json!(verified.header("x-auth-key")), facts["id"]);
        assert_eq!(verified.header("x-auth-scopes"), scopes.join(" "), "{kind}");
    }
    let verified = app.signed_in("ada").await.get("/api/v1/verify").await.is(200);
    assert_eq!((verified.header("x-auth-user"), verified.header("x-auth-key")), (ada.as_str(), ""));
}
