//! Figures of the process, from `/proc`. A system without it has none.

use std::fs;

use rustix::process::{Resource, getrlimit};

use super::text::{Exposition, amount, number};

/// Field of `/proc/self/stat` after the name of the program: CPU time in user mode, in ticks; the kernel's follows.
const USER_TICKS: usize = 11;

/// Adds memory, CPU time, threads and open files, by the names that all Prometheus clients use.
pub fn add(text: &mut Exposition) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kilobytes) = field(&status, "VmRSS:") {
        text.gauge("process_resident_memory_bytes", "Memory of the process in RAM.", kilobytes * 1024.0);
    }
    if let Some(threads) = field(&status, "Threads:") {
        text.gauge("process_threads", "Threads of the process.", threads);
    }
    if let Some(seconds) = cpu_seconds() {
        text.counter("process_cpu_seconds_total", "CPU time of the process, user and system.", seconds);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder itself.
        text.gauge("process_open_fds", "Open files and sockets.", amount(files.count().saturating_sub(1)));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        text.gauge("process_max_fds", "Files and sockets that may be open.", number(most));
    }
}

/// Returns a number of `/proc/self/status`.
fn field(status: &str, name: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program is in brackets and may contain spaces.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n)?.parse::<f64>().ok();
    Some((ticks(USER_TICKS)? + ticks(USER_TICKS + 1)?) / number(rustix::param::clock_ticks_per_second()))
}
