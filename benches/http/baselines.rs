//! Baseline servers, and parts of Keyfob alone. The benchmark starts itself again as `--server NAME ADDR …`, with the database
//! in `DATABASE_URL`.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, State};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use axum_server::accept::NoDelayAcceptor;
use clap::Parser;
use hyper_util::rt::TokioTimer;
use keyfob::model::time::Timestamp;
use keyfob::pages::PageData;
use keyfob::server::auth::Caller;
use keyfob::server::config::Config;
use keyfob::server::db::Db;
use keyfob::server::keys::cache;
use keyfob::server::keys::cache::KeyCache;
use keyfob::server::log_format;
use keyfob::server::{clock::Clock, state::AppState};
use keyfob::web::page_request::UserPage;
use serde::{Serialize, Serializer};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{PgPool, SqlitePool};

/// Serves until the process is killed.
pub fn serve(args: &[String]) -> io::Result<()> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    // Like #[tokio::main] in src/main.rs.
    tokio::runtime::Runtime::new()?.block_on(async {
        match args[..] {
            ["hello", addr] => serve_bare(addr, Router::new().route("/", get(|| async { "hello" }))).await,
            ["rows", addr, prefix] => {
                let database = Database::open(prefix).await.map_err(io::Error::other)?;
                serve_bare(addr, Router::new().route("/", get(rows)).with_state(database)).await
            }
            ["page", addr, cookie] => {
                let state = state(cache::MAX_BYTES).await?;
                let visit = load_profile(&state, cookie).await?;
                serve_bare(addr, Router::new().route("/", get(page)).with_state((state, visit))).await
            }
            ["check", addr] => serve_check(addr, state(cache::MAX_BYTES).await?).await,
            ["check-cold", addr] => serve_check(addr, state(0).await?).await,
            ["check-unwritten", addr] => {
                let router = keyfob::web::router::router(state(0).await?, who());
                serve_bare(addr, Router::new().fallback_service(router)).await
            }
            _ => Err(io::Error::other("no such baseline")),
        }
    })
}

/// Serves with the same settings as src/web/serve.rs.
async fn serve_bare(addr: &str, router: Router) -> io::Result<()> {
    let listener = TcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    let mut server = axum_server::from_tcp(listener)?.acceptor(NoDelayAcceptor::new());
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
    server.http_builder().http2().timer(TokioTimer::new());
    server.serve(router.into_make_service()).await
}

fn database_url() -> io::Result<String> {
    std::env::var("DATABASE_URL").map_err(io::Error::other)
}

/// Keyfob's settings from the environment.
#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    config: Config,
}

/// Returns the state of `keyfob serve`, with a key cache of this many bytes.
async fn state(cache_bytes: u64) -> io::Result<AppState> {
    let Settings { config } = Settings::try_parse_from(["bench"]).map_err(io::Error::other)?;
    let filter = log_format::parse_filter(&config.log).map_err(io::Error::other)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let db = Db::open(&database_url()?).await.map_err(io::Error::other)?;
    Ok(AppState::with_cache(db, config, Clock::system(), KeyCache::new(cache_bytes)))
}

/// Serves Keyfob with an endpoint that only checks the key.
async fn serve_check(addr: &str, state: AppState) -> io::Result<()> {
    keyfob::web::serve::serve(TcpListener::bind(addr)?, state, who()).await
}

/// Returns the endpoint, which answers with the caller's id.
fn who() -> Router<AppState> {
    Router::new().route("/api/who", get(async |caller: Caller| caller.user().id.to_string()))
}

/// Loads the profile page's data for a session cookie.
async fn load_profile(state: &AppState, cookie: &str) -> io::Result<PageData> {
    let request = Request::get("/profile").header("cookie", cookie).header("accept", "text/html");
    let request = request.body(Body::empty()).map_err(io::Error::other)?;
    let page = UserPage::from_request(request, state).await.map_err(|_| io::Error::other("not signed in"))?;
    let profile = keyfob::web::pages::load_profile(&page).await;
    Ok(page.into_data(profile))
}

/// Renders the page from preloaded data.
async fn page(State((state, data)): State<(AppState, PageData)>) -> Response {
    keyfob::web::ssr::render_page(&state, data)
}

/// Database and one of its users.
#[derive(Clone)]
struct Database {
    pool: Pool,
    user: String,
}

#[derive(Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Database {
    /// Opens as many connections as src/server/db, without a check before use.
    async fn open(prefix: &str) -> sqlx::Result<Self> {
        let url = database_url().map_err(sqlx::Error::Io)?;
        let sql = "SELECT user_id FROM keys WHERE prefix = $1";
        if let Some(file) = url.strip_prefix("sqlite://") {
            let options = SqliteConnectOptions::new().filename(file).read_only(true);
            let pool = SqlitePoolOptions::new().max_connections(8).test_before_acquire(false);
            let pool = pool.connect_with(options.journal_mode(SqliteJournalMode::Wal)).await?;
            let user = sqlx::query_scalar(sql).bind(prefix).fetch_one(&pool).await?;
            return Ok(Self { pool: Pool::Sqlite(pool), user });
        }
        let pool = PgPoolOptions::new().max_connections(16).test_before_acquire(false).connect(&url).await?;
        let user = sqlx::query_scalar(sql).bind(prefix).fetch_one(&pool).await?;
        Ok(Self { pool: Pool::Postgres(pool), user })
    }
}

#[derive(Serialize, sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    department: String,
    salary: i64,
    #[serde(serialize_with = "rfc3339")]
    created_at: i64,
    #[serde(serialize_with = "rfc3339")]
    updated_at: i64,
}

#[derive(Serialize)]
struct Page {
    count: usize,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<Row>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn rfc3339<S: Serializer>(millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Timestamp::from_millis(*millis).rfc3339())
}

/// Lists the employees with one plain query.
async fn rows(State(Database { pool, user }): State<Database>) -> Result<Json<Page>, StatusCode> {
    let sql = "SELECT id, name, department, salary, created_at, updated_at FROM employees \
               WHERE owner_id = $1 ORDER BY created_at, id";
    let rows = match pool {
        Pool::Sqlite(pool) => sqlx::query_as(sql).bind(user).fetch_all(&pool).await,
        Pool::Postgres(pool) => sqlx::query_as(sql).bind(user).fetch_all(&pool).await,
    };
    let results: Vec<Row> = rows.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(Page { count: results.len(), next: None, previous: None, results }))
}
