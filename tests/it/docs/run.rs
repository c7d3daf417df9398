//! Runs the shell commands of each document, in order, in a folder of its own and against a real server.
//!
//! A document is run as it is, except for these:
//!
//! | in the document | in the test |
//! |---|---|
//! | `http://localhost:8000`, `https://keys.example.com` | the address of the server |
//! | `<your-api-key>`, `kf_8Qw3ZkPa` | a key of ada@example.com, the prefix of another one |
//! | `/var/lib/keyfob`, `/backups`, `/etc/keyfob` | folders below that of the test |
//! | `postgres://keyfob@db.example.com/…` | databases of the test server |
//! | `systemctl` | a script that starts and stops the server |
//! | the password on standard input | a line of a script around `keyfob` |

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use futures_util::future::join_all;
use keyfob::model::redact::redact;
use keyfob::model::teams::TeamForm;
use keyfob::model::users::Email;
use keyfob::server::audit::Actor;
use keyfob::server::clock::Clock;
use keyfob::server::db::Db;
use keyfob::server::{teams, users};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::{Document, at_root, docs};
use crate::cli;
use crate::support::free_address::free_address;
use crate::support::{Database, PASSWORD, ScratchDatabase};

/// The program. It notes its process when it serves, and gets the password when it reads one.
const KEYFOB: &str = r#"#!/bin/sh
case "${1:-serve}" in serve) echo $$ > "$TEST_FOLDER/pid" ;; esac
case "$*" in *--password-stdin*) echo "$TEST_PASSWORD" | "$TEST_PROGRAM" "$@" ;; *) exec "$TEST_PROGRAM" "$@" ;; esac
"#;

/// What the documents use of systemd.
const SYSTEMCTL: &str = r#"#!/bin/sh
set -eu
cd "$TEST_FOLDER"
stop() { kill "$(cat pid)" 2>/dev/null || return 0; while kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.05; done; }
start() { keyfob serve 2>>log >&2 & wait-until-ready; }
case "$*" in
    "stop keyfob") stop ;;
    "start keyfob" | "enable --now keyfob") start ;;
    "restart keyfob") stop; start ;;
    *) echo "systemctl $*: unknown to the test" >&2; exit 1 ;;
esac
"#;

const WAIT_UNTIL_READY: &str = r#"#!/bin/sh
tries=0
until keyfob healthcheck --ready >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo "the server is not ready" >&2; cat "$TEST_FOLDER/log" >&2; exit 1; }
    sleep 0.1
done
"#;

/// Runs the script while a server runs. A document may set the only trap of its shell.
const AROUND: &str = "systemctl start keyfob && /bin/sh -x script; code=$?; systemctl stop keyfob; exit $code";

struct Scene {
    folder: TempDir,
    addr: String,
    key: String,
    replaced: Vec<(&'static str, String)>,
    databases: Vec<ScratchDatabase>,
}

impl Scene {
    /// Makes the folder with the programs, and a database with a superuser who has keys and a team.
    async fn new(document: &Document) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("bin")).unwrap();
        for (name, script) in [
            ("bin/keyfob", KEYFOB),
            ("bin/systemctl", SYSTEMCTL),
            ("bin/wait-until-ready", WAIT_UNTIL_READY),
            ("keyfob", KEYFOB),
        ] {
            fs::write(path.join(name), script).unwrap();
            fs::set_permissions(path.join(name), Permissions::from_mode(0o755)).unwrap();
        }
        let addr = free_address().to_string();
        let url = format!("sqlite://{}/data/keyfob.db", path.display());
        let user = ["user", "create", "--email", "ada@example.com", "--superuser", "--password-stdin"];
        cli::run(&url, &user, &[], PASSWORD).await.done();
        make_team(&url).await;
        let [key, other] = [make_key(&url).await, make_key(&url).await];
        let (origin, below) = (format!("http://{addr}"), |name: &str| path.join(name).display().to_string());
        let mut scene = Self {
            replaced: vec![
                ("http://localhost:8000", origin.clone()),
                ("https://keys.example.com", origin),
                ("<your-api-key>", key.clone()),
                ("kf_8Qw3ZkPa", other.rsplit_once('_').unwrap().0.to_owned()),
                ("/var/lib/keyfob", path.display().to_string()),
                ("/backups", below("backups")),
                ("/etc/keyfob", below("etc")),
            ],
            folder,
            addr,
            key,
            databases: Vec::new(),
        };
        if document.text.contains("postgres://keyfob@db.example.com/") {
            for (name, database) in [
                ("postgres://keyfob@db.example.com/keyfob", ScratchDatabase::migrated(Database::Postgres).await),
                ("postgres://keyfob@db.example.com/restored", ScratchDatabase::empty(Database::Postgres).await),
            ] {
                scene.replaced.push((name, database.url.clone()));
                scene.databases.push(database);
            }
        }
        scene
    }

    /// Returns one script of all blocks. It stops at the first command that fails.
    fn script(&self, document: &Document) -> Option<String> {
        let mut script = "set -eu\n".to_owned();
        let mut is_empty = true;
        for block in document.blocks().into_iter().filter(|block| block.language == "sh") {
            let code = block.code.trim();
            match block.mark.as_deref() {
                Some("run in the background") => {
                    script += "systemctl stop keyfob\n";
                    script += code;
                    script += " 2>>log >&2 &\nwait-until-ready\n";
                }
                Some(_) => continue,
                None => {
                    script += code;
                    script.push('\n');
                }
            }
            is_empty = false;
        }
        let placed = self.replaced.iter().fold(script, |script, (from, to)| script.replace(from, to));
        (!is_empty).then_some(placed)
    }

    fn run(&self, script: &str) -> Result<(), String> {
        let path = self.folder.path();
        fs::write(path.join("log"), "").unwrap();
        fs::write(path.join("script"), script).unwrap();
        fs::write(path.join("output"), "").unwrap();
        let output = fs::OpenOptions::new().append(true).open(path.join("output")).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", AROUND]).current_dir(path).env_clear().stdin(Stdio::null());
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", path.join("bin").display()));
        command
            .env("TEST_FOLDER", path)
            .env("TEST_PROGRAM", env!("CARGO_BIN_EXE_keyfob"))
            .env("TEST_PASSWORD", PASSWORD);
        command.env("KEYFOB_ADDR", &self.addr).env("KEYFOB_PUBLIC_URL", format!("http://{}", self.addr));
        command.env("KEYFOB_URL", format!("http://{}", self.addr)).env("KEYFOB_API_KEY", &self.key);
        let status = command.stdout(output.try_clone().unwrap()).stderr(output).status().unwrap();
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap();
        let report = || format!("{}\n{}", redact(&read("output")), redact(&read("log")));
        if status.success() { Ok(()) } else { Err(report()) }
    }
}

async fn make_team(url: &str) {
    let db = Db::open(url).await.unwrap();
    let user = users::find(&db, &Email::parse("ada@example.com").unwrap()).await.unwrap().unwrap();
    let form = TeamForm { name: "Red team".to_owned(), slug: "red-team".to_owned() };
    let by = Actor::user(&user, None, Clock::system().now());
    teams::create_in(db.begin().await.unwrap(), &form, &by).await.unwrap();
    db.close().await;
}

async fn make_key(url: &str) -> String {
    let create = ["key", "create", "--user", "ada@example.com", "--name", "docs", "--no-expiry"];
    cli::run(url, &create, &[], "").await.done().out.trim().to_owned()
}

/// Returns whether the document has commands, or what went wrong.
async fn run(document: Document) -> Result<bool, String> {
    if !document.blocks().iter().any(|block| block.language == "sh") {
        return Ok(false);
    }
    let scene = Scene::new(&document).await;
    let Some(script) = scene.script(&document) else { return Ok(false) };
    let (mut scene, outcome) = spawn_blocking(move || {
        let outcome = scene.run(&script);
        (scene, outcome)
    })
    .await
    .unwrap();
    for database in std::mem::take(&mut scene.databases) {
        database.throw_away().await;
    }
    outcome.map(|()| true).map_err(|report| format!("{}:\n{report}", document.file))
}

#[tokio::test]
async fn every_command_of_the_documents_runs() {
    let outcomes = join_all(docs().into_iter().chain([at_root("README.md")]).map(run)).await;
    let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err().cloned()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    let ran = outcomes.iter().filter(|outcome| outcome.as_ref().is_ok_and(|ran| *ran)).count();
    assert!(ran >= 8, "{ran}");
}

#[tokio::test]
async fn command_that_fails_is_reported() {
    let text =
        "# A\n\n```sh\nkeyfob user list\nkeyfob user disable --email nobody@example.com\nkeyfob user list\n```\n";
    let document = Document { file: "docs/a.md".to_owned(), text: text.to_owned() };
    let report = run(document).await.unwrap_err();
    assert!(report.starts_with("docs/a.md:") && report.contains("+ keyfob user disable"), "{report}");
    assert_eq!(report.matches("+ keyfob user list").count(), 1, "{report}");
}
