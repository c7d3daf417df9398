//! The short and the long form of a test, and what is written of its outcome.

use std::io::Write;

/// The number for `make test`, or the one for `make test-faults`.
pub fn short_or_long<T>(short: T, long: T) -> T {
    if std::env::var_os("KEYFOB_FAULTS_TABLE").is_some() { long } else { short }
}

/// Prints a line of the table, and adds it to that of `make test-faults`.
pub fn report(fault: &str, outcome: &str) {
    println!("{fault}: {outcome}");
    if let Some(table) = std::env::var_os("KEYFOB_FAULTS_TABLE") {
        let mut table = std::fs::OpenOptions::new().append(true).create(true).open(table).unwrap();
        writeln!(table, "{fault}\t{outcome}").unwrap();
    }
}
