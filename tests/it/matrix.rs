//! Permission matrix: every endpoint of the API, called by every actor.

use axum::http::Method;
use axum::{Json, Router, routing::any};
use keyfob::model::employees::Department::Hr;
use keyfob::model::employees::{EmployeeName, EmployeeSpec, OwnerId, Salary};
use keyfob::model::keys::{Access, ApiLimit, KeySpec, Scope, Scopes};
use keyfob::model::teams::TeamId;
use keyfob::server::auth::{self, Caller};
use keyfob::server::state::AppState;
use rstest_reuse::apply;
use serde_json::{Value, json};

use Actor::{
    Ada, Anonymous, BillingKey, BillingSeeKey, BlueKey, CrmKey, DisabledUser, EmployeesReadKey, EmployeesWriteKey,
    ExpiredKey, FullKey, KeyOfDisabledUser, KeyOfSuperuser, KeyRotateKey, PreviousSecretAfterGrace,
    PreviousSecretInGrace, ProfileReadKey, ReadOnlyKey, ReadOnlyKeyOfSuperuser, RedAdmin, RedKey, RedKeyOfFormerMember,
    RedMember, RevokedKey, Superuser, UserWithoutTeam,
};
use Outcome::{
    AccountDisabled, Allowed, ApiMismatch, CredentialsMissing, KeyExpired, KeyRevoked, NotFound, ScopeMissing,
    SuperuserRequired, TeamMismatch, ValidationFailed,
};

use crate::support::{Answer, Client, Database, TestApp, each_database};

/// A caller: a visitor or the session of a user, or a key.
///
/// The employees belong to ada or to the team red. ada is in red and blue. Keys are ada's where the name says nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    Anonymous,
    DisabledUser,
    UserWithoutTeam,
    Superuser,
    RedMember,
    RedAdmin,
    Ada,
    PreviousSecretAfterGrace,
    PreviousSecretInGrace,
    ExpiredKey,
    RevokedKey,
    KeyOfDisabledUser,
    RedKeyOfFormerMember,
    RedKey,
    BlueKey,
    EmployeesReadKey,
    EmployeesWriteKey,
    ProfileReadKey,
    KeyRotateKey,
    ReadOnlyKey,
    FullKey,
    KeyOfSuperuser,
    ReadOnlyKeyOfSuperuser,
    /// Limited to the registered API billing.
    BillingKey,
    CrmKey,
    BillingSeeKey,
}

const SESSIONS: [Actor; 7] = [Anonymous, DisabledUser, UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada];

#[rustfmt::skip]
const KEYS: [Actor; 19] = [
    PreviousSecretAfterGrace, PreviousSecretInGrace, ExpiredKey, RevokedKey, KeyOfDisabledUser, RedKeyOfFormerMember,
    RedKey, BlueKey, EmployeesReadKey, EmployeesWriteKey, ProfileReadKey, KeyRotateKey, ReadOnlyKey, FullKey,
    KeyOfSuperuser, ReadOnlyKeyOfSuperuser, BillingKey, CrmKey, BillingSeeKey,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Allowed,
    CredentialsMissing,
    KeyExpired,
    KeyRevoked,
    AccountDisabled,
    ScopeMissing,
    TeamMismatch,
    ApiMismatch,
    SuperuserRequired,
    NotFound,
    ValidationFailed,
}

impl Outcome {
    /// The status and the code of a rejection.
    fn rejection(self) -> (u16, &'static str) {
        match self {
            Allowed => unreachable!("an allowed request is no rejection"),
            CredentialsMissing => (401, "credentials_missing"),
            KeyExpired => (401, "key_expired"),
            KeyRevoked => (401, "key_revoked"),
            AccountDisabled => (401, "account_disabled"),
            ScopeMissing => (403, "scope_missing"),
            TeamMismatch => (403, "team_mismatch"),
            ApiMismatch => (403, "api_mismatch"),
            SuperuserRequired => (403, "superuser_required"),
            NotFound => (404, "not_found"),
            ValidationFailed => (400, "validation_failed"),
        }
    }
}

/// The outcome of endpoints for each actor that [`EVERYWHERE`] does not name.
struct Rule {
    /// Each with the status of its success.
    endpoints: &'static [(&'static str, u16)],
    outcomes: &'static [(Outcome, &'static [Actor])],
}

impl Rule {
    /// Returns the outcome for an actor, which is listed exactly once.
    fn outcome(&self, actor: Actor) -> Outcome {
        let listed: Vec<_> =
            EVERYWHERE.iter().chain(self.outcomes).filter(|(_, actors)| actors.contains(&actor)).collect();
        assert_eq!(listed.len(), 1, "{actor:?} for {:?}", self.endpoints);
        listed[0].0
    }
}

/// Actors with the same outcome for every endpoint.
#[rustfmt::skip]
const EVERYWHERE: &[(Outcome, &[Actor])] = &[
    (CredentialsMissing, &[Anonymous, DisabledUser]),
    (KeyExpired, &[PreviousSecretAfterGrace, ExpiredKey]),
    (KeyRevoked, &[RevokedKey]),
    (AccountDisabled, &[KeyOfDisabledUser]),
    (TeamMismatch, &[RedKeyOfFormerMember]),
];

/// Who may call what. Each combination of endpoint and actor is tested.
#[rustfmt::skip]
const RULES: &[Rule] = &[
    // The caller's own employees: reads.
    Rule {
        endpoints: &[("GET {own}/employees/", 200), ("GET {own}/employee-data/", 200)],
        outcomes: &[
            (Allowed, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada, EmployeesReadKey, ReadOnlyKey, FullKey, PreviousSecretInGrace, KeyOfSuperuser, ReadOnlyKeyOfSuperuser]),
            (ScopeMissing, &[EmployeesWriteKey, ProfileReadKey, KeyRotateKey, BillingSeeKey]),
            (TeamMismatch, &[BlueKey, RedKey]),
            (ApiMismatch, &[BillingKey, CrmKey]),
        ],
    },
    // The caller's own employees: adds one.
    Rule {
        endpoints: &[("POST {own}/employees/", 201)],
        outcomes: &[
            (Allowed, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada, EmployeesWriteKey, FullKey, PreviousSecretInGrace, KeyOfSuperuser]),
            (ScopeMissing, &[EmployeesReadKey, ProfileReadKey, KeyRotateKey, ReadOnlyKey, ReadOnlyKeyOfSuperuser, BillingSeeKey]),
            (TeamMismatch, &[BlueKey, RedKey]),
            (ApiMismatch, &[BillingKey, CrmKey]),
        ],
    },
    // An employee of ada: reads it.
    Rule {
        endpoints: &[("GET {own}/employees/{id}/", 200)],
        outcomes: &[
            (Allowed, &[Ada, EmployeesReadKey, ReadOnlyKey, FullKey, PreviousSecretInGrace]),
            (ScopeMissing, &[EmployeesWriteKey, ProfileReadKey, KeyRotateKey, BillingSeeKey]),
            (TeamMismatch, &[BlueKey, RedKey]),
            (NotFound, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, KeyOfSuperuser, ReadOnlyKeyOfSuperuser]),
            (ApiMismatch, &[BillingKey, CrmKey]),
        ],
    },
    // An employee of ada: changes it.
    Rule {
        endpoints: &[("PATCH {own}/employees/{id}/", 200), ("DELETE {own}/employees/{id}/", 204)],
        outcomes: &[
            (Allowed, &[Ada, EmployeesWriteKey, FullKey, PreviousSecretInGrace]),
            (ScopeMissing, &[EmployeesReadKey, ProfileReadKey, KeyRotateKey, ReadOnlyKey, ReadOnlyKeyOfSuperuser, BillingSeeKey]),
            (TeamMismatch, &[BlueKey, RedKey]),
            (NotFound, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, KeyOfSuperuser]),
            (ApiMismatch, &[BillingKey, CrmKey]),
        ],
    },
    // The employees of the team red: reads.
    Rule {
        endpoints: &[("GET {red}/employees/", 200), ("GET {red}/employees/{id}/", 200), ("GET {red}/employee-data/", 200)],
        outcomes: &[
            (Allowed, &[RedMember, RedAdmin, Ada, RedKey, EmployeesReadKey, ReadOnlyKey, FullKey, PreviousSecretInGrace]),
            (ScopeMissing, &[EmployeesWriteKey, ProfileReadKey, KeyRotateKey, BillingSeeKey]),
            (TeamMismatch, &[BlueKey]),
            (NotFound, &[UserWithoutTeam, Superuser, KeyOfSuperuser, ReadOnlyKeyOfSuperuser]),
            (ApiMismatch, &[BillingKey, CrmKey]),
        ],
    },
    // The employees of the team red: changes.
    Rule {
        endpoints: &[("POST {red}/employees/", 201), ("PATCH {red}/employees/{id}/", 200), ("DELETE {red}/employees/{id}/", 204)],
        outcomes: &[
            (Allowed, &[RedMember, RedAdmin, Ada, RedKey, EmployeesWriteKey, FullKey, PreviousSecretInGrace]),
            (ScopeMissing, &[EmployeesReadKey, ProfileReadKey, KeyRotateKey, ReadOnlyKey, ReadOnlyKeyOfSuperuser, BillingSeeKey]),
            (TeamMismatch, &[BlueKey]),
            (NotFound, &[UserWithoutTeam, Superuser, KeyOfSuperuser]),
            (ApiMismatch, &[BillingKey, CrmKey]),
        ],
    },
    // The caller.
    Rule {
        endpoints: &[("GET /api/v1/me", 200)],
        outcomes: &[
            (Allowed, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada, BlueKey, RedKey, ProfileReadKey, ReadOnlyKey, FullKey, PreviousSecretInGrace, KeyOfSuperuser, ReadOnlyKeyOfSuperuser]),
            (ScopeMissing, &[EmployeesReadKey, EmployeesWriteKey, KeyRotateKey, BillingSeeKey]),
            (ApiMismatch, &[BillingKey, CrmKey]),
        ],
    },
    // The key of the request.
    Rule {
        endpoints: &[("GET /api/v1/key", 200), ("DELETE /api/v1/key", 204)],
        outcomes: &[
            (Allowed, &[BlueKey, RedKey, EmployeesReadKey, EmployeesWriteKey, ProfileReadKey, KeyRotateKey, ReadOnlyKey, FullKey, PreviousSecretInGrace, KeyOfSuperuser, ReadOnlyKeyOfSuperuser, BillingKey, CrmKey, BillingSeeKey]),
            (CredentialsMissing, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada]),
        ],
    },
    // The key of the request: rotates it.
    Rule {
        endpoints: &[("POST /api/v1/key/rotate", 200)],
        outcomes: &[
            (Allowed, &[BlueKey, RedKey, KeyRotateKey, FullKey, KeyOfSuperuser, BillingKey, CrmKey]),
            (CredentialsMissing, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada]),
            (ScopeMissing, &[EmployeesReadKey, EmployeesWriteKey, ProfileReadKey, ReadOnlyKey, ReadOnlyKeyOfSuperuser, BillingSeeKey]),
            (ValidationFailed, &[PreviousSecretInGrace]),
        ],
    },
    // Forward-auth of a request that reads.
    Rule {
        endpoints: &[("GET /api/v1/verify", 200)],
        outcomes: &[
            (Allowed, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada, EmployeesReadKey, EmployeesWriteKey, ProfileReadKey, KeyRotateKey, ReadOnlyKey, FullKey, PreviousSecretInGrace, KeyOfSuperuser, ReadOnlyKeyOfSuperuser, BillingSeeKey]),
            (TeamMismatch, &[BlueKey, RedKey]),
            (ApiMismatch, &[BillingKey, CrmKey]),
        ],
    },
    // Forward-auth of a request that may change something.
    Rule {
        endpoints: &[("POST /api/v1/verify", 200)],
        outcomes: &[
            (Allowed, &[EmployeesReadKey, EmployeesWriteKey, ProfileReadKey, KeyRotateKey, FullKey, PreviousSecretInGrace, KeyOfSuperuser, BillingSeeKey]),
            (ApiMismatch, &[BillingKey, CrmKey]),
            (CredentialsMissing, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada]),
            (ScopeMissing, &[ReadOnlyKey, ReadOnlyKeyOfSuperuser]),
            (TeamMismatch, &[BlueKey, RedKey]),
        ],
    },
    // Forward-auth for a team.
    Rule {
        endpoints: &[("GET /api/v1/verify?team=red", 200)],
        outcomes: &[
            (Allowed, &[RedMember, RedAdmin, Ada, RedKey, EmployeesReadKey, EmployeesWriteKey, ProfileReadKey, KeyRotateKey, ReadOnlyKey, FullKey, PreviousSecretInGrace, BillingSeeKey]),
            (TeamMismatch, &[UserWithoutTeam, Superuser, BlueKey, KeyOfSuperuser, ReadOnlyKeyOfSuperuser]),
            (ApiMismatch, &[BillingKey, CrmKey]),
        ],
    },
    // Forward-auth for a registered API.
    Rule {
        endpoints: &[("GET /api/v1/verify?api=billing", 200)],
        outcomes: &[
            (Allowed, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada, ReadOnlyKey, FullKey, PreviousSecretInGrace, KeyOfSuperuser, ReadOnlyKeyOfSuperuser, BillingKey, BillingSeeKey]),
            (ApiMismatch, &[EmployeesReadKey, EmployeesWriteKey, ProfileReadKey, KeyRotateKey, CrmKey]),
            (TeamMismatch, &[BlueKey, RedKey]),
        ],
    },
    // Forward-auth for a registered API and a scope of it that writes.
    Rule {
        endpoints: &[("GET /api/v1/verify?api=billing&scope=billing:pay", 200)],
        outcomes: &[
            (Allowed, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada, FullKey, PreviousSecretInGrace, KeyOfSuperuser, BillingKey]),
            (ScopeMissing, &[ReadOnlyKey, ReadOnlyKeyOfSuperuser, BillingSeeKey]),
            (ApiMismatch, &[EmployeesReadKey, EmployeesWriteKey, ProfileReadKey, KeyRotateKey, CrmKey]),
            (TeamMismatch, &[BlueKey, RedKey]),
        ],
    },
    // An own endpoint for superusers.
    Rule {
        endpoints: &[("GET /api/superusers", 200)],
        outcomes: &[
            (Allowed, &[Superuser, KeyOfSuperuser]),
            (SuperuserRequired, &[UserWithoutTeam, RedMember, RedAdmin, Ada, BlueKey, RedKey, EmployeesReadKey, EmployeesWriteKey, ProfileReadKey, KeyRotateKey, ReadOnlyKey, FullKey, PreviousSecretInGrace, ReadOnlyKeyOfSuperuser, BillingKey, CrmKey, BillingSeeKey]),
        ],
    },
    // An own endpoint that names no scope: reads.
    Rule {
        endpoints: &[("GET /api/unstated", 200)],
        outcomes: &[
            (Allowed, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada, ReadOnlyKey, FullKey, PreviousSecretInGrace, KeyOfSuperuser, ReadOnlyKeyOfSuperuser]),
            (ScopeMissing, &[EmployeesReadKey, EmployeesWriteKey, ProfileReadKey, KeyRotateKey, BillingSeeKey]),
            (TeamMismatch, &[BlueKey, RedKey]),
            (ApiMismatch, &[BillingKey, CrmKey]),
        ],
    },
    // An own endpoint that names no scope: changes.
    Rule {
        endpoints: &[("POST /api/unstated", 200)],
        outcomes: &[
            (Allowed, &[UserWithoutTeam, Superuser, RedMember, RedAdmin, Ada, FullKey, PreviousSecretInGrace, KeyOfSuperuser]),
            (ScopeMissing, &[EmployeesReadKey, EmployeesWriteKey, ProfileReadKey, KeyRotateKey, ReadOnlyKey, ReadOnlyKeyOfSuperuser, BillingSeeKey]),
            (TeamMismatch, &[BlueKey, RedKey]),
            (ApiMismatch, &[BillingKey, CrmKey]),
        ],
    },
];

fn own_routes() -> Router<AppState> {
    async fn superusers(auth::Superuser(caller): auth::Superuser) -> Json<String> {
        Json(caller.user().email.clone())
    }
    async fn unstated(caller: Caller) -> Json<String> {
        Json(caller.user().email.clone())
    }
    Router::new().route("/api/superusers", any(superusers)).route("/api/unstated", any(unstated))
}

struct Teams {
    red: TeamId,
    blue: TeamId,
}

/// Makes all actors and both teams.
async fn populated(app: &TestApp) -> (TestApp, Teams) {
    let app = app.configured(|config| config.keys.max_keys_per_user = 10_000).with_own(own_routes());
    let red = app.team("red", "tess", &["mia", "ada", "lou"]).await.id;
    let blue = app.team("blue", "ada", &[]).await.id;
    app.admin().await;
    app.api("billing", &[("see", false), ("pay", true)]).await;
    app.api("crm", &[("see", false)]).await;
    app.user("dee").await;
    app.disable("dee").await;
    (app, Teams { red, blue })
}

/// Returns a client for an actor. Each call makes a new session or key, because a request may revoke it.
async fn client_of(app: &TestApp, actor: Actor, teams: &Teams) -> Client {
    match actor {
        Anonymous => app.browser(),
        DisabledUser => app.signed_in("dee").await,
        UserWithoutTeam => app.signed_in("bob").await,
        Superuser => app.signed_in("root").await,
        RedMember => app.signed_in("mia").await,
        RedAdmin => app.signed_in("tess").await,
        Ada => app.signed_in("ada").await,
        key => key_of(app, key, teams).await,
    }
}

async fn key_of(app: &TestApp, actor: Actor, teams: &Teams) -> Client {
    let owner = match actor {
        KeyOfDisabledUser => "dee",
        RedKeyOfFormerMember => "lou",
        KeyOfSuperuser | ReadOnlyKeyOfSuperuser => "root",
        _ => "ada",
    };
    if actor == RedKeyOfFormerMember {
        join_red(app, &teams.red).await;
    }
    let now = app.state.now();
    let restrict = |spec: &mut KeySpec| match actor {
        ExpiredKey => spec.expires_at = Some(now),
        BlueKey => spec.team = Some(teams.blue.clone()),
        RedKey | RedKeyOfFormerMember => spec.team = Some(teams.red.clone()),
        ReadOnlyKey | ReadOnlyKeyOfSuperuser => spec.access = Access::ReadOnly,
        BillingKey => spec.access = one_api("billing"),
        CrmKey => spec.access = one_api("crm"),
        BillingSeeKey => spec.access = only("billing:see"),
        EmployeesReadKey => spec.access = only("employees:read"),
        EmployeesWriteKey => spec.access = only("employees:write"),
        ProfileReadKey => spec.access = only("profile:read"),
        KeyRotateKey => spec.access = only("key:rotate"),
        _ => {}
    };
    let client = app.anonymous().with_key(&app.make_key_that(owner, restrict).await.key);
    match actor {
        PreviousSecretInGrace => drop(client.post("/api/v1/key/rotate", json!({"grace": "15m"})).await.is(200)),
        PreviousSecretAfterGrace => drop(client.post("/api/v1/key/rotate", json!({"grace": "0"})).await.is(200)),
        RevokedKey => drop(client.delete("/api/v1/key").await.is(204)),
        RedKeyOfFormerMember => {
            app.sql("DELETE FROM members WHERE user_id = (SELECT id FROM users WHERE email = 'lou@example.com')").await;
        }
        _ => {}
    }
    client
}

/// Access to one scope only. The registered scope of the tests reads.
fn only(scope: &str) -> Access {
    let mut scopes = Scopes::parse([scope].into_iter()).unwrap();
    scopes.registered.iter_mut().for_each(|scope| scope.writes = false);
    Access::Only(scopes)
}

/// Access to one registered API.
fn one_api(slug: &str) -> Access {
    Access::Api(Some(ApiLimit { slug: slug.to_owned(), name: String::new() }))
}

/// Makes lou a member of the team red, if they are not.
async fn join_red(app: &TestApp, red: &TeamId) {
    app.sql(&format!(
        "INSERT INTO members (team_id, user_id, role, created_at) \
         SELECT '{red}', id, 'member', 1 FROM users WHERE email = 'lou@example.com' ON CONFLICT DO NOTHING"
    ))
    .await;
}

/// Calls an endpoint. An `{id}` becomes the id of a new employee.
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

/// Checks every endpoint for these actors, and lists every difference from [`RULES`].
async fn check_matrix(app: &TestApp, actors: &[Actor]) {
    let (app, teams) = populated(app).await;
    let mut differences = Vec::new();
    for rule in RULES {
        for ((endpoint, success), actor) in
            rule.endpoints.iter().flat_map(|each| actors.iter().map(move |actor| (each, *actor)))
        {
            let expected = rule.outcome(actor);
            let answer = call(&app, &client_of(&app, actor, &teams).await, endpoint, &teams.red).await;
            let is_expected = match expected {
                Allowed => answer.status == *success && answer.header("cache-control") == "no-store",
                rejected => is_rejection(&answer, rejected),
            };
            if !is_expected {
                differences.push(format!("{endpoint} by {actor:?}: expected {expected:?}, got {answer:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Whether the response has the status and code of an outcome. A response that has them must be a complete problem.
fn is_rejection(answer: &Answer, outcome: Outcome) -> bool {
    let (status, code) = outcome.rejection();
    let matches = answer.status == status && answer.body.contains(&format!("\"code\":\"{code}\""));
    if matches {
        answer.refused(status, code);
    }
    matches
}

#[apply(each_database)]
#[tokio::test]
async fn sessions_get_the_outcomes_of_the_matrix(database: Database) {
    check_matrix(&TestApp::start(database).await, &SESSIONS).await;
}

#[apply(each_database)]
#[tokio::test]
async fn keys_get_the_outcomes_of_the_matrix(database: Database) {
    check_matrix(&TestApp::start(database).await, &KEYS).await;
}

#[apply(each_database)]
#[tokio::test]
async fn missing_scope_is_named_in_detail_and_challenge(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, teams) = populated(app).await;
    for (actor, endpoint, scope) in [
        (KeyRotateKey, "GET {own}/employees/", "employees:read"),
        (EmployeesReadKey, "POST {red}/employees/", "employees:write"),
        (EmployeesReadKey, "GET /api/v1/me", "profile:read"),
        (ProfileReadKey, "POST /api/v1/key/rotate", "key:rotate"),
    ] {
        let answer = call(&app, &client_of(&app, actor, &teams).await, endpoint, &teams.red).await;
        let problem = answer.refused(403, "scope_missing");
        assert!(problem["detail"].as_str().unwrap().contains(scope), "{endpoint}: {problem}");
        let challenge = format!("Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"{scope}\"");
        assert_eq!(answer.all("www-authenticate"), [challenge], "{endpoint}");
    }
    let answer = call(&app, &client_of(&app, EmployeesReadKey, &teams).await, "GET /api/unstated", &teams.red).await;
    assert!(answer.refused(403, "scope_missing")["detail"].as_str().unwrap().contains("full access"));
    assert_eq!(answer.all("www-authenticate"), ["Bearer realm=\"api\", error=\"insufficient_scope\""]);
}

#[apply(each_database)]
#[tokio::test]
async fn me_key_and_verify_describe_the_caller(database: Database) {
    let app = &TestApp::start(database).await;
    let (app, teams) = populated(app).await;
    let ada = app.user("ada").await.id;
    let session = app.signed_in("ada").await.get("/api/v1/me").await.is(200).json();
    let user = json!({"id": ada.as_str(), "email": "ada@example.com", "name": ""});
    assert_eq!(session, json!({"user": user, "via": "session", "key": null}));
    let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    for (actor, access, scopes, team) in [
        (FullKey, "full", all, None),
        (ReadOnlyKey, "read_only", vec!["employees:read", "profile:read"], None),
        (ProfileReadKey, "profile:read", vec!["profile:read"], None),
        (RedKey, "full", Scope::ALL.iter().map(|scope| scope.as_str()).collect(), Some(&teams.red)),
    ] {
        let client = client_of(&app, actor, &teams).await;
        let me = client.get("/api/v1/me").await.is(200).json();
        let facts = client.get("/api/v1/key").await.is(200).json();
        assert_eq!((&me["user"], &me["via"], &me["key"]), (&user, &json!("api_key"), &facts), "{actor:?}");
        assert_eq!((&facts["name"], &facts["access"]), (&json!("nightly report"), &json!(access)), "{actor:?}");
        assert_eq!((&facts["scopes"], &facts["team"]), (&json!(scopes), &json!(team.map(TeamId::as_str))), "{actor:?}");
        assert_eq!(facts["expires_at"], "2027-04-15T08:00:00.000Z");
        assert!(facts.get("digest").is_none() && facts.get("key").is_none(), "{facts}");
        let path = if team.is_some() { "/api/v1/verify?team=red" } else { "/api/v1/verify" };
        let verified = client.bare(Method::OPTIONS, path).await.is(200);
        assert_eq!(verified.header("x-auth-user"), ada.as_str());
        assert_eq!(json!(verified.header("x-auth-key")), facts["id"]);
        assert_eq!(verified.header("x-auth-scopes"), scopes.join(" "), "{actor:?}");
    }
    let verified = app.signed_in("ada").await.get("/api/v1/verify").await.is(200);
    assert_eq!((verified.header("x-auth-user"), verified.header("x-auth-key")), (ada.as_str(), ""));
}
