//! `keyfob doctor`

use keyfob::server::clock::Clock;
use keyfob::server::config::Config;
use keyfob::server::maintenance::doctor::{Finding, run_checks};

use super::CommandError;

pub async fn run(url: &str, config: &Config) -> Result<(), CommandError> {
    let found = run_checks(url, config, Clock::system().now()).await;
    for finding in &found {
        println!("{finding}");
    }
    match found.iter().filter(|finding| matches!(finding, Finding::Fail(_))).count() {
        0 => Ok(()),
        number => Err(CommandError(format!("problems found: {number}. The lines above say how to fix them."))),
    }
}
