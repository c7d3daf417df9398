//! What the program of a page asks for: the data of another page, by a server of its own version.

use axum::http::Method;
use keyfob::model::wire::{self, MEDIA_TYPE, VERSION_HEADER};
use keyfob::pages::PageData;
use rstest_reuse::apply;

use crate::support::{Client, Database, TestApp, each_database};

fn program(client: &Client) -> Client {
    client.with("accept", MEDIA_TYPE)
}

#[apply(each_database)]
#[tokio::test]
async fn page_data_is_that_of_the_document_and_has_its_guards(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, root) = (app.signed_in("ada").await, app.admin().await);
    for path in ["/profile", "/employees?search=x", "/teams", "/docs/errors", "/"] {
        let answer = program(&ada).open(path).await.is(200);
        assert_eq!((answer.header("content-type"), answer.header("cache-control")), (MEDIA_TYPE, "no-store"));
        let data: PageData = wire::decode(&answer.bytes).unwrap();
        assert_eq!(data.user.unwrap().email, "ada@example.com", "{path}");
    }
    program(&root).open("/admin/keys").await.is(200);
    // Everything else is for a document.
    for (client, path, status) in [
        (&ada, "/admin/keys", 404),
        (&ada, "/a/nobodys", 404),
        (&ada, "/nothing", 404),
        (&app.browser(), "/profile", 302),
    ] {
        let answer = program(client).open(path).await.is(status);
        assert_ne!(answer.header("content-type"), MEDIA_TYPE, "{path}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn another_version_is_told_so_before_anything_happens(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let (own, other) = (app.state.site.version.clone(), "/v-of-another-build");
    for (version, status) in [(own.as_str(), 200), (other, 409)] {
        let client = program(&ada).with(VERSION_HEADER, version);
        client.open("/profile").await.is(status);
        let form = ada.with(VERSION_HEADER, version).with("accept", MEDIA_TYPE);
        let answer = form.typed(Method::POST, "/fn/save_name", "application/x-www-form-urlencoded", "name=Ada").await;
        assert_eq!(answer.is(status).body.is_empty(), status == 409);
        let names = app.number("SELECT COUNT(*) FROM users WHERE name = 'Ada'").await;
        assert_eq!(names, i64::from(status == 200));
        app.sql("UPDATE users SET name = ''").await;
    }
}

#[apply(each_database)]
#[tokio::test]
async fn pages_are_compressed_and_responses_that_show_a_key_are_not(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await.with("accept-encoding", "br");
    let encoding =
        async |client: &Client, path: &str| client.open(path).await.is(200).header("content-encoding").to_owned();
    assert_eq!(encoding(&ada, "/docs/errors").await, "br");
    assert_eq!(encoding(&program(&ada), "/profile").await, "br");
    for (n, accept) in ["text/html", MEDIA_TYPE].into_iter().enumerate() {
        let form =
            format!("name=x&expires=90&date=&access=read_only&team=&form_id=01890000-0000-7000-8000-00000000000{n}");
        let client = ada.with("accept", accept);
        let answer =
            client.typed(Method::POST, "/profile/keys", "application/x-www-form-urlencoded", &form).await.is(200);
        assert!(answer.body.contains("kf_") && answer.header("content-encoding").is_empty(), "{answer:?}");
    }
}
