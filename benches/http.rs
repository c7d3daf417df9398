//! `make bench`: how fast Keyfob answers, as ratios to what the same machine can do in the same run; and how large the
//! browser's files are.
//!
//! The load runs on one core, the server on another, in a process of its own; each server is started for its rows and
//! ended after them. Each row is warmed up, then measured; each answer is read whole and its status checked, and the
//! first wrong one ends the run. Two baselines are this program itself, started again as a server:
//!
//! - the *wire limit*: axum that answers "hello", set up like Keyfob's own server;
//! - the *database limit*: one plain sqlx query of the employees of one user, with neither key nor count, as the same
//!   JSON to the byte.
//!
//! A row more is one more `row(…)` in [`measure`]; a target more is one more [`Target`] in [`targets`].

#[path = "http/load.rs"]
mod load;
#[path = "http/servers.rs"]
mod servers;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use crate::load::{Figures, Load, MEASURED, WARM_UP, header};
use crate::servers::{Cores, Server, serve_baseline};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The program under test; cargo builds it before this one, with the same profile.
const KEYFOB: &str = env!("CARGO_BIN_EXE_keyfob");
/// Where cargo-leptos puts the browser's files.
const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/site");

const USERS: u32 = 1000;
const EMPLOYEES: u32 = 25;
const API_CONNECTIONS: usize = 64;
const PAGE_CONNECTIONS: usize = 16;

const EMAIL: &str = "bench@example.com";
const PASSWORD: &str = "quiet-otters-measure-rivers";
/// The names of the keys on the profile page.
const KEYS: [&str; 3] = ["Nightly build", "Payroll export", "Laptop"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((first, baseline)) if first == "--server" => serve_baseline(baseline),
        _ if args.iter().any(|arg| arg == "--bench") => run(),
        _ => Err(io::Error::other("start it with `make bench`")), // `cargo test --all-targets` starts it without --bench.
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Whichever way it ends, what it holds is dropped: the servers end, and the data goes.
        tokio::select! {
            done = report() => done,
            _ = interrupt.recv() => Err(io::Error::other("interrupted")),
            _ = terminate.recv() => Err(io::Error::other("terminated")),
        }
    })
}

async fn report() -> io::Result<()> {
    let sizes = Sizes::read()?;
    eprintln!("Making up {USERS} users");
    let data = Data::make()?;
    let cores = Cores::take();
    let rows = measure(&Lab { data, cores: cores.as_ref().ok().copied() }).await?;
    let pinned = match cores {
        Ok(Cores { server, load }) => format!("The server ran on core {server}, the load on core {load}."),
        Err(why) => format!("Not pinned: {why}. Server and load shared the cores, so the ratios are rough."),
    };
    rows.print(&pinned);
    sizes.print();
    println!("\nTargets");
    for Target { what, met } in targets(&rows, &sizes) {
        println!("{}  {what}", if met { "met    " } else { "NOT MET" });
    }
    Ok(())
}

/// What was measured, in the order of the table.
struct Rows {
    wire: Row,
    database: Row,
    list: Row,
    profile: Row,
}

struct Row {
    name: &'static str,
    connections: usize,
    figures: Figures,
}

async fn measure(lab: &Lab) -> io::Result<Rows> {
    let (root, all) = (request("GET /", &[], ""), "\"count\":25,");
    let mut server = lab.baseline("hello", &[])?;
    let (wire, _) =
        lab.row("bare axum, \"hello\" (wire limit)", &mut server, (&root, "hello"), API_CONNECTIONS).await?;
    drop(server);

    let mut server = lab.baseline("rows", &[&lab.data.file(), lab.data.prefix()])?;
    let name = "one sqlx query (database limit)";
    let (database, expected) = lab.row(name, &mut server, (&root, all), API_CONNECTIONS).await?;
    drop(server);

    let mut server = lab.keyfob()?;
    let key = format!("Authorization: Api-Key {}", lab.data.key);
    let list = request("GET /pegasus/employees/api/employees/", &[&key], "");
    let (list, found) = lab.row("employees list with a key", &mut server, (&list, all), API_CONNECTIONS).await?;
    if body(&found) != body(&expected) {
        return Err(io::Error::other("the database limit's JSON is not the API's: they cannot be compared"));
    }
    let cookie = format!("Cookie: {}", sign_in(&mut server).await?);
    let page = request("GET /profile", &[&cookie, "Accept: text/html"], "");
    let name = "profile page with a session";
    let (profile, _) = lab.row(name, &mut server, (&page, KEYS[0]), PAGE_CONNECTIONS).await?;
    Ok(Rows { wire, database, list, profile })
}

/// Signs in as the form does; gives the cookie.
async fn sign_in(server: &mut Server) -> io::Result<String> {
    let form = format!("email={}&password={PASSWORD}", EMAIL.replace('@', "%40"));
    let headers = ["Content-Type: application/x-www-form-urlencoded", "Accept: text/html"];
    let answer = server.first_answer(&request("POST /fn/sign_in", &headers, &form), 302).await?;
    let cookie = header(&answer, "set-cookie").and_then(|cookie| cookie.split(';').next());
    cookie.map(str::to_owned).ok_or_else(|| io::Error::other(format!("signing in set no cookie: {answer}")))
}

fn request(line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    let first = [&format!("{line} HTTP/1.1"), "Host: localhost:8000"];
    let length = (!body.is_empty()).then_some(&*length);
    let head: Vec<&str> = first.into_iter().chain(headers.iter().copied()).chain(length).collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n")).into_bytes()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// The data and the cores that the servers run on.
struct Lab {
    data: Data,
    cores: Option<Cores>,
}

impl Lab {
    fn baseline(&self, name: &str, args: &[&str]) -> io::Result<Server> {
        let program = std::env::current_exe()?.display().to_string();
        let command = |addr: SocketAddr| {
            let fixed = [program, "--server".to_owned(), name.to_owned(), addr.to_string()];
            fixed.into_iter().chain(args.iter().map(|&arg| arg.to_owned())).collect()
        };
        Server::start(self.cores, self.data.folder.path(), command, &[])
    }

    fn keyfob(&self) -> io::Result<Server> {
        let env = [("DATABASE_URL", &*self.data.url()), ("LEPTOS_SITE_ROOT", SITE)];
        let command = |addr: SocketAddr| vec![KEYFOB.to_owned(), "serve".to_owned(), format!("--addr={addr}")];
        Server::start(self.cores, self.data.folder.path(), command, &env)
    }

    /// Measures one row: what is asked, and what stands in each answer. Gives the first answer, too.
    async fn row(
        &self,
        name: &'static str,
        server: &mut Server,
        (request, holds): (&[u8], &'static str),
        connections: usize,
    ) -> io::Result<(Row, String)> {
        let answer = server.first_answer(request, 200).await?;
        eprintln!("Measuring for {} s: {name}", (WARM_UP + MEASURED).as_secs());
        let load = Load { addr: server.addr, request: request.to_owned(), status: 200, holds, connections };
        let figures = load.run(|| server.time_used()).await?;
        Ok((Row { name, connections, figures }, answer))
    }
}

/// A database made for this run, gone after it.
struct Data {
    folder: TempDir,
    /// A key of a user with [`EMPLOYEES`].
    key: String,
}

impl Data {
    fn make() -> io::Result<Self> {
        let mut data = Self { folder: tempfile::tempdir()?, key: String::new() };
        let (users, employees) = (format!("--users={USERS}"), format!("--employees-per-user={EMPLOYEES}"));
        let keys = data.keyfob(&["seed", &users, "--keys-per-user=1", &employees], "")?;
        keys.lines().next().ok_or_else(|| io::Error::other("keyfob seed printed no key"))?.clone_into(&mut data.key);
        data.keyfob(&["user", "create", "--email", EMAIL, "--name", "Bench", "--password-stdin"], PASSWORD)?;
        for name in KEYS {
            data.keyfob(&["key", "create", "--user", EMAIL, "--name", name], "")?;
        }
        Ok(data)
    }

    fn file(&self) -> String {
        self.folder.path().join("bench.db").display().to_string()
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.file())
    }

    /// The public beginning of the key.
    fn prefix(&self) -> &str {
        self.key.rsplit_once('_').map_or("", |(prefix, _)| prefix)
    }

    /// Runs a command of Keyfob to its end; gives what it printed.
    fn keyfob(&self, args: &[&str], input: &str) -> io::Result<String> {
        let mut command = Command::new(KEYFOB);
        command.args(args).env_clear().env("DATABASE_URL", self.url());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if output.status.success() {
            return String::from_utf8(output.stdout).map_err(io::Error::other);
        }
        Err(io::Error::other(format!("keyfob {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr))))
    }
}

impl Rows {
    fn print(&self, pinned: &str) {
        println!(
            "\nSQLite, {USERS} users with {EMPLOYEES} employees each; {} s a row after {} s of warm-up\n",
            MEASURED.as_secs(),
            WARM_UP.as_secs()
        );
        print_row(["", "connections", "requests/s", "p50 ms", "p99 ms", "of wire", "of database", "server busy"]);
        // Only what gives the same rows is held against the database limit.
        for (row, same) in [(&self.wire, false), (&self.database, true), (&self.list, true), (&self.profile, false)] {
            let Figures { per_second, p50, p99, busy } = row.figures;
            print_row([
                row.name,
                &row.connections.to_string(),
                &format!("{per_second:.0}"),
                &format!("{p50:.2}"),
                &format!("{p99:.2}"),
                &format!("{:.3}", row.of(&self.wire)),
                &if same { format!("{:.2}", row.of(&self.database)) } else { String::new() },
                &busy.map_or_else(String::new, |busy| format!("{:.0} %", busy * 100.0)),
            ]);
        }
        println!("\n{pinned}");
    }
}

impl Row {
    /// The requests in a second as a part of another row's.
    fn of(&self, limit: &Self) -> f64 {
        self.figures.per_second / limit.figures.per_second
    }
}

fn print_row([name, connections, rate, p50, p99, wire, database, busy]: [&str; 8]) {
    println!("{name:<34}{connections:>11}{rate:>12}{p50:>9}{p99:>9}{wire:>9}{database:>13}{busy:>13}");
}

/// The sizes in bytes of what a browser loads, plain and with Brotli.
struct Sizes {
    files: Vec<(&'static str, u64, u64)>,
    /// WASM and JavaScript together, with Brotli.
    program: u64,
}

impl Sizes {
    fn read() -> io::Result<Self> {
        let files = ["keyfob.wasm", "keyfob.js", "keyfob.css"].map(|name| {
            let size = |file: PathBuf| {
                let missing = |_| io::Error::other(format!("{} is missing: run `make bench`", file.display()));
                std::fs::metadata(&file).map(|file| file.len()).map_err(missing)
            };
            let folder = Path::new(SITE).join("pkg");
            Ok((name, size(folder.join(name))?, size(folder.join(format!("{name}.br")))?))
        });
        let files = files.into_iter().collect::<io::Result<Vec<_>>>()?;
        let program = files.iter().filter(|(name, ..)| *name != "keyfob.css").map(|(_, _, brotli)| brotli).sum();
        Ok(Self { files, program })
    }

    fn print(&self) {
        println!("\n{:<34}{:>11}{:>12}", "The browser's files", "raw", "Brotli");
        for &(name, raw, brotli) in &self.files {
            println!("{name:<34}{:>11}{:>12}", kilobytes(raw), kilobytes(brotli));
        }
        println!("{:<34}{:>11}{:>12}", "WASM and JavaScript", "", kilobytes(self.program));
    }
}

/// To a tenth of a kilobyte of 1000 bytes.
fn kilobytes(bytes: u64) -> String {
    let tenths = (bytes + 50) / 100;
    format!("{}.{} kB", tenths / 10, tenths % 10)
}

/// What shall be reached, in the words of the report, and whether it was.
struct Target {
    what: String,
    met: bool,
}

fn targets(rows: &Rows, sizes: &Sizes) -> [Target; 4] {
    let (list, profile, p50) = (rows.list.of(&rows.database), rows.profile.of(&rows.wire), rows.profile.figures.p50);
    [
        Target { what: format!("list with a key: {list:.2} of the database limit, at least 0.70"), met: list >= 0.7 },
        Target { what: format!("profile page: {profile:.3} of the wire limit, at least 0.030"), met: profile >= 0.03 },
        Target { what: format!("profile page: median {p50:.2} ms, under 10 ms"), met: p50 < 10.0 },
        Target {
            what: format!("WASM and JavaScript: {} with Brotli, under 300 kB", kilobytes(sizes.program)),
            met: sizes.program < 300_000,
        },
    ]
}
