//! The audit by day, and all of it as CSV.

use std::time::Duration;

use futures_util::StreamExt;
use keyfob::error::AppError;
use keyfob::model::audit::AuditQuery;
use keyfob::server::audit;
use rstest_reuse::apply;

use crate::support::{Answer, Database, ONE_DAY, TestApp, each_database};

/// More events than one part of a download has, and more than the 10,000 at which downloads once ended, all of one millisecond.
const MANY: usize = 12_345;

async fn fill(app: &TestApp) {
    app.sql(&format!(
        "INSERT INTO audit (id, at, action, actor, ip, subject, detail) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
         SELECT '01a3185c-5000-7000-8000-' || CAST(100000000000 + i AS TEXT), 1800000000000, 'key.edit', 'ada@example.com', '', \
         'kf_' || CAST(10000000 + i AS TEXT), '' FROM n"
    ))
    .await;
}

/// What the rows of a download are about.
fn subjects(csv: &Answer) -> Vec<String> {
    assert!(csv.header("content-type").starts_with("text/csv"), "{csv:?}");
    let mut reader = csv::Reader::from_reader(csv.body.as_bytes());
    reader.records().map(|row| row.unwrap()[2].to_owned()).collect()
}

#[apply(each_database)]
#[tokio::test]
async fn a_download_is_complete_and_has_each_event_once(database: Database) {
    let app = &TestApp::start(database).await;
    let admin = app.admin().await;
    fill(app).await;
    let mut found = subjects(&admin.get("/admin/audit.csv?action=key.edit").await.is(200));
    assert_eq!(found.len(), MANY);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), MANY);
    let all = app.number("SELECT COUNT(*) FROM audit").await;
    assert_eq!(i64::try_from(subjects(&admin.get("/admin/audit.csv").await.is(200)).len()).unwrap(), all);
    assert_eq!(subjects(&admin.get("/admin/audit.csv?who=kf_10000007").await.is(200)), ["kf_10000007"]);
}

#[apply(each_database)]
#[tokio::test]
async fn download_is_streamed_without_holding_a_connection(database: Database) {
    let app = &TestApp::start(database).await;
    fill(app).await;
    let another = app.over_another(&app.url).await;
    let mut csv = Box::pin(audit::csv(another.state.db.clone(), AuditQuery::default()).await.unwrap());
    let part = csv.next().await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&part).lines().count(), 501);
    assert_eq!(String::from_utf8_lossy(&csv.next().await.unwrap().unwrap()).lines().count(), 500);
    // The reader takes its time, and meanwhile the database goes: all connections are free to be closed.
    tokio::time::timeout(Duration::from_secs(5), another.state.db.close()).await.unwrap();
    assert_eq!(csv.next().await.unwrap(), Err(AppError::Unavailable), "half a download must not look like the whole");
    assert!(csv.next().await.is_none());
}

#[apply(each_database)]
#[tokio::test]
async fn events_are_found_by_day_on_the_page_and_in_the_download(database: Database) {
    let app = &TestApp::start(database).await;
    let (admin, made) = (app.admin().await, app.make_key("ada").await.facts.prefix);
    app.advance(ONE_DAY);
    let second = app.make_key("ada").await.facts.prefix;
    app.advance(ONE_DAY);
    let third = app.make_key("ada").await.facts.prefix;
    let all = [&third, &second, &made];
    // The tests begin on 15 Jan 2027.
    for (days, expected) in [
        ("", &all[..]),
        ("from=2027-01-15&to=2027-01-17", &all[..]),
        ("from=2027-01-16", &all[..2]),
        ("to=2027-01-16", &all[1..]),
        ("from=2027-01-16&to=2027-01-16", &all[1..2]),
        ("from=2027-01-18", &[]),
        ("to=2027-01-14", &[]),
        ("from=1970-01-01&to=9999-12-31", &all[..]),
    ] {
        let csv = admin.get(&format!("/admin/audit.csv?action=key.create&{days}")).await.is(200);
        assert_eq!(subjects(&csv).iter().collect::<Vec<_>>(), expected, "{days}");
        let page = admin.open(&format!("/admin/audit?action=key.create&{days}")).await.is(200);
        let shown: Vec<_> = all.iter().filter(|prefix| page.body.contains(&format!("<bdi>{prefix}"))).collect();
        assert_eq!(shown, expected.iter().collect::<Vec<_>>(), "{days}");
    }
    let page =
        admin.open("/admin/audit?action=key.create&who=ada%40example.com&from=2027-01-16&to=2027-01-17").await.is(200);
    // In the form that searches again, and in the one that downloads.
    for field in [
        "name=\"from\" value=\"2027-01-16\"",
        "name=\"to\" value=\"2027-01-17\"",
        "name=\"who\" value=\"ada@example.com\"",
    ] {
        assert!(page.body.contains(field), "{field}: {}", page.body);
    }
    assert!(page.body.contains("type=\"date\""));
}

#[apply(each_database)]
#[tokio::test]
async fn invalid_day_is_a_field_error_and_downloads_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    let admin = app.admin().await;
    for (query, sentence) in [
        ("from=junk", "Enter a day, like 2027-02-21."),
        ("to=2027-02-30", "Enter a day, like 2027-02-21."),
        ("from=2027-02-02&to=2027-02-01", "Choose a day on or after the first day."),
    ] {
        let page = admin.open(&format!("/admin/audit?{query}")).await.is(200);
        assert!(page.body.contains(sentence) && page.body.contains("aria-invalid=\"true\""), "{}", page.body);
        assert!(!page.body.contains("No events match your search."));
        assert!(admin.get(&format!("/admin/audit.csv?{query}")).await.is(400).body.contains(sentence));
    }
}

#[apply(each_database)]
#[tokio::test]
async fn the_pages_of_the_audit_keep_the_days(database: Database) {
    let app = &TestApp::start(database).await;
    let admin = app.admin().await;
    fill(app).await;
    let page = admin.open("/admin/audit?action=key.edit&from=2027-01-15&to=2027-01-15").await.is(200);
    let pages = page.body.split("aria-label=\"Pages\"").nth(1).unwrap().split("</nav>").next().unwrap();
    for field in ["name=\"from\" value=\"2027-01-15\"", "name=\"to\" value=\"2027-01-15\"", "name=\"before\""] {
        assert!(pages.contains(field), "{pages}");
    }
    app.browser().open("/admin/audit.csv?from=2027-01-15").await.is(404);
}
