//! What one machine or the command line takes away, the other machines refuse.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::key_client::{me, percentile, revoke, until_refused, use_key};
use crate::support::machines::{Machine, keyfob, make_keys};
use crate::support::nginx::Nginx;
use crate::support::serial::alone;
use crate::support::shared_database::Database;
use crate::support::traffic::Traffic;

const ROUNDS: usize = 150;
/// How long a change of the command line may take to reach every machine.
const COMMAND_LINE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_revocation_on_one_machine_is_seen_by_the_others() {
    let _alone = alone().await;
    let database = Database::make().await;
    let keys = make_keys(database.url(), ROUNDS + 1).await;
    let machines: [Machine; 3] = Machine::start_all(database.url()).await;
    let nginx = Nginx::before(&machines).await;
    let traffic = Traffic::start(nginx.addr, &keys[0], 8);
    traffic.more(100).await;
    let addrs = machines.each_ref().map(|machine| machine.addr);

    let mut delays = Vec::new();
    for key in &keys[1..] {
        for addr in addrs {
            use_key(addr, key).await;
        }
        let revoked = revoke(addrs[0], key).await;
        let limit = (revoked, Duration::from_secs(2));
        let (own, second, third) = tokio::join!(
            me(addrs[0], key),
            until_refused(addrs[1], key, "key_revoked", limit),
            until_refused(addrs[2], key, "key_revoked", limit),
        );
        assert!(own.refuses(401, "key_revoked"), "the machine that revoked it: {own:?}");
        delays.extend([second, third]);
    }

    let load = traffic.stop().await;
    delays.sort_unstable();
    let [p50, p99, max] = [50, 99, 100].map(|hundredths| percentile(&delays, hundredths));
    println!(
        "From the answer to a revocation until another machine refuses, {} times: p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}. \
         Beside it {} requests through nginx, slowest {:.1?}, {} failed.",
        delays.len(),
        load.answered,
        load.slowest,
        load.failures.len()
    );
    assert!(p99 < Duration::from_millis(250), "{delays:?}");
    assert_eq!(load.failures, Vec::<String>::new());
    drop((nginx, machines));
    database.throw_away().await;
}

#[tokio::test]
async fn a_disabled_account_is_refused_by_every_machine_that_runs() {
    let _alone = alone().await;
    let database = Database::make().await;
    let key = &make_keys(database.url(), 1).await[0];
    let machines: [Machine; 3] = Machine::start_all(database.url()).await;
    let [first, second, third] = machines.each_ref().map(|machine| machine.addr);
    for addr in [first, second, third] {
        use_key(addr, key).await;
    }
    let users = keyfob(database.url(), "user list").await;
    let email = users.split('\t').next().unwrap();
    keyfob(database.url(), &format!("user disable --email {email}")).await;
    let (code, limit) = ("account_disabled", (Instant::now(), COMMAND_LINE));
    let (first, second, third) = tokio::join!(
        until_refused(first, key, code, limit),
        until_refused(second, key, code, limit),
        until_refused(third, key, code, limit),
    );
    println!(
        "From the end of `keyfob user disable` until three machines refuse: {first:.1?}, {second:.1?}, {third:.1?}."
    );
    drop(machines);
    database.throw_away().await;
}

#[tokio::test]
async fn key_revoked_by_command_is_rejected_by_the_sqlite_server() {
    let _alone = alone().await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("keyfob.db").display());
    let keys = make_keys(&url, 5).await;
    let machine = Machine::start(&url).await;
    let mut delays = Vec::new();
    for key in &keys {
        use_key(machine.addr, key).await;
        keyfob(&url, &format!("key revoke {}", &key[..11])).await;
        delays.push(until_refused(machine.addr, key, "key_revoked", (Instant::now(), COMMAND_LINE)).await);
    }
    println!("From the end of `keyfob key revoke` until the server on SQLite refuses: {delays:.1?}.");
}
