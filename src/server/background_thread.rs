//! Low-priority threads for heavy work, such as hashing passwords.

use std::io;
use std::thread;

/// Nice value. Normal threads get ten times the processor share of these. A higher value would stall sign-ins under full load.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs work on a new low-priority thread. Threads are not reused, because an unprivileged thread cannot raise its priority
/// again.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        lower_priority();
        work();
    });
    thread.map(|_| ())
}

fn lower_priority() {
    // On other systems this would apply to the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "cannot lower a thread's priority");
    }
}
