//! `keyfob doctor` and `keyfob healthcheck`.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use keyfob::server::audit;
use keyfob::server::audit::Actor;
use keyfob::server::clock::Clock;
use keyfob::server::users::AccountChange;
use rstest_reuse::apply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::cli::{Ran, run};
use crate::support::{Database, ONE_DAY, TestApp, each_database};

const SAFE: [(&str, &str); 3] = [
    ("KEYFOB_PUBLIC_URL", "https://keys.example.com"),
    ("KEYFOB_SIGNUP", "closed"),
    ("KEYFOB_TRUSTED_PROXIES", "127.0.0.1"),
];

/// Runs it with settings that are well, and more.
async fn doctor(url: &str, more: &[(&str, &str)]) -> Ran {
    run(url, &["doctor"], &[&SAFE[..], more].concat(), "").await
}

impl Ran {
    /// Fails unless this one thing is wrong, in a line that says these.
    #[track_caller]
    fn finds(&self, says: &[&str]) {
        let wrong: Vec<_> = self.out.lines().filter(|line| line.starts_with("wrong  ")).collect();
        assert_eq!((self.code, wrong.len(), self.err.lines().count()), (1, 1, 1), "{self:#?}");
        assert!(says.iter().all(|text| wrong[0].contains(text)), "{says:?}: {self:#?}");
    }
}

/// A superuser, and no event of the tests' own time, which is the future.
async fn make_well(app: &TestApp) {
    app.change("root", AccountChange::Promote).await;
    app.sql("DELETE FROM audit").await;
}

#[apply(each_database)]
#[tokio::test]
async fn a_good_installation_is_found_good_and_stays_as_it_is(database: Database) {
    let app = &TestApp::start(database).await;
    make_well(app).await;
    let found = doctor(&app.url, &[]).await.done();
    // Behind PgBouncer, by scripts/with-pgbouncer.sh, there is that to note.
    let fits = |line: &str| line.starts_with("ok     ") || (app.state.db.is_pooled() && line.contains("a pooler"));
    assert!(found.out.lines().all(fits) && found.err.is_empty(), "{found:#?}");
    assert!(found.out.lines().count() >= 6, "{found:#?}");
}

#[apply(each_database)]
#[tokio::test]
async fn doctor_finds_wrong_settings(database: Database) {
    let app = &TestApp::start(database).await;
    make_well(app).await;
    let plain = ("KEYFOB_PUBLIC_URL", "http://keys.example.com");
    doctor(&app.url, &[plain]).await.finds(&["https://", "KEYFOB_PUBLIC_URL"]);
    let accepted = ("KEYFOB_ALLOW_INSECURE_HTTP", "true");
    doctor(&app.url, &[plain, accepted]).await.finds(&["KEYFOB_ALLOW_INSECURE_HTTP", "in the clear"]);
    let local =
        doctor(&app.url, &[("KEYFOB_PUBLIC_URL", "http://localhost:8000"), ("KEYFOB_SIGNUP", "open")]).await.done();
    assert_eq!(local.out.matches("note   ").count(), 2 + usize::from(app.state.db.is_pooled()), "{local:#?}");
    assert!(local.out.contains("KEYFOB_SIGNUP=closed"), "{local:#?}");
    let wrong = doctor(&app.url, &[("KEYFOB_SIGNUP", "sometimes")]).await;
    wrong.refused("KEYFOB_SIGNUP");
}

#[apply(each_database)]
#[tokio::test]
async fn doctor_reports_trusted_proxies(database: Database) {
    let app = &TestApp::start(database).await;
    make_well(app).await;
    let said = doctor(&app.url, &[]).await.done().out;
    assert!(said.contains("ok     X-Forwarded-For counts where it comes from 127.0.0.1/32."), "{said}");
    doctor(&app.url, &[("KEYFOB_TRUSTED_PROXIES", "10.0.0.0/8,0.0.0.0/0")])
        .await
        .finds(&["0.0.0.0/0", "KEYFOB_TRUSTED_PROXIES"]);
    let untrusting = [("KEYFOB_PUBLIC_URL", "https://keys.example.com"), ("KEYFOB_SIGNUP", "closed")];
    let said = run(&app.url, &["doctor"], &untrusting, "").await.done().out;
    assert!(said.contains("note   KEYFOB_TRUSTED_PROXIES is empty") && said.contains("share its limits"), "{said}");
    // All sign-ins from one address of a private network.
    for (ip, wrong) in [("10.0.0.5", true), ("203.0.113.9", false)] {
        app.sql("DELETE FROM audit").await;
        for n in 0..20 {
            app.sql(&format!("INSERT INTO audit (id, at, action, actor, ip, subject, detail) VALUES ('{n:036}', 1, 'session.begin', '', '{ip}', '', '')")).await;
        }
        let found = run(&app.url, &["doctor"], &untrusting, "").await;
        if wrong {
            found.finds(&["10.0.0.5", "KEYFOB_TRUSTED_PROXIES=10.0.0.5"]);
        } else {
            drop(found.done());
        }
        doctor(&app.url, &[]).await.done();
    }
}

#[apply(each_database)]
#[tokio::test]
async fn an_old_account_that_looks_like_another_is_found(database: Database) {
    let app = &TestApp::start(database).await;
    make_well(app).await;
    app.user("ada").await;
    app.sql("UPDATE users SET email = 'ro\u{200b}ot@example.com' WHERE email = 'ada@example.com'").await;
    let said = doctor(&app.url, &[]).await.done().out;
    assert!(
        said.contains("note   Accounts with an address") && said.contains(": 1, such as ro[U+200B]ot@example.com"),
        "{said}"
    );
}

#[apply(each_database)]
#[tokio::test]
async fn that_there_is_no_superuser_is_found(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("ada").await;
    doctor(&app.url, &[]).await.finds(&["keyfob user promote"]);
    app.change("ada", AccountChange::Promote).await;
    app.sql("UPDATE users SET disabled_at = 1").await;
    app.sql("DELETE FROM audit").await;
    doctor(&app.url, &[]).await.finds(&["keyfob user promote"]);
}

#[apply(each_database)]
#[tokio::test]
async fn a_migration_that_is_missing_or_of_the_future_is_found(database: Database) {
    let app = &TestApp::start(database).await;
    make_well(app).await;
    app.sql(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             VALUES (9999, 'of the future', CURRENT_TIMESTAMP, TRUE, '', 0)",
    )
    .await;
    doctor(&app.url, &[]).await.finds(&["newer than this program"]);
    app.sql("DELETE FROM _sqlx_migrations WHERE version IN (6, 9999)").await;
    doctor(&app.url, &[]).await.finds(&["keyfob migrate"]);
    app.sql("DROP TABLE _sqlx_migrations").await;
    doctor(&app.url, &[]).await.finds(&["keyfob migrate"]);
}

#[apply(each_database)]
#[tokio::test]
async fn a_clock_that_is_behind_what_was_written_is_found(database: Database) {
    let app = &TestApp::start(database).await;
    make_well(app).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let future = Clock::system().now().plus(i64::try_from(ONE_DAY.as_millis()).unwrap());
    let about = audit::AuditTarget { subject: "x", ..audit::AuditTarget::default() };
    audit::record(&mut tx, &Actor::operator(future), keyfob::model::audit::Action::KeyCreate, about).await.unwrap();
    tx.commit().await.unwrap();
    doctor(&app.url, &[]).await.finds(&["clock", &future.rfc3339()]);
}

#[apply(each_database)]
#[tokio::test]
async fn doctor_finds_damage_of_the_file(database: Database) {
    let app = &TestApp::start(database).await;
    let Some(file) = app.url.strip_prefix("sqlite://").map(PathBuf::from) else { return };
    make_well(app).await;
    let set = |path: &std::path::Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    set(&file, 0o644);
    doctor(&app.url, &[]).await.finds(&["644", "chmod 600"]);
    set(&file, 0o600);
    set(file.parent().unwrap(), 0o777);
    doctor(&app.url, &[]).await.finds(&["777", "chmod 700"]);
    set(file.parent().unwrap(), 0o755);
    doctor(&app.url, &[]).await.done();
    set(file.parent().unwrap(), 0o700);
    let missing = format!("sqlite://{}/nothing.db", file.parent().unwrap().display());
    doctor(&missing, &[]).await.finds(&["there is no database", "DATABASE_URL"]);
    assert!(!file.with_file_name("nothing.db").exists());
}

#[apply(each_database)]
#[tokio::test]
async fn a_damaged_file_is_found(database: Database) {
    let app = &TestApp::start(database).await;
    let Some(file) = app.url.strip_prefix("sqlite://").map(PathBuf::from) else { return };
    make_well(app).await;
    for _ in 0..20 {
        app.make_key("ada").await;
    }
    app.sql("DELETE FROM audit WHERE at > 0").await;
    let copy = file.with_file_name("damaged.db");
    run(&app.url, &["backup", copy.to_str().unwrap()], &[], "").await.done();
    let mut bytes = std::fs::read(&copy).unwrap();
    // An index loses an entry: whoever asks by it finds less than there is.
    let page = bytes.chunks(4096).rposition(|page| page[0] == 0x0a && page[4] > 0).unwrap() * 4096;
    bytes[page + 4] -= 1;
    std::fs::write(&copy, bytes).unwrap();
    let found = doctor(&format!("sqlite://{}", copy.display()), &[]).await;
    // What else is found may come of it.
    let damaged = found.out.lines().find(|line| line.starts_with("wrong  The database is damaged"));
    assert!(found.code == 1 && damaged.is_some_and(|line| line.contains("restore a backup")), "{found:#?}");
}

#[tokio::test]
async fn healthcheck_reports_by_line_and_exit_code() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 512];
            let length = stream.read(&mut head).await.unwrap();
            let answer: &[u8] = match &head[..length] {
                head if head.starts_with(b"GET /healthz HTTP/1.1\r\n") => {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nalive\n"
                }
                head if head.starts_with(b"GET /readyz HTTP/1.1\r\n") => b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
                _ => b"",
            };
            stream.write_all(answer).await.unwrap();
        }
    });
    let none = "127.0.0.1:1".to_owned();
    for (addr, flags, code, says) in [
        (format!("127.0.0.1:{port}"), &[][..], 0, "is alive"),
        (format!("0.0.0.0:{port}"), &[], 0, "is alive"),
        (format!("127.0.0.1:{port}"), &["--ready"], 1, "503"),
        (none, &[], 1, "Check that the server is running"),
    ] {
        let ran = run("", &[&["healthcheck"], flags].concat(), &[("KEYFOB_ADDR", &addr)], "").await;
        let text = if code == 0 { &ran.out } else { &ran.err };
        assert_eq!((ran.code, text.lines().count()), (code, 1), "{ran:?}");
        assert!(text.contains(says) && (code == 1) == ran.out.is_empty(), "{ran:?}");
    }
}
