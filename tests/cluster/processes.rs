//! Processes that are killed, and that start all at once.

use tokio::time::Instant;

use crate::support::machines::{Machine, make_keys};
use crate::support::nginx::Nginx;
use crate::support::serial::alone;
use crate::support::shared_database::Database;
use crate::support::traffic::{Tally, Traffic};

const CONNECTIONS: usize = 8;

#[tokio::test]
async fn killed_process_loses_only_its_open_requests() {
    let _alone = alone().await;
    let database = Database::make().await;
    let key = &make_keys(database.url(), 1).await[0];
    let mut machines: [Machine; 3] = Machine::start_all(database.url()).await;
    let nginx = Nginx::before(&machines).await;
    let traffic = Traffic::start(nginx.addr, key, CONNECTIONS);
    let others = [1, 2].map(|n| Traffic::start(machines[n].addr, key, 1));

    traffic.more(200).await;
    machines[0].kill();
    traffic.more(600).await;
    for other in &others {
        other.more(50).await;
    }

    let load = traffic.stop().await;
    println!(
        "One of three killed: {} requests answered through nginx, slowest {:.1?}, {} failed: {:?}.",
        load.answered,
        load.slowest,
        load.failures.len(),
        load.failures
    );
    assert!(load.failures.len() <= CONNECTIONS);
    for other in others {
        let Tally { answered, failures, slowest } = other.stop().await;
        println!("Another machine, asked directly: {answered} answered, slowest {slowest:.1?}.");
        assert_eq!(failures, Vec::<String>::new());
    }
    drop((nginx, machines));
    database.throw_away().await;
}

#[tokio::test]
async fn ten_processes_starting_on_an_empty_database_become_ready() {
    let _alone = alone().await;
    let database = Database::make().await;
    let started = Instant::now();
    let machines: [Machine; 10] = Machine::start_all(database.url()).await;
    println!("Ten started at once on an empty database were all ready after {:.1?}.", started.elapsed());
    drop(machines);
    database.throw_away().await;
}
