//! The app through its router, and as a program.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use axum::response::Response;
use clap::{Args, FromArgMatches};
use http_body_util::BodyExt;
use keyfob::model::keys::{Access, ApiLimit, KeyName, KeySpec, Scopes, complete};
use keyfob::model::users::{Email, User};
use keyfob::server::audit::Actor;
use keyfob::server::auth::sessions;
use keyfob::server::clock::Clock;
use keyfob::server::config::Config;
use keyfob::server::db::Db;
use keyfob::server::state::AppState;
use keyfob::server::users::NewUser;
use keyfob::server::{apis, keys, users};
use keyfob::web::router::router;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tower::ServiceExt;

struct App {
    state: AppState,
    _dir: TempDir,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl App {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite://{}/app.db", dir.path().display())).await.unwrap();
        db.migrate().await.unwrap();
        db.migrate_own(own_app::MIGRATIONS).await.unwrap();
        let clock = Clock::system();
        own_app::API.register(&db, clock.now()).await.unwrap();
        let command = Config::augment_args(clap::Command::new("own_app"));
        let mut config = Config::from_arg_matches(&command.get_matches_from(["own_app"])).unwrap();
        config.own_links = own_app::links();
        Self { state: AppState::new(db, config, clock), _dir: dir }
    }

    fn by(&self) -> Actor {
        Actor::operator(self.state.now())
    }

    async fn user(&self, name: &str) -> User {
        let email = Email::parse(&format!("{name}@example.com")).unwrap();
        let password = "four words for tests".to_owned().into();
        let new = NewUser { email: email.clone(), name: String::new(), superuser: false, password };
        users::create(&self.state.db, &self.state.passwords, new, &self.by()).await.unwrap();
        users::find(&self.state.db, &email).await.unwrap().unwrap()
    }

    async fn cookie(&self, user: &User) -> (&'static str, String) {
        let mut tx = self.state.db.begin().await.unwrap();
        let secret = sessions::create(&mut tx, &user.id, "Tests", &self.by()).await.unwrap();
        tx.commit().await.unwrap();
        ("cookie", format!("{}={}", sessions::cookie_name(&self.state.config), secret.expose_secret()))
    }

    async fn key(&self, user: &User, access: Access) -> (&'static str, String) {
        let access = complete(access, &apis::list(&self.state.db).await.unwrap()).unwrap();
        let spec = KeySpec { name: KeyName::parse("tests").unwrap(), expires_at: None, access, team: None };
        let request = keys::Request { user: &user.id, form: None, spec };
        ("x-api-key", keys::create(&self.state.db, &self.state.config.keys, request, &self.by()).await.unwrap().key)
    }

    /// Sends a request with JSON or a form.
    async fn send(&self, method: &str, path: &str, header: &(&str, String), body: &str) -> Answer {
        let kind = if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header.0, &header.1)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body.to_owned()));
        let response: Response = router(self.state.clone(), own_app::routes()).oneshot(request.unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    async fn get(&self, path: &str, header: &(&str, String)) -> Answer {
        self.send("GET", path, header, "").await
    }
}

fn only(scopes: &[&str]) -> Access {
    Access::Only(Scopes::parse(scopes.iter().copied()).unwrap())
}

#[tokio::test]
async fn endpoint_requires_its_own_scope() {
    let app = App::start().await;
    let ada = app.user("ada").await;
    let answer = app.get("/api/notes", &("accept", "*/*".to_owned())).await;
    assert_eq!((answer.status, answer.body.contains("credentials_missing")), (401, true), "{}", answer.body);
    for (access, read, write) in [
        (Access::Full, 200, 201),
        (Access::ReadOnly, 200, 403),
        (only(&["notes:read"]), 200, 403),
        (only(&["notes:write"]), 403, 201),
        (Access::Api(Some(ApiLimit { slug: "notes".to_owned(), name: String::new() })), 200, 201),
        (only(&["employees:read"]), 403, 403),
    ] {
        let key = app.key(&ada, access.clone()).await;
        let answer = app.get("/api/notes", &key).await;
        assert_eq!(answer.status, read, "{access:?}: {}", answer.body);
        assert_eq!(answer.body.contains("scope_missing") && answer.body.contains("notes:read"), read == 403);
        assert_eq!(app.send("POST", "/api/notes", &key, r#"{"text": "a"}"#).await.status, write, "{access:?}");
    }
}

#[tokio::test]
async fn own_answer_stays_as_it_is() {
    let app = App::start().await;
    let key = app.key(&app.user("ada").await, Access::Full).await;
    let answer = app.get("/api/notes/none", &key).await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "No such note."));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    let answer = app.send("POST", "/api/notes", &key, "{").await;
    assert_eq!((answer.status, answer.body.contains("Failed to parse")), (400, true), "{}", answer.body);
    let answer = app.send("POST", "/api/notes", &key, r#"{"text": ""}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (422, "A note has 1 to 500 characters."));
}

#[tokio::test]
async fn page_is_in_the_navigation_and_shows_only_own_notes() {
    let app = App::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let visitor = app.get("/notes", &("accept", "text/html".to_owned())).await;
    assert_eq!((visitor.status, &visitor.headers["location"]), (302, &"/sign-in?next=/notes".parse().unwrap()));
    let cookie = app.cookie(&ada).await;
    let profile = app.get("/profile", &cookie).await;
    assert!(profile.status == 200 && profile.body.contains("href=\"/notes\""), "{}", profile.body);
    let added = app.send("POST", "/notes", &cookie, "text=Buy+%3Cmilk%3E").await;
    assert_eq!((added.status, &added.headers["location"]), (303, &"/notes".parse().unwrap()));
    let page = app.get("/notes", &cookie).await;
    for part in ["Buy &lt;milk&gt;", "<h1>Notes</h1>", "aria-current=\"page\"", "/employees", "Sign out", "keyfob.css"]
    {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("script-src"));
    let other = app.get("/notes", &app.cookie(&bob).await).await;
    assert!(other.status == 200 && !other.body.contains("milk"), "{}", other.body);
}

#[tokio::test]
async fn form_of_another_site_is_rejected() {
    let app = App::start().await;
    let cookie = app.cookie(&app.user("ada").await).await;
    let request = Request::post("/notes")
        .header(cookie.0, cookie.1)
        .header("sec-fetch-site", "cross-site")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from("text=a"));
    let answer = router(app.state.clone(), own_app::routes()).oneshot(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn migrations_and_registration_run_at_every_start() {
    let app = App::start().await;
    for _ in 0..2 {
        app.state.db.migrate().await.unwrap();
        app.state.db.migrate_own(own_app::MIGRATIONS).await.unwrap();
        own_app::API.register(&app.state.db, app.state.now()).await.unwrap();
    }
}

#[test]
fn program_serves_the_endpoint_and_its_description() {
    let dir = tempfile::tempdir().unwrap();
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_own_app"))
        .env("DATABASE_URL", format!("sqlite://{}/app.db", dir.path().display()))
        .env("KEYFOB_ADDR", addr.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let get = |path: &str| -> Option<String> {
        let mut stream = TcpStream::connect(addr).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    let ready = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    });
    let answers = ready.then(|| (get("/api/notes"), get("/api/openapi.json")));
    program.kill().unwrap();
    program.wait().unwrap();
    let (Some(notes), Some(document)) = answers.expect("the program is ready") else { panic!("no answer") };
    assert!(notes.starts_with("HTTP/1.1 401") && notes.contains("credentials_missing"), "{notes}");
    assert!(document.contains("\"/api/notes/{id}\"") && document.contains("notes:write"), "{document}");
}
