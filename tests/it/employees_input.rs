//! Bad input at the employees API: a clear problem each time, never a 500, nothing lost.

use axum::body::{Body, Bytes};
use axum::http::{Method, header};
use http_body_util::{BodyExt, Full, Limited};
use keyfob::model::employees::Department::Hr;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Database, EMPLOYEES, FIGURES, TestApp, each_database, request};

fn body_with(field: &str, value: Value) -> Value {
    let mut body = json!({"name": "Grace Hopper", "department": "engineering", "salary": 134_000});
    body[field] = value;
    body
}

#[apply(each_database)]
#[tokio::test]
async fn a_wrong_value_is_refused_at_its_field(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let one = format!("{EMPLOYEES}{}/", app.employee("ada", ("Ada", Hr, 5)).await);
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("  \u{2003} ")),
        ("name", json!("é".repeat(101))),
        ("name", json!(5)),
        ("name", json!(null)),
        ("name", json!(["Ada"])),
        ("name", json!({"a": 1})),
        ("name", json!("a\u{0}b")),
        ("name", json!("a\nb")),
        ("name", json!(true)),
        ("department", json!("")),
        ("department", json!("cleaning")),
        ("department", json!("HR")),
        ("department", json!(1)),
        ("department", json!(null)),
        ("department", json!(["hr"])),
        ("salary", json!(-1)),
        ("salary", json!(2_147_483_648_i64)),
        ("salary", json!(12.5)),
        ("salary", json!(1e300)),
        ("salary", json!("5")),
        ("salary", json!("")),
        ("salary", json!(null)),
        ("salary", json!(true)),
        ("salary", json!(u64::MAX)),
        ("salary", json!(i64::MIN)),
        ("salary", json!([5])),
        ("colour", json!("red")),
        ("Name", json!("x")),
        ("created_by", json!(1)),
        ("", json!(1)),
    ] {
        println!("{field}: {value}");
        client.post(EMPLOYEES, body_with(field, value.clone())).await.invalid(&[field]);
        client.put(&one, body_with(field, value.clone())).await.invalid(&[field]);
        client.patch(&one, json!({field: value})).await.invalid(&[field]);
    }
    assert_eq!(app.texts("SELECT name FROM employees").await, ["Ada"]);
    assert_eq!(app.number("SELECT salary FROM employees").await, 5);
}

#[apply(each_database)]
#[tokio::test]
async fn a_value_at_the_limit_is_taken(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    for (field, value) in [
        ("name", json!("a")),
        ("name", json!("é".repeat(100))),
        ("name", json!("🔑 מפתח")),
        ("name", json!("<b>&amp;")),
        ("name", json!("Robert'); DROP TABLE employees;--")),
        ("salary", json!(0)),
        ("salary", json!(2_147_483_647)),
    ] {
        let created = client.post(EMPLOYEES, body_with(field, value.clone())).await.is(201).json();
        assert_eq!(created[field], value);
    }
    // For JSON these are whole numbers, too.
    for (sent, taken) in [("5.0", 5), ("-0.0", 0), ("1e3", 1000)] {
        let body = format!("{{\"name\": \"Ada\", \"department\": \"hr\", \"salary\": {sent}}}");
        assert_eq!(client.text(Method::POST, EMPLOYEES, &body).await.is(201).json()["salary"], taken, "{sent}");
    }
    let trimmed = client.post(EMPLOYEES, body_with("name", json!(" Ada  Lovelace\u{2003}"))).await.is(201).json();
    assert_eq!(trimmed["name"], "Ada  Lovelace");
}

#[apply(each_database)]
#[tokio::test]
async fn all_field_errors_are_reported_at_once(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let problem = client.post(EMPLOYEES, json!({})).await.invalid(&["department", "name", "salary"]);
    assert_eq!(problem["errors"]["name"], json!(["This field is required."]));
    let wrong = json!({"name": "", "department": "x", "salary": -1, "colour": 1, "size": 2});
    let problem = client.post(EMPLOYEES, wrong).await.invalid(&["colour", "department", "name", "salary", "size"]);
    for sentences in problem["errors"].as_object().unwrap().values() {
        assert!(problem["detail"].as_str().unwrap().contains(sentences[0].as_str().unwrap()), "{problem}");
    }
    let one = format!("{EMPLOYEES}{}/", app.employee("ada", ("Ada", Hr, 5)).await);
    client.put(&one, json!({"salary": 1})).await.invalid(&["department", "name"]);
}

#[apply(each_database)]
#[tokio::test]
async fn a_field_that_is_sent_twice_is_refused_or_taken_once(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let twice = r#"{"name": "a", "name": "b", "department": "hr", "salary": 1}"#;
    let answer = client.text(Method::POST, EMPLOYEES, twice).await;
    assert!(matches!(answer.status, 201 | 400), "{answer:?}");
    assert!(app.number("SELECT COUNT(*) FROM employees").await <= 1);
}

#[apply(each_database)]
#[tokio::test]
async fn body_without_a_json_object_is_malformed(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let one = format!("{EMPLOYEES}{}/", app.employee("ada", ("Ada", Hr, 5)).await);
    let deep = "[".repeat(10_000);
    for text in [
        "",
        " ",
        "{",
        "{\"name\": \"Ada\"",
        "{\"name\": \"Ada\",}",
        "{'name': 1}",
        "[]",
        "[{}]",
        "null",
        "5",
        "\"text\"",
        "true",
        "{}{}",
        "{} junk",
        "name=Ada",
        "\u{feff}{}",
        "{\"salary\": 1e999}",
        "{\"salary\": 01}",
        "{\"a\": \"\\ud800\"}",
        &deep,
    ] {
        println!("{text:.40}");
        for (method, path) in [(Method::POST, EMPLOYEES), (Method::PUT, &one), (Method::PATCH, &one)] {
            client.text(method, path, text).await.refused(400, "malformed_json");
        }
    }
    let mut not_text = request(Method::POST, EMPLOYEES, Body::from(&b"{\"name\": \"\xff\"}"[..]));
    not_text.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    client.send(not_text).await.refused(400, "malformed_json");
}

#[apply(each_database)]
#[tokio::test]
async fn a_body_that_breaks_off_is_malformed(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let text = Full::<Bytes>::from(body_with("salary", json!(1)).to_string());
    let body = Limited::new(text, 10).map_err(|_| std::io::Error::other("the client went away"));
    let mut broken = request(Method::POST, EMPLOYEES, Body::new(body));
    broken.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    client.send(broken).await.refused(400, "malformed_json");
}

#[apply(each_database)]
#[tokio::test]
async fn a_body_that_is_not_said_to_be_json_is_415(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let text = body_with("salary", json!(1)).to_string();
    client
        .send(request(Method::POST, EMPLOYEES, Body::from(text.clone())))
        .await
        .refused(415, "unsupported_media_type");
    for kind in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
        "application/xml",
        "json",
        "text/json",
    ] {
        client.typed(Method::POST, EMPLOYEES, kind, &text).await.refused(415, "unsupported_media_type");
    }
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        client.typed(Method::POST, EMPLOYEES, kind, &text).await.is(201);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_body_of_more_than_64_kb_is_413(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let filled = |size: usize| {
        let body = body_with("name", json!("Ada")).to_string();
        body.clone() + &" ".repeat(size - body.len())
    };
    client.text(Method::POST, EMPLOYEES, &filled(64 * 1024)).await.is(201);
    client.text(Method::POST, EMPLOYEES, &filled(64 * 1024 + 1)).await.refused(413, "content_too_large");
    client.text(Method::POST, EMPLOYEES, &filled(5_000_000)).await.refused(413, "content_too_large");
    // The same where nobody says beforehand how long it is.
    let mut unsaid = request(Method::POST, EMPLOYEES, Body::from(filled(5_000_000)));
    unsaid.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    client.send(unsaid).await.refused(413, "content_too_large");
    // Who is calling comes first: strangers are not read.
    let stranger = app.anonymous().text(Method::POST, EMPLOYEES, &filled(5_000_000)).await;
    stranger.refused(401, "credentials_missing");
}

#[apply(each_database)]
#[tokio::test]
async fn a_client_that_takes_no_json_is_406(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    for accept in
        ["text/html", "application/xml", "text/*", "image/png, text/html;q=0.9", "application/json;q=0", "*/*;q=0"]
    {
        client.with("accept", accept).get(EMPLOYEES).await.refused(406, "not_acceptable");
    }
    for accept in [
        "application/json",
        "*/*",
        "application/*",
        "text/html, */*;q=0.1",
        "APPLICATION/JSON",
        "application/json; indent=4",
    ] {
        client.with("accept", accept).get(EMPLOYEES).await.is(200);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_405_with_allow(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let one = format!("{EMPLOYEES}{}/", app.employee("ada", ("Ada", Hr, 5)).await);
    let (all, each, read) = (["GET", "HEAD", "POST"], ["DELETE", "GET", "HEAD", "PATCH", "PUT"], ["GET", "HEAD"]);
    for (path, allowed) in [(EMPLOYEES, &all[..]), (&one, &each[..]), (FIGURES, &read[..])] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
            if allowed.contains(&method) {
                continue;
            }
            for client in [&client, &app.signed_in("ada").await] {
                let answer = client.bare(method.parse().unwrap(), path).await;
                answer.refused(405, "method_not_allowed");
                assert_eq!(methods(answer.header("allow")), allowed, "{method} {path}");
            }
        }
        let options = client.bare(Method::OPTIONS, path).await.is(204);
        assert_eq!((methods(options.header("allow")), options.body.as_str()), (allowed.to_vec(), ""), "{path}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn an_id_that_is_none_or_nobodys_is_not_found(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    for id in [
        "1",
        "0",
        "-1",
        "x",
        "null",
        "01890000-0000-7000-8000-000000000000",
        "%00",
        "..%2F..",
        "%F0%9F%94%91",
        "'%20OR%201=1",
        "01890000-0000-7000-8000-00000000000G",
        &"9".repeat(4000),
        "%FF",
    ] {
        let one = format!("{EMPLOYEES}{id}/");
        client.delete(&one).await.refused(404, "not_found");
        client.get(&one).await.refused(404, "not_found");
        client.put(&one, body_with("salary", json!(1))).await.refused(404, "not_found");
        client.patch(&one, json!({"salary": 1})).await.refused(404, "not_found");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn missing_page_is_404_and_invalid_page_is_400(database: Database) {
    let app = &TestApp::start(database).await;
    app.employee("ada", ("Ada", Hr, 5)).await;
    let client = app.with_key("ada").await;
    for page in ["0", "-1", "2", "4294967295", "4294967296", "9223372036854775807", "-9223372036854775808"] {
        client.get(&format!("{EMPLOYEES}?page={page}")).await.refused(404, "not_found");
    }
    for page in ["x", "", "1.5", "1e3", "9223372036854775808", "%00", "last", "0x1"] {
        client.get(&format!("{EMPLOYEES}?page={page}")).await.invalid(&["page"]);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_parameter_that_is_wrong_is_named(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    for size in ["0", "-1", "x", "", "1.5", "99999999999999999999"] {
        client.get(&format!("{EMPLOYEES}?page_size={size}")).await.invalid(&["page_size"]);
    }
    for order in ["x", "", "--name", "id", "Name", "name,salary", "user_id", "name%20DESC"] {
        client.get(&format!("{EMPLOYEES}?ordering={order}")).await.invalid(&["ordering"]);
    }
    for department in ["x", "HR", "hr%20", "'"] {
        client.get(&format!("{EMPLOYEES}?department={department}")).await.invalid(&["department"]);
    }
    let all = client.get(&format!("{EMPLOYEES}?page=x&page_size=x&ordering=x&department=x")).await;
    all.invalid(&["department", "ordering", "page", "page_size"]);
}

#[apply(each_database)]
#[tokio::test]
async fn a_path_of_the_api_that_is_not_there_is_a_problem_not_a_page(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    for path in [
        "/pegasus/",
        "/pegasus",
        "/pegasus/x",
        "/api/",
        "/api",
        "/api/v1/nothing",
        "/pegasus/employees/api/employees/1/2",
    ] {
        for client in [&client, &app.anonymous()] {
            client.get(path).await.refused(404, "not_found");
            client.post(path, json!({})).await.refused(404, "not_found");
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn each_request_has_an_id_of_its_own(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await.with("x-request-id", "mine");
    let (one, other) = (client.get(EMPLOYEES).await, client.get(EMPLOYEES).await);
    assert_eq!(one.header("x-request-id").len(), 32);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}

fn methods(allow: &str) -> Vec<&str> {
    let mut methods: Vec<_> = allow.split(',').map(str::trim).collect();
    methods.sort_unstable();
    methods
}
