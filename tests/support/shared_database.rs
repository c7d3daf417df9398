//! A PostgreSQL database for each test, on the server of `TEST_DATABASE_URL`.

use std::net::SocketAddr;

use keyfob::server::auth::random::make_request_id;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;

/// An empty database of one test.
pub struct Database {
    url: Url,
    name: String,
}

impl Database {
    pub async fn make() -> Self {
        let name = format!("keyfob_{}", String::from_utf8_lossy(&make_request_id()));
        on_server(&format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        let mut url = server();
        url.set_path(&name);
        Self { url, name }
    }

    /// As `DATABASE_URL` takes it.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The same, by way of a proxy.
    pub fn url_by(&self, proxy: SocketAddr) -> String {
        let mut url = self.url.clone();
        url.set_ip_host(proxy.ip()).unwrap();
        url.set_port(Some(proxy.port())).unwrap();
        url.into()
    }

    /// Where the server listens.
    pub fn server(&self) -> SocketAddr {
        self.url.socket_addrs(|| Some(5432)).unwrap()[0]
    }

    /// Removes it. What a failed test leaves goes with the server.
    pub async fn throw_away(self) {
        on_server(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

fn server() -> Url {
    let url = std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| {
        panic!("These tests need a PostgreSQL server: run `make test` or `scripts/with-postgres.sh cargo test`.")
    });
    Url::parse(&url).expect("TEST_DATABASE_URL is a URL")
}

async fn on_server(statement: &str) {
    let mut conn = PgConnection::connect(server().as_str()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}
