//! Servers of two versions, as while they are upgraded one by one.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::http::{Connection, request};
use crate::support::key_client::{ask, me, revoke, until_refused};
use crate::support::machines::{KEYFOB, Machine, make_keys_by};
use crate::support::nginx::Nginx;
use crate::support::serial::alone;
use crate::support::shared_database::Database;
use crate::support::traffic::Traffic;

const PAGES: usize = 12;
/// How long a revoked key may work on a server of the other version. Its notification takes milliseconds.
const REVOKED_AFTER: Duration = Duration::from_secs(1);
const EMPLOYEES: &str = "/pegasus/employees/api/employees/";

/// The server of 0.1.0 makes the database and is under load while today's server starts and migrates it.
#[tokio::test]
#[ignore = "needs the program of 0.1.0: run make test-upgrade"]
async fn server_of_0_1_0_serves_on_while_another_is_upgraded() {
    let _alone = alone().await;
    let program = std::env::var("KEYFOB_OLD_PROGRAM").expect("make test-upgrade sets KEYFOB_OLD_PROGRAM");
    let database = Database::make().await;
    let keys = make_keys_by(&program, database.url(), 5).await;
    let old = Machine::start_by(&[&program], database.url()).await;
    let reads = Traffic::start(old.addr, &keys[0], 4);
    let writes = add_employees(old.addr, &keys[1]);
    reads.more(100).await;

    let began = Instant::now();
    let new = Machine::start(database.url()).await;
    let started_in = began.elapsed();
    let (new_reads, new_writes) = (Traffic::start(new.addr, &keys[0], 4), add_employees(new.addr, &keys[1]));
    reads.more(200).await;
    new_reads.more(200).await;

    let mut seen = Vec::new();
    for (key, from, to) in [(&keys[2], old.addr, new.addr), (&keys[3], new.addr, old.addr)] {
        assert_eq!((me(from, key).await.status, me(to, key).await.status), (200, 200));
        let revoked = revoke(from, key).await;
        seen.push(until_refused(to, key, "key_revoked", (revoked, REVOKED_AFTER)).await);
    }
    // Each reads what the other writes.
    let counts = [count(old.addr, &keys[4]).await, count(new.addr, &keys[4]).await];

    let (mut answered, mut failures, mut written) = (0, Vec::new(), 0);
    for load in [reads.stop().await, new_reads.stop().await] {
        answered += load.answered;
        failures.extend(load.failures);
    }
    for load in [writes.stop().await, new_writes.stop().await] {
        written += load.answered;
        failures.extend(load.failures);
    }
    println!(
        "0.1.0 and today's server on one database: ready after {started_in:.1?}, {answered} requests answered, {written} employees \
         added, revocations seen by the other after {seen:.1?}, failures: {failures:?}."
    );
    assert_eq!(failures, Vec::<String>::new());
    assert!(written > 50 && counts[0] > 3 && counts[1] >= counts[0], "{written} {counts:?}");
    // What was written under both versions is there.
    assert_eq!(count(new.addr, &keys[4]).await, written + 3);
    drop((old, new));
    database.throw_away().await;
}

/// The number of employees that the list of a key has.
async fn count(addr: SocketAddr, key: &str) -> usize {
    let answer = ask(addr, &format!("GET {EMPLOYEES}"), key).await.unwrap();
    answer.json()["count"].as_u64().unwrap().try_into().unwrap()
}

/// Adds employees until it is stopped.
fn add_employees(addr: SocketAddr, key: &str) -> Traffic {
    let headers = [&*format!("Authorization: Api-Key {key}"), "Content-Type: application/json"];
    let body = "{\"name\":\"Zoë\",\"department\":\"hr\",\"salary\":100}";
    Traffic::send(addr, &request(&format!("POST {EMPLOYEES}"), &headers, body), 201, 1)
}

/// Two builds behind nginx: the page of one asks the other for its files.
#[tokio::test]
async fn pages_find_their_files_whichever_of_two_builds_they_ask() {
    let _alone = alone().await;
    let database = Database::make().await;
    let sites = [build("old"), build("new")];
    let mut machines = Vec::new();
    for site in &sites {
        let root = format!("LEPTOS_SITE_ROOT={}", site.path().display());
        machines.push(Machine::start_by(&["/usr/bin/env", &root, KEYFOB], database.url()).await);
    }
    let nginx = Nginx::before(&machines).await;

    let (mut of_other, mut of_own) = (0, 0);
    for n in 0..PAGES {
        let page = get(nginx.addr, "/sign-in").await;
        for file in files(&page) {
            // Another connection each time, so that nginx asks the servers in turn.
            let answer = ask(nginx.addr, &format!("GET {file}"), "").await.unwrap();
            assert_eq!(answer.status, 200, "page {n}: {file}");
            let wanted = file.split('/').nth(1).unwrap();
            let found = answer.header("x-site-version").unwrap();
            let cache = answer.header("cache-control").unwrap();
            if found == format!("/{wanted}") {
                assert!(cache.contains("immutable"), "{file}: {cache}");
                of_own += 1;
            } else {
                assert_eq!(cache, "no-cache", "{file}");
                of_other += 1;
            }
        }
    }
    println!(
        "{PAGES} pages of two builds behind nginx: {of_own} files came from the same build, {of_other} from the other."
    );
    assert!(of_other > 0 && of_own > 0, "nginx asked one server only");
    for machine in &machines {
        for path in ["/v-00000000/pkg/none.css", "/v-00000000/pkg/", "/v-00000000/keyfob.css", "/v-/pkg/../keyfob.css"]
        {
            let answer = ask(machine.addr, &format!("GET {path}"), "").await.unwrap();
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.header("cache-control").unwrap().contains("no-store"), "{path}");
        }
    }
    drop((nginx, machines));
    database.throw_away().await;
}

/// The browser's files as one build has them.
fn build(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pkg = folder.path().join("pkg");
    std::fs::create_dir(&pkg).unwrap();
    for file in ["keyfob.css", "keyfob.js", "keyfob.wasm"] {
        write(&pkg.join(file), &format!("/* {file} of the {name} build */"));
    }
    folder
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
}

async fn get(addr: SocketAddr, path: &str) -> String {
    let mut connection = Connection::open(addr).await.unwrap();
    let mut request = String::new();
    write!(request, "GET {path} HTTP/1.1\r\nHost: localhost:8000\r\nAccept: text/html\r\n\r\n").unwrap();
    assert_eq!(connection.ask(request.as_bytes()).await.unwrap(), 200);
    connection.text()
}

/// Returns the style sheet, the script and the program of a page. The page gives their version to the code that loads them.
fn files(page: &str) -> [String; 3] {
    let version =
        page.split("})(\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("{page}"));
    let files = ["keyfob.css", "keyfob.js", "keyfob.wasm"].map(|name| format!("{version}/pkg/{name}"));
    assert!(page.contains(&format!("href=\"{}\"", files[0])), "{page}");
    files
}
