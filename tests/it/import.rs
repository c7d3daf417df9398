//! Import from Django: the dump in `tests/fixtures/django` was made by Django and djangorestframework-api-key themselves.
//!
//! The commands are those of docs/migrate-from-pegasus.md.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use keyfob::server::audit::Actor;
use keyfob::server::auth::key_format::Digest;
use keyfob::server::import::{Dump, RemarkKind, Report, import};
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::cli::{Ran, run};
use crate::support::{Answer, Client, Database, EMPLOYEES, PASSWORD, TestApp, each_database, trail};

const VERIFY: &str = "/api/v1/verify";
const WRONG: &str = "The email address or the password is wrong.";

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/django")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

/// The passwords and keys of the dump.
struct Secrets(Value);

impl Secrets {
    fn read() -> Self {
        let secrets: Value = serde_json::from_str(&text("secrets.json")).unwrap();
        secrets["keys"].as_object().unwrap().values().for_each(|key| trail::secret(&key.as_str().unwrap()[9..]));
        Self(secrets)
    }

    fn key(&self, name: &str) -> String {
        self.0["keys"][name].as_str().unwrap().to_owned()
    }

    fn password(&self, user: &str) -> String {
        self.0["passwords"][user].as_str().unwrap().to_owned()
    }
}

async fn import_text(app: &TestApp, text: &str, dry_run: bool) -> Report {
    let dump = Dump::read(text.as_bytes(), None).unwrap();
    import(&app.state.db, dump, dry_run, &Actor::operator(app.state.now())).await.unwrap()
}

/// A server with the dump, and its secrets.
async fn imported(database: Database) -> (TestApp, Secrets) {
    let app = TestApp::start(database).await;
    import_text(&app, &text("dump.json"), false).await;
    // A million iterations take ten seconds in a program that is not optimised.
    app.sql("UPDATE users SET imported_cost = 2600 WHERE imported_cost > 2600").await;
    (app, Secrets::read())
}

async fn sign_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.browser().call("sign_in", &[("email", email), ("password", password)]).await
}

fn with(app: &TestApp, key: &str) -> Client {
    app.anonymous().with_key(key)
}

async fn import_by_command(app: &TestApp, more: &[&str]) -> Ran {
    let file = fixture("dump.json").display().to_string();
    run(&app.url, &[&["import", "drf", "--from", &file], more].concat(), &[], "").await
}

/// An imported key that was never used, of a user of its own.
pub async fn import_key(app: &TestApp) -> String {
    let key = format!("ZZZZZZZ0.{}", "aB3z".repeat(8));
    import_text(app, &dump_of("imported@example.com", "ZZZZZZZ0", &sha512(&key)), false).await;
    key
}

fn sha512(text: &str) -> String {
    use sha2::Digest as _;
    let sum = sha2::Sha512::digest(text).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("sha512$${sum}")
}

/// A dump with one key of one user.
fn dump_of(email: &str, prefix: &str, hash: &str) -> String {
    json!([
        {"model": "auth.user", "pk": 1, "fields": {"password": "!", "last_login": null, "email": email}},
        {"model": "api.userapikey", "pk": "x", "fields": {
            "prefix": prefix, "hashed_key": hash, "name": "a key", "user": 1, "revoked": false, "expiry_date": null,
        }},
    ])
    .to_string()
}

fn skipped(report: &Report) -> BTreeMap<&str, &str> {
    let skipped = report.remarks.iter().filter(|remark| remark.kind == RemarkKind::Skipped);
    skipped.map(|remark| (remark.subject.as_str(), remark.reason.as_str())).collect()
}

#[apply(each_database)]
#[tokio::test]
async fn file_that_is_no_dump_is_refused_and_nothing_changes(database: Database) {
    let app = &TestApp::start(database).await;
    let before = app.rows().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.json");
    let path = file.display().to_string();
    let refused = async |content: &str, words: &str| {
        std::fs::write(&file, content).unwrap();
        let ran = run(&app.url, &["import", "drf", "--from", &path], &[], "").await;
        assert!(ran.code == 1 && ran.err.contains(words) && ran.err.lines().count() == 1, "{ran:?}");
        assert!(!ran.err.contains("topsecret"), "{ran:?}");
    };
    refused("", "line 1").await;
    refused("[{\"model\": \"auth.user\",\n\"fields\": \"topsecret\"}]", "line 2").await;
    refused("[]", "no users and no API keys").await;
    let missing = run(&app.url, &["import", "drf", "--from", "no/such/file"], &[], "").await;
    assert!(missing.code == 1 && missing.err.contains("cannot open no/such/file"), "{missing:?}");
    assert_eq!(run(&app.url, &["import", "drf"], &[], "").await.code, 2);
    assert_eq!(run(&app.url, &["import"], &[], "").await.code, 2);
    assert_eq!(app.rows().await, before);
}

#[apply(each_database)]
#[tokio::test]
async fn dry_run_changes_nothing_and_reports_the_same(database: Database) {
    let app = &TestApp::start(database).await;
    let before = app.rows().await;
    let dry = import_by_command(app, &["--dry-run"]).await;
    assert_eq!((dry.code, app.rows().await), (0, before), "{dry:?}");
    assert!(dry.err.contains("nothing was changed"), "{dry:?}");
    let done = import_by_command(app, &[]).await;
    assert_eq!((done.code, &done.out), (0, &dry.out), "{done:?}");
    assert!(done.err.contains("password hashes"), "{done:?}");
}

#[tokio::test]
async fn dry_run_makes_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("keyfob.db").display());
    let file = fixture("dump.json").display().to_string();
    let ran = run(&url, &["import", "drf", "--from", &file, "--dry-run"], &[], "").await;
    assert_eq!((ran.code, std::fs::read_dir(folder.path()).unwrap().count()), (1, 0), "{ran:?}");
}

#[apply(each_database)]
#[tokio::test]
async fn report_says_what_was_skipped_and_why(database: Database) {
    let app = &TestApp::start(database).await;
    app.user("eve").await;
    let hash = app.texts("SELECT password_hash FROM users").await;
    let report = import_text(app, &text("dump.json"), false).await;
    let secrets = Secrets::read();
    let prefix = |name: &str| secrets.key(name)[..8].to_owned();
    let skipped = skipped(&report);
    for (subject, reason) in [
        ("ADA@Example.COM", "the same as that of users.customuser 1"),
        ("E\u{301}mile@example.com", "the same as that of users.customuser 11"),
        ("nobody", "no email address"),
        ("ro\u{200b}ot@example.com", "U+200B"),
        ("eve@example.com", "stays as it is"),
        (&prefix("a key without a user"), "it has no user"),
        (&prefix("a key of nobody"), "its user was not imported"),
        (&prefix("bob's key of an unknown hash"), "unknown kind"),
        ("2nd-team", "starting with a letter"),
    ] {
        assert!(skipped.get(subject).is_some_and(|why| why.contains(reason)), "{subject}: {report:#?}");
    }
    let counts = [&report.users, &report.keys, &report.teams, &report.memberships];
    assert_eq!(counts.map(|tally| (tally.taken, tally.skipped)), [(10, 5), (7, 3), (2, 1), (3, 3)], "{report}");
    let notes: Vec<_> = report.remarks.iter().filter(|remark| remark.kind == RemarkKind::Note).collect();
    for (subject, words) in [
        ("social@example.com", "no usable password"),
        ("scrypted@example.com", "unknown kind"),
        ("acme", "the role \"owner\" is unknown"),
        ("lonely", "keyfob team set-role --team lonely"),
    ] {
        assert!(
            notes.iter().any(|note| note.subject == subject && note.reason.contains(words)),
            "{subject}: {notes:#?}"
        );
    }
    assert!(report.to_string().contains("users       10 taken (1 disabled, 1 superusers), 5 skipped\n"), "{report}");
    assert!(report.to_string().contains("keys        7 taken (1 expired, 1 revoked), 3 skipped\n"), "{report}");
    assert!(!report.to_string().contains('$'), "no hash: {report}");
    assert_eq!(app.texts("SELECT password_hash FROM users WHERE email = 'eve@example.com'").await, hash);
    sign_in(app, "eve@example.com", PASSWORD).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn second_import_skips_everything(database: Database) {
    let (app, secrets) = &imported(database).await;
    with(app, &secrets.key("ada's key")).get(VERIFY).await.is(200);
    let before = app.rows().await;
    let report = import_text(app, &text("dump.json"), false).await;
    assert_eq!((report.users.taken, report.keys.taken, report.teams.taken, report.memberships.taken), (0, 0, 0, 0));
    let skipped = skipped(&report);
    assert!(skipped["bob@example.com"].contains("there is an account"), "{report}");
    for key in ["ada's key", "bob's old key"] {
        assert!(skipped[&secrets.key(key)[..8]].contains("there is a key"), "{report}");
    }
    assert!(skipped["acme"].contains("there is a team"), "{report}");
    assert_eq!(app.rows().await, before);
}

#[apply(each_database)]
#[tokio::test]
async fn wrong_password_of_an_imported_account_is_no_other_answer(database: Database) {
    let (app, secrets) = &imported(database).await;
    let unknown = sign_in(app, "unknown@example.com", "not the password").await;
    assert_eq!(unknown.failed_at("non_field_errors"), WRONG);
    let app = &app.configured(|config| config.sign_in_rate = 1000);
    for user in ["ada", "cy", "dora", "eve", "finn", "social", "scrypted"] {
        let wrong = sign_in(app, &format!("{user}@example.com"), "not the password").await;
        assert_eq!((wrong.status, &wrong.body), (unknown.status, &unknown.body), "{user}");
    }
    for (user, password) in [
        // Nobody may sign in with the hash itself, the mark of no password, or to a disabled account.
        ("social", "!"),
        ("social", "none"),
        ("gone", &secrets.password("gone")),
        ("scrypted", &secrets.password("scrypted")),
    ] {
        assert_eq!(sign_in(app, &format!("{user}@example.com"), password).await.status, 400, "{user}");
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM users WHERE password_hash LIKE '$argon2id$%'").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn password_of_django_signs_in_and_its_hash_is_replaced(database: Database) {
    let (app, secrets) = &imported(database).await;
    for (user, email, scheme) in [
        ("ada", "ada@example.com", "pbkdf2_sha256$2600$"),
        ("cy", "cy@example.com", "argon2$argon2id$"),
        ("dora", "dora@example.com", "bcrypt_sha256$"),
        ("eve", "EVE@example.com", "bcrypt$"),
        ("finn", "finn@example.com", "pbkdf2_sha1$"),
        ("emile", "e\u{301}mile@example.com", "pbkdf2_sha256$"),
        ("by.username@example.com", "by.username@example.com", "pbkdf2_sha256$"),
    ] {
        let stored = format!(
            "SELECT password_hash FROM users WHERE email = '{}'",
            email.to_lowercase().replace("e\u{301}", "\u{e9}")
        );
        assert!(app.texts(&stored).await[0].starts_with(scheme), "{user}");
        let password = secrets.password(user);
        sign_in(app, email, &password).await.is(200);
        let replaced = app.texts(&stored).await.remove(0);
        assert!(replaced.starts_with("$argon2id$v=19$m=19456,"), "{user}: {replaced}");
        sign_in(app, email, &password).await.is(200);
        assert_eq!(app.texts(&stored).await, [replaced], "{user}");
        assert_eq!(sign_in(app, email, "not the password").await.status, 400, "{user}");
    }
    let waiting = app.number("SELECT COUNT(*) FROM users WHERE imported_cost IS NOT NULL").await;
    assert_eq!(waiting, 2, "bob, and the disabled account");
}

#[apply(each_database)]
#[tokio::test]
async fn password_that_an_operator_sets_ends_the_imported_one(database: Database) {
    let (app, secrets) = &imported(database).await;
    app.set_password("ada", PASSWORD).await;
    assert_eq!(sign_in(app, "ada@example.com", &secrets.password("ada")).await.status, 400);
    sign_in(app, "ada@example.com", PASSWORD).await.is(200);
    app.set_password("social", PASSWORD).await;
    sign_in(app, "social@example.com", PASSWORD).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn what_is_not_the_imported_key_is_rejected(database: Database) {
    let (app, secrets) = &imported(database).await;
    let before = app.rows().await;
    for name in ["ada's key", "bob's old key"] {
        let key = secrets.key(name);
        let (prefix, secret) = key.split_once('.').unwrap();
        let other = secrets.key("cy's key");
        for guess in [
            format!("{prefix}.{}", &other[9..]),
            format!("{}.{secret}", &other[..8]),
            format!("{prefix}.{}", secret.to_lowercase()),
            format!("{key}x"),
            format!("{prefix}.{}", "0".repeat(32)),
            format!("00000000.{secret}"),
        ] {
            with(app, &guess).get(EMPLOYEES).await.refused(401, "key_unknown");
        }
        for junk in [prefix, secret, &format!("{prefix}."), &key[..40], &key.replace('.', "_"), &key.replace('.', " ")]
        {
            with(app, junk).get(EMPLOYEES).await.refused(401, "key_malformed");
        }
        // The stored forms are no keys.
        let stored = app.texts(&format!("SELECT placeholder FROM imported_keys WHERE prefix = '{prefix}.'")).await;
        with(app, &stored[0]).get(EMPLOYEES).await.refused(401, "key_malformed");
    }
    with(app, &secrets.key("a key of nobody")).get(EMPLOYEES).await.refused(401, "key_unknown");
    with(app, &secrets.key("a key without a user")).get(EMPLOYEES).await.refused(401, "key_unknown");
    assert_eq!(app.rows().await, before);
}

#[apply(each_database)]
#[tokio::test]
async fn revoked_and_expired_keys_of_django_are_rejected(database: Database) {
    let (app, secrets) = &imported(database).await;
    for _ in 0..2 {
        for (name, code) in [
            ("ada's revoked key", "key_revoked"),
            ("ada's expired key", "key_expired"),
            ("a key of a disabled account", "account_disabled"),
        ] {
            with(app, &secrets.key(name)).get(EMPLOYEES).await.refused(401, code);
        }
    }
    let key = secrets.key("ada's key with an expiry");
    with(app, &key).get(EMPLOYEES).await.is(200);
    app.advance(Duration::from_hours(24 * 365 * 3));
    with(app, &key).get(EMPLOYEES).await.refused(401, "key_expired");
}

#[apply(each_database)]
#[tokio::test]
async fn key_of_django_works_and_its_hash_is_replaced_at_the_first_use(database: Database) {
    let (app, secrets) = &imported(database).await;
    for (name, user) in [("ada's key", "ada"), ("bob's old key", "bob"), ("cy's key", "cy")] {
        let key = secrets.key(name);
        let me = with(app, &key).get("/api/v1/me").await.is(200).json();
        assert_eq!(me["user"]["email"], format!("{user}@example.com"), "{me}");
        let stored = format!("SELECT digest FROM keys WHERE prefix = '{}'", &key[..9]);
        assert_eq!(app.texts(&stored).await, [Digest::of(&key).hex()], "{name}");
        let left = format!("SELECT COUNT(*) FROM imported_keys WHERE prefix = '{}'", &key[..9]);
        assert_eq!(app.number(&left).await, 0, "{name}");
        app.state.db.invalidations().invalidate_all();
        app.anonymous().with("authorization", &format!("Bearer {key}")).get(EMPLOYEES).await.is(200);
        app.anonymous().with("x-api-key", &key).get(VERIFY).await.is(200);
        let facts = with(app, &key).get("/api/v1/key").await.is(200).json();
        assert_eq!((facts["name"].as_str(), facts["prefix"].as_str()), (Some(name), Some(&key[..9])), "{facts}");
    }
    app.write_usage().await;
    assert_eq!(app.number("SELECT COUNT(*) FROM usage WHERE allowed = 4 AND used_at IS NOT NULL").await, 3);
}

#[apply(each_database)]
#[tokio::test]
async fn first_uses_at_the_same_time_all_succeed(database: Database) {
    let (app, secrets) = &imported(database).await;
    for name in ["ada's key", "bob's old key"] {
        let clients: Vec<_> = (0..8).map(|_| with(app, &secrets.key(name))).collect();
        let answers = futures_util::future::join_all(clients.iter().map(|client| client.get(EMPLOYEES))).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{name}: {answers:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn imported_key_obeys_revocation_and_access_like_every_key(database: Database) {
    let (app, secrets) = &imported(database).await;
    let key = secrets.key("ada's key");
    let ada = app.signed_in("ada").await;
    let list = ada.get("/profile").await.is(200).body;
    assert!(list.contains(&key[..9]) && !list.contains(&key[9..]), "the prefix with its dot, and no secret");
    with(app, &key).get(EMPLOYEES).await.is(200);
    let id = app.texts(&format!("SELECT id FROM keys WHERE prefix = '{}'", &key[..9])).await.remove(0);
    ada.call("revoke_key", &[("id", &id)]).await.is(200);
    with(app, &key).get(EMPLOYEES).await.refused(401, "key_revoked");
    // Before its first use, too.
    let bobs = secrets.key("bob's old key");
    let revoke = run(&app.url, &["key", "revoke", &bobs[..9]], &[], "").await;
    assert_eq!(revoke.code, 0, "{revoke:?}");
    with(app, &bobs).get(EMPLOYEES).await.refused(401, "key_revoked");
    let list = run(&app.url, &["key", "list", "--user", "bob@example.com"], &[], "").await;
    assert!(list.out.starts_with(&format!("{}\tRevoked\tFull access\tnever\t", &bobs[..9])), "{list:?}");
    app.disable("cy").await;
    with(app, &secrets.key("cy's key")).get(EMPLOYEES).await.refused(401, "account_disabled");
}

#[apply(each_database)]
#[tokio::test]
async fn rotated_imported_key_is_one_of_this_program(database: Database) {
    let (app, secrets) = &imported(database).await;
    // By the page, before and after its first use.
    for (name, used) in [("ada's key", true), ("ada's key with an expiry", false)] {
        let old = secrets.key(name);
        if used {
            with(app, &old).get(EMPLOYEES).await.is(200);
        }
        let id = app.texts(&format!("SELECT id FROM keys WHERE prefix = '{}'", &old[..9])).await.remove(0);
        let rotate = [("form[id]", id.as_str()), ("form[grace]", "15m"), ("form[seen]", "")];
        let made = app.signed_in("ada").await.call("rotate_key", &rotate).await.is(200).json();
        let new = made["key"].as_str().unwrap();
        trail::keys(new);
        assert!(new.starts_with("kf_") && made["facts"]["prefix"] == new[..11], "{name}");
        with(app, new).get(EMPLOYEES).await.is(200);
        with(app, &old).get(EMPLOYEES).await.is(200);
        app.advance(Duration::from_mins(15));
        with(app, &old).get(EMPLOYEES).await.refused(401, "key_expired");
        with(app, new).get(EMPLOYEES).await.is(200);
    }
    // By itself.
    let old = secrets.key("cy's key");
    let rotated = with(app, &old).post("/api/v1/key/rotate", json!({"grace": "0"})).await.is(200).json();
    let new = rotated["key"].as_str().unwrap();
    trail::keys(new);
    assert!(new.starts_with("kf_") && rotated["prefix"] == new[..11], "{rotated}");
    let events = app.texts("SELECT subject || ' ' || detail FROM audit WHERE action = 'key.rotate'").await;
    let event = format!("{} now {}; the old secret works on for: not at all", &old[..9], &new[..11]);
    assert!(events.contains(&event), "{event} is not in {events:?}");
    with(app, &old).get(EMPLOYEES).await.refused(401, "key_expired");
    with(app, new).get(EMPLOYEES).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn rotated_twice_before_its_first_use_it_is_unknown(database: Database) {
    let (app, secrets) = &imported(database).await;
    let old = secrets.key("cy's key");
    let id = app.texts(&format!("SELECT id FROM keys WHERE prefix = '{}'", &old[..9])).await.remove(0);
    let cy = app.signed_in("cy").await;
    let mut seen = String::new();
    for _ in 0..2 {
        let rotate = [("form[id]", id.as_str()), ("form[grace]", "7d"), ("form[seen]", &seen)];
        cy.call("rotate_key", &rotate).await.is(200);
        seen = app.number(&format!("SELECT rotated_at FROM keys WHERE id = '{id}'")).await.to_string();
        app.advance(Duration::from_secs(1));
    }
    with(app, &old).get(EMPLOYEES).await.refused(401, "key_unknown");
}

#[apply(each_database)]
#[tokio::test]
async fn guesses_at_a_slow_hash_are_bounded_by_address(database: Database) {
    let (app, secrets) = &imported(database).await;
    let key = secrets.key("bob's old key");
    let attacker = |key: &str| with(app, key).coming_from("203.0.113.9");
    for n in 0..100 {
        attacker(&format!("00000000.{n:032}")).get(VERIFY).await.refused(401, "key_unknown");
    }
    let guess = format!("{}.{}", &key[..8], "0".repeat(32));
    attacker(&guess).get(VERIFY).await.refused(429, "rate_limited");
    attacker(&key).get(VERIFY).await.refused(429, "rate_limited");
    // Nobody else is held up, and a fast hash costs nothing.
    attacker(&secrets.key("ada's key")).get(VERIFY).await.is(200);
    with(app, &key).coming_from("203.0.113.10").get(VERIFY).await.is(200);
    attacker(&key).get(VERIFY).await.is(200);
}

/// A PostgreSQL that takes no changes is treated as lost.
#[tokio::test]
async fn imported_key_works_while_sqlite_cannot_be_written() {
    let (app, secrets) = &imported(Database::Sqlite).await;
    crate::support::set_read_only(&app.state.db, &app.url, true).await;
    for name in ["ada's key", "bob's old key"] {
        with(app, &secrets.key(name)).get(VERIFY).await.is(200);
    }
    with(app, &secrets.key("ada's revoked key")).get(VERIFY).await.refused(401, "key_revoked");
    assert_eq!(app.number("SELECT COUNT(*) FROM imported_keys").await, 7, "no hash could be replaced");
    crate::support::set_read_only(&app.state.db, &app.url, false).await;
    app.state.db.invalidations().invalidate_all();
    with(app, &secrets.key("ada's key")).get(VERIFY).await.is(200);
    assert_eq!(app.number("SELECT COUNT(*) FROM imported_keys").await, 6);
}

#[apply(each_database)]
#[tokio::test]
async fn reported_imported_key_is_revoked(database: Database) {
    let (app, secrets) = &imported(database).await;
    let key = secrets.key("ada's key");
    let guess = format!("{}{}", &key[..9], "0".repeat(32));
    let report =
        async |token: &str| app.anonymous().post("/api/v1/leaked-keys", json!([{"token": token}])).await.is(202);
    report(&guess).await;
    with(app, &key).get(VERIFY).await.is(200);
    report(&key).await;
    with(app, &key).get(VERIFY).await.refused(401, "key_revoked");
    // One that was never used.
    let unused = secrets.key("cy's key");
    report(&unused).await;
    with(app, &unused).get(VERIFY).await.refused(401, "key_revoked");
}

#[apply(each_database)]
#[tokio::test]
async fn pasted_imported_key_is_found_and_not_shown(database: Database) {
    let (app, secrets) = &imported(database).await;
    let admin = app.admin().await;
    for _ in 0..2 {
        for name in ["ada's key", "bob's old key"] {
            let key = secrets.key(name);
            let page = admin.form("/admin/keys", &[("search", &key)]).await.is(200).body;
            assert!(page.contains(&key[..9]) && !page.contains(&key[9..]), "{name}");
            with(app, &key).get(VERIFY).await.is(200);
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn team_roles_and_audit_are_imported(database: Database) {
    let (app, secrets) = &imported(database).await;
    let bob = app.signed_in("bob").await;
    bob.get("/a/acme").await.is(200);
    bob.get("/a/lonely").await.is(404);
    let roles = "SELECT u.email || ' ' || m.role FROM members m JOIN users u ON u.id = m.user_id \
                 JOIN teams t ON t.id = m.team_id WHERE t.slug = 'acme' ORDER BY u.email";
    assert_eq!(app.texts(roles).await, ["ada@example.com admin", "bob@example.com member", "cy@example.com member"]);
    with(app, &secrets.key("bob's old key")).get("/a/acme/employees/api/employees/").await.is(200);
    let events = "SELECT action || ' ' || actor || ' ' || detail FROM audit WHERE subject = 'ada@example.com' \
                  OR subject = 'acme' ORDER BY action, detail";
    assert_eq!(
        app.texts(events).await,
        [
            "account.create the command line imported from Django as a superuser",
            "team.add the command line ada@example.com as admin",
            "team.add the command line bob@example.com as member",
            "team.add the command line cy@example.com as member",
            "team.create the command line imported from Django",
        ]
    );
    let created = "SELECT CAST(created_at AS TEXT) FROM users WHERE email = 'ada@example.com' AND superuser";
    assert_eq!(app.texts(created).await, ["1680674828910"]);
    assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE action = 'key.create'").await, 7);
    assert_eq!(app.number("SELECT COUNT(*) FROM audit WHERE detail LIKE '%$%'").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn natural_keys_and_odd_values_are_understood(database: Database) {
    let app = &TestApp::start(database).await;
    let report = import_text(app, &text("natural_keys.json"), false).await;
    assert_eq!((report.users.taken, report.keys.taken), (11, 7), "{report}");
    let secrets = Secrets::read();
    with(app, &secrets.key("ada's key")).get(VERIFY).await.is(200);
    // A project may have chosen a longer secret.
    let long = format!("ZZZZZZZ1.{}", "aB3".repeat(20));
    import_text(app, &dump_of("long@example.com", "ZZZZZZZ1", &sha512(&long)), false).await;
    with(app, &long).get(VERIFY).await.is(200);
    for (email, prefix, hash, reason) in [
        ("a@example.com", "ZZZZZZZ", sha512("x"), "8 letters and digits"),
        ("b@example.com", "ZZZZZZZ2", "sha512$$00".to_owned(), "unknown kind"),
        ("c@example.com", "ZZZZZZZ3", format!("pbkdf2_sha256$99000000$s${}=", "A".repeat(43)), "too much time"),
        ("d@example.com", "ZZZZZZZ1", sha512("x"), "there is a key with this prefix"),
    ] {
        let report = import_text(app, &dump_of(email, prefix, &hash), false).await;
        assert_eq!((report.users.taken, report.keys.taken), (1, 0), "{report}");
        assert!(skipped(&report)[prefix].contains(reason), "{report}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn doctor_counts_what_waits_for_its_first_use(database: Database) {
    let (app, _) = &imported(database).await;
    let found = run(&app.url, &["doctor"], &[("KEYFOB_SIGNUP", "closed")], "").await;
    assert!(found.out.contains("Imported and not used since: 9 passwords, 7 keys."), "{found:?}");
}
