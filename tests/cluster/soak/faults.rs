//! Faults of the databases, one after the other, while clients go on.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::time::{Instant, sleep, sleep_until};

use crate::soak::clients::{Calm, LIFE_CYCLE_USER};
use crate::support::postgres::Server;
use crate::support::proxy::{Proxy, Trouble, Whose};

/// From the end of a fault until every answer has to be well.
const HEALED: Duration = Duration::from_secs(10);
/// Time without a fault between two.
const BETWEEN: Duration = Duration::from_secs(20);

/// The database, and what can happen to it.
pub enum Faults {
    Sqlite { url: String },
    Postgres { server: Server, proxy: Proxy, url: String },
}

impl Faults {
    pub fn of_sqlite(url: String) -> Self {
        Self::Sqlite { url }
    }

    pub fn of_postgres(server: Server, proxy: Proxy, url: String) -> Self {
        Self::Postgres { server, proxy, url }
    }

    /// Makes one fault after the other, the last so early that everything is well before the end. Keeps the database until then.
    pub async fn run(self, calm: Arc<Calm>, end: Instant) {
        for n in 0.. {
            self.forget_the_day().await;
            let next = Instant::now() + BETWEEN;
            if next + Duration::from_secs(5) + HEALED > end {
                break;
            }
            sleep_until(next).await;
            calm.set(false);
            self.make(n).await;
            sleep(HEALED).await;
            calm.set(true);
        }
        sleep_until(end).await;
    }

    async fn make(&self, n: usize) {
        match self {
            // Another program writes.
            Self::Sqlite { url } => {
                let mut conn = SqliteConnection::connect(url).await.unwrap();
                execute(&mut conn, "BEGIN IMMEDIATE").await;
                sleep(Duration::from_secs(2)).await;
                execute(&mut conn, "COMMIT").await;
                conn.close().await.unwrap();
            }
            Self::Postgres { server, proxy, .. } => {
                let (trouble, length) = match n % 4 {
                    0 => (Trouble::Cut, 1),
                    1 => return server.restart().await,
                    2 => (Trouble::BlackHole, 3),
                    _ => (Trouble::Slow(Duration::from_millis(300)), 4),
                };
                proxy.make(trouble, Whose::All);
                sleep(Duration::from_secs(length)).await;
                proxy.make(Trouble::None, Whose::All);
            }
        }
    }

    /// Dates the keys of the life cycle back by a day, because a user may make 200 keys a day.
    async fn forget_the_day(&self) {
        let sql = format!(
            "UPDATE keys SET created_at = created_at - 86400000 WHERE user_id IN (SELECT id FROM users WHERE email = \
             '{LIFE_CYCLE_USER}')"
        );
        match self {
            Self::Sqlite { url } => {
                let mut conn = SqliteConnection::connect(url).await.unwrap();
                execute(&mut conn, &sql).await;
                conn.close().await.unwrap();
            }
            Self::Postgres { url, .. } => {
                let mut conn = PgConnection::connect(url).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
            }
        }
    }
}

async fn execute(conn: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(conn).await.unwrap();
}
