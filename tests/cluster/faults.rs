//! A database that is away or slow for a while, under requests of every kind.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::browser::Browser;
use crate::support::http::{Connection, header, request};
use crate::support::key_client::{ANSWER, revoke, with_key};
use crate::support::machines::{Machine, make_keys};
use crate::support::outcome::{report, short_or_long};
use crate::support::proxy::{Proxy, Trouble, Whose};
use crate::support::serial::alone;
use crate::support::shared_database::Database;

/// How long it may take to be as before.
const HEALED: Duration = Duration::from_secs(5);
/// How many clients ask for each kind of thing.
const CLIENTS: usize = 8;
/// How many connections the server has for single statements, and for transactions.
const STATEMENTS: usize = 16;
const TRANSACTIONS: usize = 4;
/// So slow that the time of an answer tells whether a connection had to be waited for, and not so slow that one is given up.
const SLOW: Duration = Duration::from_millis(200);

#[tokio::test]
async fn black_holed_database_delays_no_response_and_recovers() {
    outage("database black-holed", Trouble::BlackHole).await;
}

#[tokio::test]
async fn reset_connections_delay_no_response_and_recover() {
    outage("database's connections reset", Trouble::Cut).await;
}

#[tokio::test]
async fn slow_database_delays_no_response_and_recovers() {
    outage("database slowed, 2 s each way", Trouble::Slow(Duration::from_secs(2))).await;
}

async fn outage(fault: &str, trouble: Trouble) {
    let _alone = alone().await;
    let database = Database::make().await;
    let mut keys = make_keys(database.url(), 2 + 2 * TRANSACTIONS).await;
    let proxy = Proxy::before(database.server()).await;
    let url = database.url_by(proxy.addr);
    let machine = Machine::start(&url).await;
    let browser = Browser::sign_in(machine.addr, database.url()).await;
    let kinds = kinds(&keys.pop().unwrap(), &browser);
    for request in &kinds {
        assert_eq!(once(machine.addr, request).await, 200);
    }

    let length = Duration::from_secs(short_or_long(4, 30));
    proxy.make(trouble, Whose::All);
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for request in kinds.iter().cycle().take(kinds.len() * CLIENTS) {
        clients.spawn(ask_until(machine.addr, request.clone(), began + length));
    }
    sleep(length).await;
    proxy.make(Trouble::None, Whose::All);
    let back = Instant::now();
    let mut well = JoinSet::new();
    for request in kinds.clone() {
        well.spawn(until_well(machine.addr, request, back));
    }
    let well = well.join_all().await.into_iter().max().unwrap();
    let (mut answered, mut refused, mut slowest) = (0, 0, Duration::ZERO);
    for tally in clients.join_all().await {
        answered += tally.answered;
        refused += tally.refused;
        slowest = slowest.max(tally.slowest);
    }
    if !matches!(trouble, Trouble::Slow(_)) {
        assert!(answered == 0 && refused > 0, "{answered} were answered without the database, {refused} refused");
    }
    let slots = all_slots(machine.addr, &proxy, &kinds[0], &mut keys).await;
    report(
        &format!("{fault}, for {length:.0?}"),
        &format!(
            "{refused} requests answered with 503 and {answered} well, after {slowest:.1?} at most; well again after {well:.1?}; \
             {slots}"
        ),
    );
    assert!(slowest < ANSWER);
    drop(machine);
    database.throw_away().await;
}

/// What is asked: rows that are read, one that is written, a page of a person.
fn kinds(key: &str, browser: &Browser) -> [Vec<u8>; 3] {
    let employees = "/pegasus/employees/api/employees/";
    let key_header = format!("Authorization: Api-Key {key}");
    let body = "{\"name\":\"x\",\"department\":\"hr\",\"salary\":1}";
    let write = request(&format!("POST {employees}"), &[&key_header, "Content-Type: application/json"], body);
    // A page that is not full needs no count, and so no turn among the reads of its owner.
    [with_key(&format!("GET {employees}?page_size=200"), key), write, browser.page("/profile")]
}

/// The status of an answer, 200 also for what was made.
///
/// # Panics
/// If none came in time, or a refusal does not say when to come back.
async fn once(addr: SocketAddr, request: &[u8]) -> u16 {
    let asking = async {
        let mut connection = Connection::open(addr).await.unwrap();
        let status = connection.ask(request).await.unwrap();
        (status, connection.text())
    };
    let (status, text) = timeout(ANSWER, asking).await.expect("no answer in time");
    match status {
        200 | 201 => 200,
        503 if header(&text, "retry-after").is_some() => 503,
        _ => panic!("{text}"),
    }
}

/// What came of the requests of one client.
#[derive(Default)]
struct Tally {
    answered: usize,
    refused: usize,
    slowest: Duration,
}

async fn ask_until(addr: SocketAddr, request: Vec<u8>, end: Instant) -> Tally {
    let mut tally = Tally::default();
    // What is asked later may still be on its way when the database is back.
    while Instant::now() + Duration::from_secs(1) < end {
        let asked = Instant::now();
        let status = once(addr, &request).await;
        tally.slowest = tally.slowest.max(asked.elapsed());
        if status == 503 {
            tally.refused += 1;
        } else if Instant::now() < end {
            tally.answered += 1;
        }
        sleep(Duration::from_millis(20)).await;
    }
    tally
}

/// Asks until it is answered as before; gives how long after the end of the fault that was.
async fn until_well(addr: SocketAddr, request: Vec<u8>, back: Instant) -> Duration {
    while once(addr, &request).await == 503 {
        assert!(back.elapsed() < HEALED, "it is not as before");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(back.elapsed() < HEALED, "it is not as before");
    back.elapsed()
}

/// Asks for every connection at once of a database that is slow: were one lost, somebody would wait for another to come free.
async fn all_slots(addr: SocketAddr, proxy: &Proxy, read: &[u8], keys: &mut Vec<String>) -> String {
    let read = async |number: usize| {
        let since = Instant::now();
        let mut reading = JoinSet::new();
        for _ in 0..number {
            let read = read.to_owned();
            reading.spawn(async move { assert_eq!(once(addr, &read).await, 200) });
        }
        reading.join_all().await;
        since.elapsed()
    };
    let mut revoke_at_once = async |number: usize| {
        let since = Instant::now();
        let mut revoking = JoinSet::new();
        for key in keys.drain(..number) {
            revoking.spawn(async move { revoke(addr, &key).await });
        }
        revoking.join_all().await;
        since.elapsed()
    };
    // So slow that all are opened.
    proxy.make(Trouble::Slow(SLOW / 4), Whose::All);
    read(STATEMENTS).await;
    revoke_at_once(TRANSACTIONS).await;
    read(STATEMENTS).await;
    proxy.make(Trouble::Slow(SLOW), Whose::All);
    // One may have to be asked whether it is still there, or to learn a statement; twice in a row, it is a connection less.
    let (one, all) = (read(1).await, read(STATEMENTS).await.min(read(STATEMENTS).await));
    let (one_change, all_changes) = (revoke_at_once(1).await, revoke_at_once(TRANSACTIONS).await);
    proxy.make(Trouble::None, Whose::All);
    let outcome = format!(
        "{STATEMENTS} reads at once on the slow database {all:.1?}, one {one:.1?}; {TRANSACTIONS} changes {all_changes:.1?}, one \
         {one_change:.1?}"
    );
    // With a connection less, one change would wait for a whole other one. Less than that is a check of the connection.
    let fit = all < one + SLOW * 3 / 2 && all_changes < one_change * 7 / 4;
    assert!(fit, "a connection is lost: {outcome}");
    outcome
}
