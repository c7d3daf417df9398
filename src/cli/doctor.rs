//! `keyfob doctor`

use keyfob::server::config::Config;
use keyfob::server::doctor::{Finding, examine};
use keyfob::server::state::Clock;

use super::Refusal;

/// # Errors
/// If anything is wrong.
pub async fn run(url: &str, config: &Config) -> Result<(), Refusal> {
    let found = examine(url, config, Clock::system().now()).await;
    for finding in &found {
        println!("{finding}");
    }
    match found.iter().filter(|finding| matches!(finding, Finding::Wrong(_))).count() {
        0 => Ok(()),
        number => Err(Refusal(format!("things that are wrong: {number}. The lines above say what to do."))),
    }
}
