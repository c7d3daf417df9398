//! What waits for clients: bodies that come slowly or in small parts, and answers that are not read. It takes a bounded memory,
//! and one address takes no other's.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, DefaultBodyLimit};
use axum::http::{Method, Request, header};
use axum::response::Response;
use axum::routing::any;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use keyfob::model::employees::Department::Hr;
use keyfob::server::admission::{self, MAX_IN_FLIGHT, RequestClass};
use keyfob::server::memory_budget::ADDRESS_PART;
use keyfob::server::state::AppState;
use rstest_reuse::apply;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::support::functions::{Belongings, FUNCTIONS, For};
use crate::support::{Client, Database, EMPLOYEES, TestApp, each_database, request};

const ADDRESS: &str = "203.0.113.9";
const OTHER: &str = "203.0.113.10";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
const EMPLOYEE: &str = r#"{"name": "Ada", "department": "hr", "salary": 1}"#;

/// Endpoints of one's own: one that takes a body as it is, one that takes it whole, and one whose answer is large.
fn own() -> Router<AppState> {
    let lengths = async |body: Body| {
        let parts = body.into_data_stream().map(|part| part.map_or(0, |part| part.len()).to_string());
        parts.collect::<Vec<_>>().await.join(" ")
    };
    let whole = async |body: Bytes| body.len().to_string();
    Router::new()
        .route("/api/lengths", any(lengths))
        .route("/api/whole", any(whole).layer(DefaultBodyLimit::max(1_000_000)))
        .route("/api/large", any(async || "a".repeat(1024 * 1024)))
}

/// A body that comes in this number of parts.
fn parts(number: usize, part: &'static str) -> Body {
    Body::from_stream(stream::iter((0..number).map(move |_| Ok::<_, std::io::Error>(part))))
}

/// A body that comes when it is let.
fn late(text: &'static str) -> (oneshot::Sender<()>, Body) {
    let (go_on, wait) = oneshot::channel::<()>();
    let text = stream::once(async move { wait.await.map(|()| text).map_err(std::io::Error::other) });
    (go_on, Body::from_stream(text))
}

fn of_kind(method: Method, path: &str, kind: &str, body: Body) -> Request<Body> {
    let mut request = request(method, path, body);
    request.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
    request
}

/// Sends a body to everything that reads one; gives what did not answer 503.
async fn not_refused(app: &TestApp, belongings: &Belongings) -> Vec<String> {
    let (key, ada) = (app.with_key("ada").await, app.signed_in("ada").await);
    let one = format!("{EMPLOYEES}{}/", belongings.get("employee"));
    let space = " ".repeat(60_000);
    let mut sent = Vec::new();
    for (method, path) in [
        (Method::POST, EMPLOYEES),
        (Method::PUT, &one),
        (Method::PATCH, &one),
        (Method::POST, "/api/v1/key/rotate"),
        (Method::POST, "/api/v1/leaked-keys"),
        (Method::POST, "/api/whole"),
        (Method::POST, "/api/lengths"),
    ] {
        sent.push((path.to_owned(), key.text(method, path, &format!("{{}}{space}")).await));
    }
    for (path, whose, ..) in FUNCTIONS {
        let client = if whose == For::Superusers { app.admin().await } else { ada.clone() };
        for accept in [JSON, HTML] {
            let fields = [("id", "x"), ("more", &*space)];
            sent.push((format!("{path}, {accept}"), client.with("accept", accept).form(path, &fields).await));
        }
    }
    for path in ["/profile/keys", "/profile/keys/rotate"] {
        sent.push((path.to_owned(), ada.with("accept", HTML).form(path, &[("form_id", &space)]).await));
    }
    let find = app.admin().await.with("accept", HTML).form("/admin/keys", &[("search", &space)]).await;
    sent.push(("/admin/keys".to_owned(), find));
    let served = sent.into_iter().filter(|(_, answer)| (answer.status, answer.header("retry-after")) != (503, "2"));
    served.map(|(path, answer)| format!("{path}: {}", answer.status)).collect()
}

/// A response whose body nobody reads.
async fn unread(app: &TestApp, path: &str, from: &str) -> Response {
    let mut request = request(Method::GET, path, Body::empty());
    request.extensions_mut().insert(ConnectInfo(std::net::SocketAddr::new(from.parse().unwrap(), 1)));
    keyfob::web::router::router(app.state.clone(), own()).oneshot(request).await.unwrap_or_else(|never| match never {})
}

fn from(app: &TestApp, ip: &str) -> Client {
    app.anonymous().coming_from(ip)
}

#[apply(each_database)]
#[tokio::test]
async fn a_body_is_in_one_piece_in_whatever_parts_it_comes(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_own(own()).anonymous();
    for (number, part, lengths) in [
        (0, "", ""),
        (1, "", ""),
        (10_000, "a", "10000"),
        (4_096, "0123456789abcdef", "65536"),
        (64, "0123456789abcdef", "1024"),
        (9_000, "0123456789abcdef", "65536 65536 12928"),
    ] {
        let answer = client.send(request(Method::POST, "/api/lengths", parts(number, part))).await.is(200);
        assert_eq!(answer.body, lengths, "{number} parts");
        let whole = client.send(request(Method::POST, "/api/whole", parts(number, part))).await.is(200);
        assert_eq!(whole.body, (number * part.len()).to_string());
    }
    let all = "x".repeat(1_000_000);
    assert_eq!(client.send(request(Method::POST, "/api/whole", Body::from(all.clone()))).await.is(200).body, "1000000");
    client.send(request(Method::POST, "/api/whole", Body::from(all + "x"))).await.is(413);
}

#[apply(each_database)]
#[tokio::test]
async fn bodies_without_memory_are_503_and_others_continue(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.with_own(own());
    let belongings = Box::pin(Belongings::of(&app, "ada", "red")).await;
    // None for any body; and for the beginning of one, but not for all of it.
    for left in [0, 40 * 1024] {
        let taken = app.state.admission.bodies.reserve(None, admission::REQUEST_BODY_BUDGET - left);
        assert_eq!(not_refused(&app, &belongings).await, [""; 0], "{left} bytes left");
        app.with_key("ada")
            .await
            .post(EMPLOYEES, serde_json::json!({"name": "x".repeat(50_000)}))
            .await
            .refused(503, "unavailable");
        app.signed_in("ada").await.open("/profile").await.is(200);
        app.with_key("ada").await.get(EMPLOYEES).await.is(200);
        drop(taken);
    }
    let served = not_refused(&app, &belongings).await;
    assert_eq!(served.len(), 7 + 2 * FUNCTIONS.len() + 3, "{served:?}");
}

#[apply(each_database)]
#[tokio::test]
async fn what_a_body_took_is_free_when_its_request_is_over(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.with_own(own());
    let (key, budget) = (app.with_key("ada").await, &app.state.admission.bodies);
    key.text(Method::POST, EMPLOYEES, EMPLOYEE).await.is(201);
    key.text(Method::POST, EMPLOYEES, &" ".repeat(500_000)).await.refused(413, "content_too_large");
    key.send(request(Method::POST, "/api/lengths", parts(50_000, "ab"))).await.is(200);
    app.browser().call("sign_in", &[("email", "ada@example.com"), ("password", "wrong")]).await;
    let (_go_on, body) = late(EMPLOYEE);
    let waits = key.send(of_kind(Method::POST, EMPLOYEES, JSON, body));
    assert!(timeout(Duration::from_millis(50), waits).await.is_err());
    assert!(budget.try_reserve(None, admission::REQUEST_BODY_BUDGET).is_some());
}

#[apply(each_database)]
#[tokio::test]
async fn the_bodies_of_one_address_leave_room_for_those_of_others(database: Database) {
    let app = &TestApp::start(database).await;
    let (key, most) = (app.with_key("ada").await, admission::REQUEST_BODY_BUDGET / ADDRESS_PART);
    let of = |ip: &str| Some(ip.parse().unwrap());
    let _taken = app.state.admission.bodies.reserve(of(ADDRESS), most);
    let create = async |ip: &str| key.coming_from(ip).text(Method::POST, EMPLOYEES, EMPLOYEE).await;
    create(ADDRESS).await.refused(503, "unavailable");
    key.coming_from(ADDRESS).get(EMPLOYEES).await.is(200);
    create(OTHER).await.is(201);
    // A proxy on this machine, and one that is trusted, stand in front of many.
    create("127.0.0.1").await.is(201);
    let trusting = app.configured(|config| config.trusted_proxies = vec!["203.0.113.0/24".parse().unwrap()]);
    let _taken = trusting.state.admission.bodies.reserve(of(ADDRESS), most);
    let key = trusting.anonymous().with_key(&trusting.make_key("ada").await.key);
    key.coming_from(ADDRESS).text(Method::POST, EMPLOYEES, EMPLOYEE).await.is(201);
    let key = key.with("x-forwarded-for", "198.51.100.1").coming_from(ADDRESS);
    let _taken = trusting.state.admission.bodies.reserve(of("198.51.100.1"), most);
    key.text(Method::POST, EMPLOYEES, EMPLOYEE).await.refused(503, "unavailable");
}

#[apply(each_database)]
#[tokio::test]
async fn body_beyond_the_budget_is_503(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.with_key("ada").await;
    for (free, status) in [(1, 201), (0, 503)] {
        let (go_on, body) = late(EMPLOYEE);
        let client = key.clone();
        let waits = tokio::spawn(async move { client.send(of_kind(Method::POST, EMPLOYEES, JSON, body)).await });
        // It waits, and its place is free for others.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let places: Vec<_> =
            (free..MAX_IN_FLIGHT).map(|_| app.state.admission.admit(RequestClass::Other).unwrap()).collect();
        go_on.send(()).unwrap();
        waits.await.unwrap().is(status);
        drop(places);
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM employees").await, 1);
    let all: Vec<_> = (0..MAX_IN_FLIGHT).map(|_| app.state.admission.admit(RequestClass::Other).unwrap()).collect();
    assert!(app.state.admission.admit(RequestClass::Other).is_none());
    drop(all);
}

#[apply(each_database)]
#[tokio::test]
async fn a_report_is_refused_by_its_limit_before_it_is_read(database: Database) {
    let app = &TestApp::start(database).await;
    let client = from(app, ADDRESS);
    let path = "/api/v1/leaked-keys";
    for _ in 0..30 {
        client.text(Method::POST, path, "[]").await.is(202);
    }
    for kind in [JSON, "text/plain"] {
        let (_go_on, body) = late("[]");
        let answer = timeout(Duration::from_secs(5), client.send(of_kind(Method::POST, path, kind, body))).await;
        answer.unwrap().refused(429, "rate_limited");
    }
    from(app, OTHER).text(Method::POST, path, &" ".repeat(65_537)).await.refused(413, "content_too_large");
}

#[apply(each_database)]
#[tokio::test]
async fn unread_responses_take_bounded_memory_per_address(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.with_own(own());
    let mut held = Vec::new();
    for _ in 0..admission::RESPONSE_BODY_BUDGET / ADDRESS_PART / (1024 * 1024) {
        held.push(unread(&app, "/api/large", ADDRESS).await);
    }
    for path in ["/api/large", "/sign-in", "/api/v1/me"] {
        from(&app, ADDRESS).get(path).await.is(503);
    }
    from(&app, ADDRESS).get("/healthz").await.is(200);
    from(&app, OTHER).get("/sign-in").await.is(200);
    from(&app, "127.0.0.1").get("/sign-in").await.is(200);
    // HTTP/2 takes the parts of a body, and keeps them where nobody reads them.
    let mut body = held.pop().unwrap().into_body();
    let part = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(body.is_end_stream());
    drop(body);
    from(&app, ADDRESS).get("/sign-in").await.is(503);
    drop(part);
    from(&app, ADDRESS).get("/sign-in").await.is(200);
    drop(held);
    assert!(app.state.admission.answers.try_reserve(None, admission::RESPONSE_BODY_BUDGET).is_some());
}

#[apply(each_database)]
#[tokio::test]
async fn at_most_twenty_field_errors_are_reported(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.with_key("ada").await;
    let one = format!("{EMPLOYEES}{}/", app.employee("ada", ("Ada", Hr, 5)).await);
    let many: Vec<_> = (0..4_000).map(|n| format!("\"field{n:04}\": 1")).collect();
    let twice = vec!["\"same\": 1"; 2_000];
    let nested = format!("\"deep\": {}{}", "[".repeat(100), "]".repeat(100));
    let body = format!("{{{}, {}, {nested}}}", many[..2_000].join(","), twice.join(","));
    for (method, path) in
        [(Method::POST, EMPLOYEES), (Method::PUT, &one), (Method::PATCH, &one), (Method::POST, "/api/v1/key/rotate")]
    {
        let problem = key.text(method, path, &body).await.refused(400, "validation_failed");
        let errors = problem["errors"].as_object().unwrap();
        let sentences: usize = errors.values().map(|sentences| sentences.as_array().unwrap().len()).sum();
        assert_eq!(sentences, 21, "{problem}");
        assert_eq!(
            errors["non_field_errors"].as_array().unwrap().last().unwrap(),
            "There are more errors than listed here."
        );
    }
    let many = "page=x&ordering=x&department=x&page_size=x&".repeat(300);
    let problem = key.get(&format!("{EMPLOYEES}?{many}")).await.refused(400, "validation_failed");
    assert!(problem["detail"].as_str().unwrap().len() < 2_000, "{problem}");
}

#[apply(each_database)]
#[tokio::test]
async fn a_form_without_javascript_has_no_more_fields_than_ours(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let many: Vec<_> = (0..20_000).map(|_| ("a", "")).collect();
    for path in ["/fn/end_other_sessions", "/profile/keys", "/fn/sign_in"] {
        let page = ada.with("accept", HTML).form(path, &many).await.is(400);
        assert!(page.body.contains("more fields") && page.body.len() < 20_000, "{}", page.body.len());
    }
    let form = ada.with("accept", HTML).typed(Method::POST, "/fn/sign_out", FORM, &"a=&".repeat(200)).await;
    assert_eq!(form.status, 302);
}
