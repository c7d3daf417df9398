//! Entering the password again: what needs it 15 minutes after it was entered, and how it is asked for.

use std::time::Duration;

use keyfob::model::keys::Access;
use rstest_reuse::apply;
use serde_json::json;

use crate::keys::form_id;
use crate::support::{Answer, Client, Database, EMPLOYEES, PASSWORD, TestApp, each_database};

const MINUTE: Duration = Duration::from_mins(1);
const PROFILE: &str = "http://localhost:8000/profile";

/// Something that a session alone is not enough for: the path that a page's script calls, and its fields.
type Deed = (&'static str, Vec<(&'static str, String)>);

fn field(name: &'static str, value: &str) -> (&'static str, String) {
    (name, value.to_owned())
}

async fn create(client: &Client, access: &str) -> Deed {
    let form = form_id(client).await;
    let fields = vec![
        field("form[form_id]", &form),
        field("form[name]", "ci"),
        field("form[expires]", "90"),
        field("form[access]", access),
        field("form[scopes][]", "profile:read"),
    ];
    ("/fn/create_key", fields)
}

async fn rotate(app: &TestApp, access: Access) -> Deed {
    let made = app.make_key_that("root", |spec| spec.access = access).await;
    let fields = vec![field("form[id]", made.facts.id.as_str()), field("form[grace]", "0"), field("form[seen]", "")];
    ("/fn/rotate_key", fields)
}

/// All that needs the password, ready for a session of the superuser root.
async fn deeds(app: &TestApp, root: &Client) -> Vec<Deed> {
    let other = app.signed_in("root").await;
    let sessions = root.call("list_sessions", &[]).await.is(200).json();
    let other_id = sessions.as_array().unwrap().iter().find(|one| one["current"] == false).unwrap()["id"].clone();
    other.get(EMPLOYEES).await.is(200);
    let ada = app.user("ada").await.id.to_string();
    let mut for_ada = create(root, "full").await;
    for_ada.1.push(field("form[owner]", "ada@example.com"));
    let mut deeds = vec![create(root, "full").await, for_ada, rotate(app, Access::Full).await];
    deeds.push(("/fn/end_session", vec![field("id", other_id.as_str().unwrap())]));
    deeds.push(("/fn/end_other_sessions", Vec::new()));
    let key = app.make_key_that("ada", |spec| spec.access = Access::ReadOnly).await.facts.id.to_string();
    deeds.push((
        "/admin/fn/edit_key",
        vec![
            field("form[id]", &key),
            field("form[name]", "renamed"),
            field("form[expires]", "never"),
            field("form[date]", ""),
            field("form[rate]", ""),
        ],
    ));
    for change in ["disable", "enable", "promote", "demote"] {
        deeds.push(("/admin/fn/change_user", vec![field("id", &ada), field("change", change)]));
    }
    let leaver = app.user("leaver").await.id.to_string();
    deeds.push(("/admin/fn/delete_user", vec![field("id", &leaver)]));
    deeds
}

async fn call(client: &Client, (path, fields): &Deed) -> Answer {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client.with("accept", "application/json").form(path, &fields).await
}

async fn confirm(client: &Client, password: &str) -> Answer {
    client.call("confirm_password", &[("password", password)]).await
}

/// All that any of the deeds could change.
async fn state(app: &TestApp) -> Vec<String> {
    let mut all = app.texts("SELECT digest || name || COALESCE(expires_at, 0) FROM keys ORDER BY id").await;
    all.extend(app.texts("SELECT id FROM sessions ORDER BY id").await);
    all.extend(app.texts("SELECT email FROM users WHERE superuser OR disabled_at IS NOT NULL ORDER BY id").await);
    all
}

#[apply(each_database)]
#[tokio::test]
async fn sensitive_actions_need_the_password_after_15_minutes(database: Database) {
    let app = &TestApp::start(database).await;
    let root = app.admin().await;
    app.advance(MINUTE * 15);
    let deeds = deeds(app, &root).await;
    let before = state(app).await;
    for deed in &deeds {
        assert_eq!(call(&root, deed).await.failed(403), json!("ReauthenticationRequired"), "{deed:?}");
        assert_eq!(state(app).await, before, "{deed:?}");
    }
    assert_eq!(before.len(), 5, "two keys, two sessions, a superuser: {before:?}");
}

#[apply(each_database)]
#[tokio::test]
async fn reentered_password_is_valid_for_15_minutes(database: Database) {
    let app = &TestApp::start(database).await;
    let mut root = app.admin().await;
    for _ in 0..2 {
        app.advance(MINUTE * 15 - Duration::from_millis(1));
        for deed in deeds(app, &root).await {
            call(&root, &deed).await.is(200);
        }
        app.advance(Duration::from_millis(1));
        for deed in deeds(app, &root).await {
            call(&root, &deed).await.is(403);
        }
        root = root.after(&confirm(&root, PASSWORD).await.is(200));
    }
}

#[apply(each_database)]
#[tokio::test]
async fn key_that_only_reads_needs_no_password_and_any_other_does(database: Database) {
    let app = &TestApp::start(database).await;
    let root = app.admin().await;
    app.user("ada").await;
    app.advance(MINUTE * 60);
    for access in ["read_only", "only"] {
        call(&root, &create(&root, access).await).await.is(200);
        let mut for_ada = create(&root, access).await;
        for_ada.1.push(field("form[owner]", "ada@example.com"));
        assert_eq!(
            call(&root, &for_ada).await.failed(403),
            json!("ReauthenticationRequired"),
            "{access}, for another user"
        );
    }
    for scopes in [
        vec!["employees:write"],
        vec!["key:rotate"],
        vec!["employees:read", "employees:write"],
        vec!["employees:read", "employees:write", "profile:read", "key:rotate"],
    ] {
        let (path, mut fields) = create(&root, "only").await;
        fields.retain(|(name, _)| *name != "form[scopes][]");
        fields.extend(scopes.iter().map(|scope| field("form[scopes][]", scope)));
        assert_eq!(call(&root, &(path, fields)).await.failed(403), json!("ReauthenticationRequired"), "{scopes:?}");
        let access =
            Access::from_form("only", &scopes.iter().map(ToString::to_string).collect::<Vec<_>>(), "").unwrap();
        assert_eq!(
            call(&root, &rotate(app, access).await).await.failed(403),
            json!("ReauthenticationRequired"),
            "{scopes:?}"
        );
    }
    call(&root, &rotate(app, Access::ReadOnly).await).await.is(200);
    // What is wrong with a form is said before the password is asked for.
    let (path, mut fields) = create(&root, "full").await;
    fields[1] = field("form[name]", " ");
    call(&root, &(path, fields)).await.failed_at("name");
}

#[apply(each_database)]
#[tokio::test]
async fn nothing_else_needs_the_password(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, made) = (app.signed_in("ada").await, app.make_key("ada").await);
    app.advance(MINUTE * 60);
    ada.call("save_name", &[("name", "Ada")]).await.is(200);
    ada.call("create_team", &[("form[name]", "Red"), ("form[slug]", "red")]).await.is(200);
    ada.call("revoke_key", &[("id", made.facts.id.as_str())]).await.is(200);
    ada.open("/profile").await.is(200);
    ada.call("sign_out", &[]).await.is(200);
    // A key rotates itself as before: it has no password.
    let key = app.make_key("ada").await.key;
    app.anonymous().with_key(&key).post("/api/v1/key/rotate", json!({"grace": "0"})).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn team_roles_need_recent_reauthentication(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia"]).await;
    let (ada, mia) = (app.signed_in("ada").await, app.user("mia").await.id.to_string());
    app.user("bob").await;
    let admins = async || {
        app.texts(
            "SELECT u.email FROM members m JOIN users u ON u.id = m.user_id WHERE m.role = 'admin' ORDER BY u.email",
        )
        .await
    };
    let promote = ("/fn/set_role", vec![field("team", "red"), field("user", &mia), field("role", "admin")]);
    let add =
        |role| ("/fn/add_member", vec![field("team", "red"), field("email", "bob@example.com"), field("role", role)]);
    app.advance(MINUTE * 15);
    for deed in [&promote, &add("admin")] {
        assert_eq!(call(&ada, deed).await.failed(403), json!("ReauthenticationRequired"), "{deed:?}");
    }
    assert_eq!(admins().await, ["ada@example.com"]);
    let invited = async || app.texts("SELECT email || ' ' || role FROM invitations").await;
    assert!(invited().await.is_empty());
    // To let somebody in or out makes nobody an admin; neither does an answer to an invitation need the password.
    call(&ada, &add("member")).await.is(200);
    assert_eq!(invited().await, ["bob@example.com member"]);
    assert_eq!(call(&ada, &add("admin")).await.failed(403), json!("ReauthenticationRequired"), "as a renewal");
    let (bob, bob_id) = (app.signed_in("bob").await, app.user("bob").await.id.to_string());
    bob.call("accept_invitation", &[("team", "red")]).await.is(200);
    ada.call("remove_member", &[("team", "red"), ("user", &bob_id)]).await.is(200);
    let ada = ada.after(&confirm(&ada, PASSWORD).await.is(200));
    for deed in [promote, add("admin")] {
        call(&ada, &deed).await.is(200);
    }
    bob.call("accept_invitation", &[("team", "red")]).await.is(200);
    assert_eq!(admins().await, ["ada@example.com", "bob@example.com", "mia@example.com"]);
}

#[apply(each_database)]
#[tokio::test]
async fn a_wrong_password_confirms_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let (root, bob) = (app.admin().await, app.signed_in("bob").await);
    app.sql("UPDATE users SET password_hash = 'none' WHERE email = 'bob@example.com'").await;
    app.advance(MINUTE * 15);
    for password in ["", "not the password", "FOUR WORDS FOR TESTS", "four words for test"] {
        let answer = confirm(&root, password).await;
        assert_eq!(answer.failed_at("password"), "This is not your password.");
        assert!(answer.all("set-cookie").is_empty(), "{answer:?}");
    }
    // Somebody else's password is a wrong one.
    confirm(&bob, PASSWORD).await.failed_at("password");
    confirm(&app.browser(), PASSWORD).await.failed(401);
    let key = app.make_key("root").await.key;
    assert_eq!(confirm(&root.with_key(&key), PASSWORD).await.failed(403), json!("SessionRequired"));
    assert_eq!(confirm(&root.on_another_site(), PASSWORD).await.status, 403);
    for deed in deeds(app, &root).await {
        call(&root, &deed).await.is(403);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn reauthentication_renews_this_session_only(database: Database) {
    let app = &TestApp::start(database).await;
    let (root, elsewhere) = (app.admin().await, app.signed_in("root").await);
    app.advance(MINUTE * 15);
    let answer = confirm(&root, PASSWORD).await.is(200);
    assert!(answer.header("set-cookie").contains("; HttpOnly;"), "{answer:?}");
    let confirmed = root.after(&answer);
    root.get(EMPLOYEES).await.refused(401, "credentials_missing");
    confirmed.get(EMPLOYEES).await.is(200);
    for deed in deeds(app, &elsewhere).await {
        call(&elsewhere, &deed).await.is(403);
    }
    call(&confirmed, &create(&confirmed, "full").await).await.is(200);
    assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action = 'session.confirm'").await, 1);
    // A session that has ended is not brought back.
    confirmed.call("end_other_sessions", &[]).await.is(200);
    confirm(&elsewhere, PASSWORD).await.failed(401);
}

#[apply(each_database)]
#[tokio::test]
async fn password_change_and_sign_in_count_as_reauthentication(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, new) = (app.signed_in("ada").await, "five other words for it");
    app.advance(MINUTE * 15);
    call(&ada, &create(&ada, "full").await).await.is(403);
    let changed = ada.call("change_password", &[("current", PASSWORD), ("new", new)]).await.is(200);
    ada.get(EMPLOYEES).await.refused(401, "credentials_missing");
    let ada = ada.after(&changed);
    call(&ada, &create(&ada, "full").await).await.is(200);
    app.advance(MINUTE * 15);
    call(&ada, &create(&ada, "full").await).await.is(403);
    confirm(&ada, PASSWORD).await.failed_at("password");
    let again = app.browser().call("sign_in", &[("email", "ada@example.com"), ("password", new)]).await.is(200);
    let again = app.browser().after(&again);
    call(&again, &create(&again, "full").await).await.is(200);
    call(&ada, &create(&ada, "full").await).await.is(403);
}

#[apply(each_database)]
#[tokio::test]
async fn a_session_from_before_this_has_to_enter_the_password(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    app.sql("UPDATE sessions SET confirmed_at = 0").await;
    call(&ada, &create(&ada, "full").await).await.is(403);
    let ada = ada.after(&confirm(&ada, PASSWORD).await.is(200));
    call(&ada, &create(&ada, "full").await).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn reauth_page_without_javascript_resumes_the_form(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, other) = (app.signed_in("ada").await, app.signed_in("ada").await);
    app.advance(MINUTE * 15);
    let page = ada.submit(PROFILE, "end_other_sessions", &[]).await.is(403);
    for text in [
        "<h1>Confirm with your password",
        "Account: <bdi>ada@example.com",
        "action=\"/fn/end_other_sessions\"",
        "Continue",
        "Cancel",
        "href=\"/profile\"",
    ] {
        assert!(page.body.contains(text), "no {text} in {}", page.body);
    }
    assert_eq!((page.header("cache-control"), page.all("set-cookie").len()), ("no-store", 0));
    other.get(EMPLOYEES).await.is(200);

    let send = async |client: &Client, password: &str| {
        let fields = [("sent_from", "/profile"), ("password_again", password)];
        client.submit("http://localhost:8000/fn/end_other_sessions", "end_other_sessions", &fields).await
    };
    let wrong = send(&ada, "not the password").await.is(400);
    assert!(wrong.body.contains("This is not your password.") && wrong.body.contains("<h1>Confirm"), "{}", wrong.body);
    assert!(!wrong.body.contains("not the password") && wrong.all("set-cookie").is_empty(), "{}", wrong.body);
    other.get(EMPLOYEES).await.is(200);

    let done = send(&ada, PASSWORD).await.is(302);
    assert_eq!(done.header("location"), "/profile?done=signed-out&n=1");
    other.get(EMPLOYEES).await.refused(401, "credentials_missing");
    ada.get(EMPLOYEES).await.refused(401, "credentials_missing");
    let ada = ada.after(&done);
    ada.open("/profile").await.is(200);
    ada.submit(PROFILE, "end_other_sessions", &[]).await.is(302);
    // Whoever is signed out meanwhile is told so.
    ada.call("sign_out", &[]).await.is(200);
    let late = send(&ada, PASSWORD).await.is(302);
    assert_eq!(late.header("location"), PROFILE);
    assert!(
        late.header("set-cookie").starts_with("keyfob-told=")
            && late.header("set-cookie").contains("end_other_sessions"),
        "{late:?}"
    );
}

#[apply(each_database)]
#[tokio::test]
async fn reauth_without_javascript_shows_a_new_key_once(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    app.advance(MINUTE * 15);
    let form = form_id(&ada).await;
    let ada = ada.with("accept", "text/html");
    let mut fields = vec![
        ("form_id", form.as_str()),
        ("name", "\"><b>ci"),
        ("expires", "7"),
        ("access", "full"),
        ("scopes[]", "profile:read"),
    ];
    let page =
        ada.with("referer", "http://localhost:8000/profile?create=").form("/profile/keys", &fields).await.is(403);
    for (name, value) in [
        ("name", "&quot;&gt;&lt;b&gt;ci\""),
        ("expires", "7"),
        ("access", "full"),
        ("scopes[]", "profile:read"),
        ("sent_from", "/profile"),
    ] {
        assert!(page.body.contains(&format!("name=\"{name}\" value=\"{value}")), "{name}: {}", page.body);
    }
    assert!(!page.body.contains("<b>ci"), "{}", page.body);
    fields.push(("password_again", PASSWORD));
    let made = ada.form("/profile/keys", &fields).await.is(200);
    assert!(made.body.contains("Your new API key") && !made.body.contains(PASSWORD), "{}", made.body);
    let ada = ada.after(&made);
    assert_eq!(app.texts("SELECT name FROM keys").await, ["\"><b>ci"]);

    app.advance(MINUTE * 15);
    let id = app.texts("SELECT id FROM keys").await.remove(0);
    let mut fields = vec![("id", id.as_str()), ("grace", "0"), ("seen", "")];
    ada.form("/profile/keys/rotate", &fields).await.is(403);
    fields.push(("password_again", PASSWORD));
    let rotated = ada.form("/profile/keys/rotate", &fields).await.is(200);
    assert!(rotated.body.contains("Your new API key"), "{}", rotated.body);
}

#[apply(each_database)]
#[tokio::test]
async fn the_administrators_forms_go_on_to_where_they_end(database: Database) {
    let app = &TestApp::start(database).await;
    let (root, ada) = (app.admin().await, app.user("ada").await.id.to_string());
    app.advance(MINUTE * 15);
    let users = "http://localhost:8000/admin/users?search=ada";
    let root = root.with("accept", "text/html").with("referer", users);
    let page = root.form("/admin/fn/change_user", &[("id", &ada), ("change", "promote")]).await.is(403);
    assert!(page.body.contains("name=\"sent_from\" value=\"/admin/users?search=ada\""), "{}", page.body);
    let fields = [
        ("id", ada.as_str()),
        ("change", "promote"),
        ("sent_from", "/admin/users?search=ada"),
        ("password_again", PASSWORD),
    ];
    let done = root.form("/admin/fn/change_user", &fields).await;
    done.goes_to("/admin/users?done=promote");
    assert_eq!(app.number("SELECT COUNT(*) FROM users WHERE superuser").await, 2);
    // For everybody else there is nothing, also with the right password.
    let bob = app.signed_in("bob").await.with("accept", "text/html");
    bob.form("/admin/fn/change_user", &fields).await.is(404);
}

#[apply(each_database)]
#[tokio::test]
async fn where_a_form_goes_back_to_is_a_page_of_this_site(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    app.advance(MINUTE * 15);
    for (page, back) in [
        ("/employees", "/employees"),
        ("//evil.example", "/profile"),
        ("https://evil.example/x", "/profile"),
        ("javascript:alert(1)", "/profile"),
        ("/\\evil.example", "/profile"),
        ("", "/profile"),
    ] {
        let asked = ada.submit(PROFILE, "end_other_sessions", &[("sent_from", page)]).await.is(403);
        assert!(asked.body.contains(&format!("name=\"sent_from\" value=\"{back}\"")), "{page}: {}", asked.body);
        assert!(!asked.body.contains("evil") && !asked.body.contains("alert"), "{page}: {}", asked.body);
    }
    let foreign = ada
        .on_another_site()
        .submit("https://evil.example/", "end_other_sessions", &[("password_again", PASSWORD)])
        .await;
    assert!(foreign.status == 403 && !foreign.body.contains("Confirm"), "{foreign:?}");
}
