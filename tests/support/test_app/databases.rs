//! A database for each test: a file in a folder of its own, or a copy of one migrated PostgreSQL database.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use keyfob::server::auth::random::make_request_id;
use keyfob::server::db::Db;
use keyfob::server::db::pool::acquire;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use url::Url;

use super::trail;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// A database of one test.
pub struct ScratchDatabase {
    /// As `DATABASE_URL` takes it.
    pub url: String,
    /// Its name on the server, or the folder of its file.
    place: Place,
}

enum Place {
    Folder(TempDir),
    Server(String),
}

impl ScratchDatabase {
    /// Makes an empty SQLite file, or a PostgreSQL database that is migrated already.
    pub async fn migrated(kind: Database) -> Self {
        match kind {
            Database::Sqlite => Self::empty(kind).await,
            Database::Postgres => Self::postgres(&format!("TEMPLATE {}", template().await)).await,
        }
    }

    /// A fresh one without any table.
    pub async fn empty(kind: Database) -> Self {
        match kind {
            Database::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("data/keyfob.db").display());
                Self { url, place: Place::Folder(folder) }
            }
            Database::Postgres => Self::postgres("TEMPLATE template0").await,
        }
    }

    async fn postgres(options: &str) -> Self {
        let name = format!("keyfob_{}", String::from_utf8_lossy(&make_request_id()));
        on_server(&format!("CREATE DATABASE {name} {options}")).await;
        Self { url: url_of(&name), place: Place::Server(name) }
    }

    /// Where the SQLite file is.
    pub fn file(&self) -> std::path::PathBuf {
        self.url.strip_prefix("sqlite://").unwrap().into()
    }

    /// Leaves what its files hold on the trail.
    pub fn leave_trail(&self) {
        match &self.place {
            Place::Folder(folder) => trail::folder(folder.path()),
            Place::Server(_) => trail::secret(server().password().unwrap()),
        }
    }

    /// Removes it. What a failed test leaves goes with the server.
    pub async fn throw_away(self) {
        self.leave_trail();
        match self.place {
            Place::Folder(folder) => folder.close().unwrap(),
            Place::Server(name) => on_server(&format!("DROP DATABASE {name} WITH (FORCE)")).await,
        }
    }
}

/// An empty, unmigrated database of a kind, and an open `Db` on it.
pub async fn open_scratch(kind: Database) -> (ScratchDatabase, Db) {
    let database = ScratchDatabase::empty(kind).await;
    let db = Db::open(&database.url).await.unwrap();
    (database, db)
}

fn server() -> Url {
    let url = std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| {
        panic!("These tests need a PostgreSQL server: run `make test` or `scripts/with-postgres.sh cargo test`.")
    });
    Url::parse(&url).expect("TEST_DATABASE_URL is a URL")
}

fn url_of(name: &str) -> String {
    let mut url = server();
    url.set_path(name);
    url.into()
}

async fn on_server(statement: &str) {
    let mut conn = PgConnection::connect(server().as_str()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// The name of the migrated database that all others are copies of; made once in a process.
async fn template() -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let made = TEMPLATE.get_or_init(|| async {
        let database = ScratchDatabase::empty(Database::Postgres).await;
        let db = Db::open(&database.url).await.unwrap();
        db.migrate().await.unwrap();
        // A database that somebody is connected to cannot be copied.
        db.close().await;
        match database.place {
            Place::Server(name) => name,
            Place::Folder(_) => unreachable!(),
        }
    });
    made.await
}

/// The hash of [`super::PASSWORD`], made once in a process.
pub fn password_hash() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| {
        let hash: PasswordHash = argon2::Argon2::default().hash_password(super::PASSWORD.as_bytes()).unwrap();
        hash.to_string()
    });
    &HASH
}

pub async fn execute(db: &Db, statement: &str) {
    let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
    match db {
        Db::Sqlite { write, .. } => statement.execute(write).await.map(|_| ()).unwrap(),
        Db::Postgres { transactions, .. } => {
            statement.execute(&mut acquire(transactions).await.unwrap().conn).await.map(|_| ()).unwrap();
        }
    }
}

/// Makes a database refuse all changes, as a standby or a disk that is read-only; or take them again.
pub async fn set_read_only(db: &Db, url: &str, on: bool) {
    if let Db::Sqlite { .. } = db {
        return execute(db, &format!("PRAGMA query_only = {on}")).await;
    }
    let name = url.rsplit('/').next().unwrap();
    on_server(&format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}")).await;
    // It holds for sessions that begin from now on.
    on_server(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")).await;
}

pub async fn texts(db: &Db, query: &str) -> Vec<String> {
    let query = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
    match db {
        Db::Sqlite { write, .. } => query.fetch_all(write).await.unwrap().iter().map(|row| row.get(0)).collect(),
        Db::Postgres { transactions, .. } => {
            let found = query.fetch_all(&mut acquire(transactions).await.unwrap().conn).await.unwrap();
            found.iter().map(|row| row.get(0)).collect()
        }
    }
}

pub async fn number(db: &Db, query: &str) -> i64 {
    let query = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
    match db {
        Db::Sqlite { write, .. } => query.fetch_one(write).await.unwrap().get(0),
        Db::Postgres { transactions, .. } => {
            query.fetch_one(&mut acquire(transactions).await.unwrap().conn).await.unwrap().get(0)
        }
    }
}

async fn tables(db: &Db) -> Vec<String> {
    let query = match db {
        Db::Sqlite { .. } => "SELECT name FROM sqlite_master WHERE type = 'table'",
        Db::Postgres { .. } => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
    };
    texts(db, query).await
}

/// The names of the columns of all tables, each once.
pub async fn columns(db: &Db) -> BTreeSet<String> {
    let mut columns = BTreeSet::new();
    for table in tables(db).await {
        let query = match db {
            Db::Sqlite { .. } => format!("SELECT name FROM pragma_table_info('{table}')"),
            Db::Postgres { .. } => {
                format!("SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}'")
            }
        };
        columns.extend(texts(db, &query).await);
    }
    columns
}

/// Every row of every table, each as one line of text.
pub async fn rows(db: &Db) -> Vec<String> {
    let mut rows = Vec::new();
    for table in tables(db).await {
        let query = match db {
            Db::Sqlite { .. } => {
                let columns = format!("SELECT 'quote(\"' || name || '\")' FROM pragma_table_info('{table}')");
                format!("SELECT {} FROM \"{table}\"", texts(db, &columns).await.join(" || ', ' || "))
            }
            Db::Postgres { .. } => format!("SELECT t::text FROM \"{table}\" t"),
        };
        rows.extend(texts(db, &query).await.into_iter().map(|row| format!("{table}: {row}")));
    }
    rows.sort();
    rows
}
