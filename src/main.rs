//! The command line of Keyfob; `serve` is the default.

mod cli;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match cli::parse() {
        Ok(command) => cli::run(command).await,
        Err(refusal) => Err(refusal),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("keyfob: {refusal}");
            ExitCode::from(1)
        }
    }
}
