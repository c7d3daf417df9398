//! Lists of keys come in pages, however many there are, and a dialog finds its key on whatever page it is.

use rstest_reuse::apply;
use serde_json::Value;

use crate::support::{Client, Database, ONE_DAY, TestApp, each_database};

/// Makes a number of keys of a user behind the server's back, each a second after the one before, and revoked or expired.
async fn fill(app: &TestApp, name: &str, from: u32, number: u32, team: Option<&str>, columns: (&str, i64)) {
    let user = app.user(name).await.id;
    let (column, at) = columns;
    let team = team.map_or("NULL".to_owned(), |id| format!("'{id}'"));
    let row = |n: u32| {
        let ended = at + i64::from(n);
        format!("('{}', '{user}', 'k{n}', 'k{n}', 'kf_{n:08}', 'd{n}', 'full', {team}, {n}, {ended})", id(n))
    };
    let rows: Vec<_> = (from..from + number).map(row).collect();
    let columns = format!("id, user_id, name, name_folded, prefix, digest, access, team_id, created_at, {column}");
    app.sql(&format!("INSERT INTO keys ({columns}) VALUES {}", rows.join(", "))).await;
}

fn id(n: u32) -> String {
    format!("00000000-0000-7000-8000-{n:012}")
}

async fn listed(client: &Client, state: &str, after: &str) -> Value {
    client.call("list_keys", &[("query[state]", state), ("query[after]", after)]).await.is(200).json()
}

fn names(list: &Value) -> Vec<String> {
    let keys = list["keys"].as_array().unwrap();
    keys.iter().map(|entry| entry["key"]["name"].as_str().unwrap().to_owned()).collect()
}

/// The names on each page, from the first to the last.
async fn pages(client: &Client, state: &str) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let list = listed(client, state, &after).await;
        pages.push(names(&list));
        let Some(next) = list["next"].as_str() else { return pages };
        next.clone_into(&mut after);
    }
}

/// The names of the keys that a page shows in its table.
fn shown(page: &str) -> Vec<String> {
    let cell = regex::Regex::new(r#"<bdi id="key-[^"]*">([^<]*)"#).unwrap();
    cell.captures_iter(page).map(|found| found[1].to_owned()).collect()
}

/// What the link to the next page asks for, in the page that a browser without JavaScript shows.
fn next(page: &str) -> Option<String> {
    // The forms of the rows keep this page of the list.
    let links = page.split(r#"aria-label="Pages""#).nth(1)?.split("</nav>").next()?;
    let field = regex::Regex::new(r#"name="after" value="([^"]+)""#).unwrap();
    field.captures(links).map(|found| found[1].to_owned())
}

#[apply(each_database)]
#[tokio::test]
async fn profile_shows_25_keys_per_page_with_revoked_ones(database: Database) {
    let app = &TestApp::start(database).await;
    for name in ["first", "second", "third"] {
        app.make_key_that("ada", |spec| spec.name = keyfob::model::keys::KeyName::parse(name).unwrap()).await;
        app.advance(std::time::Duration::from_secs(1));
    }
    let now = app.state.now().as_millis();
    fill(app, "ada", 100, 30, None, ("expires_at", now - 1_000)).await;
    fill(app, "ada", 200, 50, None, ("revoked_at", now - 1_000)).await;
    fill(app, "bob", 300, 30, None, ("revoked_at", now)).await;
    let ada = app.signed_in("ada").await;
    let expired: Vec<_> = (100..130).rev().map(|n| format!("k{n}")).collect();
    let revoked: Vec<_> = (200..250).rev().map(|n| format!("k{n}")).collect();
    let all = [["third", "second", "first"].map(str::to_owned).to_vec(), expired.clone(), revoked].concat();
    for (state, lengths, names) in [
        ("", &[25, 25, 25, 8][..], &all[..]),
        ("active", &[3], &all[..3]),
        ("expired", &[25, 5], &all[3..33]),
        ("revoked", &[25, 25], &all[33..]),
        ("nonsense", &[25, 25, 25, 8], &all),
    ] {
        let found = pages(&ada, state).await;
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{state}");
        assert_eq!(found.concat(), names, "{state}");
    }
    // The same by links, without JavaScript.
    let (mut seen, mut path) = (Vec::new(), "/profile".to_owned());
    while !path.is_empty() {
        let page = ada.open(&path).await.is(200).body;
        assert!(shown(&page).len() <= 25);
        seen.extend(shown(&page));
        path = next(&page).map(|after| format!("/profile?after={after}")).unwrap_or_default();
    }
    assert_eq!(seen, all);
    for junk in ["x", "~~", "2~x~y", "9~1~x", "2~1", "-1~5~x", "\0", "2~99999999999999999999~x"] {
        ada.call("list_keys", &[("query[state]", ""), ("query[after]", junk)]).await.is(200);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn search_finds_own_keys_by_part_of_a_name_by_prefix_and_by_a_pasted_key(database: Database) {
    let app = &TestApp::start(database).await;
    let now = app.state.now().as_millis();
    let made =
        app.make_key_that("ada", |spec| spec.name = keyfob::model::keys::KeyName::parse("Ärger 100%").unwrap()).await;
    app.make_key("bob").await;
    fill(app, "ada", 100, 30, None, ("revoked_at", now - 1_000)).await;
    let ada = app.signed_in("ada").await;
    let found = async |search: &str, state: &str| {
        names(&ada.call("list_keys", &[("query[search]", search), ("query[state]", state)]).await.is(200).json())
    };
    let tenth: Vec<_> = (100..110).rev().map(|n| format!("k{n}")).collect();
    assert_eq!(found("K10", "").await, tenth);
    assert_eq!(found("k10", "revoked").await, tenth);
    assert_eq!(found("k10", "active").await, [""; 0]);
    let prefix = &*made.facts.prefix;
    for search in ["ÄRGER", " ärger ", "0%", prefix, &format!("{prefix}…"), &made.key] {
        assert_eq!(found(search, "").await, ["Ärger 100%"], "{search}");
    }
    for search in ["nothing", "%", "_", "\\", "' OR 1=1 --"] {
        let expected: &[&str] = if search == "%" { &["Ärger 100%"] } else { &[] };
        assert_eq!(found(search, "").await, expected, "{search}");
    }
    // Pages of a search, and a form whose pasted key does not get into the address.
    let first = ada.open("/profile?search=k1").await.is(200).body;
    assert_eq!(shown(&first).len(), 25);
    let second = ada.open(&format!("/profile?search=k1&after={}", next(&first).unwrap())).await.is(200).body;
    assert_eq!(shown(&second).len(), 5);
    let sent = ada.form("/profile", &[("search", made.key.as_str()), ("state", "")]).await.is(303);
    assert_eq!(sent.header("location"), format!("/profile?search={prefix}&state="));
    assert_eq!(shown(&ada.open(sent.header("location")).await.is(200).body), ["Ärger 100%"]);
    assert!(ada.open("/profile?search=zzz").await.body.contains("No keys match your search."));
}

#[apply(each_database)]
#[tokio::test]
async fn keys_of_one_instant_are_each_on_one_page(database: Database) {
    let app = &TestApp::start(database).await;
    let now = app.state.now().as_millis();
    for (from, column) in [(100, "expires_at"), (200, "revoked_at")] {
        fill(app, "ada", from, 60, None, (column, now - 1_000)).await;
        app.sql(&format!("UPDATE keys SET {column} = {now}, created_at = 7 WHERE {column} IS NOT NULL")).await;
    }
    let mut seen = pages(&app.signed_in("ada").await, "").await.concat();
    assert_eq!(seen.len(), 120);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 120);
}

#[apply(each_database)]
#[tokio::test]
async fn a_dialog_finds_its_key_on_whatever_page_it_is(database: Database) {
    let app = &TestApp::start(database).await;
    let now = app.state.now().as_millis();
    let oldest = app.make_key("ada").await.facts;
    let team = app.team("red", "ada", &[]).await;
    let of_team = app.make_key_that("ada", |spec| spec.team = Some(team.id.clone())).await.facts;
    app.advance(std::time::Duration::from_secs(1));
    fill(app, "ada", 100, 40, Some(team.id.as_str()), ("expires_at", now + 1_000_000)).await;
    app.sql(&format!("UPDATE keys SET created_at = {now} + 5000 + created_at WHERE created_at < 1000")).await;
    fill(app, "ada", 200, 30, None, ("revoked_at", now)).await;
    let ada = app.signed_in("ada").await;
    for (dialog, title) in [("rotate", "Rotate this key"), ("revoke", "Revoke this key?"), ("usage", "Requests")] {
        let page = ada.open(&format!("/profile?{dialog}={}", oldest.id)).await.is(200).body;
        assert!(!shown(&page).contains(&"nightly report".to_owned()), "it is on the first page");
        assert!(
            page.contains(&format!(">{title}<")) && page.contains(&format!("value=\"{}\"", oldest.id))
                || dialog == "usage"
        );
        assert!(page.contains(&format!(">{title}<")), "{dialog}");
    }
    let page = ada.open(&format!("/profile?usage={}", id(200))).await.is(200).body;
    assert!(page.contains(">Requests<"), "a revoked one that is hidden");
    let page = ada.open(&format!("/a/red?revoke={}", of_team.id)).await.is(200).body;
    assert!(page.contains(">Revoke this key?<") && !shown(&page).contains(&"nightly report".to_owned()), "{page}");
    assert_eq!(shown(&page).len(), 25);
    // Neither of somebody else nor, on a team's page, of no team.
    let bobs = app.make_key("bob").await.facts;
    for path in
        [format!("/profile?revoke={}", bobs.id), format!("/a/red?revoke={}", oldest.id), "/profile?revoke=x".into()]
    {
        assert!(!ada.open(&path).await.is(200).body.contains(">Revoke this key?<"), "{path}");
    }
    let root = app.admin().await;
    for (dialog, title) in [("edit", "Edit API key"), ("revoke", "Revoke this key?")] {
        let page = root.open(&format!("/admin/keys?{dialog}={}", oldest.id)).await.is(200).body;
        assert!(!shown(&page).contains(&"nightly report".to_owned()) || shown(&page).len() <= 25);
        assert!(page.contains(&format!(">{title}<")), "{dialog}: {page}");
    }
    let page =
        root.open(&format!("/admin/keys?search=nobody&revoke={}&revoke={}", oldest.id, of_team.id)).await.is(200).body;
    assert!(page.contains(">Revoke these 2 keys?<"), "{page}");
}

#[apply(each_database)]
#[tokio::test]
async fn a_team_page_shows_25_keys_at_a_time(database: Database) {
    let app = &TestApp::start(database).await;
    let (now, team) = (app.state.now().as_millis(), app.team("red", "ada", &["mia"]).await);
    fill(app, "mia", 100, 30, Some(team.id.as_str()), ("revoked_at", now)).await;
    fill(app, "ada", 200, 30, Some(team.id.as_str()), ("expires_at", now + 1_000)).await;
    fill(app, "ada", 300, 30, None, ("expires_at", now + 1_000)).await;
    let ada = app.signed_in("ada").await;
    let (mut seen, mut path) = (Vec::new(), "/a/red".to_owned());
    while !path.is_empty() {
        let page = ada.open(&path).await.is(200).body;
        assert!(shown(&page).len() <= 25);
        seen.extend(shown(&page));
        path = next(&page).map(|after| format!("/a/red?after={after}")).unwrap_or_default();
    }
    let expected: Vec<_> = (200..230).rev().chain((100..130).rev()).map(|n| format!("k{n}")).collect();
    assert_eq!(seen, expected);
}

#[apply(each_database)]
#[tokio::test]
async fn few_of_many_reported_keys_are_named(database: Database) {
    let app = &TestApp::start(database).await;
    let now = app.state.now().as_millis();
    fill(app, "ada", 100, 40, None, ("revoked_at", now)).await;
    app.sql("UPDATE keys SET leaked_at = revoked_at").await;
    let ada = app.signed_in("ada").await;
    let list = listed(&ada, "active", "").await;
    let leaked: Vec<_> = list["leaked"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect();
    assert_eq!(leaked, ["k139", "k138", "k137", "k136", "k135"]);
    assert_eq!((&list["more_leaked"], names(&list).len()), (&true.into(), 0));
    assert!(ada.open("/profile").await.is(200).body.contains("More of your keys were reported"));
    // As many as are named.
    app.sql("UPDATE keys SET leaked_at = NULL WHERE name < 'k135'").await;
    let list = listed(&ada, "active", "").await;
    assert_eq!((list["leaked"].as_array().unwrap().len(), &list["more_leaked"]), (5, &false.into()));
    app.advance(ONE_DAY * 29);
    let list = listed(&app.signed_in("ada").await, "active", "").await;
    assert_eq!(list["leaked"].as_array().unwrap().len(), 5);
    app.advance(ONE_DAY * 2);
    let list = listed(&app.signed_in("ada").await, "active", "").await;
    assert_eq!((list["leaked"].as_array().unwrap().len(), &list["more_leaked"]), (0, &false.into()));
}
