//! No secret is written anywhere. `scripts/leaks.sh` looks at what all tests leave; here is the server itself, behind sockets,
//! with its log at trace.

use axum::Router;
use axum::http::Method;
use axum::routing::any;
use keyfob::server::auth::random::make_request_id;
use rstest_reuse::apply;

use crate::cli::run;
use crate::support::server::{Server, between};
use crate::support::{Database, EMPLOYEES, TestApp, each_database, trail};

/// Does with an account all that is done with secrets; gives the secrets.
async fn live(server: &Server, email: &str) -> Vec<String> {
    let (password, other) = (format!("the first of {email}"), format!("the second of {email}"));
    let wrong = format!("neither of {email}");
    let sign_up = format!("email={email}&password={password}");
    let answer = server.ask("POST /fn/sign_up", &[], &sign_up).await;
    let session = between(&answer, "set-cookie: keyfob_session=", ";");
    let cookie = format!("keyfob_session={session}");
    let signed_in = [("Cookie", cookie.as_str())];
    let form = server.ask("POST /fn/list_keys", &signed_in, "query[state]=active").await;
    let form = between(&form, "\"form_id\":\"", "\"");
    let create = format!("form[form_id]={form}&form[name]=ci&form[expires]=90&form[access]=full");
    let key = between(&server.ask("POST /fn/create_key", &signed_in, &create).await, "\"key\":\"", "\"");
    let schemes =
        [format!("Api-Key {key}"), format!("Bearer {key}"), format!("Basic {key}"), format!("Api-Key {key}x")];
    for (scheme, status) in schemes.iter().zip([200, 200, 401, 401]) {
        let answer = server.ask(&format!("GET {EMPLOYEES}?key={key}"), &[("Authorization", scheme)], "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    server.ask("GET /api/v1/verify", &[("X-Api-Key", &key), ("Authorization", &schemes[0])], "").await;
    let by_http2 = async |headers: &[(&str, &str)]| server.ask_http2(Method::GET, EMPLOYEES, headers).await.0;
    assert_eq!(by_http2(&[("authorization", &schemes[0]), ("cookie", &cookie)]).await, 200);
    assert_eq!(by_http2(&[("cookie", &cookie)]).await, 200);
    server.exchange(&format!("GET / HTTP/1.1\r\nAuthorization: {}\r\nno header\r\n\r\n", schemes[0])).await;
    server.exchange(&format!("GET / HTTP/1.1\r\nX-Api-Key: {key}\r\nX: {}\r\n\r\n", key.repeat(1000))).await;
    let rotated = server.ask("POST /api/v1/key/rotate", &[("X-Api-Key", &key)], "{\"grace\":\"15m\"}").await;
    let rotated = between(&rotated, "\"key\":\"", "\"");
    server.ask("POST /admin/keys", &signed_in, &format!("search={rotated}")).await;
    let leaked = server.ask("POST /api/v1/leaked-keys", &[], &format!("[{{\"token\":\"{rotated}\"}}]")).await;
    assert!(leaked.starts_with("HTTP/1.1 202"), "{leaked}");
    server.ask(&format!("GET {EMPLOYEES}"), &[("X-Api-Key", &rotated)], "").await;
    server.ask("POST /fn/sign_in", &[], &format!("email={email}&password={wrong}")).await;
    server.ask("POST /fn/change_password", &signed_in, &format!("current={password}&new={other}")).await;
    let answer = server.ask("POST /fn/sign_in", &[], &format!("email={email}&password={other}")).await;
    let second = between(&answer, "set-cookie: keyfob_session=", ";");
    let page = server.ask("GET /profile", &[("Cookie", &format!("keyfob_session={second}"))], "").await;
    assert!(page.starts_with("HTTP/1.1 200") && !page.contains(&key[12..]) && !page.contains(&second), "{page}");
    server.ask("POST /fn/sign_out", &[("Cookie", &format!("keyfob_session={second}"))], "").await;
    vec![password, other, wrong, session, second, key[12..].to_owned(), rotated[12..].to_owned()]
}

#[apply(each_database)]
#[tokio::test]
async fn a_server_that_logs_all_it_can_writes_no_secret_anywhere(database: Database) {
    let app = &TestApp::start(database).await;
    for format in ["text", "json"] {
        let server = Server::start(&app.url, "trace", format).await;
        let secrets = live(&server, &format!("{format}@example.com")).await;
        let log = server.log();
        // The log has all that there is to tell. hyper tells nothing of HTTP/1.
        for there in ["/fn/change_password", "INSERT INTO sessions", "h2::", "TRACE"] {
            assert!(log.contains(there), "{there} is not in the log");
        }
        let mut written = vec![("the log", log), ("the database", app.rows().await.join("\n"))];
        if let Some(file) = app.url.strip_prefix("sqlite://") {
            let bytes = [file.to_owned(), format!("{file}-wal")].map(|file| std::fs::read(file).unwrap_or_default());
            written.push(("the file", String::from_utf8_lossy(&bytes.concat()).into_owned()));
        }
        for (place, text) in &written {
            assert!(text.contains("sign_up") || text.contains(&format!("{format}@example.com")), "{place}");
            for secret in &secrets {
                assert!(!text.contains(secret), "{secret} is in {place}");
            }
        }
    }
}

/// What `scripts/leaks.sh` has to find, or it does not look.
#[apply(each_database)]
#[tokio::test]
async fn the_canary_is_left_in_every_place(database: Database) {
    async fn sing(body: String) -> String {
        tracing::trace!(body);
        body
    }
    async fn panic(body: String) {
        panic!("{body}");
    }
    let app = &TestApp::start(database).await;
    let canary = format!("canary-{}", String::from_utf8_lossy(&make_request_id()));
    let own = app.with_own(Router::new().route("/api/sing", any(sing)).route("/api/panic", any(panic)));
    let bird = own.with_key("ada").await;
    assert_eq!(bird.text(axum::http::Method::POST, "/api/sing", &canary).await.is(200).body, canary);
    bird.text(axum::http::Method::POST, "/api/panic", &canary).await.is(500);
    app.sql(&format!("UPDATE users SET name = '{canary}'")).await;
    assert!(run(&app.url, &["serve"], &[("KEYFOB_SIGNUP", &canary)], "").await.err.contains(&canary));
    assert!(app.rows().await.join("\n").contains(&canary));
    trail::write("canaries", &canary);
}
