//! The machine: which cores it has, and what runs on which.

use std::process::{Command, Output};

/// Which cores what runs on, as `taskset` takes them.
pub struct Cores {
    /// All that this program may use.
    pub all: String,
    /// The server's: one.
    pub server: String,
    /// The load generator's: another.
    pub load: String,
    /// PostgreSQL's: those that are left; where there are none, the load's.
    pub database: String,
}

impl Cores {
    /// Shares out the cores that this process may run on, and moves it to the load's.
    ///
    /// # Errors
    /// A sentence that says why they cannot be kept apart.
    pub fn take() -> Result<Self, String> {
        let allowed = line_of("/proc/self/status", "Cpus_allowed_list:").unwrap_or_default();
        // Far apart they are least likely to be two threads of one core.
        let numbers = numbers(&allowed);
        let [server, left @ .., load] = &numbers[..] else {
            return Err("there is only one core, or the system does not tell which there are".to_owned());
        };
        let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let (server, load) = (server.to_string(), load.to_string());
        let database = if left.is_empty() { load.clone() } else { list(left) };
        // This thread; there is no other yet.
        pin(&load, &std::process::id().to_string())?;
        Ok(Self { all: list(&numbers), server, load, database })
    }
}

/// Moves all threads of a process.
fn pin(cores: &str, pid: &str) -> Result<(), String> {
    match Command::new("taskset").args(["-acp", cores, pid]).output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, .. }) => Err(format!("taskset failed: {}", String::from_utf8_lossy(&stderr).trim())),
        Err(error) => Err(format!("taskset cannot be run: {error}")),
    }
}

/// Moves PostgreSQL, as it stands and with all connections that are made later; `backend` is the process of one of them.
///
/// # Errors
/// A sentence that says why not.
pub fn pin_postgres(cores: &str, backend: i32) -> Result<(), String> {
    let postmaster = parent(&backend.to_string()).filter(|pid| is_postgres(pid) && is_postgres(&backend.to_string()));
    let postmaster = postmaster.ok_or("it does not run on this machine, or not where its processes can be seen")?;
    // The first, for whatever it starts from now on takes its cores over.
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

/// What the machine is, in one line.
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

/// The rest of the first line that begins so.
pub fn line_of(file: &str, start: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(start)).map(|rest| rest.trim().to_owned())
}

/// The numbers of a list such as `0-3,8`.
fn numbers(text: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}
