//! Assignment of processor cores.

use std::process::{Command, Output};

/// Core lists in the format of `taskset`.
pub struct Cores {
    /// All cores that this program can use.
    pub all: String,
    /// One core for the server.
    pub server: String,
    /// Another core for the load generator.
    pub load: String,
    /// The remaining cores for PostgreSQL, or else the load generator's.
    pub database: String,
}

impl Cores {
    /// Assigns the cores of this process, and moves it to the load generator's. The error says why that failed.
    pub fn take() -> Result<Self, String> {
        let allowed = line_of("/proc/self/status", "Cpus_allowed_list:").unwrap_or_default();
        // The first and last are least likely to be two threads of one core.
        let numbers = numbers(&allowed);
        let [server, left @ .., load] = &numbers[..] else {
            return Err("there is only one core, or the system does not tell which there are".to_owned());
        };
        let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let (server, load) = (server.to_string(), load.to_string());
        let database = if left.is_empty() { load.clone() } else { list(left) };
        // No other thread exists yet.
        pin(&load, &std::process::id().to_string())?;
        Ok(Self { all: list(&numbers), server, load, database })
    }
}

/// Moves all threads of a process to these cores.
fn pin(cores: &str, pid: &str) -> Result<(), String> {
    match Command::new("taskset").args(["-acp", cores, pid]).output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, .. }) => Err(format!("taskset failed: {}", String::from_utf8_lossy(&stderr).trim())),
        Err(error) => Err(format!("taskset cannot be run: {error}")),
    }
}

/// Moves PostgreSQL to these cores, including later connections. `backend` is the process of one connection.
pub fn pin_postgres(cores: &str, backend: i32) -> Result<(), String> {
    let postmaster = parent(&backend.to_string()).filter(|pid| is_postgres(pid) && is_postgres(&backend.to_string()));
    let postmaster = postmaster.ok_or("it does not run on this machine, or not where its processes can be seen")?;
    // The main process, because new backends inherit its cores.
    pin(cores, &postmaster)?;
    let processes = std::fs::read_dir("/proc").map_err(|error| format!("/proc cannot be read: {error}"))?;
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for pid in pids.filter(|pid| parent(pid).as_ref() == Some(&postmaster)) {
        pin(cores, &pid)?;
    }
    Ok(())
}

fn parent(pid: &str) -> Option<String> {
    line_of(&format!("/proc/{pid}/status"), "PPid:")
}

fn is_postgres(pid: &str) -> bool {
    line_of(&format!("/proc/{pid}/status"), "Name:").is_some_and(|name| name.starts_with("postgres"))
}

/// Describes the machine in one line.
pub fn describe() -> String {
    let cores =
        std::thread::available_parallelism().map_or_else(|_| "an unknown number of".to_owned(), |n| n.to_string());
    let model = line_of("/proc/cpuinfo", "model name");
    let model =
        model.map_or_else(|| "an unknown processor".to_owned(), |m| m.trim_start_matches(':').trim().to_owned());
    let memory = line_of("/proc/meminfo", "MemTotal:").and_then(|total| total.strip_suffix(" kB")?.parse::<u64>().ok());
    let memory = memory.map(|kib| format!(", {} GB of memory", kib * 1024 / 1_000_000_000)).unwrap_or_default();
    format!("The machine: {cores} cores of {model}{memory}.")
}

/// Returns the rest of the first line that starts with `start`.
pub fn line_of(file: &str, start: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(start)).map(|rest| rest.trim().to_owned())
}

/// Parses a list such as `0-3,8`.
fn numbers(text: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}
