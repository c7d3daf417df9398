//! `keyfob seed`

use std::io::Write;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use keyfob::server::clock::Clock;
use keyfob::server::config::KeyConfig;
use keyfob::server::maintenance::seed::{Amount, seed};
use secrecy::ExposeSecret;

use super::{CommandError, Database};

#[derive(Args)]
pub struct Seed {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    config: KeyConfig,
    /// Number of users
    #[arg(long)]
    users: u32,
    /// Keys per user
    #[arg(long, default_value_t = 1)]
    keys_per_user: u32,
    /// Employees per user
    #[arg(long, default_value_t = 25)]
    employees_per_user: u32,
}

pub async fn run(options: Seed) -> Result<(), CommandError> {
    let Seed { database, config, users, keys_per_user, employees_per_user } = options;
    let db = database.open().await?;
    // Draws on stderr, if that is a terminal.
    let bar = ProgressBar::new(users.into());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} users, {eta} to go") {
        bar.set_style(style);
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    let amount = Amount { users, keys_per_user, employees_per_user };
    let seeded = seed(&db, (amount, &config.key_brand), Clock::system().now(), |done, keys| {
        bar.inc(done.into());
        for key in keys {
            if written.is_ok() {
                written = writeln!(out, "{}", key.expose_secret());
            }
        }
    });
    seeded.await?;
    bar.finish_and_clear();
    written.and_then(|()| out.flush()).map_err(|error| format!("cannot write the keys: {error}."))?;
    db.close().await;
    eprintln!("Created {users} users.");
    Ok(())
}
