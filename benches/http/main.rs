//! `make bench`: request rates as ratios to baselines on the same machine in the same run, and memory, start time and file
//! sizes.
//!
//! The load generator runs on one core and the server process on another. PostgreSQL gets the remaining cores, or shares the
//! load generator's. Each row starts its servers, warms up, and measures. Each answer is read completely and checked; the first
//! wrong one ends the run. The baselines are this program, started again as a server (`baselines.rs`):
//!
//! - *wire limit*: bare axum that answers "hello", with the settings of Keyfob's server
//! - *database limit*: one plain sqlx query of a user's employees, without key or count, as the same JSON
//! - the profile page, rendered from preloaded data
//!
//! The rows are in `rows.rs`, start time and memory in `process.rs`, each with its targets.

mod baselines;
mod compare;
#[path = "../../tests/support/http.rs"]
mod connection;
mod data;
mod keys;
mod lab;
mod load;
mod machine;
mod process;
mod report;
mod rows;
mod servers;

use std::io;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::compare::Other;
use crate::data::{Data, settle_postgres};
use crate::lab::Lab;
use crate::machine::Cores;
use crate::report::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Program under test. Cargo builds it first, with the same profile.
const KEYFOB: &str = env!("CARGO_BIN_EXE_keyfob");
/// Folder of the browser's files.
const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/site");

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((first, baseline)) if first == "--server" => baselines::serve(baseline),
        _ if args.iter().any(|arg| arg == "--bench") => Other::from_args(&args).and_then(run),
        _ => Err(io::Error::other("run this with `make bench`")), // `cargo test --all-targets` runs it without --bench.
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(other: Option<Other>) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Dropping the future stops the servers and removes the data.
        tokio::select! {
            done = bench(other) => done,
            _ = interrupt.recv() => Err(io::Error::other("interrupted")),
            _ = terminate.recv() => Err(io::Error::other("terminated")),
        }
    })
}

async fn bench(other: Option<Other>) -> io::Result<()> {
    if let Some(other) = &other {
        other.check().await?;
    }
    let mut report = Report { notes: vec![machine::describe()], ..Report::default() };
    let data = Data::make().await?;
    let cores = Cores::take();
    report.notes.push(match &cores {
        Ok(Cores { server, load, .. }) => format!("The server ran on core {server} alone, the load on core {load}."),
        Err(why) => format!("Not pinned: {why}. Server and load shared the cores, so the ratios are rough."),
    });
    let cores = cores.ok();
    report.notes.push(settle_postgres(&data.postgres, cores.as_ref()).await?);
    report.notes.push(data.making.clone());
    let lab = Lab { data, cores };
    let done = measure(&lab, other, &mut report).await;
    // Print even after a failure: the rows until then are valid.
    report.print();
    lab.data.remove().await;
    done
}

async fn measure(lab: &Lab, other: Option<Other>, report: &mut Report) -> io::Result<()> {
    report::sizes(report)?;
    let wire = rows::wire(lab).await?;
    let list = rows::sqlite(lab, &wire, report).await?;
    if let Some(other) = other {
        other.measure(lab, &wire, &list, report).await?;
    }
    rows::postgres(lab, &wire, report).await?;
    rows::checks(lab, &wire, report).await?;
    rows::profile(lab, &wire, report).await?;
    process::start(lab, report).await?;
    process::memory(lab, report).await
}
