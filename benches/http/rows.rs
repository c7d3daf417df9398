//! Rows of the table. Each group is a function. To add a row, add a `lab.row(…)` to one of them.

use std::io;
use std::sync::Arc;

use crate::connection::body;
use crate::data::{API, EMPLOYEES, KEYS, KEYS_EACH, MANY_USERS, Store, USERS};
use crate::keys::Keys;
use crate::lab::{Lab, Row, asks, sign_in};
use crate::load::{Asks, Load};
use crate::report::{Group, Report, Target, number};

const EMPLOYEES_LIST: &str = "/pegasus/employees/api/employees/";
const WHO: &str = "/api/who";
pub const VERIFY: &str = "/api/v1/verify";

/// Text in an answer with all employees.
const ALL_EMPLOYEES: &str = "\"count\":25,";

/// Returns a load typical for an API.
pub fn api(asks: Asks, holds: &'static str) -> Load {
    Load { asks, holds, connections: 64, awake: true }
}

/// Returns a load typical for pages.
fn pages(asks: Asks) -> Load {
    Load { asks, holds: KEYS[0], connections: 16, awake: true }
}

/// Measures the wire limit, which the other rows are compared with.
pub async fn wire(lab: &Lab) -> io::Result<Row> {
    let mut server = [lab.baseline(&lab.data.small, "hello", &[])?];
    Ok(lab.row("bare axum, \"hello\" (wire limit)", &mut server, api(asks("/", &[]), "hello")).await?.0)
}

/// Measures the query that the employees list needs, and the list itself, on one database.
async fn list(lab: &Lab, store: &Store, awake: bool) -> io::Result<[Row; 2]> {
    let load = |path, headers: &[&str]| Load { awake, ..api(asks(path, headers), ALL_EMPLOYEES) };
    let mut server = [lab.baseline(store, "rows", &[store.keys.prefix()])?];
    let (limit, expected) = lab.row("one sqlx query (database limit)", &mut server, load("/", &[])).await?;
    drop(server);
    let mut server = [lab.keyfob(store)?];
    let load = load(EMPLOYEES_LIST, &[&store.key_header()]);
    let (list, found) = lab.row("employees list with a key", &mut server, load).await?;
    if body(&found) != body(&expected) {
        return Err(io::Error::other(
            "the JSON of the database limit differs from the API's, so they cannot be compared",
        ));
    }
    Ok([limit, list])
}

pub async fn sqlite(lab: &Lab, wire: &Row, report: &mut Report) -> io::Result<Row> {
    let [limit, list] = list(lab, &lab.data.small, true).await?;
    let mut group = Group::new(format!("SQLite, {} users with {EMPLOYEES} employees each", number(USERS)), "database");
    group.line(wire, wire, None);
    group.line(&limit, wire, Some(limit.of(&limit)));
    group.line(&list, wire, Some(list.of(&limit)));
    report.groups.push(group);
    for least in [0.7, 1.4] {
        report.targets.push(Target::at_least("list with a key", list.of(&limit), least, "of the database limit"));
    }
    Ok(list)
}

pub async fn postgres(lab: &Lab, wire: &Row, report: &mut Report) -> io::Result<()> {
    let store = &lab.data.postgres;
    // PostgreSQL may share the core of the load generator.
    let [limit, list] = list(lab, store, false).await?;
    let mut servers = [lab.keyfob(store)?, lab.keyfob(store)?];
    let load = Load { awake: false, ..api(asks(EMPLOYEES_LIST, &[&store.key_header()]), ALL_EMPLOYEES) };
    let (two, _) = lab.row("list over two processes", &mut servers, load).await?;
    drop(servers);
    // Shows what two processes instead of one cost on this machine.
    let prefix = [store.keys.prefix()];
    let mut servers = [lab.baseline(store, "rows", &prefix)?, lab.baseline(store, "rows", &prefix)?];
    let load = Load { awake: false, ..api(asks("/", &[]), ALL_EMPLOYEES) };
    let (two_limits, _) = lab.row("one sqlx query over two processes", &mut servers, load).await?;
    let title = format!("PostgreSQL, {} users with {EMPLOYEES} employees each", number(USERS));
    let mut group = Group::new(title, "database");
    for row in [&limit, &two_limits, &list, &two] {
        group.line(row, wire, Some(row.of(&limit)));
    }
    report.groups.push(group);
    let what = "list with a key, PostgreSQL";
    report.targets.push(Target::at_least(what, list.of(&limit), 0.9, "of the database limit"));
    let cost = two.figures.cost().zip(list.figures.cost()).map(|(two, one)| two / one);
    report.targets.push(Target::at_most("processor time of a request, two processes", cost, 1.1, "times one's"));
    Ok(())
}

/// Measures the key check alone: with one cached key, and with a different uncached key each time.
pub async fn checks(lab: &Lab, wire: &Row, report: &mut Report) -> io::Result<()> {
    let (small, large) = (&lab.data.small, &lab.data.large);
    let mut server = [lab.baseline(small, "check", &[])?];
    let (warm, _) = lab.row("key check alone", &mut server, api(asks(WHO, &[&small.key_header()]), "")).await?;
    drop(server);
    let mut server = [lab.keyfob(small)?];
    let (verify, _) = lab.row("/api/v1/verify", &mut server, api(asks(VERIFY, &[&small.key_header()]), "")).await?;
    let path = format!("{VERIFY}?api={API}&scope={API}:read");
    let with_api = "/api/v1/verify?api=&scope=";
    let (required, _) = lab.row(with_api, &mut server, api(asks(&path, &[&small.key_header()]), "")).await?;
    drop(server);
    let [of_few, of_many] = [USERS, MANY_USERS * KEYS_EACH].map(|keys| format!("cold, {} keys in turn", number(keys)));
    let few = cold(lab, small, "check-cold", of_few.clone()).await?;
    let many = cold(lab, large, "check-cold", of_many.clone()).await?;
    // The lookup alone; the rest is recording the use.
    let found_of_few = cold(lab, small, "check-unwritten", format!("{of_few}, no use written")).await?;
    let found_of_many = cold(lab, large, "check-unwritten", format!("{of_many}, no use written")).await?;

    let mut group = Group::new("The key check, SQLite".to_owned(), "fewer keys");
    for row in [&warm, &verify, &required, &few] {
        group.line(row, wire, None);
    }
    group.line(&many, wire, Some(many.of(&few)));
    group.line(&found_of_few, wire, None);
    group.line(&found_of_many, wire, Some(found_of_many.of(&found_of_few)));
    report.groups.push(group);
    report.targets.push(Target::at_least("key check alone", warm.of(wire), 0.7, "of the wire limit"));
    report.targets.push(Target::at_least(with_api, required.of(wire), 0.6, "of the wire limit"));
    let what = format!("cold key check, {} keys", number(MANY_USERS * KEYS_EACH));
    report.targets.push(Target::at_least(&what, many.of(&few), 0.8, &format!("of that with {}", number(USERS))));
    Ok(())
}

/// Measures the key check without a cache, with a different key each time.
async fn cold(lab: &Lab, store: &Store, baseline: &str, name: String) -> io::Result<Row> {
    let keys: &Arc<Keys> = &store.keys;
    let mut server = [lab.baseline(store, baseline, &[])?];
    Ok(lab.row(&name, &mut server, api(Asks::in_turn(WHO, keys), "")).await?.0)
}

pub async fn profile(lab: &Lab, wire: &Row, report: &mut Report) -> io::Result<()> {
    let store = &lab.data.small;
    let mut server = [lab.keyfob(store)?];
    let cookie = sign_in(&mut server[0]).await?;
    let headers = [&*format!("Cookie: {cookie}"), "Accept: text/html"];
    let (page, found) = lab.row("profile page with a session", &mut server, pages(asks("/profile", &headers))).await?;
    drop(server);
    let mut server = [lab.baseline(store, "page", &[&cookie])?];
    let (preloaded, expected) = lab.row("the same with preloaded data", &mut server, pages(asks("/", &[]))).await?;
    // Only lengths are compared, because each page has its own nonce.
    if body(&found).len() != body(&expected).len() {
        return Err(io::Error::other(
            "the page with preloaded data differs from the server's, so they cannot be compared",
        ));
    }
    let mut group = Group::new("The profile page, SQLite".to_owned(), "preloaded");
    for row in [&preloaded, &page] {
        group.line(row, wire, Some(row.of(&preloaded)));
    }
    report.groups.push(group);
    report.targets.push(Target::at_least("profile page", page.of(wire), 0.03, "of the wire limit"));
    report.targets.push(Target::at_least("profile page", page.of(&preloaded), 0.5, "of the page with preloaded data"));
    report.targets.push(Target::under("profile page: median", page.figures.p50, 10.0, "ms"));
    Ok(())
}
