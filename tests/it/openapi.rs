//! The description of the API: it and the router have the same endpoints, and it says of each what the endpoint does.

use std::collections::BTreeSet;

use axum::http::Method;
use keyfob::error::ERROR_CODES;
use keyfob::model::keys::{Access, Scope};
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Database, EMPLOYEES, TestApp, each_database};

pub async fn document(app: &TestApp) -> Value {
    let answer = app.anonymous().get("/api/openapi.json").await.is(200);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()
}

/// Every operation: method, path and description.
pub fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) {
                found.push((method, path.clone(), operation.clone()));
            }
        }
    }
    found
}

/// Every `$ref` of a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(to)) = object.get("$ref") {
                found.insert(to.clone());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The scope that an operation says a key needs.
fn scope(operation: &Value) -> Option<String> {
    let requirements = operation["security"].as_array().cloned().unwrap_or_default();
    let named: BTreeSet<_> = requirements
        .iter()
        .flat_map(|one| one.as_object().unwrap().values().cloned())
        .collect::<Vec<_>>()
        .iter()
        .flat_map(|scopes| scopes.as_array().unwrap().clone())
        .map(|scope| scope.as_str().unwrap().to_owned())
        .collect();
    assert!(named.len() <= 1, "{operation}");
    named.into_iter().next()
}

async fn call(client: &Client, method: &Method, path: &str) -> Answer {
    match *method {
        Method::GET | Method::DELETE => client.bare(method.clone(), path).await,
        _ => client.json(method.clone(), path, json!({})).await,
    }
}

/// Fails unless a value has the shape of a schema: its type, its required members, and no others where it allows none.
#[track_caller]
fn fits(document: &Value, schema: &Value, value: &Value) {
    if let Some(to) = schema["$ref"].as_str() {
        return fits(document, document.pointer(to.trim_start_matches('#')).unwrap(), value);
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().for_each(|schema| fits(document, schema, value));
    }
    if let Some(any) = schema["oneOf"].as_array() {
        let null = any.iter().any(|schema| schema["type"] == "null") && value.is_null();
        let other = any.iter().find(|schema| schema["type"] != "null");
        return if null {
        } else {
            fits(document, other.unwrap(), value);
        };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = match &schema["type"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        _ => return,
    };
    assert!(
        kinds.iter().any(|one| one == kind || (one == "number" && kind == "integer")),
        "{schema} does not fit {value}"
    );
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{name} is not in {value}");
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            fits(document, schema, value);
        }
    }
    if let (Value::Array(items), Some(schema)) = (value, schema.get("items")) {
        for value in items {
            fits(document, schema, value);
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn the_document_is_whole_and_names_each_operation_once(database: Database) {
    let app = &TestApp::start(database).await;
    let document = document(app).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["servers"], json!([{"url": "http://localhost:8000"}]));
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for to in found {
        assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to}");
    }
    let ids: Vec<_> =
        operations(&document).iter().map(|(.., one)| one["operationId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    for id in [
        "employees_list",
        "employees_create",
        "employees_retrieve",
        "employees_update",
        "employees_partial_update",
        "employees_destroy",
        "employees_aggregate_data",
        "me_retrieve",
        "key_retrieve",
        "key_destroy",
        "key_rotate",
        "verify",
        "leaked_keys_report",
    ] {
        assert!(ids.contains(&id.to_owned()), "{id}");
        if id.starts_with("employees_") {
            assert!(ids.contains(&format!("team_{id}")), "{id}");
        }
    }
    assert_eq!(ids.len(), 7 + 7 + 6);
}

#[apply(each_database)]
#[tokio::test]
async fn every_operation_that_is_described_is_there(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &[]).await;
    let ada = app.signed_in("ada").await;
    for (method, path, _) in operations(&document(app).await) {
        let path = path.replace("{team}", "red");
        let list = path.split("{id}").next().unwrap();
        let path = if path.contains("{id}") {
            let body = json!({"name": "Grace Hopper", "department": "engineering", "salary": 1});
            path.replace("{id}", ada.post(list, body).await.is(201).json()["id"].as_str().unwrap())
        } else {
            path
        };
        let answer = call(&app.with_key("ada").await, &method, &path).await;
        assert!(![404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn documented_scopes_are_exactly_the_required_ones(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &[]).await;
    let document = document(app).await;
    let mut limited = 0;
    for (method, path, operation) in operations(&document) {
        let path = path.replace("{team}", "red").replace("{id}", "01890000-0000-7000-8000-000000000000");
        let needed = scope(&operation);
        if operation["security"].as_array().is_none_or(Vec::is_empty) {
            assert_eq!(operation["operationId"], "leaked_keys_report");
            continue;
        }
        app.anonymous().bare(method.clone(), &path).await.is(401);
        for only in Scope::ALL {
            let access = Access::from_form("only", &[only.as_str().to_owned()], "").unwrap();
            let key = app.make_key_that("ada", |spec| spec.access = access).await.key;
            let answer = call(&app.anonymous().with_key(&key), &method, &path).await;
            let refused = needed.as_deref().is_some_and(|needed| needed != only.as_str());
            assert_eq!(answer.status == 403, refused, "{method} {path} with {only:?}: {answer:?}");
            if refused {
                limited += 1;
                assert!(answer.body.contains(needed.as_deref().unwrap()), "{answer:?}");
            }
            app.sql("DELETE FROM keys").await;
        }
    }
    assert!(limited > 30, "{limited}");
}

#[apply(each_database)]
#[tokio::test]
async fn every_example_of_a_refusal_is_one_of_the_table(database: Database) {
    let app = &TestApp::start(database).await;
    let document = document(app).await;
    let mut seen = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let Some(examples) = response["content"]["application/problem+json"]["examples"].as_object() else {
                continue;
            };
            for (name, example) in examples {
                let row = ERROR_CODES.iter().find(|row| row.code == name).unwrap();
                let problem = &example["value"];
                assert_eq!(problem["code"], row.code, "{method} {path}");
                assert_eq!(problem["title"], row.title);
                assert_eq!((problem["status"].to_string(), row.status.to_string()), (status.clone(), status.clone()));
                fits(&document, &document["components"]["schemas"]["Problem"], problem);
                seen.insert(row.code);
            }
        }
    }
    for code in [
        "key_malformed",
        "key_revoked",
        "scope_missing",
        "team_mismatch",
        "api_mismatch",
        "validation_failed",
        "malformed_json",
        "not_found",
        "rate_limited",
        "unavailable",
        "cross_origin",
        "unsupported_media_type",
        "content_too_large",
    ] {
        assert!(seen.contains(code), "{code}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn answers_have_the_shape_that_is_described(database: Database) {
    let app = &TestApp::start(database).await;
    let document = document(app).await;
    let client = app.with_key("ada").await;
    let body = json!({"name": "Grace Hopper", "department": "engineering", "salary": 134_000});
    let made = client.post(EMPLOYEES, body).await.is(201).json();
    for (id, status, value) in [
        ("employees_create", "201", made),
        ("employees_list", "200", client.get(EMPLOYEES).await.is(200).json()),
        ("employees_aggregate_data", "200", client.get(crate::support::FIGURES).await.is(200).json()),
        ("me_retrieve", "200", client.get("/api/v1/me").await.is(200).json()),
        ("me_retrieve", "200", app.signed_in("ada").await.get("/api/v1/me").await.is(200).json()),
        ("key_retrieve", "200", client.get("/api/v1/key").await.is(200).json()),
        ("key_rotate", "200", client.post("/api/v1/key/rotate", json!({"grace": "15m"})).await.is(200).json()),
    ] {
        let (.., operation) = operations(&document).into_iter().find(|(.., one)| one["operationId"] == id).unwrap();
        fits(&document, &operation["responses"][status]["content"]["application/json"]["schema"], &value);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn the_page_to_try_it_comes_from_this_program(database: Database) {
    let app = &TestApp::start(database).await;
    let asset = regex::Regex::new("(?:src|href)=\"(/api/docs/[^\"]+)\"").unwrap();
    for path in ["/api/docs", "/api/docs/"] {
        let page = app.browser().open(path).await.is(200);
        assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
        assert!(!page.body.contains("https://"), "{}", page.body);
        for asset in asset.captures_iter(&page.body) {
            let asset = app.browser().with("accept", "*/*").get(&asset[1]).await.is(200);
            assert!(!asset.body.is_empty());
        }
    }
    assert!(app.browser().get("/api/docs/swagger-initializer.js").await.body.contains("/api/openapi.json"));
    app.browser().get("/api/docs/nothing.js").await.is(404);
}

#[test]
fn no_route_of_the_api_goes_undescribed() {
    let source = include_str!("../../src/web/api/mod.rs");
    let plain: Vec<_> = source.lines().filter(|line| line.contains(".route(")).collect();
    // Those that answer 404 for what is not there. An endpoint is added by `endpoint!`, which describes it.
    assert!(plain.iter().all(|line| line.contains("any(not_found)")), "{plain:#?}");
}
