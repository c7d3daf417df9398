//! What the time of a refusal tells. A key is looked for by its digest, so one whose prefix is right is as unknown as any other.
//! `cargo test --test it timing -- --nocapture` prints the times.

use std::time::{Duration, Instant};

use keyfob::server::auth::key_format::{make_key, make_secret_for};
use rstest_reuse::apply;
use secrecy::ExposeSecret;

use crate::queries::queries_of;
use crate::support::{Database, EMPLOYEES, TestApp, each_database};

/// How often each is measured, in turn with the others.
const TIMES: usize = 200;

/// The median and those around it.
fn distribution(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100].as_micros();
    format!("p5 {} us, p25 {} us, median {} us, p75 {} us, p95 {} us", at(5), at(25), at(50), at(75), at(95))
}

#[apply(each_database)]
#[tokio::test]
async fn wrong_secret_costs_the_same_as_a_wrong_prefix(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    let wrong_prefix = || make_key("kf").key.expose_secret().to_owned();
    let wrong_secret = || make_secret_for(&made.facts.prefix).key.expose_secret().to_owned();
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..TIMES {
        // A good key as it is the first time, before it is remembered.
        app.state.db.invalidations().invalidate_all();
        for ((key, status), times) in
            [(wrong_prefix(), 401), (wrong_secret(), 401), (made.key.clone(), 200)].into_iter().zip(&mut times)
        {
            let client = app.anonymous().with_key(&key);
            let begin = Instant::now();
            let answer = client.get("/api/v1/verify").await.is(status);
            times.push(begin.elapsed());
            if status == 401 {
                answer.refused(401, "key_unknown");
            }
        }
    }
    for (what, times) in ["a wrong prefix", "a wrong secret", "a good key"].into_iter().zip(times) {
        println!("{what:>15}: {}", distribution(times));
    }
    // What cannot depend on the load of this machine: both ask the same questions.
    let by_prefix = queries_of(&app.anonymous().with_key(&wrong_prefix()), EMPLOYEES, 401).await;
    let by_secret = queries_of(&app.anonymous().with_key(&wrong_secret()), EMPLOYEES, 401).await;
    assert_eq!((by_prefix, by_secret), (2, 2));
}
