//! What the log says at its default level, of the program itself: who was refused what, and the cause of a fault, by the id
//! that the client was told.

use keyfob::server::auth::key_format;
use rstest_reuse::apply;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::cli::run;
use crate::support::server::{Server, between};
use crate::support::{Database, EMPLOYEES, PASSWORD, TestApp, each_database};

/// The lines that say this, of a log as JSON.
fn lines(server: &Server, message: &str) -> Vec<Value> {
    let log = server.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["fields"]["message"] == message).collect()
}

/// The id of the request that this is the answer to.
fn id(answer: &str) -> String {
    between(answer, "x-request-id: ", "\r\n")
}

async fn make_user(url: &str, email: &str) {
    let made = ["user", "create", "--email", email, "--password-stdin"];
    assert_eq!(run(url, &made, &[], &format!("{PASSWORD}\n")).await.code, 0);
}

async fn make_key(url: &str, email: &str, rights: &[&str]) -> String {
    let made = run(url, &[&["key", "create", "--user", email, "--name", "ci"], rights].concat(), &[], "").await;
    assert_eq!(made.code, 0, "{made:?}");
    made.out.trim().to_owned()
}

/// A key that was never stored.
fn stray_key() -> String {
    key_format::make_key("kf").key.expose_secret().to_owned()
}

#[apply(each_database)]
#[tokio::test]
async fn denial_is_logged_with_actor_route_and_request_id(database: Database) {
    let app = &TestApp::start(database).await;
    make_user(&app.url, "ada@example.com").await;
    let ada = app.texts("SELECT id FROM users").await.remove(0);
    let key = make_key(&app.url, "ada@example.com", &["--read-only"]).await;
    let server = Server::start(&app.url, "info", "json").await;
    let form = format!("email=ada%40example.com&password={}", PASSWORD.replace(' ', "+"));
    let session = between(&server.ask("POST /fn/sign_in", &[], &form).await, "set-cookie: keyfob_session=", ";");
    let cookie = format!("keyfob_session={session}");
    let signed_in = [("Cookie", cookie.as_str()), ("Accept", "text/html")];
    let unknown = stray_key();
    let body = "{\"name\":\"Eve\",\"department\":\"hr\",\"salary\":1}";
    let list = format!("GET {EMPLOYEES}");
    let prefix = &key[..11];
    let from_elsewhere = format!(
        "POST {EMPLOYEES} HTTP/1.1\r\nHost: localhost:8000\r\nOrigin: https://evil.example\r\nConnection: close\r\n\
         Content-Length: 0\r\nCookie: {cookie}\r\n\r\n"
    );
    for (answer, code, user, its_key) in [
        (server.ask(&list, &[], "").await, "credentials_missing", None, None),
        (server.ask(&list, &[("X-Api-Key", "kf_x")], "").await, "key_malformed", None, None),
        (server.ask(&list, &[("X-Api-Key", &unknown)], "").await, "key_unknown", None, Some(&unknown[..11])),
        (
            server.ask(&format!("POST {EMPLOYEES}"), &[("X-Api-Key", &key)], body).await,
            "scope_missing",
            Some(&ada),
            Some(prefix),
        ),
        (server.exchange(&from_elsewhere).await, "cross_origin", None, None),
        (server.ask("GET /admin/users", &signed_in, "").await, "superuser_required", Some(&ada), None),
        (server.ask("POST /fn/list_keys", &[], "query[state]=active").await, "credentials_missing", None, None),
        (
            server.ask("POST /fn/list_keys", &[("X-Api-Key", &key)], "query[state]=active").await,
            "session_required",
            None,
            None,
        ),
    ] {
        let (all, id) = (lines(&server, "request denied"), id(&answer));
        let found: Vec<_> = all.iter().filter(|line| line["span"]["id"] == id).collect();
        let [line] = found[..] else { panic!("{code}: {found:?} of {all:?}") };
        assert_eq!((&line["fields"]["code"], &line["level"]), (&code.into(), &"INFO".into()), "{line}");
        assert_eq!(line["fields"]["from"], "127.0.0.1", "{line}");
        assert_eq!(line["span"]["user"].as_str(), user.map(String::as_str), "{line}");
        assert_eq!(line["span"]["key"].as_str(), its_key, "{line}");
        assert!(line["span"]["method"].is_string() && line["span"]["path"].is_string(), "{line}");
    }
    let before = lines(&server, "request denied").len();
    server.ask(&list, &[("X-Api-Key", &key)], "").await;
    server.ask("GET /no-such-page", &signed_in, "").await;
    assert_eq!(lines(&server, "request denied").len(), before);
}

#[apply(each_database)]
#[tokio::test]
async fn denials_are_limited_and_keys_in_paths_redacted(database: Database) {
    let app = &TestApp::start(database).await;
    let server = Server::start(&app.url, "info", "text").await;
    let key = stray_key();
    for n in 0..30 {
        let answer = server.ask(&format!("GET {EMPLOYEES}{key}/"), &[], "").await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{n}: {answer}");
    }
    let log = server.log();
    assert_eq!(log.matches("request denied").count(), 20, "{log}");
    assert!(log.contains(&format!("/employees/{}.../ route=", &key[..11])) && !log.contains(&key[12..]), "{log}");
}

/// A path in which lines end, text is hidden, and a terminal would change its colours.
#[apply(each_database)]
#[tokio::test]
async fn log_lines_cannot_be_forged(database: Database) {
    let app = &TestApp::start(database).await;
    for format in ["text", "json"] {
        let server = Server::start(&app.url, "info", format).await;
        let ends = ["\u{2028}", "\u{2029}", "\u{85}", "\u{202e}", "\u{200b}", "\u{feff}", "\u{e0041}", "é"];
        for end in ends {
            let answer = server
                .ask(
                    &format!("GET {EMPLOYEES}x{end}INFO-forged/"),
                    &[("User-Agent", end), ("X-Forwarded-For", end)],
                    "",
                )
                .await;
            assert!(answer.starts_with("HTTP/1.1 401") || answer.starts_with("HTTP/1.1 400"), "{answer}");
            server.ask("GET /api/v1/me", &[("X-Forwarded-For", &format!("{end}INFO-forged"))], "").await;
        }
        let log = server.log();
        assert!(log.contains("/employees/x%E2%80%A8INFO-forged/") && log.contains("%C3%A9"), "{log}");
        for end in ends {
            assert!(!log.contains(end), "{end:?}: {log}");
        }
        assert!(!log.lines().any(|line| line.starts_with("INFO-forged")), "{log}");
        assert!(
            log.lines()
                .filter(|line| !line.starts_with("Keyfob is at") && !line.starts_with("There are no users"))
                .all(|line| match format {
                    "json" => serde_json::from_str::<Value>(line).is_ok(),
                    _ => line.starts_with("20") && line.contains('Z'),
                }),
            "{log}"
        );
    }
}

/// What was asked for may hold anything; which route it was is ours.
#[apply(each_database)]
#[tokio::test]
async fn route_and_path_are_logged(database: Database) {
    let app = &TestApp::start(database).await;
    make_user(&app.url, "ada@example.com").await;
    let server = Server::start(&app.url, "info", "json").await;
    for (line, route) in [
        (format!("GET {EMPLOYEES}x/"), "/pegasus/employees/api/employees/{id}"),
        (format!("GET {EMPLOYEES}"), "/pegasus/employees/api/employees"),
        ("GET /a/red/employees/api/employees/".to_owned(), "/a/{team}/employees/api/employees"),
        ("POST /fn/list_keys".to_owned(), "/fn/{name}"),
        ("GET /admin/keys".to_owned(), "/admin/keys"),
        ("GET /api/v1/me".to_owned(), "/api/v1/me"),
    ] {
        let answer = server.ask(&line, &[], "query[state]=active").await;
        let all = lines(&server, "request denied");
        let found = all.iter().find(|line| line["span"]["id"] == id(&answer));
        assert_eq!(found.map(|line| &line["span"]["route"]), Some(&Value::from(route)), "{line}: {all:?}");
    }
}

/// Once a minute: it comes with each request.
#[apply(each_database)]
#[tokio::test]
async fn odd_forwarded_addresses_are_logged(database: Database) {
    let app = &TestApp::start(database).await;
    let server = Server::start(&app.url, "info", "json").await;
    for header in ["X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Proto", "X-Forwarded-Host"] {
        server.ask("GET /healthz", &[(header, "203.0.113.9")], "").await;
    }
    let found = lines(
        &server,
        "headers of a proxy come from an address that is not in KEYFOB_TRUSTED_PROXIES: they do not count",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["level"], &found[0]["fields"]["from"]), (&"WARN".into(), &"127.0.0.1".into()));
    assert_eq!(lines(&server, "a trusted proxy sent an address in X-Forwarded-For that cannot be read").len(), 0);
    drop(server);
    let server = Server::start_with(&app.url, "info", "json", &["--trusted-proxies=127.0.0.1"]).await;
    for hop in ["203.0.113.9:51008", "unknown", "_hidden", "junk, 203.0.113.9"] {
        server.ask(&format!("GET {EMPLOYEES}"), &[("X-Forwarded-For", hop)], "").await;
    }
    let found = lines(&server, "a trusted proxy sent an address in X-Forwarded-For that cannot be read");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["fields"]["hop"], "unknown");
    let from: Vec<_> = lines(&server, "request denied").iter().map(|line| line["fields"]["from"].clone()).collect();
    assert_eq!(from, ["203.0.113.9", "127.0.0.1", "127.0.0.1", "203.0.113.9"]);
}

#[apply(each_database)]
#[tokio::test]
async fn cause_of_a_500_is_logged_with_the_request_id(database: Database) {
    let app = &TestApp::start(database).await;
    make_user(&app.url, "ada@example.com").await;
    let key = make_key(&app.url, "ada@example.com", &[]).await;
    let server = Server::start(&app.url, "info", "json").await;
    let failed = server.ask("POST /fn/sign_in", &[], "email=ada%40example.com&password=not+that").await;
    assert_eq!(lines(&server, "sign-in failed")[0]["span"]["id"], id(&failed));
    let form = format!("email=ada%40example.com&password={}", PASSWORD.replace(' ', "+"));
    let session = between(&server.ask("POST /fn/sign_in", &[], &form).await, "set-cookie: keyfob_session=", ";");
    let cookie = format!("keyfob_session={session}");
    app.sql("ALTER TABLE employees RENAME TO gone").await;
    for (line, status) in [("GET /employees", 200), ("POST /fn/list_employees", 500)] {
        let answer = server.ask(line, &[("Cookie", &cookie)], "page=1").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let all = lines(&server, "a query failed");
        assert!(all.iter().any(|line| line["span"]["id"] == id(&answer)), "{line}: {all:?}");
    }
    let answer = server.ask(&format!("GET {EMPLOYEES}"), &[("X-Api-Key", &key)], "").await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    let all = lines(&server, "a query failed");
    assert!(all.iter().any(|line| line["span"]["id"] == id(&answer)), "{}: {all:?}", id(&answer));
}
