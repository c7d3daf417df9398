//! `keyfob backup`: a copy of a database that is in use, put in its place again.

use std::cell::Cell;
use std::path::Path;

use keyfob::model::keys::KeyId;
use keyfob::server::keys;
use rstest_reuse::apply;

use crate::cli::run;
use crate::support::{Database, EMPLOYEES, TestApp, each_database};

#[apply(each_database)]
#[tokio::test]
async fn restored_backup_keeps_keys_and_revocations(database: Database) {
    let app = &TestApp::start(database).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    if app.url.starts_with("postgres") {
        backup(app, &file).await.refused("pg_dump");
        assert!(!file.exists());
        return;
    }
    let (mut good, mut revoked) = (Vec::new(), Vec::new());
    for n in 0..20 {
        let made = app.make_key(&format!("user-{}", n % 4)).await;
        app.employee(&format!("user-{}", n % 4), ("Ada", keyfob::model::employees::Department::Hr, n)).await;
        if n % 3 == 0 {
            revoke(app, &format!("user-{}", n % 4), &made.facts.id).await;
            revoked.push(made.key);
        } else {
            good.push(made.key);
        }
    }

    // Somebody makes and revokes keys all the while.
    let done = Cell::new(false);
    let copying = async {
        let told = backup(app, &file).await.done();
        done.set(true);
        told
    };
    let writing = async {
        let mut made = 0;
        while !done.get() {
            let key = app.make_key("busy").await;
            revoke(app, "busy", &key.facts.id).await;
            made += 1;
        }
        made
    };
    let (told, during) = tokio::join!(copying, writing);
    assert!(told.out.is_empty() && told.err.lines().count() == 1 && told.err.contains("restore"), "{told:?}");
    assert!(during > 1, "nothing was written while the copy was made");
    is_private(&file);

    // Restored as the README says: the file in the place of the database.
    let place = folder.path().join("data");
    std::fs::create_dir(&place).unwrap();
    let restored = place.join("keyfob.db");
    std::fs::copy(&file, &restored).unwrap();
    let copy = app.over_another(&format!("sqlite://{}", restored.display())).await;
    copy.state.db.migrate().await.unwrap();
    for key in &good {
        assert_eq!(copy.anonymous().with_key(key).get(EMPLOYEES).await.is(200).json()["count"], 5);
    }
    for key in &revoked {
        copy.anonymous().with_key(key).get(EMPLOYEES).await.refused(401, "key_revoked");
    }
    // It is one moment of the database: an event for each change, and no change without its event.
    for (changes, events) in [
        ("SELECT COUNT(*) FROM keys", "SELECT COUNT(*) FROM audit WHERE action = 'key.create'"),
        (
            "SELECT COUNT(*) FROM keys WHERE revoked_at IS NOT NULL",
            "SELECT COUNT(*) FROM audit WHERE action = 'key.revoke'",
        ),
    ] {
        assert_eq!(copy.number(changes).await, copy.number(events).await, "{changes}");
    }
    assert_eq!(copy.texts("PRAGMA integrity_check").await, ["ok"]);
    // The server went on: it has what was written since.
    app.anonymous().with_key(&good[0]).get(EMPLOYEES).await.is(200);
    copy.state.db.close().await;
}

#[apply(each_database)]
#[tokio::test]
async fn backup_overwrites_no_file_and_leaves_none_after_failure(database: Database) {
    let app = &TestApp::start(database).await;
    if app.url.starts_with("postgres") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.txt");
    std::fs::write(&file, "mine").unwrap();
    backup(app, &file).await.refused("already");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    backup(app, &folder.path().join("no/such/folder/copy.db")).await.refused("cannot write");
    let nothing = format!("sqlite://{}/nothing.db", folder.path().display());
    let copy = folder.path().join("copy.db");
    run(&nothing, &["backup", copy.to_str().unwrap()], &[], "").await.refused("DATABASE_URL");
    let junk = folder.path().join("junk.db");
    std::fs::write(&junk, "no database at all, but of some length".repeat(100)).unwrap();
    let junk = format!("sqlite://{}", junk.display());
    run(&junk, &["backup", copy.to_str().unwrap()], &[], "").await.refused("cannot copy");
    assert!(!copy.exists());
}

async fn backup(app: &TestApp, file: &Path) -> crate::cli::Ran {
    run(&app.url, &["backup", file.to_str().unwrap()], &[], "").await
}

async fn revoke(app: &TestApp, name: &str, id: &KeyId) {
    let user = app.user(name).await;
    assert!(keys::revoke(&app.state.db, &user.id, id, &app.by(&user)).await.unwrap());
}

fn is_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}
