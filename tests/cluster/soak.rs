//! `make soak`: mixed traffic at a fixed rate, with faults, on both databases. Ends with what grew.

mod clients;
mod faults;
mod samples;

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};

use self::clients::{LIFE_CYCLE_USER, Traffic};
use self::faults::Faults;
use self::samples::{Sample, verdict};
use crate::support::browser::{Browser, make_user};
use crate::support::machines::{KEYFOB, Machine, make_keys};
use crate::support::postgres::Server;
use crate::support::proxy::Proxy;
use crate::support::serial::alone;

const HOUR: u64 = 3600;
/// Lines of the table for each database.
const SAMPLES: u64 = 30;

/// A server under traffic, and its database.
struct System {
    name: &'static str,
    machine: Machine,
    traffic: Traffic,
    faults: Faults,
    /// SQLite's folder.
    _folder: Option<TempDir>,
}

impl System {
    async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("keyfob.db").display());
        let faults = Faults::of_sqlite(url.clone());
        Self::start("SQLite", &url, &url, faults, Some(folder)).await
    }

    async fn on_postgres() -> Self {
        let server = Server::primary().await;
        server.execute("CREATE DATABASE keyfob").await;
        let direct = Server::url_by(server.addr, "keyfob");
        let proxy = Proxy::before(server.addr).await;
        let url = Server::url_by(proxy.addr, "keyfob");
        let faults = Faults::of_postgres(server, proxy, direct.clone());
        Self::start("PostgreSQL", &direct, &url, faults, None).await
    }

    /// Starts a server whose connections go to `url`. `direct` leads to the same database without the proxy.
    async fn start(name: &'static str, direct: &str, url: &str, faults: Faults, folder: Option<TempDir>) -> Self {
        let keys = make_keys(direct, 50).await;
        make_user(direct, LIFE_CYCLE_USER);
        let program = std::env::var_os("SOAK_PROGRAM").map_or_else(|| PathBuf::from(KEYFOB), PathBuf::from);
        let machine = Machine::start_by(&["/usr/bin/env", "KEYFOB_LOG=error", program.to_str().unwrap()], url).await;
        let browser = Browser::sign_in(machine.addr, direct).await;
        let traffic = Traffic::start(machine.addr, &keys, &browser);
        Self { name, machine, traffic, faults, _folder: folder }
    }

    /// Runs to the end, and prints a line of the table for each sample. Returns what grew.
    async fn run(mut self, length: Duration, samples: u64) -> Vec<String> {
        let began = Instant::now();
        let every = length / u32::try_from(samples).unwrap();
        let mut ticks = interval_at(began + every, every);
        let mut taken = Vec::new();
        let calm = self.traffic.calm();
        let mut faults = tokio::spawn(self.faults.run(calm, began + length));
        for _ in 0..samples {
            ticks.tick().await;
            assert!(self.machine.ended().is_none(), "the server of {} ended", self.name);
            let sample = Sample::take(began.elapsed(), self.machine.pid(), self.traffic.take(), every);
            println!("{}", sample.line(self.name));
            taken.push(sample);
        }
        (&mut faults).await.unwrap();
        self.traffic.stop().await;
        verdict(&taken).into_iter().map(|what| format!("{}: {what}", self.name)).collect()
    }
}

#[tokio::test]
#[ignore = "takes an hour: make soak"]
async fn nothing_grows_under_mixed_traffic_with_faults() {
    let _alone = alone().await;
    let seconds = std::env::var("SOAK_SECONDS").map_or(HOUR, |text| text.parse().expect("SOAK_SECONDS is a number"));
    assert!(seconds >= 30, "SOAK_SECONDS is at least 30");
    let length = Duration::from_secs(seconds);
    let samples = SAMPLES.min(seconds / 3);
    let (sqlite, postgres) = tokio::join!(System::on_sqlite(), System::on_postgres());
    println!("{}", clients::rates());
    println!("{}", Sample::head());
    let mut systems = JoinSet::new();
    for system in [sqlite, postgres] {
        systems.spawn(system.run(length, samples));
    }
    let grew = systems.join_all().await.concat();
    if grew.is_empty() {
        println!("flat");
    }
    assert!(grew.is_empty(), "not flat:\n{}", grew.join("\n"));
}
