//! `keyfob doctor`

use keyfob::server::clock::Clock;
use keyfob::server::config::Config;
use keyfob::server::maintenance::doctor::{Finding, examine};

use super::CommandError;

/// # Errors
/// If anything is wrong.
pub async fn run(url: &str, config: &Config) -> Result<(), CommandError> {
    let found = examine(url, config, Clock::system().now()).await;
    for finding in &found {
        println!("{finding}");
    }
    match found.iter().filter(|finding| matches!(finding, Finding::Wrong(_))).count() {
        0 => Ok(()),
        number => Err(CommandError(format!("things that are wrong: {number}. The lines above say what to do."))),
    }
}
