//! What is measured at one moment, and whether it grows.

use std::time::Duration;

use crate::soak::clients::{Outcome, Record};
use crate::support::key_client::percentile;

/// Growth of the memory that counts, in bytes: caches fill, and the allocator keeps what it has.
const MEMORY_GROWTH: u64 = 12 * 1024 * 1024;
const FILES_GROWTH: u64 = 16;
/// A p99 below this is well, however much it grew: two cores do everything here.
const P99_FLOOR: Duration = Duration::from_millis(100);
/// The first samples, in which caches fill: one of so many.
const WARM_UP: usize = 4;

/// One moment of a server, and the requests since the moment before.
pub struct Sample {
    at: Duration,
    memory: u64,
    files: u64,
    rate: f64,
    p50: Duration,
    p99: Duration,
    /// Requests that got 503 or no answer during a fault.
    in_faults: usize,
    /// What went wrong otherwise.
    errors: Vec<String>,
}

impl Sample {
    pub fn take(at: Duration, pid: u32, records: Vec<Record>, every: Duration) -> Self {
        let count = records.len();
        let (mut times, mut in_faults, mut errors) = (Vec::new(), 0, Vec::new());
        for record in records {
            match record.outcome {
                Outcome::Well if record.is_calm => times.push(record.time),
                Outcome::Well => {}
                Outcome::Unavailable(_) if !record.is_calm => in_faults += 1,
                Outcome::Unavailable(what) | Outcome::Wrong(what) => errors.push(what),
            }
        }
        times.sort_unstable();
        let at_percent = |hundredths| if times.is_empty() { Duration::ZERO } else { percentile(&times, hundredths) };
        #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
        let rate = count as f64 / every.as_secs_f64();
        let (p50, p99) = (at_percent(50), at_percent(99));
        Self { at, memory: memory(pid), files: files(pid), rate, p50, p99, in_faults, errors }
    }

    pub fn head() -> String {
        format!(
            "{:>8}  {:<10}  {:>9}  {:>5}  {:>10}  {:>9}  {:>9}  {:>9}  {:>6}",
            "time", "database", "memory MB", "files", "requests/s", "p50 ms", "p99 ms", "in faults", "errors"
        )
    }

    pub fn line(&self, database: &str) -> String {
        let seconds = self.at.as_secs();
        let time = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        format!(
            "{time:>8}  {database:<10}  {:>9}  {:>5}  {:>10.1}  {:>9.2}  {:>9.2}  {:>9}  {:>6}",
            self.memory / 1024 / 1024,
            self.files,
            self.rate,
            milliseconds(self.p50),
            milliseconds(self.p99),
            self.in_faults,
            self.errors.len()
        )
    }
}

/// Says what grows from the first to the last third of the samples, without the warm-up.
pub fn verdict(samples: &[Sample]) -> Vec<String> {
    let steady = &samples[samples.len() / WARM_UP..];
    let third = steady.len().div_ceil(3);
    let (first, last) = (&steady[..third], &steady[steady.len() - third..]);
    let mut found = Vec::new();
    // The least: hashing a password takes 19 MB for a moment.
    let [memory, memory_after] = [first, last].map(|these| these.iter().map(|sample| sample.memory).min().unwrap());
    if memory_after > memory + MEMORY_GROWTH {
        found.push(format!("memory grows from {} to {} MB", memory / 1024 / 1024, memory_after / 1024 / 1024));
    }
    let [files, files_after] = [first, last].map(|these| middle(these, |sample| sample.files));
    if files_after > files + FILES_GROWTH {
        found.push(format!("open files grow from {files} to {files_after}"));
    }
    let [p99, p99_after] = [first, last].map(|these| middle(these, |sample| sample.p99));
    if p99_after > P99_FLOOR && p99_after > p99 * 2 {
        found.push(format!("p99 grows from {p99:.1?} to {p99_after:.1?}"));
    }
    let errors: Vec<_> = samples.iter().flat_map(|sample| &sample.errors).collect();
    if let Some(error) = errors.first() {
        found.push(format!("{} errors outside of faults, the first: {error}", errors.len()));
    }
    found
}

fn middle<T: Ord + Copy>(samples: &[Sample], value: impl Fn(&Sample) -> T) -> T {
    let mut values: Vec<_> = samples.iter().map(value).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// Returns the resident memory of a process in bytes.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

fn files(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(memory_mb: u64, files: u64, p99_ms: u64) -> Sample {
        let (p50, p99) = (Duration::from_millis(1), Duration::from_millis(p99_ms));
        let memory = memory_mb * 1024 * 1024;
        Sample { at: Duration::ZERO, memory, files, rate: 1.0, p50, p99, in_faults: 3, errors: Vec::new() }
    }

    #[test]
    fn a_leak_of_memory_files_or_time_is_not_flat() {
        let found = |sample: fn(u64) -> Sample| verdict(&(0..30).map(sample).collect::<Vec<_>>()).join("; ");
        assert_eq!(found(|n| sample(50 + n, 40, 10)), "memory grows from 57 to 72 MB");
        assert_eq!(found(|n| sample(50, 40 + 2 * n, 10)), "open files grow from 62 to 92");
        assert_eq!(found(|n| sample(50, 40, 10 * n)), "p99 grows from 110.0ms to 260.0ms");
        let mut samples: Vec<_> = (0..30).map(|_| sample(50, 40, 10)).collect();
        samples[0].errors.push("401".to_owned());
        assert_eq!(verdict(&samples), ["1 errors outside of faults, the first: 401"]);
    }

    #[test]
    fn warm_up_and_noise_are_flat() {
        let samples: Vec<_> =
            (0..30).map(|n| sample(if n < 7 { 20 + 5 * n } else { 50 + n % 5 }, 40 + n % 9, 10 + n)).collect();
        assert!(verdict(&samples).is_empty());
    }
}
