//! A file of the database that is damaged, cannot be written, or is of another program.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::support::free_address::free_address;
use crate::support::http::{Connection, request};
use crate::support::key_client::{ask, me, use_key};
use crate::support::machines::{KEYFOB, Machine, keyfob};
use crate::support::outcome::report;
use crate::support::scene::Scene;
use crate::support::serial::alone;

/// The pages of a file of SQLite.
const PAGE: usize = 4096;

#[tokio::test]
async fn damaged_file_admits_nobody_and_a_backup_repairs_it() {
    let _alone = alone().await;
    let scene = Scene::set(200).await;
    let mut machine = Machine::start(&scene.url).await;
    use_key(machine.addr, &scene.keys[0]).await;
    let backup = scene.folder.path().join("backup.db");
    keyfob(&scene.url, &format!("backup {}", backup.display())).await;
    // What stands in the log would hide the damage.
    scene.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;

    let mut bytes = std::fs::read(scene.file()).unwrap();
    let length = bytes.len();
    bytes[PAGE..].fill(0xff);
    overwrite(&scene.file(), &bytes);
    let (mut refused, unused) = (0, &scene.keys[100..]);
    for key in unused {
        let answer = me(machine.addr, key).await;
        assert!(answer.refuses(503, "unavailable"), "{answer:?}");
        refused += 1;
    }
    for _ in 0..20 {
        let key = format!("Authorization: Api-Key {}", scene.keys[0]);
        let headers = [&*key, "Content-Type: application/json"];
        let write = request(
            "POST /pegasus/employees/api/employees/",
            &headers,
            "{\"name\":\"x\",\"department\":\"hr\",\"salary\":1}",
        );
        assert_eq!(Connection::open(machine.addr).await.unwrap().ask(&write).await.unwrap(), 503);
        refused += 1;
    }
    assert_eq!(ask(machine.addr, "GET /healthz", "").await.unwrap().status, 200);
    let said = run(&[], &scene.url, "doctor").await;
    assert!(said.out.contains("damaged") && said.code == Some(1), "{said:?}");
    machine.kill();

    let mut wrong = Vec::new();
    for what in [0..100, PAGE..length] {
        let mut damaged = std::fs::read(&backup).unwrap();
        // A backup has no free pages, and so may be shorter.
        let end = what.end.min(damaged.len());
        damaged[what.start..end].fill(0xff);
        put_in_place(&scene.file(), &damaged);
        for command in ["serve", "doctor"] {
            let said = run(&[], &scene.url, command).await;
            assert!(said.code == Some(1) && said.err.lines().count() == 1, "{command}: {said:?}");
            wrong.push(said.err);
        }
    }
    assert!(wrong[0].contains("not a database") && wrong[2].contains("damaged"), "{wrong:?}");

    put_in_place(&scene.file(), &std::fs::read(&backup).unwrap());
    let machine = Machine::start(&scene.url).await;
    for key in &scene.keys {
        use_key(machine.addr, key).await;
    }
    scene.is_whole().await;
    report(
        "a file that is damaged while it is used",
        &format!(
            "{refused} requests answered with 503; a start is refused in one line; with the backup in place all is well"
        ),
    );
}

#[tokio::test]
async fn read_only_disk_prevents_the_start_and_doctor_says_why() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let folder = scene.file().parent().unwrap().display().to_string();
    // A view of the folder of its own, for this command only.
    let mount = format!("mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && exec \"$0\" \"$@\"");
    let by = ["unshare", "--map-root-user", "--mount", "sh", "-c", &*mount];
    if !Command::new(by[0]).args(&by[1..5]).arg(mount.replace("exec \"$0\" \"$@\"", "true")).status().unwrap().success()
    {
        println!("Not looked at: this system lets nobody mount a folder.");
        return;
    }
    for command in ["serve", "migrate"] {
        let said = run(&by, &scene.url, command).await;
        assert!(said.code == Some(1) && said.err.lines().count() == 1, "{said:?}");
        assert!(said.err.contains("Read-only file system"), "{said:?}");
    }
    let said = run(&by, &scene.url, "doctor").await;
    assert!(said.code == Some(1) && said.out.contains("is read-only"), "{said:?}");
    let machine = Machine::start(&scene.url).await;
    use_key(machine.addr, &scene.keys[0]).await;
    report(
        "a disk that is read-only",
        "a start is refused in one line; keyfob doctor says why; well again when it is over",
    );
}

#[tokio::test]
async fn database_of_a_newer_program_is_rejected_unchanged() {
    let _alone = alone().await;
    let scene = Scene::set(1).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
                 VALUES (9999, 'of the future', CURRENT_TIMESTAMP, TRUE, '', 0)";
    scene.execute(newer).await;
    for command in ["serve", "migrate"] {
        let said = run(&[], &scene.url, command).await;
        assert!(said.code == Some(1) && said.err.lines().count() == 1, "{said:?}");
        assert!(said.err.contains("newer than this program"), "{said:?}");
    }
    let said = run(&[], &scene.url, "doctor").await;
    assert!(said.code == Some(1) && said.out.contains("newer than this program"), "{said:?}");
    assert_eq!(scene.number("SELECT COUNT(*) FROM _sqlx_migrations WHERE version = 9999").await, 1);
    scene.execute("DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    let machine = Machine::start(&scene.url).await;
    use_key(machine.addr, &scene.keys[0]).await;
    report("a database newer than the program", "a start is refused in one line; keyfob doctor says what to do");
}

/// Writes over a file that others have open.
fn overwrite(file: &Path, bytes: &[u8]) {
    use std::io::Write;
    std::fs::OpenOptions::new().write(true).open(file).unwrap().write_all(bytes).unwrap();
}

/// Puts a copy in place of a database, as the README says.
fn put_in_place(file: &Path, bytes: &[u8]) {
    for suffix in ["-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        // It may not be there.
        let _ = std::fs::remove_file(name);
    }
    std::fs::write(file, bytes).unwrap();
}

/// What a command that should end said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn run(by: &[&str], url: &str, command: &str) -> Said {
    let all = [by, &[KEYFOB, command]].concat();
    let mut process = Command::new(all[0]);
    process.args(&all[1..]).env("DATABASE_URL", url).env("KEYFOB_ADDR", free_address().to_string());
    let ended = spawn_blocking(move || process.output().unwrap());
    let Output { status, stdout, stderr } =
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it goes on").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}
