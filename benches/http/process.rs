//! Start time and memory of the process, on the database with the most keys.

use std::io;
use std::time::Duration;

use crate::connection::request;
use crate::data::{KEYS_EACH, MANY_USERS};
use crate::lab::Lab;
use crate::load::Asks;
use crate::report::{Report, Table, Target, megabytes, number};
use crate::rows::{VERIFY, api};

/// Number of measured starts.
const STARTS: usize = 5;
/// Keys in use when the memory is measured.
const KEYS_IN_USE: u32 = 100_000;

/// Measures the time from the start of the process to its first `/readyz` answer.
pub async fn start(lab: &Lab, report: &mut Report) -> io::Result<()> {
    eprintln!("Measuring the start, {STARTS} times");
    let mut took = Vec::new();
    for _ in 0..STARTS {
        let mut server = lab.keyfob(&lab.data.large)?;
        server.first_answer(&request("GET /readyz", &[], ""), 200).await?;
        took.push(server.age());
    }
    took.sort_unstable();
    let (median, slowest) = (took[STARTS / 2], took[STARTS - 1]);
    let name = format!("first 200 of /readyz, {} keys, {STARTS} times", number(MANY_USERS * KEYS_EACH));
    let millis = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1000.0);
    report.tables.push(Table {
        heads: ["Start of keyfob serve", "median", "slowest"],
        lines: vec![[name, millis(median), millis(slowest)]],
    });
    report.targets.push(Target::under("start to first answer: median", median.as_secs_f64(), 0.3, "s"));
    Ok(())
}

/// Measures the memory when idle, and after many keys were used once.
pub async fn memory(lab: &Lab, report: &mut Report) -> io::Result<()> {
    let store = &lab.data.large;
    let mut server = lab.keyfob_on_all_cores(store)?;
    let unknown = || io::Error::other("the system does not report a process's memory");
    server.first_answer(&request(&format!("GET {VERIFY}"), &[&store.key_header()], ""), 200).await?;
    let idle = server.memory().ok_or_else(unknown)?;
    let keys = number(KEYS_IN_USE);
    eprintln!("Measuring the memory: one request with each of {keys} keys");
    let load = api(Asks::in_turn(VERIFY, &store.keys), "");
    let took = load.run_times(server.addr, KEYS_IN_USE as usize).await?;
    let used = server.memory().ok_or_else(unknown)?;

    let name = format!("{keys} keys in use, each once within {:.1} s", took.as_secs_f64());
    let mut lines = Vec::new();
    for (name, what, memory, limit) in [
        ("idle, after one answer".to_owned(), "memory, idle".to_owned(), idle, 40),
        (name, format!("memory, {keys} keys in use"), used, 120),
    ] {
        lines.push([name, megabytes(memory.now), megabytes(memory.peak)]);
        report.targets.push(Target::memory(&what, memory.peak, limit));
    }
    report.tables.push(Table { heads: ["Memory of keyfob serve, on all cores", "now", "peak"], lines });
    Ok(())
}
