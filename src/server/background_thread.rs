//! Threads for work that must not slow the rest down, such as hashing passwords.

use std::io;
use std::thread;

/// How far such a thread stands back: the others have ten times its share of a core where both want all of it, and do not
/// wait for it to end its slice. Further back, nobody could sign in while keys are checked as fast as they can be.
#[cfg(target_os = "linux")]
const STAND_BACK: i32 = 10;

/// Does work on a thread that lets all others go first. A new one each time: a thread that has given way cannot go back.
///
/// # Errors
/// If the system makes no thread.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        work();
    });
    thread.map(|_| ())
}

fn give_way() {
    // Elsewhere than on Linux it would be the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, STAND_BACK) {
        tracing::debug!(%error, "a thread does not give way");
    }
}
