//! The command line of Keyfob; `serve` is the default.

mod cli;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("keyfob: {refusal}");
            ExitCode::from(1)
        }
    }
}
