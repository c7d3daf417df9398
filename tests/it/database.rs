//! The database: how it is opened and migrated, and that no query of a request reads a whole table.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use keyfob::error::AppError;
use keyfob::server::db::pool::acquire;
use keyfob::server::db::retry::repeat;
use keyfob::server::db::{Backend, Db, Mapper, Tx};
use regex::Regex;
use rstest_reuse::apply;
use tokio::sync::Barrier;

use crate::support::{Database, NOW, TestApp, each_database, open_scratch};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A source of the server, with lists of columns in place of their macros, and each `concat!` of literals as one literal.
fn source(name: &str) -> String {
    let read =
        |name: &str| std::fs::read_to_string(format!("{}/src/server/{name}.rs", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut source = read(name);
    let columns = Regex::new(r#"macro_rules! (\w*columns) \{\s*\(\) => \{\s*("[^"]*")"#).unwrap();
    let continued = Regex::new(r"\\\n\s*").unwrap();
    // In this order: the name of one ends as that of the other.
    for file in ["keys/mod", "employees/mod"] {
        for found in columns.captures_iter(&read(file)) {
            let columns = continued.replace_all(&found[2], "");
            source = source.replace(&format!("{}!()", &found[1]), &columns);
        }
    }
    let concat = Regex::new(r#"concat!\(\s*((?:"(?:[^"\\]|\\(?s:.))*"\s*,?\s*)+)\)"#).unwrap();
    let piece = Regex::new(r#""((?:[^"\\]|\\(?s:.))*)""#).unwrap();
    let joined = concat.replace_all(&source, |found: &regex::Captures<'_>| {
        let pieces: String = piece.captures_iter(&found[1]).map(|piece| piece[1].to_owned()).collect();
        format!("\"{pieces}\"")
    });
    joined.into_owned()
}

/// Every statement in the sources of the server but those that only the operator runs, as (file, text).
fn statements() -> Vec<(String, String)> {
    let literal = Regex::new(r#"(?s)"((?:SELECT|UPDATE|DELETE) (?:[^"\\]|\\.)*)""#).unwrap();
    let (continued, escaped) = (Regex::new(r"\\\n\s*").unwrap(), Regex::new(r"\\(.)").unwrap());
    let mut found = Vec::new();
    for name in [
        "keys/mod",
        "keys/authenticate",
        "keys/admin",
        "keys/lists",
        "keys/leaks",
        "keys/rotation",
        "keys/usage",
        "users/mod",
        "employees/mod",
        "employees/lists",
        "teams/mod",
        "audit/mod",
        "auth/sessions",
        "auth/tenant",
    ] {
        for literal in literal.captures_iter(&source(name)) {
            let text = escaped.replace_all(&continued.replace_all(&literal[1], ""), "$1").into_owned();
            // What ends so is a piece: `lists` puts it together, or rows stand in its middle.
            if !text.ends_with([' ', '('])
                && !text.ends_with("FROM users ORDER BY created_at, id")
                && !text.ends_with("FROM users LIMIT 1")
            {
                found.push((name.to_owned(), text));
            }
        }
    }
    found.extend(lists());
    found
}

/// The statements of the employees list, two for each order, put together as the macro `orders!` does.
fn lists() -> Vec<(String, String)> {
    let source = source("employees/lists");
    let concat = Regex::new(r#"(?s)concat!\((\s*"SELECT .*?)\n\s*\),\)\*"#).unwrap();
    let literal = Regex::new(r#""([^"]*)""#).unwrap();
    let joined = |part: &str| literal.captures_iter(part).map(|piece| piece[1].to_owned()).collect::<String>();
    let order = Regex::new(r#"(?m)^    [A-Z]\w+ "(-?[a-z_]+)" "([^"]+)"$"#).unwrap();
    let orders: Vec<_> = order.captures_iter(&source).map(|order| order[2].to_owned()).collect();
    assert_eq!(orders.len(), 8, "{orders:?}");
    let mut found = Vec::new();
    for concat in concat.captures_iter(&source) {
        let text = concat[1].replace("\\\\", "\\");
        let (before, after) = text.split_once("$sql").unwrap();
        let (before, after) = (joined(before), joined(after));
        found.extend(orders.iter().map(|order| ("employees, list".to_owned(), format!("{before}{order}{after}"))));
    }
    assert_eq!(found.len(), 16, "{found:?}");
    found
}

/// The statements of a page of keys, of a user and of a team, put together as the macros `entries!` and `page_of!` do.
fn key_pages() -> [String; 2] {
    let source = source("keys/lists");
    let between = |from: &str, to: &str| {
        let rest = &source[source.find(from).unwrap()..];
        rest[..rest.find(to).unwrap()].to_owned()
    };
    let head = between("\"SELECT \", $more", "pub(super) use");
    let rest = between("\"JOIN (SELECT id, part, place", "    };\n}");
    ["user_id", "team_id"].map(|owner| {
        let text = format!("{head}{rest}").replace("$more", "\"page.part, \"").replace("$owner", &format!("{owner:?}"));
        let leaked = if owner == "user_id" { "\"leaked_at\"" } else { "\"revoked_at\"" };
        let text = text.replace("$leaked", leaked);
        Regex::new(r#""([^"]*)""#).unwrap().captures_iter(&text).map(|piece| piece[1].to_owned()).collect()
    })
}

/// What the database says that it would do, a line for each step. Asks for any index rather than reading a whole table,
/// for on tables as small as these PostgreSQL would not take one by itself.
async fn plan(app: &crate::support::TestApp, statement: &str) -> Vec<String> {
    if app.url.starts_with("sqlite") {
        return sqlite_plan(&app.state.db, statement).await;
    }
    let count = (1..100).take_while(|n| statement.contains(&format!("${n}"))).count();
    let nulls = vec!["NULL"; count].join(", ");
    let call = if count == 0 { String::new() } else { format!("({nulls})") };
    app.texts(&format!(
        "DEALLOCATE ALL; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_sort = off; \
         PREPARE q AS {statement}; EXPLAIN EXECUTE q{call}"
    ))
    .await
}

async fn sqlite_plan(db: &Db, statement: &str) -> Vec<String> {
    use sqlx::Row;
    let Db::Sqlite { write, .. } = db else { unreachable!() };
    let explain = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
    explain.fetch_all(write).await.unwrap().iter().map(|row| row.get("detail")).collect()
}

#[apply(each_database)]
#[tokio::test]
async fn no_query_of_a_request_reads_a_whole_table(database: Database) {
    let app = &TestApp::start(database).await;
    let statements = statements();
    // Fewer would mean that they are no longer found.
    assert!(statements.len() > 30, "{statements:#?}");
    for table in ["keys", "users", "sessions", "employees"] {
        assert!(statements.iter().any(|(_, text)| text.contains(&format!(" {table} "))), "{table}");
    }
    for (file, statement) in statements {
        let plan = plan(app, &statement).await;
        assert!(!plan.is_empty(), "{statement}");
        // A page that is read from a subquery is no table, and an index of the superusers alone is short.
        let scans = |line: &&String| {
            (line.starts_with("SCAN ")
                && !["SCAN page", "SCAN concerned", "SCAN done", "SCAN CONSTANT ROW"].contains(&line.as_str())
                && !line.ends_with(" users_superusers"))
                || line.contains("Seq Scan")
        };
        assert_eq!(plan.iter().find(scans), None, "{file}: {statement}\n{plan:#?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_page_of_keys_reads_each_part_from_where_an_index_says(database: Database) {
    let app = &TestApp::start(database).await;
    for (statement, owner) in key_pages().into_iter().zip(["user", "team"]) {
        assert!(statement.starts_with("SELECT page.part, k.id") && statement.ends_with("page.id DESC"), "{statement}");
        let plan = plan(app, &statement).await;
        let uses = |part: &str| plan.iter().filter(|line| line.contains(&format!("keys_{owner}_{part}"))).count();
        assert!(uses("unrevoked") >= 2 && uses("revoked") >= 1, "{plan:#?}");
        // On a table as small as this PostgreSQL looks the keys themselves up by any index.
        let other = |line: &&String| {
            line.contains("INDEX keys_user (")
                || line.contains("INDEX keys_team (")
                || line.contains("Seq Scan on keys")
        };
        assert_eq!(plan.iter().find(other), None, "{plan:#?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn employee_page_is_read_in_index_order(database: Database) {
    let app = &TestApp::start(database).await;
    for (_, statement) in lists() {
        let plan = plan(app, &statement).await;
        let sorts = |line: &&String| line.contains("TEMP B-TREE") || line.contains("Sort");
        assert_eq!(plan.iter().find(sorts), None, "{statement}\n{plan:#?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn keys_and_sessions_go_with_their_user(database: Database) {
    let app = &TestApp::start(database).await;
    app.make_key("ada").await;
    app.signed_in("ada").await;
    app.sql("DELETE FROM users").await;
    for table in ["keys", "sessions"] {
        assert_eq!(app.number(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn migrating_again_changes_nothing(database: Database) {
    let app = &TestApp::start(database).await;
    app.make_key("ada").await;
    app.state.db.migrate().await.unwrap();
    assert_eq!(app.number("SELECT COUNT(*) FROM keys").await, 1);
    assert!(app.state.db.ready().await.unwrap());
}

#[apply(each_database)]
#[tokio::test]
async fn database_newer_than_the_program_is_rejected(database: Database) {
    let app = &TestApp::start(database).await;
    app.sql(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             VALUES (9999, 'of the future', CURRENT_TIMESTAMP, TRUE, '', 0)",
    )
    .await;
    let refusal = app.state.db.migrate().await.unwrap_err().to_string();
    assert!(refusal.contains("newer") && refusal.contains("9999") && !refusal.contains('\n'), "{refusal}");
    app.sql("DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    app.state.db.migrate().await.unwrap();
    app.sql("UPDATE _sqlx_migrations SET checksum = '' WHERE version = 1").await;
    let refusal = app.state.db.migrate().await.unwrap_err().to_string();
    assert!(refusal.contains("migration 1 ") && !refusal.contains('\n'), "{refusal}");
}

async fn ten_at_once(kind: Database) {
    let database = crate::support::ScratchDatabase::empty(kind).await;
    let start = async || {
        let db = Db::open(&database.url).await.map_err(|error| error.to_string())?;
        db.migrate().await.map_err(|error| error.to_string())?;
        let ready = db.ready().await;
        db.close().await;
        Ok::<_, String>(ready)
    };
    let ten = tokio::join!(start(), start(), start(), start(), start(), start(), start(), start(), start(), start());
    for started in [ten.0, ten.1, ten.2, ten.3, ten.4, ten.5, ten.6, ten.7, ten.8, ten.9] {
        assert_eq!(started, Ok(Ok(true)));
    }
    database.throw_away().await;
}

mod sqlite_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn ten_that_start_at_once_on_an_empty_database_all_come_up() {
        Box::pin(ten_at_once(Database::Sqlite)).await;
    }

    #[tokio::test]
    async fn the_file_is_made_for_its_owner_only() {
        let (database, db) = open_scratch(Database::Sqlite).await;
        db.migrate().await.unwrap();
        crate::support::execute(
            &db,
            &format!(
                "INSERT INTO users (id, email, name, password_hash, superuser, created_at, updated_at) \
             VALUES ('a', 'a', '', '', FALSE, {0}, {0})",
                NOW.as_millis()
            ),
        )
        .await;
        let file = database.file();
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        let mut seen = 0;
        for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            seen += 1;
        }
        assert!(seen >= 3, "the database, its log and its index: {seen}");
        db.close().await;
        database.throw_away().await;
    }

    #[tokio::test]
    async fn a_file_that_is_there_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keyfob.db");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let db = Db::open(&format!("sqlite://{}", file.display())).await.unwrap();
        db.migrate().await.unwrap();
        assert_eq!(mode(&file), 0o640);
        db.close().await;
    }

    #[tokio::test]
    async fn sqlite_is_one_without_the_bug_that_corrupts() {
        let (database, db) = open_scratch(Database::Sqlite).await;
        let version = crate::support::texts(&db, "SELECT sqlite_version()").await.remove(0);
        let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
        assert!(parts >= vec![3, 51, 3], "{version}");
        db.close().await;
        database.throw_away().await;
    }

    #[tokio::test]
    async fn commits_last_and_readers_cannot_write() {
        let (database, db) = open_scratch(Database::Sqlite).await;
        let Db::Sqlite { write, .. } = &db else { unreachable!() };
        let mut writer = write.acquire().await.unwrap();
        let mut setting = async |name: &str| {
            let text = sqlx::AssertSqlSafe(format!("PRAGMA {name}"));
            sqlx::query_scalar::<_, i64>(text).fetch_one(&mut *writer).await.unwrap()
        };
        assert_eq!((setting("synchronous").await, setting("foreign_keys").await), (2, 1));
        assert!(setting("busy_timeout").await >= 1000);
        drop(writer);
        let insert = "INSERT INTO locks (name) VALUES ('x') RETURNING name";
        let name: Mapper<String> = |row| row.get("name");
        assert!(db.query_inline(insert, &[], name).await.is_err());
        assert!(db.query(insert, &[], name).await.is_err());
        assert_eq!(crate::support::texts(&db, "PRAGMA journal_mode").await, ["wal"]);
        db.close().await;
        database.throw_away().await;
    }

    #[tokio::test]
    async fn what_cannot_be_opened_is_refused_with_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let junk = folder.path().join("junk.db");
        std::fs::write(&junk, "this is no database, and long enough to tell. ".repeat(100)).unwrap();
        let here = folder.path().display();
        for (url, says) in [
            (String::new(), "DATABASE_URL"),
            ("mysql://localhost/a".to_owned(), "DATABASE_URL"),
            ("keyfob.db".to_owned(), "DATABASE_URL"),
            (format!("sqlite://{here}"), "DATABASE_URL"),
            (format!("sqlite://{here}/junk.db/keyfob.db"), "DATABASE_URL"),
            (format!("sqlite://{here}/junk.db"), "junk.db"),
            ("postgres://nobody@127.0.0.1:1/nothing".to_owned(), "DATABASE_URL"),
        ] {
            let refusal = Db::open(&url).await.unwrap_err().to_string();
            assert!(refusal.contains(says) && !refusal.contains('\n'), "{url}: {refusal}");
        }
    }
}

mod postgres_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn ten_that_start_at_once_on_an_empty_database_all_come_up() {
        Box::pin(ten_at_once(Database::Postgres)).await;
    }

    async fn add(tx: &mut Tx, id: i64) -> Result<(), AppError> {
        let Backend::Postgres(conn) = tx.backend()? else { unreachable!() };
        sqlx::query("UPDATE t SET n = n + 1 WHERE id = $1").bind(id).execute(conn).await?;
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_transaction_that_lost_a_deadlock_is_done_again_whole() {
        let (database, db) = open_scratch(Database::Postgres).await;
        crate::support::execute(&db, "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)").await;
        crate::support::execute(&db, "INSERT INTO t VALUES (1, 0), (2, 0)").await;
        let both = Barrier::new(2);
        let add_to = async |first, second| {
            let attempts = AtomicU32::new(0);
            let attempt = || async {
                let mut tx = db.begin().await?;
                add(&mut tx, first).await?;
                if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
                    // Each waits for what the other one has.
                    both.wait().await;
                }
                add(&mut tx, second).await?;
                Ok::<_, AppError>(tx.commit().await?)
            };
            (repeat(attempt, Result::is_err).await, attempts.load(Ordering::Relaxed))
        };
        let (one, other) = tokio::join!(add_to(1, 2), add_to(2, 1));
        assert_eq!((one.0, other.0), (Ok(()), Ok(())));
        assert_eq!(one.1 + other.1, 3, "one of them lost, once");
        assert_eq!(crate::support::texts(&db, "SELECT n::text FROM t").await, ["2", "2"]);
        db.close().await;
        database.throw_away().await;
    }

    /// As when a pooler that was not noticed gave the session to somebody else, and took it back.
    #[tokio::test]
    async fn a_session_that_forgot_its_statements_is_replaced_and_the_statement_run_again() {
        let (database, db) = open_scratch(Database::Postgres).await;
        db.migrate().await.unwrap();
        let Db::Postgres { statements, .. } = &db else { unreachable!() };
        assert!(db.ready().await.unwrap());
        let mut line = acquire(statements).await.unwrap();
        sqlx::raw_sql("DEALLOCATE ALL").execute(&mut line.conn).await.unwrap();
        drop(line);
        assert!(db.ready().await.unwrap());
        db.close().await;
        database.throw_away().await;
    }
}
