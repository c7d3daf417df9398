//! `kill -9` while clients make and revoke keys.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::browser::Browser;
use crate::support::http::{Connection, body};
use crate::support::key_client::{ANSWER, me, with_key};
use crate::support::machines::{KEYFOB, Machine};
use crate::support::outcome::{report, short_or_long};
use crate::support::scene::Scene;
use crate::support::serial::alone;

const CLIENTS: usize = 4;
/// How long it may take until it is ready again.
const START: Duration = Duration::from_secs(2);
/// By this, one user has enough keys for the whole test.
const BY: [&str; 3] = ["/usr/bin/env", "KEYFOB_MAX_KEYS_PER_USER=1000000", KEYFOB];

/// What the server said that it had done.
#[derive(Default)]
struct Acknowledged {
    /// Keys that were made; nobody asked for their end.
    made: Vec<String>,
    revoked: Vec<String>,
}

#[tokio::test]
async fn no_change_that_was_acknowledged_is_missing_after_it() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let mut machine = Machine::start_by(&BY, &scene.url).await;
    let browser = Browser::sign_in(machine.addr, &scene.url).await;
    let (mut all, mut slowest) = (Acknowledged::default(), Duration::ZERO);
    let times = short_or_long(5, 100);
    for n in 0..times {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(make_and_revoke(machine.addr, browser.clone()));
        }
        // At another moment each time.
        sleep(Duration::from_millis(150 + n * 37 % 400)).await;
        machine.kill();
        for these in clients.join_all().await {
            all.made.extend(these.made);
            all.revoked.extend(these.revoked);
        }
        let killed = Instant::now();
        machine = Machine::start_by(&BY, &scene.url).await;
        slowest = slowest.max(killed.elapsed());
        // A user may have 200 keys made in a day, and each round makes about a hundred.
        scene.execute("UPDATE keys SET created_at = created_at - 86400000").await;
    }
    for key in &all.made {
        assert_eq!(me(machine.addr, key).await.status, 200, "a key that was made is missing");
    }
    for key in &all.revoked {
        assert!(me(machine.addr, key).await.refuses(401, "key_revoked"), "a revocation is missing");
    }
    scene.is_whole().await;
    report(
        &format!("kill -9, {times} times, while {CLIENTS} clients make and revoke keys"),
        &format!(
            "{} keys made and {} revoked, none missing; integrity_check ok; ready again after {slowest:.1?} at most",
            all.made.len(),
            all.revoked.len()
        ),
    );
    assert!(all.made.len() > CLIENTS && all.revoked.len() > CLIENTS);
    assert!(slowest < START, "{slowest:?}");
}

/// Makes keys and revokes every other one, until the server is gone.
async fn make_and_revoke(addr: SocketAddr, browser: Browser) -> Acknowledged {
    let mut done = Acknowledged::default();
    let Ok(mut connection) = Connection::open(addr).await else { return done };
    loop {
        let Ok(Ok(200)) = timeout(ANSWER, connection.ask(&browser.create_key())).await else { return done };
        let made: serde_json::Value = serde_json::from_str(body(&connection.text())).unwrap();
        let key = made["key"].as_str().unwrap().to_owned();
        if (done.made.len() + done.revoked.len()) % 2 == 0 {
            done.made.push(key);
            continue;
        }
        // If it is cut off here, nobody knows whether it is revoked.
        let Ok(Ok(204)) = timeout(ANSWER, connection.ask(&with_key("DELETE /api/v1/key", &key))).await else {
            return done;
        };
        done.revoked.push(key);
    }
}
