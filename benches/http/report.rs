//! Report that is printed at the end of a run.

use std::io;
use std::path::{Path, PathBuf};

use crate::SITE;
use crate::lab::Row;
use crate::load::{Figures, MEASURED, WARM_UP};

/// Results so far.
#[derive(Default)]
pub struct Report {
    /// Sentences about the machine and the run.
    pub notes: Vec<String>,
    pub groups: Vec<Group>,
    pub tables: Vec<Table>,
    pub targets: Vec<Target>,
}

impl Report {
    pub fn print(&self) {
        println!();
        for note in &self.notes {
            println!("{note}");
        }
        println!("Each row was measured for {} s after {} s of warm-up.", MEASURED.as_secs(), WARM_UP.as_secs());
        for group in &self.groups {
            group.print();
        }
        for table in &self.tables {
            table.print();
        }
        if !self.targets.is_empty() {
            println!("\nTargets");
        }
        for Target { what, met } in &self.targets {
            println!("{}  {what}", if *met { "met    " } else { "NOT MET" });
        }
    }
}

/// Rows that are compared with each other.
pub struct Group {
    title: String,
    /// Heading of the last ratio.
    of: &'static str,
    lines: Vec<[String; 9]>,
}

impl Group {
    pub const fn new(title: String, of: &'static str) -> Self {
        Self { title, of, lines: Vec::new() }
    }

    /// Adds a row with its ratios to the wire limit and within the group.
    pub fn line(&mut self, row: &Row, wire: &Row, of: Option<f64>) {
        let Figures { per_second, p50, p99, busy } = row.figures;
        self.lines.push([
            row.name.clone(),
            row.connections.to_string(),
            format!("{per_second:.0}"),
            format!("{p50:.2}"),
            format!("{p99:.2}"),
            format!("{:.3}", row.of(wire)),
            of.map_or_else(String::new, |of| format!("{of:.2}")),
            busy.map_or_else(String::new, |busy| format!("{:.0} %", busy * 100.0)),
            row.figures.cost().map_or_else(String::new, |cost| format!("{cost:.1}")),
        ]);
    }

    fn print(&self) {
        println!("\n{}", self.title);
        let of = format!("of {}", self.of);
        let heads = ["connections", "requests/s", "p50 ms", "p99 ms", "of wire", &of, "server busy", "CPU µs each"];
        print_line("", heads);
        for [name, figures @ ..] in &self.lines {
            print_line(name, figures.each_ref().map(|figure| &**figure));
        }
    }
}

fn print_line(name: &str, [connections, rate, p50, p99, wire, of, busy, cost]: [&str; 8]) {
    println!("{name:<46}{connections:>11}{rate:>12}{p50:>9}{p99:>9}{wire:>9}{of:>14}{busy:>13}{cost:>13}");
}

/// Other results, in two columns.
pub struct Table {
    /// Column headings.
    pub heads: [&'static str; 3],
    pub lines: Vec<[String; 3]>,
}

impl Table {
    fn print(&self) {
        println!();
        let line = |[name, first, second]: [&str; 3]| println!("{name:<48}{first:>12}{second:>12}");
        line(self.heads);
        for cells in &self.lines {
            line(cells.each_ref().map(|cell| &**cell));
        }
    }
}

/// Target and whether it was met.
pub struct Target {
    what: String,
    met: bool,
}

impl Target {
    /// Target for a ratio that must not be smaller.
    pub fn at_least(what: &str, found: f64, least: f64, of: &str) -> Self {
        let digits = if least < 0.1 { 3 } else { 2 };
        Self { what: format!("{what}: {found:.digits$} {of}, at least {least:.digits$}"), met: found >= least }
    }

    /// Target for a ratio that must not be larger; `None` if unknown.
    pub fn at_most(what: &str, found: Option<f64>, most: f64, of: &str) -> Self {
        match found {
            Some(found) => Self { what: format!("{what}: {found:.2} {of}, at most {most:.2}"), met: found <= most },
            None => Self { what: format!("{what}: this system does not tell; at most {most:.2} {of}"), met: false },
        }
    }

    /// Target for a value that must be smaller.
    pub fn under(what: &str, found: f64, limit: f64, unit: &str) -> Self {
        Self { what: format!("{what} {found:.2} {unit}, under {limit} {unit}"), met: found < limit }
    }

    /// Target for memory, in megabytes.
    pub fn memory(what: &str, found: u64, most: u64) -> Self {
        Self {
            what: format!("{what}: {} at its peak, at most {most} MB", megabytes(found)),
            met: found <= most * 1_000_000,
        }
    }
}

/// Reports the sizes of the browser's files, plain and with Brotli.
pub fn sizes(report: &mut Report) -> io::Result<()> {
    let (mut lines, mut program) = (Vec::new(), 0);
    for name in ["keyfob.wasm", "keyfob.js", "keyfob.css"] {
        let size = |file: PathBuf| {
            let missing = |_| io::Error::other(format!("{} is missing: run `make bench`", file.display()));
            std::fs::metadata(&file).map(|file| file.len()).map_err(missing)
        };
        let folder = Path::new(SITE).join("pkg");
        let (raw, brotli) = (size(folder.join(name))?, size(folder.join(format!("{name}.br")))?);
        lines.push([name.to_owned(), kilobytes(raw), kilobytes(brotli)]);
        program += if name == "keyfob.css" { 0 } else { brotli };
    }
    lines.push(["WASM and JavaScript".to_owned(), String::new(), kilobytes(program)]);
    report.tables.push(Table { heads: ["The browser's files", "raw", "Brotli"], lines });
    let what = format!("WASM and JavaScript: {} with Brotli, under 300 kB", kilobytes(program));
    report.targets.push(Target { what, met: program < 300_000 });
    Ok(())
}

/// Formats bytes as kilobytes of 1000 bytes.
fn kilobytes(bytes: u64) -> String {
    tenths(bytes, 1000) + " kB"
}

/// Formats bytes as megabytes of 1,000,000 bytes.
pub fn megabytes(bytes: u64) -> String {
    tenths(bytes, 1_000_000) + " MB"
}

fn tenths(bytes: u64, unit: u64) -> String {
    let tenths = (bytes + unit / 20) / (unit / 10);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Formats a number with separators: `1,000,000`.
pub fn number(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
