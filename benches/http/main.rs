//! `make bench`: how fast Keyfob answers, as ratios to what the same machine can do in the same run; how much memory it
//! takes, how fast it starts, and how large the browser's files are.
//!
//! The load runs on one core, the server on another, in a process of its own; PostgreSQL runs on the cores that are left,
//! or beside the load, for what is measured is the server. Each server is started for its rows and ended after them. Each
//! row is warmed up, then measured; each answer is read whole and its status checked, and the first wrong one ends the run.
//! What the rows are held against is this program itself, started again as a server (`baselines.rs`):
//!
//! - the *wire limit*: axum that answers "hello", set up like Keyfob's own server;
//! - the *database limit*: one plain sqlx query of the employees of one user, with neither key nor count, as the same
//!   JSON to the byte;
//! - the profile page, rendered from data that was read once.
//!
//! The rows stand in `rows.rs`, what is asked of the process as a whole in `process.rs`, each with its targets.

mod baselines;
mod compare;
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

/// The program under test; cargo builds it before this one, with the same profile.
const KEYFOB: &str = env!("CARGO_BIN_EXE_keyfob");
/// Where cargo-leptos puts the browser's files.
const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/site");

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((first, baseline)) if first == "--server" => baselines::serve(baseline),
        _ if args.iter().any(|arg| arg == "--bench") => Other::named(&args).and_then(run),
        _ => Err(io::Error::other("start it with `make bench`")), // `cargo test --all-targets` starts it without --bench.
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
        // Whichever way it ends, what it holds is dropped: the servers end, and the data goes.
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
    // If it failed, too: what was measured until then is right.
    report.print();
    lab.data.remove().await;
    done
}

async fn measure(lab: &Lab, other: Option<Other>, report: &mut Report) -> io::Result<()> {
    report::sizes(report)?;
    let wire = rows::wire(lab).await?;
    let list = rows::sqlite(lab, &wire, report).await?;
    if let Some(other) = other {
        other.measure(lab, (&wire, &list), report).await?;
    }
    rows::postgres(lab, &wire, report).await?;
    rows::checks(lab, &wire, report).await?;
    rows::profile(lab, &wire, report).await?;
    process::start(lab, report).await?;
    process::memory(lab, report).await
}
