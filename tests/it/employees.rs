//! The employees API: who may do what, and what the API answers when all is well.

use axum::http::Method;
use keyfob::model::employees::Department::{Engineering, Finance, Hr, Sales};
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Database, EMPLOYEES, FIGURES, NOW, ONE_DAY, TestApp, each_database};

fn body() -> Value {
    json!({"name": "Grace Hopper", "department": "engineering", "salary": 134_000})
}

fn path_of(id: &str) -> String {
    format!("{EMPLOYEES}{id}/")
}

fn names(answer: &Answer) -> Vec<String> {
    let results = answer.json()["results"].as_array().unwrap().clone();
    results.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

/// Calls every endpoint of the API; gives each with its answer. The change comes before the removal.
async fn call_all(client: &Client, id: &str) -> Vec<(String, Answer)> {
    let one = path_of(id);
    let mut answers = Vec::new();
    for (method, path, body) in [
        (Method::GET, EMPLOYEES, None),
        (Method::HEAD, EMPLOYEES, None),
        (Method::POST, EMPLOYEES, Some(body())),
        (Method::GET, FIGURES, None),
        (Method::GET, &one, None),
        (Method::HEAD, &one, None),
        (Method::PUT, &one, Some(body())),
        (Method::PATCH, &one, Some(json!({"salary": 1}))),
        (Method::DELETE, &one, None),
    ] {
        let answer = match body {
            Some(body) => client.json(method.clone(), path, body).await,
            None => client.bare(method.clone(), path).await,
        };
        let place = path.replace(id, "{id}").replace("/pegasus/employees/api", "");
        answers.push((format!("{method} {place}"), answer));
    }
    answers
}

async fn statuses(client: &Client, id: &str) -> Vec<(String, u16)> {
    call_all(client, id).await.into_iter().map(|(call, answer)| (call, answer.status)).collect()
}

#[apply(each_database)]
#[tokio::test]
async fn rejected_callers_change_nothing_at_any_endpoint(database: Database) {
    let app = &TestApp::start(database).await;
    let id = app.employee("ada", ("Ada Lovelace", Engineering, 128_000)).await;
    let (revoked, expired) = (app.make_key("ada").await, app.make_key("ada").await);
    app.sql(&format!("UPDATE keys SET revoked_at = 1 WHERE id = '{}'", revoked.facts.id)).await;
    app.sql(&format!("UPDATE keys SET expires_at = 1 WHERE id = '{}'", expired.facts.id)).await;
    let (disabled, gone) = (app.with_key("carl").await, app.signed_in("carl").await);
    app.disable("carl").await;
    let foreign = app.signed_in("ada").await.on_another_site();
    for (who, client, status, code) in [
        ("nobody", app.anonymous(), 401, "credentials_missing"),
        ("junk", app.anonymous().with_key("junk"), 401, "key_malformed"),
        ("revoked", app.anonymous().with_key(&revoked.key), 401, "key_revoked"),
        ("expired", app.anonymous().with_key(&expired.key), 401, "key_expired"),
        ("disabled", disabled, 401, "account_disabled"),
        ("a session of the disabled", gone, 401, "credentials_missing"),
        ("two keys", app.with_key("ada").await.with("x-api-key", "junk"), 400, "credentials_ambiguous"),
    ] {
        for (call, answer) in call_all(&client, &id).await {
            if call.starts_with("HEAD") {
                assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{who}: {call}");
            } else {
                println!("{who}: {call}");
                answer.refused(status, code);
            }
        }
    }
    for (call, answer) in call_all(&foreign, &id).await {
        if call.starts_with("GET") || call.starts_with("HEAD") {
            assert_eq!(answer.status, 200, "{call}");
        } else {
            println!("another site: {call}");
            answer.refused(403, "cross_origin");
        }
    }
    assert_eq!(app.texts("SELECT name FROM employees").await, ["Ada Lovelace"]);
    assert_eq!(app.number("SELECT salary FROM employees").await, 128_000);
}

#[apply(each_database)]
#[tokio::test]
async fn a_read_only_key_may_read_and_nothing_else(database: Database) {
    let app = &TestApp::start(database).await;
    let id = app.employee("ada", ("Ada Lovelace", Engineering, 128_000)).await;
    let client = app.with_read_only_key("ada").await;
    for (call, answer) in call_all(&client, &id).await {
        if call.starts_with("GET") || call.starts_with("HEAD") {
            assert_eq!(answer.status, 200, "{call}");
        } else {
            let problem = answer.refused(403, "scope_missing");
            assert!(problem["detail"].as_str().unwrap().contains("employees:write"), "{call}: {problem}");
            let challenge = "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"employees:write\"";
            assert_eq!(answer.all("www-authenticate"), [challenge], "{call}");
        }
    }
    client.bare(Method::OPTIONS, EMPLOYEES).await.is(204);
    assert_eq!(app.number("SELECT salary FROM employees").await, 128_000);
}

#[apply(each_database)]
#[tokio::test]
async fn employee_of_another_user_is_not_found(database: Database) {
    let app = &TestApp::start(database).await;
    let id = app.employee("ada", ("Ada Lovelace", Engineering, 128_000)).await;
    for client in [app.with_key("bob").await, app.signed_in("bob").await] {
        let one = path_of(&id);
        client.get(&one).await.refused(404, "not_found");
        client.put(&one, body()).await.refused(404, "not_found");
        client.patch(&one, json!({"salary": 1})).await.refused(404, "not_found");
        client.delete(&one).await.refused(404, "not_found");
        assert_eq!(client.get(EMPLOYEES).await.json()["count"], 0);
        assert_eq!(client.get(&format!("{EMPLOYEES}?search=ada")).await.json()["count"], 0);
        assert_eq!(client.get(FIGURES).await.json()["headcounts"], json!([]));
    }
    assert_eq!(app.number("SELECT salary FROM employees").await, 128_000);
}

#[apply(each_database)]
#[tokio::test]
async fn a_session_and_a_full_key_may_do_everything_with_their_own(database: Database) {
    let app = &TestApp::start(database).await;
    for client in [app.signed_in("ada").await, app.with_key("ada").await] {
        let id = app.employee("ada", ("Ada Lovelace", Engineering, 128_000)).await;
        let expected = [
            ("GET /employees/", 200),
            ("HEAD /employees/", 200),
            ("POST /employees/", 201),
            ("GET /employee-data/", 200),
            ("GET /employees/{id}/", 200),
            ("HEAD /employees/{id}/", 200),
            ("PUT /employees/{id}/", 200),
            ("PATCH /employees/{id}/", 200),
            ("DELETE /employees/{id}/", 204),
        ];
        assert_eq!(statuses(&client, &id).await, expected.map(|(call, status)| (call.to_owned(), status)));
    }
}

#[apply(each_database)]
#[tokio::test]
async fn with_a_key_the_handler_acts_as_the_keys_user(database: Database) {
    let app = &TestApp::start(database).await;
    let created = app.with_key("ada").await.post(EMPLOYEES, body()).await.is(201).json();
    let ada = app.user("ada").await.id;
    assert_eq!(app.texts("SELECT owner_id FROM employees").await, [ada.as_str()]);
    let seen = app.signed_in("ada").await.get(&path_of(created["id"].as_str().unwrap())).await.is(200);
    assert_eq!(seen.json(), created);
}

#[apply(each_database)]
#[tokio::test]
async fn a_created_employee_is_answered_with_201_and_where_it_is(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let answer = client.post(EMPLOYEES, body()).await.is(201);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let created = answer.json();
    let id = created["id"].as_str().unwrap();
    assert_eq!(
        created,
        json!({
            "id": id, "name": "Grace Hopper", "department": "engineering", "salary": 134_000,
            "created_at": "2027-01-15T08:00:00.000Z", "updated_at": "2027-01-15T08:00:00.000Z",
        })
    );
    assert_eq!(answer.header("location"), format!("http://localhost:8000{EMPLOYEES}{id}/"));
    assert_eq!(client.get(&path_of(id)).await.is(200).json(), created);
}

#[apply(each_database)]
#[tokio::test]
async fn an_employee_is_replaced_changed_and_removed(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let one = path_of(&app.employee("ada", ("Ada", Hr, 5)).await);
    app.advance(ONE_DAY);
    let put = client.put(&one, json!({"name": "Ada L.", "department": "sales", "salary": 6})).await.is(200).json();
    assert_eq!((&put["name"], &put["department"], &put["salary"]), (&json!("Ada L."), &json!("sales"), &json!(6)));
    assert_eq!(put["created_at"], NOW.rfc3339());
    assert_eq!(put["updated_at"], "2027-01-16T08:00:00.000Z");
    let patched = client.patch(&one, json!({"salary": 7})).await.is(200).json();
    assert_eq!((&patched["name"], &patched["salary"]), (&json!("Ada L."), &json!(7)));
    let patched = client.patch(&one, json!({"name": "Augusta"})).await.is(200).json();
    assert_eq!((&patched["department"], &patched["name"]), (&json!("sales"), &json!("Augusta")));
    assert_eq!(names(&client.get(&format!("{EMPLOYEES}?search=augusta")).await), ["Augusta"]);
    client.patch(&one, json!({})).await.is(200);
    let gone = client.delete(&one).await.is(204);
    assert_eq!(gone.body, "");
    client.get(&one).await.refused(404, "not_found");
    client.delete(&one).await.refused(404, "not_found");
    client.put(&one, body()).await.refused(404, "not_found");
}

#[apply(each_database)]
#[tokio::test]
async fn what_get_answers_may_be_put_back(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let one = path_of(&app.employee("ada", ("Ada", Hr, 5)).await);
    let mut got = client.get(&one).await.json();
    got["salary"] = json!(6);
    assert_eq!(client.put(&one, got.clone()).await.is(200).json(), got);
}

#[apply(each_database)]
#[tokio::test]
async fn the_owner_is_never_taken_from_the_body(database: Database) {
    let app = &TestApp::start(database).await;
    let bob = app.user("bob").await.id;
    let client = app.with_key("ada").await;
    let mut body = body();
    body["user"] = json!(bob.as_str());
    body["team"] = json!("other");
    body["id"] = json!("01890000-0000-7000-8000-000000000000");
    let created = client.post(EMPLOYEES, body.clone()).await.is(201).json();
    assert_ne!(created["id"], body["id"]);
    client.put(&path_of(created["id"].as_str().unwrap()), body).await.is(200);
    assert_eq!(app.texts("SELECT owner_id FROM employees").await, [app.user("ada").await.id.as_str()]);
}

#[apply(each_database)]
#[tokio::test]
async fn an_empty_list_has_one_empty_page_and_no_figures(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let empty = json!({"count": 0, "next": null, "previous": null, "results": []});
    for query in ["", "?page=1", "?search=x", "?department=hr", "?ordering=-salary"] {
        assert_eq!(client.get(&format!("{EMPLOYEES}{query}")).await.is(200).json(), empty, "{query}");
    }
    let figures = json!({"total_costs": [], "average_salaries": [], "headcounts": []});
    assert_eq!(client.get(FIGURES).await.is(200).json(), figures);
}

#[apply(each_database)]
#[tokio::test]
async fn the_figures_add_up_for_each_department(database: Database) {
    let app = &TestApp::start(database).await;
    for (name, department, salary) in
        [("a", Sales, 10), ("b", Engineering, 2_147_483_647), ("c", Engineering, 2_147_483_647), ("d", Sales, 15)]
    {
        app.employee("ada", (name, department, salary)).await;
    }
    app.employee("bob", ("e", Hr, 1)).await;
    assert_eq!(
        app.with_key("ada").await.get(FIGURES).await.is(200).json(),
        json!({
            "total_costs": [["engineering", 4_294_967_294_i64], ["sales", 25]],
            "average_salaries": [["engineering", 2_147_483_647.0], ["sales", 12.5]],
            "headcounts": [["engineering", 2], ["sales", 2]],
        })
    );
}

#[apply(each_database)]
#[tokio::test]
async fn a_list_comes_in_pages_that_lead_to_each_other(database: Database) {
    let app = &TestApp::start(database).await;
    for n in 0..5 {
        app.employee("ada", (&format!("e{n}"), Hr, n)).await;
    }
    let client = app.with_key("ada").await;
    let first = client.get(&format!("{EMPLOYEES}?page_size=2&search=e&department=hr&ordering=-salary")).await.is(200);
    assert_eq!((&first.json()["count"], &first.json()["previous"]), (&json!(5), &json!(null)));
    assert_eq!(names(&first), ["e4", "e3"]);
    let next = first.json()["next"].as_str().unwrap().to_owned();
    assert!(next.starts_with("http://localhost:8000/pegasus/employees/api/employees/?"), "{next}");
    let second = client.get(next.strip_prefix("http://localhost:8000").unwrap()).await.is(200);
    assert_eq!(names(&second), ["e2", "e1"]);
    let last = client.get(second.json()["next"].as_str().unwrap().strip_prefix("http://localhost:8000").unwrap()).await;
    assert_eq!(
        (names(&last), &last.json()["next"], &last.json()["count"]),
        (vec!["e0".to_owned()], &json!(null), &json!(5))
    );
    let back = last.json()["previous"].as_str().unwrap().to_owned();
    assert_eq!(names(&client.get(back.strip_prefix("http://localhost:8000").unwrap()).await), ["e2", "e1"]);
    let exact = client.get(&format!("{EMPLOYEES}?page_size=5")).await.json();
    assert_eq!((&exact["count"], &exact["next"]), (&json!(5), &json!(null)));
}

#[apply(each_database)]
#[tokio::test]
async fn a_page_has_100_employees_and_at_most_200(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.user("ada").await.id;
    let rows: Vec<_> = (0..205)
        .map(|n| format!("('00000000-0000-7000-8000-{n:012}', '{ada}', 'n{n}', 'n{n}', 'hr', {n}, {n}, {n})"))
        .collect();
    let columns = "id, owner_id, name, name_folded, department, salary, created_at, updated_at";
    app.sql(&format!("INSERT INTO employees ({columns}) VALUES {}", rows.join(", "))).await;
    let client = app.with_key("ada").await;
    for (query, shown, next) in [
        ("", 100, true),
        ("?page_size=200", 200, true),
        ("?page_size=201", 200, true),
        ("?page_size=4294967295", 200, true),
        ("?page=3", 5, false),
        ("?page_size=1", 1, true),
    ] {
        let page = client.get(&format!("{EMPLOYEES}{query}")).await.is(200);
        assert_eq!((names(&page).len(), page.json()["next"].is_string()), (shown, next), "{query}");
        assert_eq!(page.json()["count"], 205, "{query}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn list_is_ordered_as_requested_then_by_age(database: Database) {
    let app = &TestApp::start(database).await;
    for (name, department, salary) in [("b", Finance, 3), ("A", Sales, 3), ("c", Hr, 1), ("É", Finance, 2)] {
        app.employee("ada", (name, department, salary)).await;
        app.advance(ONE_DAY);
    }
    let client = app.with_key("ada").await;
    for (ordering, expected) in [
        ("", ["b", "A", "c", "É"]),
        ("created_at", ["b", "A", "c", "É"]),
        ("-created_at", ["É", "c", "A", "b"]),
        ("name", ["A", "b", "c", "É"]),
        ("-name", ["É", "c", "b", "A"]),
        ("department", ["b", "É", "c", "A"]),
        ("-department", ["A", "c", "É", "b"]),
        ("salary", ["c", "É", "b", "A"]),
        ("-salary", ["A", "b", "É", "c"]),
    ] {
        let query = if ordering.is_empty() { String::new() } else { format!("?ordering={ordering}") };
        assert_eq!(names(&client.get(&format!("{EMPLOYEES}{query}")).await.is(200)), expected, "{ordering}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn search_ignores_case_and_has_no_wildcards(database: Database) {
    let app = &TestApp::start(database).await;
    for name in ["Émile Zola", "100% Ada", "under_score", "back\\slash", "O'Brien", "מרים", "🔑 Key", "zoe"] {
        app.employee("ada", (name, Hr, 1)).await;
        app.advance(ONE_DAY / 24);
    }
    let client = app.with_key("ada").await;
    for (search, expected) in [
        ("%C3%A9mile", vec!["Émile Zola"]),
        ("%C3%89MILE", vec!["Émile Zola"]),
        ("ZO", vec!["Émile Zola", "zoe"]),
        ("%25", vec!["100% Ada"]),
        ("_", vec!["under_score"]),
        ("%5C", vec!["back\\slash"]),
        ("o%27b", vec!["O'Brien"]),
        ("%D7%9E%D7%A8", vec!["מרים"]),
        ("%F0%9F%94%91", vec!["🔑 Key"]),
        ("+zoe+", vec!["zoe"]),
        ("%00zoe", vec!["zoe"]),
        ("a%25a", vec![]),
        ("nobody", vec![]),
        ("%25%25%25", vec![]),
    ] {
        let page = client.get(&format!("{EMPLOYEES}?search={search}")).await.is(200);
        assert_eq!(names(&page), expected, "{search}");
    }
    assert_eq!(client.get(&format!("{EMPLOYEES}?search=")).await.json()["count"], 8);
    client.get(&format!("{EMPLOYEES}?search={}", "x".repeat(10_000))).await.is(200);
    client.get(&format!("{EMPLOYEES}?search=%FF%FE")).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn a_list_is_filtered_by_department(database: Database) {
    let app = &TestApp::start(database).await;
    for (name, department) in [("a", Hr), ("b", Sales), ("c", Hr)] {
        app.employee("ada", (name, department, 1)).await;
        app.advance(ONE_DAY / 24);
    }
    let client = app.with_key("ada").await;
    assert_eq!(names(&client.get(&format!("{EMPLOYEES}?department=hr")).await), ["a", "c"]);
    assert_eq!(names(&client.get(&format!("{EMPLOYEES}?department=hr&search=c")).await), ["c"]);
    assert_eq!(names(&client.get(&format!("{EMPLOYEES}?department=finance")).await), [""; 0]);
    assert_eq!(names(&client.get(&format!("{EMPLOYEES}?department=")).await), ["a", "b", "c"]);
    assert_eq!(names(&client.get(&format!("{EMPLOYEES}?cache_buster=1")).await), ["a", "b", "c"]);
}

#[apply(each_database)]
#[tokio::test]
async fn every_path_answers_with_and_without_its_last_slash(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    let id = app.employee("ada", ("Ada", Hr, 5)).await;
    for path in [EMPLOYEES, FIGURES, &path_of(&id)] {
        let (with, without) = (client.get(path).await.is(200), client.get(path.trim_end_matches('/')).await.is(200));
        assert_eq!(with.body, without.body);
    }
    client.post(EMPLOYEES.trim_end_matches('/'), body()).await.is(201);
    client.get(&format!("{}?page_size=1", EMPLOYEES.trim_end_matches('/'))).await.is(200);
    client.delete(path_of(&id).trim_end_matches('/')).await.is(204);
}

#[apply(each_database)]
#[tokio::test]
async fn head_answers_like_get_without_a_body(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    app.employee("ada", ("Ada", Hr, 5)).await;
    for path in [EMPLOYEES, FIGURES] {
        let (get, head) = (client.get(path).await.is(200), client.bare(Method::HEAD, path).await.is(200));
        assert_eq!(head.body, "");
        for name in ["content-type", "content-length", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn browser_may_change_things_from_this_site_only(database: Database) {
    let app = &TestApp::start(database).await;
    let browser = app.signed_in("ada").await;
    let plain = browser.without("origin").without("sec-fetch-site");
    for (client, status) in [
        (browser.clone(), 201),
        (plain.with("origin", "http://localhost:8000"), 201),
        (plain.with("sec-fetch-site", "none"), 201),
        // No browser: nothing but a browser sends a cookie that it was not told to.
        (plain.clone(), 201),
        (plain.with("sec-fetch-site", "cross-site"), 403),
        (plain.with("sec-fetch-site", "same-site"), 403),
        (plain.with("origin", "https://evil.example"), 403),
        (plain.with("origin", "http://localhost:8001"), 403),
        (plain.with("origin", "null"), 403),
        (plain.with("sec-fetch-site", "cross-site").with("authorization", "Basic YTpi"), 403),
    ] {
        let answer = client.post(EMPLOYEES, body()).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 403 {
            answer.refused(403, "cross_origin");
        }
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM employees").await, 4);
}

#[apply(each_database)]
#[tokio::test]
async fn key_works_cross_site_but_admits_no_cookie(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("bob").await.key;
    let foreign = app.signed_in("ada").await.on_another_site();
    app.anonymous().with_key(&key).with("sec-fetch-site", "cross-site").post(EMPLOYEES, body()).await.is(201);
    foreign.with_key("junk").post(EMPLOYEES, body()).await.refused(401, "key_malformed");
    foreign.with("x-api-key", "").post(EMPLOYEES, body()).await.refused(401, "key_malformed");
    foreign.with_key(&key).post(EMPLOYEES, body()).await.is(201);
    let bob = app.user("bob").await.id;
    assert_eq!(app.texts("SELECT owner_id FROM employees").await, [bob.as_str(), bob.as_str()]);
}
