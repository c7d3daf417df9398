//! `PgBouncer` in transaction mode before PostgreSQL: sessions are shared, and nobody gets what another one asked for.
//!
//! The whole integration suite runs behind it by `scripts/with-postgres.sh scripts/with-pgbouncer.sh`.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::browser::Browser;
use crate::support::http::{Connection, request};
use crate::support::key_client::{ask, me, revoke, until_refused, use_key, with_key};
use crate::support::machines::{Machine, keyfob, refused};
use crate::support::pgbouncer::PgBouncer;
use crate::support::serial::alone;
use crate::support::shared_database::Database;

const EMPLOYEES: &str = "/pegasus/employees/api/employees/";
/// How many clients ask at once: many more than there are sessions.
const CLIENTS: usize = 24;
const ROUNDS: usize = 15;
/// How long a key may be let in that another machine revoked: without LISTEN keys are looked up each second.
const UNHEARD: Duration = Duration::from_millis(1_100);

/// It refuses the settings of a session in its own default, and forgets them where it is told to ignore them.
#[tokio::test]
async fn pgbouncer_in_transaction_mode_mixes_nothing_up() {
    let _alone = alone().await;
    for ignored in ["", "ignore_startup_parameters = extra_float_digits,options"] {
        let database = Database::make().await;
        let pooler = PgBouncer::before(database.url(), "transaction", ignored).await;
        let url = database.url_by(pooler.addr);
        let (one, two) = tokio::join!(Machine::start(&url), Machine::start(&url));
        let keys = users(&url).await;
        each_sees_its_own([one.addr, two.addr], &keys).await;

        use_key(two.addr, &keys[0]).await;
        let revoked = revoke(one.addr, &keys[0]).await;
        assert!(me(one.addr, &keys[0]).await.refuses(401, "key_revoked"));
        let after = until_refused(two.addr, &keys[0], "key_revoked", (revoked, UNHEARD)).await;
        println!("Behind PgBouncer ({ignored:?}) another machine refuses a revoked key after {after:.1?}.");

        let browser = Browser::sign_in(one.addr, &url).await;
        let mut connection = Connection::open(one.addr).await.unwrap();
        assert_eq!(connection.ask(&browser.page("/profile")).await.unwrap(), 200);
        assert!(keyfob(&url, "migrate").await.is_empty());
        let doctor = refused(&url, "doctor").await;
        assert!(doctor.contains("note   DATABASE_URL leads to a pooler"), "{doctor}");
        drop((one, two, pooler));
        database.throw_away().await;
    }
}

#[tokio::test]
async fn a_pooler_that_cannot_do_is_refused_in_one_line() {
    let _alone = alone().await;
    let database = Database::make().await;
    let pooler = PgBouncer::before(database.url(), "statement", "").await;
    let said = refused(&database.url_by(pooler.addr), "migrate").await;
    assert!(said.contains("pool_mode = statement") && said.lines().count() == 1, "{said}");
    let pooler = PgBouncer::before(database.url(), "transaction", "").await;
    let url = format!("{}?options=-c%20search_path%3Dother", database.url_by(pooler.addr));
    let said = refused(&url, "migrate").await;
    assert!(said.contains("ALTER ROLE") && said.lines().count() == 1, "{said}");
    database.throw_away().await;
}

/// Keys of as many users, each with employees of their own number.
async fn users(url: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for n in 0..CLIENTS {
        let seed = format!("seed --users 1 --keys-per-user 1 --employees-per-user {n}");
        keys.push(keyfob(url, &seed).await.trim().to_owned());
    }
    keys
}

/// Reads and writes by all keys at once. A statement that ran in place of another's would give another count.
async fn each_sees_its_own(addrs: [SocketAddr; 2], keys: &[String]) {
    let mut clients = JoinSet::new();
    let since = Instant::now();
    for (n, key) in keys.iter().cloned().enumerate() {
        clients.spawn(async move {
            let addr = addrs[n % 2];
            let mut connection = Connection::open(addr).await.unwrap();
            for round in 0..ROUNDS {
                let list = with_key(&format!("GET {EMPLOYEES}?page_size=1"), &key);
                assert_eq!(connection.ask(&list).await.unwrap(), 200, "{}", connection.text());
                let count = format!("\"count\":{},", n + round);
                assert!(connection.holds(&count), "not {count}: {}", connection.text());
                let body = format!("{{\"name\":\"of {n}\",\"department\":\"hr\",\"salary\":{n}}}");
                let key = format!("Authorization: Api-Key {key}");
                let add = request(&format!("POST {EMPLOYEES}"), &[&key, "Content-Type: application/json"], &body);
                assert_eq!(connection.ask(&add).await.unwrap(), 201, "{}", connection.text());
                assert!(connection.holds(&format!("\"name\":\"of {n}\"")), "{}", connection.text());
            }
        });
    }
    clients.join_all().await;
    let requests = keys.len() * ROUNDS * 2;
    println!("{requests} requests of {} users at once over 3 sessions took {:.1?}.", keys.len(), since.elapsed());
    assert_eq!(ask(addrs[0], "GET /readyz", "").await.unwrap().status, 200);
}
