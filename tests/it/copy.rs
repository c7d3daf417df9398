//! `keyfob copy`: everything goes from one database to another, each way, or nothing does.

mod tables;

use keyfob::model::keys::{Access, KeyName, Scopes};
use keyfob::server::audit::Actor;
use keyfob::server::db::Db;
use keyfob::server::db::bulk::Kind as Holds;
use keyfob::server::maintenance::copy::{TABLES, copy};
use keyfob::server::users::resets;
use rstest_reuse::{apply, template};
use serde_json::json;
use url::Url;

use crate::cli::{Ran, run};
use crate::import::import_key;
use crate::support::{Answer, Database, EMPLOYEES, PASSWORD, ScratchDatabase, TestApp};

/// Runs a test for each pair of databases. `sqlite_alone` needs no server.
#[template]
#[rstest::rstest]
#[case::sqlite_alone(Database::Sqlite, Database::Sqlite)]
#[case::to_postgres(Database::Sqlite, Database::Postgres)]
#[case::from_postgres(Database::Postgres, Database::Sqlite)]
#[case::postgres_alone(Database::Postgres, Database::Postgres)]
fn each_way(#[case] from: Database, #[case] to: Database) {}

/// Copies by the program itself; whatever comes of it, no password is printed.
async fn copy_by_command(from: &str, to: &str) -> Ran {
    let ran = run("", &["copy", "--from", from, "--to", to], &[], "").await;
    for url in [from, to].into_iter().filter_map(|url| Url::parse(url).ok()) {
        let password = url.password().filter(|password| !password.is_empty());
        assert!(password.is_none_or(|password| !ran.err.contains(password) && !ran.out.contains(password)), "{ran:?}");
    }
    ran
}

/// A migrated database that is empty otherwise, and a server on it.
async fn destination(app: &TestApp, kind: Database) -> (ScratchDatabase, TestApp) {
    let database = ScratchDatabase::empty(kind).await;
    let other = app.over_another(&database.url).await;
    other.state.db.migrate().await.unwrap();
    (database, other)
}

async fn throw_away((database, app): (ScratchDatabase, TestApp)) {
    app.state.db.close().await;
    database.throw_away().await;
}

fn is_postgres(app: &TestApp) -> bool {
    app.url.starts_with("postgres")
}

/// All rows of all tables, as text.
async fn dump(app: &TestApp) -> Vec<(&'static str, Vec<String>)> {
    let mut tables = Vec::new();
    for table in TABLES {
        let text = |column: &keyfob::server::maintenance::copy::Column| match column.kind {
            Holds::Flag => format!("CASE WHEN {0} IS NULL THEN 'NULL' WHEN {0} THEN 'yes' ELSE 'no' END", column.name),
            _ => format!("COALESCE(CAST({} AS TEXT), 'NULL')", column.name),
        };
        let columns = table.columns.iter().map(text).collect::<Vec<_>>().join(" || '|' || ");
        let mut rows = app.texts(&format!("SELECT {columns} FROM {}", table.name)).await;
        rows.sort();
        tables.push((table.name, rows));
    }
    tables
}

async fn holds_nothing(app: &TestApp) {
    for (table, rows) in dump(app).await {
        assert!(table == "locks" || rows.is_empty(), "{table}: {rows:?}");
        assert!(table != "locks" || rows == ["superusers"], "{rows:?}");
    }
}

/// The credentials of somebody who has used everything.
struct Filled {
    key: String,
    before_rotation: String,
    revoked: String,
    of_team: String,
    imported: String,
    session: Answer,
}

/// Puts something into every table.
async fn fill(app: &TestApp) -> Filled {
    app.admin().await;
    app.disable("gone").await;
    let team = app.team("red", "ada", &["bob"]).await;
    app.invite(&team, "ada", "eve@example.com").await;
    app.employee("ada", ("Zoë \"Z\" O'Neil; 名前 🔑 \\", keyfob::model::employees::Department::Hr, 1)).await;
    let name = KeyName::parse("naïve % _ 🔑").unwrap();
    let before_rotation = app.make_key_that("ada", |spec| spec.name = name).await.key;
    let client = |key: &str| app.anonymous().with_key(key).coming_from("203.0.113.9");
    let rotated = client(&before_rotation).post("/api/v1/key/rotate", json!({"grace": "24h"})).await.is(200).json();
    let key = rotated["key"].as_str().unwrap().to_owned();
    client(&key).get(EMPLOYEES).await.is(200);
    let revoked = app.make_key("bob").await.key;
    client(&revoked).delete("/api/v1/key").await.is(204);
    let of_team = app.make_key_that("bob", |spec| spec.team = Some(team.id)).await.key;
    app.api("billing", &[("pay", true)]).await;
    let scopes = Scopes::parse(["billing:pay", "profile:read"].into_iter()).unwrap();
    app.make_key_that("bob", |spec| spec.access = Access::Only(scopes)).await;
    client(&key).get("/api/v1/verify?api=billing").await.is(200);
    let form = [("email", "ada@example.com"), ("password", PASSWORD)];
    let session = app.browser().call("sign_in", &form).await.is(200);
    app.browser().call("sign_in", &[("email", "bob@example.com"), ("password", "x")]).await.is(400);
    let (bob, by) = (app.user("bob").await, Actor::operator(app.state.now()));
    resets::create_link(&app.state.db, &bob, "http://localhost:8000", &by).await.unwrap();
    app.sql("INSERT INTO deletions (owner_id, deleted_at) VALUES ('01890000-0000-7000-8000-000000000000', 1)").await;
    let imported = import_key(app).await;
    app.write_usage().await;
    for (table, rows) in dump(app).await {
        assert!(!rows.is_empty(), "nothing in {table}: fill it here");
    }
    Filled { key, before_rotation, revoked, of_team, imported, session }
}

impl Filled {
    async fn works_on(&self, app: &TestApp) {
        let client = |key: &str| app.anonymous().with_key(key);
        for key in [&self.key, &self.before_rotation] {
            assert_eq!(client(key).get(EMPLOYEES).await.is(200).json()["count"], 1);
        }
        client(&self.imported).get(EMPLOYEES).await.is(200);
        client(&self.revoked).get(EMPLOYEES).await.refused(401, "key_revoked");
        client(&self.of_team).get(EMPLOYEES).await.refused(403, "team_mismatch");
        client(&self.of_team).get("/a/red/employees/api/employees/").await.is(200);
        app.browser().after(&self.session).get(EMPLOYEES).await.is(200);
        app.browser().call("sign_in", &[("email", "gone@example.com"), ("password", PASSWORD)]).await.is(400);
    }
}

#[apply(each_way)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_lacks_migrations_or_is_newer_is_refused(from: Database, to: Database) {
    let app = &TestApp::start(from).await;
    let (empty, to) = (
        ScratchDatabase::empty(if is_postgres(app) { Database::Postgres } else { Database::Sqlite }).await,
        destination(app, to).await,
    );
    Db::open(&empty.url).await.unwrap().close().await;
    copy_by_command(&empty.url, &to.0.url).await.refused("keyfob migrate");
    app.sql("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 6").await;
    copy_by_command(&app.url, &to.0.url).await.refused("keyfob migrate");
    app.sql("INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             SELECT 6, description, installed_on, success, checksum, execution_time FROM _sqlx_migrations WHERE version = 9999").await;
    copy_by_command(&app.url, &to.0.url).await.refused("the source is newer");
    app.sql("DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    app.sql("UPDATE _sqlx_migrations SET checksum = '' WHERE version = 6").await;
    copy_by_command(&app.url, &to.0.url).await.refused("keyfob migrate");
    empty.throw_away().await;
    throw_away(to).await;
}

#[apply(each_way)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_rejects_a_filled_or_newer_target_unchanged(from: Database, to: Database) {
    let app = &TestApp::start(from).await;
    fill(app).await;
    let to = destination(app, to).await;
    to.1.user("eve").await;
    let before = dump(&to.1).await;
    copy_by_command(&app.url, &to.0.url).await.refused("table users has rows");
    assert_eq!(dump(&to.1).await, before);
    to.1.sql("DELETE FROM users; INSERT INTO teams (id, slug, name, created_at) VALUES ('a', 'a', 'a', 1)").await;
    let before = dump(&to.1).await;
    copy_by_command(&app.url, &to.0.url).await.refused("table teams has rows");
    assert_eq!(dump(&to.1).await, before);
    to.1.sql("DELETE FROM teams; UPDATE _sqlx_migrations SET version = 9999 WHERE version = 6").await;
    copy_by_command(&app.url, &to.0.url).await.refused("9999");
    throw_away(to).await;
}

#[apply(each_way)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_rejects_a_target_that_alters_rows(from: Database, to: Database) {
    let app = &TestApp::start(from).await;
    fill(app).await;
    let to = destination(app, to).await;
    for (table, sqlite, postgres) in [
        ("users", "UPDATE users SET name = ' ' WHERE id = NEW.id;", "NEW.name := ' '; RETURN NEW;"),
        ("users", "UPDATE users SET disabled_at = 0 WHERE id = NEW.id;", "NEW.disabled_at := 0; RETURN NEW;"),
        ("audit", "DELETE FROM audit WHERE id = NEW.id;", "RETURN NULL;"),
    ] {
        to.1.sql(&if is_postgres(&to.1) {
            format!(
                "CREATE OR REPLACE FUNCTION spoil() RETURNS trigger AS $$ BEGIN {postgres} END $$ LANGUAGE plpgsql; \
                     CREATE TRIGGER spoil BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION spoil()"
            )
        } else {
            format!("CREATE TRIGGER spoil AFTER INSERT ON {table} BEGIN {sqlite} END")
        })
        .await;
        copy_by_command(&app.url, &to.0.url).await.refused(&format!("table {table} came out different"));
        holds_nothing(&to.1).await;
        to.1.sql(&if is_postgres(&to.1) {
            format!("DROP TRIGGER spoil ON {table}")
        } else {
            "DROP TRIGGER spoil".into()
        })
        .await;
    }
    copy_by_command(&app.url, &to.0.url).await.done();
    throw_away(to).await;
}

#[apply(each_way)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_with_a_nul_character_is_refused_by_postgres_alone(from: Database, to: Database) {
    let app = &TestApp::start(from).await;
    if is_postgres(app) {
        return;
    }
    fill(app).await;
    app.sql("UPDATE keys SET name = name || char(0) || 'x'").await;
    let to = destination(app, to).await;
    let ran = copy_by_command(&app.url, &to.0.url).await;
    if is_postgres(&to.1) {
        ran.refused("table keys holds a NUL character");
        holds_nothing(&to.1).await;
    } else {
        ran.done();
        let nuls = "SELECT COUNT(*) FROM keys WHERE hex(name) LIKE '%0078'";
        assert_eq!(to.1.number(nuls).await, app.number("SELECT COUNT(*) FROM keys").await);
    }
    throw_away(to).await;
}

#[apply(each_way)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_ignores_later_writes_to_the_source(from: Database, to: Database) {
    let app = &TestApp::start(from).await;
    app.user("ada").await;
    let (to, beside) = (destination(app, to).await, app.over_another(&app.url).await);
    let mut calls = 0;
    let copied = copy(&app.state.db, &to.1.state.db, |_, _| {
        calls += 1;
        let team = format!("INSERT INTO teams (id, slug, name, created_at) VALUES ('{calls}', '{calls}', '', 1)");
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(beside.sql(&team)));
    });
    copied.await.unwrap();
    assert_eq!(to.1.number("SELECT COUNT(*) FROM users").await, 1);
    assert_eq!(to.1.number("SELECT COUNT(*) FROM teams").await, 0);
    assert!(app.number("SELECT COUNT(*) FROM teams").await >= 9);
    beside.state.db.close().await;
    throw_away(to).await;
}

#[apply(each_way)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_and_session_is_as_it_was_there_and_back_again(from: Database, to: Database) {
    let app = &TestApp::start(from).await;
    let filled = fill(app).await;
    let before = dump(app).await;
    let there = ScratchDatabase::empty(to).await;
    let back = ScratchDatabase::empty(if is_postgres(app) { Database::Postgres } else { Database::Sqlite }).await;
    let printed =
        [copy_by_command(&app.url, &there.url).await.done(), copy_by_command(&there.url, &back.url).await.done()];
    assert_eq!(printed[0].err, printed[1].err);
    assert_eq!(printed[0].out, "");
    for (table, rows) in &before {
        let line = regex::Regex::new(&format!("(?m)^{table} +{} +[0-9a-f]{{12}}$", rows.len())).unwrap();
        assert!(line.is_match(&printed[0].err), "{table}: {printed:?}");
    }
    for database in [there, back] {
        let copy = app.over_another(&database.url).await;
        assert_eq!(dump(&copy).await, before);
        filled.works_on(&copy).await;
        throw_away((database, copy)).await;
    }
    assert_eq!(dump(app).await, before, "the source is only read");
}

#[apply(each_way)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_many_rows_come_over_whole(from: Database, to: Database) {
    let app = &TestApp::start(from).await;
    let seed = ["seed", "--users", "1001", "--keys-per-user", "1", "--employees-per-user", "2"];
    run(&app.url, &seed, &[], "").await.done();
    let to = destination(app, to).await;
    copy_by_command(&app.url, &to.0.url).await.done();
    assert_eq!(dump(&to.1).await, dump(app).await);
    assert_eq!(to.1.number("SELECT COUNT(*) FROM employees").await, 2002);
    throw_away(to).await;
}

mod sqlite_only {
    use super::*;

    #[tokio::test]
    async fn a_source_that_is_not_there_is_refused_and_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
        copy_by_command(&url("missing.db"), &url("new.db")).await.refused("missing.db. Check --from");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_opened_is_refused_by_its_flag() {
        let database = ScratchDatabase::empty(Database::Sqlite).await;
        let db = Db::open(&database.url).await.unwrap();
        db.migrate().await.unwrap();
        db.close().await;
        for url in
            ["", "mysql://a:hunter2@localhost/a", "sqlite:///dev/null/x.db", "postgres://nobody:hunter2@127.0.0.1:1/x"]
        {
            copy_by_command(url, &database.url).await.refused("--from");
            copy_by_command(&database.url, url).await.refused("--to");
        }
        database.throw_away().await;
    }

    #[tokio::test]
    async fn its_help_says_to_stop_the_server() {
        let help = run("", &["copy", "--help"], &[], "").await.done().out;
        assert!(help.contains("Stop the server") && help.contains("--from <URL>"), "{help}");
    }
}
