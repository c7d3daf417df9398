//! Very many sign-ins at once.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::alone;
use crate::client::percentile;
use crate::connection::Connection;
use crate::limits::times;
use crate::machines::{KEYFOB, Machine};
use crate::scene::{Scene, form, report, short_or_long};

#[tokio::test]
async fn key_checks_go_on_beside_many_sign_ins() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    // Without a limit of their address, which would refuse most of them at once.
    let machine = Machine::start_by(&["env", "KEYFOB_SIGN_IN_RATE=0", KEYFOB], &scene.url).await;
    let number = 500;
    let checks = short_or_long(500, 3000);
    let before = times(machine.addr, &scene.keys[0], checks).await;
    let began = Instant::now();
    let mut people = JoinSet::new();
    for person in 0..number {
        people.spawn(sign_in(machine.addr, person));
    }
    let during = times(machine.addr, &scene.keys[0], checks).await;
    let waited: usize = people.join_all().await.into_iter().sum();
    let [of_before, of_during] =
        [before, during].map(|times| [50, 99].map(|hundredths| percentile(&times, hundredths)));
    report(
        &format!("{number} sign-ins at once"),
        &format!(
            "key checks beside them: p50 {:.1?}, p99 {:.1?}; before p50 {:.1?}, p99 {:.1?}; all were answered after {:.1?}, \
             {waited} times with 503 first",
            of_during[0],
            of_during[1],
            of_before[0],
            of_before[1],
            began.elapsed()
        ),
    );
    assert!(of_during[1] < Duration::from_millis(500), "{of_during:?}");
}

/// Tries to sign in until its password was looked at; gives how often it was told to come back.
async fn sign_in(addr: SocketAddr, person: usize) -> usize {
    let request = form("sign_in", "", &format!("email=nobody{person}%40example.com&password=four+words+for+nobody"));
    for refused in 0.. {
        let mut connection = Connection::open(addr).await.unwrap();
        match connection.ask(&request).await.unwrap() {
            503 => sleep(Duration::from_millis(500)).await,
            400 => return refused,
            status => panic!("a sign-in was answered with {status}: {}", connection.text()),
        }
    }
    unreachable!()
}
