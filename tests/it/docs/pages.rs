//! The pages at `/docs`.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use keyfob::web::docs::{Page, library};
use regex::Regex;
use rstest_reuse::apply;

use crate::support::{Answer, Client, Database, TestApp, each_database};

/// Paths that are no pages of documents, but are linked from them.
const LINKED: [&str; 3] = ["/", "/api/docs", "/docs/errors"];

fn pages() -> &'static [Page] {
    let pages = library().pages();
    assert!(pages.len() > 12, "{}", pages.len());
    pages
}

/// Returns the values of an attribute.
fn values(html: &str, pattern: &str) -> BTreeSet<String> {
    Regex::new(pattern).unwrap().captures_iter(html).map(|found| found[1].replace("&amp;", "&")).collect()
}

async fn open_all(client: &Client) -> BTreeMap<String, Answer> {
    let mut opened = BTreeMap::new();
    for path in pages().iter().map(|page| page.path.as_str()).chain(LINKED) {
        opened.insert(path.to_owned(), client.open(path).await.is(200));
    }
    opened
}

#[tokio::test]
async fn links_of_pages_lead_to_pages_and_anchors() {
    let app = &TestApp::start(Database::Sqlite).await;
    let opened = open_all(&app.browser()).await;
    let ids: BTreeMap<_, _> =
        opened.iter().map(|(path, answer)| (path.as_str(), values(&answer.body, r#" id="([^"]+)""#))).collect();
    let (mut checked, mut broken) = (0, Vec::new());
    for (path, answer) in opened.iter().filter(|(path, _)| !LINKED.contains(&path.as_str())) {
        for link in values(&answer.body, r#"<a [^>]*?href="([^"]*)""#) {
            checked += 1;
            if link.starts_with("https://") || link.starts_with("http://localhost:8000") {
                continue;
            }
            let (target, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(target, id)| (target, Some(id)));
            let target = if target.is_empty() { path } else { target };
            let has_anchor = |ids: &BTreeSet<String>| anchor.is_none_or(|id| ids.contains(id));
            broken.extend((!ids.get(target).is_some_and(has_anchor)).then(|| format!("{path}: {link}")));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(checked > 400, "{checked}");
}

#[tokio::test]
async fn pages_have_one_title_headings_with_ids_and_no_comment() {
    let app = &TestApp::start(Database::Sqlite).await;
    for page in pages() {
        let body = app.browser().open(&page.path).await.is(200).body;
        assert_eq!(body.matches("<h1").count(), 1, "{}", page.file);
        assert!(body.contains(&format!("<title>{} · Keyfob</title>", page.title.replace('&', "&amp;"))), "{body}");
        assert!(body.contains(&format!("<link rel=\"stylesheet\" href=\"{}\"", app.state.site.stylesheet())), "{body}");
        assert!(page.description.len() > 20, "{}: {:?}", page.file, page.description);
        assert!(!page.html.contains("<!--"), "{}: a comment is shown", page.file);
        let ids: Vec<_> = page.headings.iter().map(|heading| &heading.id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{}: {ids:?}", page.file);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn pages_are_the_same_for_everyone_and_run_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let (visitor, ada) = (app.browser(), app.signed_in("ada").await);
    for path in ["/docs", "/docs/", "/docs/deploy", "/docs/deploy/"] {
        let page = visitor.open(path).await.is(200);
        assert_eq!(
            page.header("content-security-policy"),
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        assert_eq!(page.header("cache-control"), "private, no-cache");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(!page.body.contains("<script") && !page.body.contains(" style=") && page.all("set-cookie").is_empty());
        assert!(page.body.contains("aria-current=\"page\""), "{path}");
        for client in [&ada, &app.with_key("ada").await] {
            assert_eq!(client.open(path).await.is(200).body, page.body, "{path}");
        }
        assert_eq!(visitor.bare(Method::HEAD, path).await.is(200).body, "");
    }
    app.state.db.close().await;
    visitor.open("/docs").await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn browser_that_has_a_page_gets_304_until_the_theme_changes(database: Database) {
    let app = &TestApp::start(database).await;
    let visitor = app.browser();
    let page = visitor.with("accept-encoding", "br").open("/docs/deploy").await.is(200);
    assert_eq!(page.header("content-encoding"), "br");
    let tag = page.header("etag");
    assert!(tag.starts_with("W/\""), "{tag}");
    for tags in [tag.to_owned(), format!("\"x\", {tag}"), "*".to_owned()] {
        let same = visitor.with("if-none-match", &tags).open("/docs/deploy").await.is(304);
        assert_eq!((same.header("etag"), same.body.as_str()), (tag, ""));
    }
    let known = visitor.with("if-none-match", tag);
    known.open("/docs/upgrade").await.is(200);
    let dark = known.with("cookie", "theme=dark").open("/docs/deploy").await.is(200);
    assert!(dark.body.contains("data-theme=\"dark\"") && dark.header("etag") != tag);
}

#[apply(each_database)]
#[tokio::test]
async fn other_names_are_not_found(database: Database) {
    let app = &TestApp::start(database).await;
    for path in ["/docs/nothing", "/docs/asvs", "/docs/deploy.md", "/docs/..", "/docs/README", "/docs/deploy/x"] {
        app.browser().open(path).await.is(404);
    }
    app.browser().bare(Method::POST, "/docs/deploy").await.is(405);
}

#[apply(each_database)]
#[tokio::test]
async fn navigation_and_footer_link_the_documents(database: Database) {
    let app = &TestApp::start(database).await;
    let link = "href=\"/docs\"";
    let ada = app.signed_in("ada").await.open("/profile").await.is(200).body;
    assert_eq!(ada.matches(link).count(), 2, "{ada}");
    for path in ["/sign-in", "/docs/errors", "/docs/deploy"] {
        assert!(app.browser().open(path).await.is(200).body.contains(link), "{path}");
    }
}

#[test]
fn search_engines_may_read_the_pages() {
    let robots = include_str!("../../../public/robots.txt");
    assert!(robots.contains("\nAllow: /docs\n"), "{robots}");
}
