//! Without JavaScript, the page that a form came from shows the error of the form.

use keyfob::model::employees::Department::Hr;
use rstest_reuse::apply;

use crate::support::{Answer, Client, Database, TestApp, each_database};

/// Sends a form and opens the page that the browser is redirected to.
async fn submit_and_follow(client: &Client, page: &str, function: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = client.submit(&format!("http://localhost:8000{page}"), function, fields).await;
    answer.goes_to(&format!("http://localhost:8000{page}"));
    let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    client.with("cookie", &cookie).open(page).await.is(200)
}

#[apply(each_database)]
#[tokio::test]
async fn failed_revocation_is_shown_on_the_page_it_came_from(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, theirs) = (app.signed_in("ada").await, app.make_key("bob").await.facts.id);
    let page = format!("/profile?revoke={theirs}");
    let answer = submit_and_follow(&ada, &page, "revoke_key", &[("id", theirs.as_str())]).await;
    assert!(answer.body.contains("This no longer exists."), "{}", answer.body);
    assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE revoked_at IS NULL").await, 1);
}

#[apply(each_database)]
#[tokio::test]
async fn failed_deletion_is_shown_on_the_page_it_came_from(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, theirs) = (app.signed_in("ada").await, app.employee("bob", ("Edsger Dijkstra", Hr, 1)).await);
    let page = format!("/employees?delete={theirs}");
    let answer = submit_and_follow(&ada, &page, "delete_employee", &[("id", &theirs)]).await;
    assert!(answer.body.contains("This no longer exists."), "{}", answer.body);
    assert_eq!(app.number("SELECT COUNT(*) FROM employees").await, 1);
}
