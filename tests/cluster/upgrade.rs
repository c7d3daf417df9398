//! Two builds behind nginx, as while servers are upgraded one by one: the page of one asks the other for its files.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use crate::support::http::Connection;
use crate::support::key_client::ask;
use crate::support::machines::{KEYFOB, Machine};
use crate::support::nginx::Nginx;
use crate::support::serial::alone;
use crate::support::shared_database::Database;

const PAGES: usize = 12;

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
        let files = files(&page);
        assert_eq!(files.len(), 3, "a style sheet, a script and a program: {page}");
        for file in files {
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

/// The files below `pkg` that a page links to.
fn files(page: &str) -> Vec<String> {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.filter(|link| link.contains("/pkg/")).map(str::to_owned).collect()
}
