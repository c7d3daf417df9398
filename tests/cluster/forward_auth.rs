//! The recipes of `docs/forward-auth.md`, run by the real programs in front of an API that knows nothing of keys.
//!
//! `cargo test --test cluster forward_auth::overhead -- --nocapture` measures what the check costs.

use std::net::SocketAddr;
use std::time::Duration;

use keyfob::model::teams::TeamForm;
use keyfob::model::users::Email;
use keyfob::server::audit::Actor;
use keyfob::server::clock::Clock;
use keyfob::server::db::Db;
use keyfob::server::{teams, users};
use rstest::rstest;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::support::http::{Connection, body, header, request_to};
use crate::support::machines::{KEYFOB, Machine, keyfob, make_keys};
use crate::support::recipe::Program::{self, Caddy, HaProxy, Nginx};
use crate::support::recipe::RecipeProxy;
use crate::support::serial::alone;
use crate::support::upstream::Upstream;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const IDENTITY: [&str; 5] = ["x-auth-user", "x-auth-email", "x-auth-key", "x-auth-scopes", "x-auth-team"];
/// How long a client may wait for Keyfob: the document says that requests fail after about 4 seconds.
const DENIAL: Duration = Duration::from_secs(9);
/// Requests in one round of the measurement.
const REQUESTS: u32 = 300;
const ROUNDS: usize = 5;

/// Keyfob on SQLite, with one user.
struct Keyfob {
    machine: Machine,
    url: String,
    email: String,
    /// A key with full access.
    key: String,
    _folder: TempDir,
}

impl Keyfob {
    async fn start() -> Self {
        Self::start_with("KEYFOB_KEY_RATE=0").await
    }

    /// Starts the server with one more variable.
    async fn start_with(variable: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/keyfob.db", folder.path().display());
        let program = ["/usr/bin/env", "KEYFOB_TRUSTED_PROXIES=127.0.0.1", variable, KEYFOB];
        let machine = Machine::start_by(&program, &url).await;
        let key = make_keys(&url, 1).await.remove(0);
        let users = keyfob(&url, "user list").await;
        let email = users.split_whitespace().find(|word| word.contains('@')).unwrap().to_owned();
        Self { machine, url, email, key, _folder: folder }
    }

    async fn create_key(&self, rights: &str) -> String {
        let line = format!("key create --user {} --name test {rights}", self.email);
        keyfob(&self.url, &line).await.trim().to_owned()
    }

    /// Creates a team of the user, and a key that is limited to it.
    async fn create_team_key(&self) -> String {
        let db = Db::open(&self.url).await.unwrap();
        let user = users::find(&db, &Email::parse(&self.email).unwrap()).await.unwrap().unwrap();
        let form = TeamForm { name: "Red".to_owned(), slug: "red".to_owned() };
        let by = Actor::user(&user, None, Clock::system().now());
        teams::create_in(db.begin().await.unwrap(), &form, &by).await.unwrap();
        self.create_key("--no-expiry --team red").await
    }
}

/// An answer of the proxy.
struct Reply {
    status: u16,
    text: String,
}

async fn send(addr: SocketAddr, line: &str, headers: &[&str], body: &str) -> Reply {
    let mut connection = Connection::open(addr).await.unwrap();
    let status = timeout(DENIAL, connection.ask(&request(addr, line, headers, body))).await.unwrap().unwrap();
    Reply { status, text: connection.text() }
}

async fn get(addr: SocketAddr, key: &str) -> Reply {
    send(addr, "GET /orders?page=2", &[&key_header(key)], "").await
}

/// Returns the bytes of a request to the proxy. Caddy answers only for the host in its configuration.
fn request(addr: SocketAddr, line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    request_to(&addr.to_string(), line, headers, body)
}

fn key_header(key: &str) -> String {
    format!("X-Api-Key: {key}")
}

#[track_caller]
fn assert_denied(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{code}: {}", reply.text);
    let problem: serde_json::Value = serde_json::from_str(body(&reply.text)).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()), "{}", reply.text);
    assert_eq!(header(&reply.text, "content-type"), Some("application/problem+json"), "{}", reply.text);
    assert_eq!(header(&reply.text, "cache-control"), Some("no-store"), "{}", reply.text);
    assert!(status != 401 || header(&reply.text, "www-authenticate").is_some(), "{}", reply.text);
}

#[rstest]
#[tokio::test]
async fn allowed_request_arrives_with_the_caller(#[values(Nginx, Caddy, HaProxy)] program: Program) {
    let _alone = alone().await;
    let (server, api) = (Keyfob::start().await, Upstream::start(OK).await);
    let proxy = RecipeProxy::start(program, server.machine.addr, api.addr).await;
    let key = key_header(&server.key);
    let forged =
        ["X-Auth-User: evil", "x_auth_user: evil", "X-Auth-Team: evil", "X-Auth-Roles: evil", "X_Auth_Team: evil"];
    let headers: Vec<_> = [key.as_str()].into_iter().chain(forged).collect();
    let reply = send(proxy.addr, "POST /orders?page=2", &headers, "hello").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let received = api.take_one();
    assert!(received.starts_with("POST /orders?page=2 HTTP/1.1\r\n") && received.ends_with("hello"), "{received}");
    assert_eq!(header(&received, "x-auth-email"), Some(server.email.as_str()));
    for name in ["x-auth-user", "x-auth-key"] {
        assert_eq!(header(&received, name).map(str::len), Some(36), "{received}");
    }
    assert!(header(&received, "x-auth-scopes").unwrap().contains("employees:write"), "{received}");
    assert!(header(&received, "x-auth-team").is_none_or(str::is_empty), "{received}");
    for name in IDENTITY {
        assert!(received.to_lowercase().matches(&format!("\r\n{name}:")).count() <= 1, "{received}");
    }
    let roles = if program == Nginx { "x-auth-roles: evil" } else { "" };
    assert!(!received.to_lowercase().replace(roles, "").contains("evil"), "{received}");
    assert!(!received.contains(&server.key), "{received}");
}

#[rstest]
#[tokio::test]
async fn denials_reach_the_client_and_nothing_the_api(#[values(Nginx, Caddy, HaProxy)] program: Program) {
    let _alone = alone().await;
    let (server, api) = (Keyfob::start().await, Upstream::start(OK).await);
    let proxy = RecipeProxy::start(program, server.machine.addr, api.addr).await;
    let expiring = server.create_key("--expires-in 1s").await;
    let revoked = server.create_key("--no-expiry").await;
    keyfob(&server.url, &format!("key revoke {}", &revoked[..11])).await;
    let other_scope = server.create_key("--no-expiry --scope profile:read").await;
    let read_only = server.create_key("--no-expiry --read-only").await;
    let of_team = server.create_team_key().await;
    let unknown = keyfob::server::auth::key_format::make_key("kf");
    let unknown = secrecy::ExposeSecret::expose_secret(&unknown.key).to_owned();

    assert_denied(&send(proxy.addr, "GET /orders", &[], "").await, 401, "credentials_missing");
    assert_denied(&get(proxy.addr, "kf_x").await, 401, "key_malformed");
    assert_denied(&get(proxy.addr, &unknown).await, 401, "key_unknown");
    assert_denied(&get(proxy.addr, &other_scope).await, 403, "scope_missing");
    assert_denied(&get(proxy.addr, &of_team).await, 403, "team_mismatch");
    let two = [key_header(&server.key), format!("Authorization: Bearer {}", server.key)];
    assert_denied(&send(proxy.addr, "GET /orders", &[&two[0], &two[1]], "").await, 400, "credentials_ambiguous");
    let change = ["X-Forwarded-Method: GET", "X-Original-Method: GET", &key_header(&read_only)];
    assert_denied(&send(proxy.addr, "POST /orders", &change, "x").await, 403, "scope_missing");
    // A key may be cached until another process tells of the change.
    let (deadline, mut reply) = (Instant::now() + DENIAL, get(proxy.addr, &revoked).await);
    for (key, code) in [(&revoked, "key_revoked"), (&expiring, "key_expired")] {
        while reply.status == 200 {
            assert!(Instant::now() < deadline, "{code}");
            sleep(Duration::from_millis(20)).await;
            reply = get(proxy.addr, key).await;
        }
        assert_denied(&get(proxy.addr, key).await, 401, code);
        reply = get(proxy.addr, &expiring).await;
    }
    api.take();
    assert_denied(&get(proxy.addr, &revoked).await, 401, "key_revoked");
    assert_eq!(get(proxy.addr, &read_only).await.status, 200);
    assert!(api.take_one().starts_with("GET /orders?page=2 "));
}

#[rstest]
#[tokio::test]
async fn registered_api_takes_its_own_keys_only(#[values(Nginx, Caddy, HaProxy)] program: Program) {
    let _alone = alone().await;
    let (server, api) = (Keyfob::start().await, Upstream::start(OK).await);
    for slug in ["billing", "crm"] {
        keyfob(&server.url, &format!("api add --slug {slug} --name {slug} --scope pay --read-scope see")).await;
    }
    let (own, other) =
        (server.create_key("--no-expiry --api billing").await, server.create_key("--no-expiry --api crm").await);
    let paying = server.create_key("--no-expiry --scope billing:pay").await;
    let require = |config: &str| config.replace("scope=employees:read", "api=billing&scope=billing:see");
    let proxy = RecipeProxy::start_with(program, server.machine.addr, api.addr, require).await;
    assert_denied(&get(proxy.addr, &other).await, 403, "api_mismatch");
    assert_denied(&get(proxy.addr, &paying).await, 403, "scope_missing");
    for (key, scopes) in [(&own, "billing:pay billing:see"), (&server.key, "billing:pay billing:see")] {
        assert_eq!(get(proxy.addr, key).await.status, 200);
        assert_eq!(header(&api.take_one(), "x-auth-scopes"), Some(scopes));
    }
}

#[rstest]
#[tokio::test]
async fn rate_limit_is_429_at_the_client(#[values(Nginx, Caddy, HaProxy)] program: Program) {
    let _alone = alone().await;
    let (server, api) = (Keyfob::start_with("KEYFOB_KEY_RATE=2").await, Upstream::start(OK).await);
    let proxy = RecipeProxy::start(program, server.machine.addr, api.addr).await;
    for _ in 0..2 {
        assert_eq!(get(proxy.addr, &server.key).await.status, 200);
    }
    api.take();
    let reply = get(proxy.addr, &server.key).await;
    assert_denied(&reply, 429, "rate_limited");
    assert!(header(&reply.text, "retry-after").unwrap().parse::<u32>().is_ok_and(|seconds| seconds <= 60));
    assert_eq!(api.take(), [""; 0]);
}

#[rstest]
#[tokio::test]
async fn keyfob_that_is_stopped_or_silent_lets_nothing_pass(#[values(Nginx, Caddy, HaProxy)] program: Program) {
    let _alone = alone().await;
    let (mut server, api) = (Keyfob::start().await, Upstream::start(OK).await);
    let proxy = RecipeProxy::start(program, server.machine.addr, api.addr).await;
    assert_eq!(get(proxy.addr, &server.key).await.status, 200);
    api.take();
    server.machine.kill();
    let stopped = get(proxy.addr, &server.key).await;
    // Accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = RecipeProxy::start(program, silent.local_addr().unwrap(), api.addr).await;
    let unanswered = get(proxy.addr, &server.key).await;
    println!("{program:?}: Keyfob stopped {}, silent {}.", stopped.status, unanswered.status);
    for reply in [stopped, unanswered] {
        assert!([502, 503, 504].contains(&reply.status), "{}", reply.text);
    }
    assert_eq!(api.take(), [""; 0]);
}

#[rstest]
#[tokio::test]
async fn verify_request_has_no_body_and_tells_the_original(#[values(Nginx, Caddy, HaProxy)] program: Program) {
    let _alone = alone().await;
    let (api, verify) =
        (Upstream::start(OK).await, Upstream::start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await);
    let proxy = RecipeProxy::start(program, verify.addr, api.addr).await;
    let forged = ["X-Forwarded-Method: GET", "X-Original-Uri: /public", "X-Forwarded-For: 192.0.2.1"];
    let chunked: Vec<_> = ["Transfer-Encoding: chunked"].into_iter().chain(forged).collect();
    for (headers, sent) in [(&forged[..], "hello"), (&chunked, "")] {
        let mut bytes = request(proxy.addr, "PUT /orders/7?x=1", headers, sent);
        if sent.is_empty() {
            bytes.extend_from_slice(b"5\r\nhello\r\n0\r\n\r\n");
        }
        assert_eq!(Connection::open(proxy.addr).await.unwrap().ask(&bytes).await.unwrap(), 200);
        let asked = verify.take_one();
        assert!(asked.starts_with("GET /api/v1/verify?") && asked.ends_with("\r\n\r\n"), "{asked}");
        assert!(header(&asked, "content-length").is_none_or(|length| length == "0"), "{asked}");
        assert!(header(&asked, "transfer-encoding").is_none(), "{asked}");
        assert_eq!(header(&asked, "x-forwarded-method"), Some("PUT"), "{asked}");
        assert_eq!(header(&asked, "x-forwarded-uri"), Some("/orders/7?x=1"), "{asked}");
        assert_eq!(header(&asked, "x-forwarded-for"), Some("127.0.0.1"), "{asked}");
        assert!(!asked.to_lowercase().contains("x-original"), "{asked}");
        assert!(api.take_one().contains("hello"));
    }
}

#[rstest]
#[tokio::test]
async fn uploads_events_and_web_sockets_are_not_buffered(#[values(Nginx, Caddy, HaProxy)] program: Program) {
    let _alone = alone().await;
    let (server, api) = (Keyfob::start().await, Upstream::start(OK).await);
    let proxy = RecipeProxy::start(program, server.machine.addr, api.addr).await;
    let key = key_header(&server.key);

    let mut stream = TcpStream::connect(proxy.addr).await.unwrap();
    let head = request(proxy.addr, "POST /upload", &[&key, "Content-Length: 10"], "");
    stream.write_all(&[&head, &b"first"[..]].concat()).await.unwrap();
    api.wait_for("\r\n\r\nfirst").await;
    stream.write_all(b"other").await.unwrap();
    read_until(&mut stream, "\r\n\r\nok").await;
    assert!(api.take_one().ends_with("firstother"));

    let mut stream = TcpStream::connect(proxy.addr).await.unwrap();
    stream.write_all(&request(proxy.addr, "GET /events", &[&key, "Accept: text/event-stream"], "")).await.unwrap();
    read_until(&mut stream, "data: first\n\n").await;
    api.send_next_event();
    read_until(&mut stream, "data: second\n\n").await;

    let upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    let socket = [&key, upgrade[0], upgrade[1], upgrade[2], "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    let denied = send(proxy.addr, "GET /socket", &socket[1..], "").await;
    assert_denied(&denied, 401, "credentials_missing");
    let mut stream = TcpStream::connect(proxy.addr).await.unwrap();
    stream.write_all(&request(proxy.addr, "GET /socket", &socket, "")).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    for text in ["ping", "pong"] {
        stream.write_all(text.as_bytes()).await.unwrap();
        read_until(&mut stream, text).await;
    }
}

/// Reads until this text has arrived.
async fn read_until(stream: &mut TcpStream, text: &str) {
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains(text) {
        let read = timeout(DENIAL, stream.read_buf(&mut received)).await;
        let is_open = matches!(read, Ok(Ok(1..)));
        assert!(is_open, "{text} did not arrive after {}", String::from_utf8_lossy(&received));
    }
}

/// Prints what the check adds to a request, for each proxy.
#[tokio::test]
async fn overhead() {
    let _alone = alone().await;
    let (server, api) = (Keyfob::start().await, Upstream::start(OK).await);
    for program in [Nginx, Caddy, HaProxy] {
        let checking = RecipeProxy::start(program, server.machine.addr, api.addr).await;
        let open = RecipeProxy::start_with(program, server.machine.addr, api.addr, without_check).await;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            without.push(time_per_request(open.addr, "").await);
            with.push(time_per_request(checking.addr, &server.key).await);
        }
        with.sort();
        without.sort();
        let (with, without) = (with[ROUNDS / 2], without[ROUNDS / 2]);
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        let (with, without) = (with.as_micros(), without.as_micros());
        println!("{program:?}: {without} µs without the check, {with} µs with it, ratio {ratio:.1}.");
    }
}

/// Returns the mean time of one request after the other on one connection.
async fn time_per_request(addr: SocketAddr, key: &str) -> Duration {
    let mut connection = Connection::open(addr).await.unwrap();
    let bytes = request(addr, "GET /orders", &[&key_header(key)], "");
    let started = Instant::now();
    for _ in 0..REQUESTS {
        assert_eq!(connection.ask(&bytes).await.unwrap(), 200);
    }
    started.elapsed() / REQUESTS
}

/// Removes the check from a recipe.
fn without_check(recipe: &str) -> String {
    let recipe = recipe.replace("auth_request /_keyfob;", "auth_request off;");
    let recipe = recipe.replace("http-request lua.keyfob ", "# ");
    let Some((before, check)) = recipe.split_once("\t\tforward_auth ") else { return recipe };
    let (_, after) = check.split_once("\n\t\t}\n").unwrap();
    format!("{before}{after}")
}
