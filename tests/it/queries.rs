//! How many queries a page and an endpoint cost: a query more is a choice, not an accident.

use rstest_reuse::apply;

use crate::support::query_counter::counted;
use crate::support::{Client, Database, EMPLOYEES, FIGURES, TestApp, each_database};

/// The number of queries of a request.
async fn queries(client: &Client, path: &str) -> usize {
    queries_of(client, path, 200).await
}

/// The number of queries of a request that is answered with this status.
pub async fn queries_of(client: &Client, path: &str, status: u16) -> usize {
    let (answer, queries) = counted(client.get(path)).await;
    answer.is(status);
    queries
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_in_use_costs_an_endpoint_no_query_of_its_own(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("acme", "ada", &[]).await;
    for (path, its_own) in [
        (EMPLOYEES, 1),
        (FIGURES, 1),
        ("/api/v1/me", 0),
        ("/api/v1/key", 0),
        ("/api/v1/verify", 0),
        // The team of the path and the caller's membership are looked up each time.
        ("/a/acme/employees/api/employees/", 2),
        ("/a/acme/employees/api/employee-data/", 2),
    ] {
        let client = app.with_key("ada").await;
        assert_eq!(queries(&client, path).await, its_own + 1, "{path}, first use of the key");
        assert_eq!(queries(&client, path).await, its_own, "{path}, the key in use");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn page_costs_one_query_for_the_session_and_one_per_list(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    // The keys, the sessions, what happened.
    assert_eq!(queries(&ada, "/profile").await, 1 + 3);
    assert_eq!(queries(&ada, "/employees").await, 1 + 2, "the employees, their figures");
    assert_eq!(queries(&ada, "/teams").await, 1 + 2, "the teams, the invitations");
    assert_eq!(queries(&ada, "/docs/errors").await, 1);
    assert_eq!(queries(&app.anonymous(), "/").await, 0);
    for _ in 0..20 {
        app.make_key("ada").await;
    }
    assert_eq!(queries(&ada, "/profile").await, 1 + 3, "with many keys");
    app.team("acme", "ada", &["bob", "cy"]).await;
    assert_eq!(queries(&ada, "/profile").await, 1 + 4, "in a team: its teams, too");
    assert_eq!(queries(&ada, "/a/acme").await, 1 + 4, "the team, its members, its invitations, its keys");
    assert_eq!(queries(&ada, "/a/acme/employees").await, 1 + 3);
    let root = app.admin().await;
    assert_eq!(queries(&root, "/admin/keys").await, 1 + 1);
    assert_eq!(queries(&root, "/admin/users").await, 1 + 1);
    assert_eq!(queries(&root, "/admin/audit").await, 1 + 1);
}
