//! The command line, by the program itself: results on stdout, all else on stderr, 0 done, 1 refused, 2 wrong usage.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use keyfob::server::db::Db;
use rstest_reuse::apply;

use crate::support::server::Server;
use crate::support::{Database, EMPLOYEES, PASSWORD, ScratchDatabase, TestApp, each_database, trail};

/// What the program did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the program on a database, with nothing else in its environment but what is given.
pub async fn run(url: &str, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
    command.args(arguments).env_clear().env("DATABASE_URL", url).envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let given = input.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // A program that refuses at once does not read it.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), given.as_bytes());
        child.wait_with_output().unwrap()
    });
    let Output { status, stdout, stderr } = ran.await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran { code: status.code().unwrap(), out: text(stdout), err: text(stderr) };
    if trail::is_left() && arguments.contains(&"--password-stdin") {
        input.lines().filter(|line| trail::is_telling(line)).for_each(trail::secret);
    }
    trail::keys(&ran.out);
    let makes_keys = arguments.contains(&"seed")
        || arguments.starts_with(&["key", "create"])
        || arguments.starts_with(&["user", "reset-link"]);
    trail::write("printed", &format!("{} {}", ran.err, if makes_keys { "" } else { &ran.out }));
    ran
}

pub async fn keyfob(url: &str, line: &str) -> Ran {
    run(url, &line.split(' ').collect::<Vec<_>>(), &[], "").await
}

async fn make_user(url: &str, email: &str) -> Ran {
    run(url, &["user", "create", "--email", email, "--password-stdin"], &[], &format!("{PASSWORD}\n")).await
}

impl Ran {
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Fails unless the program refused, with one line that says this.
    #[track_caller]
    pub fn refused(&self, says: &str) {
        assert_eq!((self.code, self.out.as_str()), (1, ""), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        assert!(self.err.starts_with("keyfob: ") && self.err.contains(says), "{self:?}");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn accounts_are_promoted_and_demoted_but_for_the_last_superuser(database: Database) {
    let app = &TestApp::start(database).await;
    for email in ["ada@example.com", "bob@example.com"] {
        make_user(&app.url, email).await.done();
        keyfob(&app.url, &format!("user promote --email {email}")).await.done();
    }
    keyfob(&app.url, "user demote --email ada@example.com").await.done();
    for what in ["demote", "disable"] {
        keyfob(&app.url, &format!("user {what} --email bob@example.com")).await.refused("last superuser");
    }
    keyfob(&app.url, "user promote --email nobody@example.com").await.refused("there is no account");
    let list = keyfob(&app.url, "user list").await.done().out;
    assert!(list.contains("ada@example.com\tuser\t") && list.contains("bob@example.com\tsuperuser\t"), "{list}");
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_is_made_with_scopes_and_for_a_team(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &[]).await;
    let create = "key create --user ada@example.com --name x";
    let made =
        keyfob(&app.url, &format!("{create} --scope employees:read --scope profile:read --team red")).await.done();
    let client = app.anonymous().with_key(made.out.trim());
    client.get("/a/red/employees/api/employees/").await.is(200);
    client.post("/a/red/employees/api/employees/", serde_json::json!({})).await.refused(403, "scope_missing");
    client.get(EMPLOYEES).await.refused(403, "team_mismatch");
    keyfob(&app.url, &format!("{create} --scope employees")).await.refused("employees:write");
    keyfob(&app.url, &format!("{create} --team blue")).await.refused("blue");
    assert_eq!(keyfob(&app.url, &format!("{create} --scope profile:read --read-only")).await.code, 2);
    let printed = keyfob(&app.url, "openapi").await.done().out;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap()["info"]["title"], "Keyfob");
}

#[apply(each_database)]
#[tokio::test]
async fn an_account_is_made_listed_disabled_and_enabled(database: Database) {
    let app = &TestApp::start(database).await;
    let made = make_user(&app.url, "Ada@example.com").await.done();
    assert_eq!(made.out, "");
    assert!(made.err.contains("ada@example.com") && !made.err.contains(PASSWORD), "{made:?}");
    let sign_in = async |password: &str| {
        app.browser().call("sign_in", &[("email", "ada@example.com"), ("password", password)]).await.status
    };
    assert_eq!(sign_in(PASSWORD).await, 200);
    let list = keyfob(&app.url, "user list").await.done();
    assert!(list.out.contains("ada@example.com\tuser\tactive\t") && list.out.lines().count() == 1, "{list:?}");
    keyfob(&app.url, "user disable --email ADA@example.com").await.done();
    assert_eq!(sign_in(PASSWORD).await, 400);
    assert!(keyfob(&app.url, "user list").await.done().out.contains("\tdisabled\t"));
    keyfob(&app.url, "user enable --email ada@example.com").await.done();
    assert_eq!(sign_in(PASSWORD).await, 200);
    let ada = app.signed_in("ada").await;
    let set = ["user", "set-password", "--email", "ada@example.com", "--password-stdin"];
    run(&app.url, &set, &[], "four quite different words").await.done();
    assert_eq!((sign_in(PASSWORD).await, sign_in("four quite different words").await), (400, 200));
    ada.get(EMPLOYEES).await.refused(401, "credentials_missing");
}

#[apply(each_database)]
#[tokio::test]
async fn failing_user_commands_print_one_line(database: Database) {
    let app = &TestApp::start(database).await;
    make_user(&app.url, "ada@example.com").await.done();
    make_user(&app.url, "ADA@example.com").await.refused("already has an account");
    make_user(&app.url, "junk").await.refused("email address");
    let create = ["user", "create", "--email", "bob@example.com", "--password-stdin"];
    run(&app.url, &create, &[], "short\n").await.refused("at least 8");
    run(&app.url, &create, &[], "password\n").await.refused("Choose another");
    run(&app.url, &create, &[], "").await.refused("at least 8");
    for command in ["disable", "enable"] {
        keyfob(&app.url, &format!("user {command} --email bob@example.com")).await.refused("bob@example.com");
    }
    let set = ["user", "set-password", "--email", "bob@example.com", "--password-stdin"];
    run(&app.url, &set, &[], "four quite different words").await.refused("bob@example.com");
    assert_eq!(app.texts("SELECT email FROM users").await, ["ada@example.com"]);
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_is_printed_alone_and_works_until_it_is_revoked(database: Database) {
    let app = &TestApp::start(database).await;
    make_user(&app.url, "ada@example.com").await.done();
    let create = ["key", "create", "--user", "ada@example.com", "--no-expiry", "--name", "nightly report"];
    let form = regex::Regex::new("^kf_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}$").unwrap();
    let mut revoked = Vec::new();
    for read_only in [false, true] {
        let arguments: Vec<_> = create.into_iter().chain(read_only.then_some("--read-only")).collect();
        let made = run(&app.url, &arguments, &[], "").await.done();
        let key = made.out.strip_suffix('\n').unwrap().to_owned();
        assert!(form.is_match(&key), "{made:?}");
        assert!(!made.err.contains(&key[12..]), "{made:?}");
        let client = app.anonymous().with_key(&key);
        client.get(EMPLOYEES).await.is(200);
        let post = client.post(EMPLOYEES, serde_json::json!({"name": "x", "department": "hr", "salary": 1})).await;
        assert_eq!(post.status, if read_only { 403 } else { 201 });
        let list = keyfob(&app.url, "key list --user ada@example.com").await.done().out;
        let line = list.lines().find(|line| line.starts_with(&key[..11])).unwrap();
        let fields: Vec<_> = line.split('\t').collect();
        let access = if read_only { "Read only" } else { "Full access" };
        assert_eq!((fields[1], fields[2], fields[3], fields[5]), ("Active", access, "never", "nightly report"));
        assert!(!list.contains(&key[12..]));
        // Once by its prefix, once by its id.
        let name = if read_only { fields[4] } else { fields[0] };
        keyfob(&app.url, &format!("key revoke {name}")).await.done();
        // Another process did it, and this server hears of nothing: what it remembers ends after a second.
        app.advance(Duration::from_secs(1));
        client.get(EMPLOYEES).await.refused(401, "key_revoked");
        keyfob(&app.url, &format!("key revoke {name}")).await.refused("already revoked");
        revoked.push(key);
    }
    let list = keyfob(&app.url, "key list --user ada@example.com").await.done().out;
    assert_eq!(list.matches("\tRevoked\t").count(), revoked.len());
}

#[apply(each_database)]
#[tokio::test]
async fn key_expires_as_given_or_after_90_days(database: Database) {
    let app = &TestApp::start(database).await;
    make_user(&app.url, "ada@example.com").await.done();
    for (argument, days) in [(&[][..], 90.0), (&["--expires-in", "24h"], 1.0), (&["--expires-in", "15m"], 0.25 / 24.0)]
    {
        let create = ["key", "create", "--user", "ada@example.com", "--name", "x"];
        run(&app.url, &[&create[..], argument].concat(), &[], "").await.done();
        let lives = app.number("SELECT MAX(expires_at - created_at) FROM keys WHERE revoked_at IS NULL").await;
        #[expect(clippy::cast_precision_loss, reason = "some days")]
        let lives = lives as f64 / 86_400_000.0;
        assert!((lives - days).abs() < 1e-6, "{argument:?}: {lives}");
        app.sql("UPDATE keys SET revoked_at = 1").await;
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_that_cannot_be_made_or_found_is_refused_in_one_line(database: Database) {
    let app = &TestApp::start(database).await;
    make_user(&app.url, "ada@example.com").await.done();
    keyfob(&app.url, "key create --user bob@example.com --name x").await.refused("bob@example.com");
    run(&app.url, &["key", "create", "--user", "ada@example.com", "--name", " "], &[], "").await.refused("name");
    keyfob(&app.url, "key list --user bob@example.com").await.refused("bob@example.com");
    for junk in ["kf_00000000", "01890000-0000-7000-8000-000000000000", "x"] {
        keyfob(&app.url, &format!("key revoke {junk}")).await.refused("no key");
    }
    keyfob(&app.url, "key create --user ada@example.com --name x").await.done();
    let more = ["key", "create", "--user", "ada@example.com", "--name", "x"];
    run(&app.url, &more, &[("KEYFOB_MAX_KEYS_PER_USER", "1")], "").await.refused("1 is the most");
    let branded = run(&app.url, &more, &[("KEYFOB_KEY_BRAND", "acme")], "").await.done();
    assert!(branded.out.starts_with("acme_"), "{branded:?}");
}

#[apply(each_database)]
#[tokio::test]
async fn seeding_prints_one_working_key_a_line(database: Database) {
    let app = &TestApp::start(database).await;
    let seeded = keyfob(&app.url, "seed --users 3 --keys-per-user 2 --employees-per-user 4").await.done();
    let keys: Vec<_> = seeded.out.lines().collect();
    assert_eq!(keys.len(), 6);
    for key in keys {
        assert_eq!(app.anonymous().with_key(key).get(EMPLOYEES).await.is(200).json()["count"], 4);
    }
    assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 3);
    assert!(seeded.err.lines().count() == 1, "no progress where nobody looks: {seeded:?}");
}

#[apply(each_database)]
#[tokio::test]
async fn migrate_is_idempotent_and_rejects_a_newer_database(database: Database) {
    let app = &TestApp::start(database).await;
    keyfob(&app.url, "migrate").await.done();
    app.sql(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             VALUES (9999, 'of the future', CURRENT_TIMESTAMP, TRUE, '', 0)",
    )
    .await;
    for command in ["migrate", "serve --addr 127.0.0.1:0", "user list"] {
        keyfob(&app.url, command).await.refused("newer");
    }
    let logged = run(&app.url, &["serve", "--addr", "127.0.0.1:0"], &[("KEYFOB_LOG", "trace")], "").await;
    assert!(logged.err.lines().count() > 1 && !logged.err.contains('\u{1b}'), "colours where nobody looks: {logged:?}");
}

const NOWHERE: &str = "sqlite:///dev/null/keyfob.db";

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_refused_in_one_line() {
    for url in [NOWHERE, "mysql://localhost/a", "sqlite::memory:", "postgres://nobody@127.0.0.1:1/nothing"] {
        for command in ["migrate", "user list", "serve --addr 127.0.0.1:0"] {
            keyfob(url, command).await.refused("DATABASE_URL");
        }
    }
}

#[tokio::test]
async fn taken_port_is_rejected_in_one_line_first() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/keyfob.db", folder.path().display());
    let ran = run(&url, &["serve"], &[("KEYFOB_ADDR", &address)], "").await;
    ran.refused("KEYFOB_ADDR");
    assert!(ran.err.contains(&address), "{ran:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn plain_http_on_a_public_host_is_refused_until_it_is_accepted() {
    let public = ("KEYFOB_PUBLIC_URL", "http://keys.example.com");
    run(NOWHERE, &["serve"], &[public], "").await.refused("KEYFOB_ALLOW_INSECURE_HTTP=true");
    let accepted = [public, ("KEYFOB_ALLOW_INSECURE_HTTP", "true"), ("KEYFOB_ADDR", "127.0.0.1:0")];
    run(NOWHERE, &["serve"], &accepted, "").await.refused("DATABASE_URL");
}

#[tokio::test]
async fn a_wrong_setting_is_refused_in_one_line_that_names_it() {
    for (name, value) in [
        ("KEYFOB_ADDR", "nowhere"),
        ("KEYFOB_ADDR", "127.0.0.1:99999"),
        ("KEYFOB_PUBLIC_URL", "keys.example.com"),
        ("KEYFOB_PUBLIC_URL", "https://keys.example.com/path"),
        ("KEYFOB_ALLOW_INSECURE_HTTP", "perhaps"),
        ("KEYFOB_SIGNUP", "sometimes"),
        ("KEYFOB_API_KEY_HEADER", "not a header"),
        ("KEYFOB_API_KEY_HEADER", "cookie"),
        ("KEYFOB_KEY_BRAND", "K"),
        ("KEYFOB_KEY_BRAND", "kf_"),
        ("KEYFOB_MAX_KEYS_PER_USER", "0"),
        ("KEYFOB_MAX_KEYS_PER_USER", "many"),
        ("KEYFOB_LOG_FORMAT", "xml"),
        ("KEYFOB_LOG", "=,="),
    ] {
        for arguments in [&["serve"][..], &[]] {
            let ran = run(NOWHERE, arguments, &[(name, value)], "").await;
            println!("{name}={value}: {ran:?}");
            ran.refused(name);
            assert!(!ran.err.contains("DATABASE_URL"), "{ran:?}");
        }
    }
}

/// As Compose sets a variable for which the operator gave no value.
#[tokio::test]
async fn an_empty_variable_counts_as_unset() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/keyfob.db", folder.path().display());
    let help = run(&url, &["serve", "--help"], &[], "").await.done().out;
    let name = regex::Regex::new(r"\[env: ([A-Z_]+)").unwrap();
    let names: Vec<_> = name.captures_iter(&help).map(|found| found[1].to_owned()).collect();
    assert!(names.len() >= 14 && names.contains(&"DATABASE_URL".to_owned()), "{names:?}");
    let empty: Vec<_> = names.iter().map(|name| (&**name, "")).collect();
    run(&url, &["openapi"], &empty, "").await.done();
    // The help names every variable, those that are empty too.
    let help = run(&url, &["serve", "--help"], &empty, "").await.done().out;
    for name in &names {
        assert!(help.contains(&format!("[env: {name}")), "{name}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
    command.args(["user", "list"]).env_clear().envs(empty).current_dir(folder.path());
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(ran.status.success() && folder.path().join("data/keyfob.db").exists(), "{ran:?}");
    let serve = run(&url, &["serve"], &[("KEYFOB_TRUSTED_PROXIES", ""), ("KEYFOB_ADDR", "nowhere")], "").await;
    serve.refused("KEYFOB_ADDR");
}

/// The first cause, in one line that names the variable and what to do.
#[tokio::test]
async fn a_postgres_that_cannot_be_used_is_refused_with_its_cause() {
    let database = ScratchDatabase::empty(Database::Postgres).await;
    let with = |change: &dyn Fn(&mut url::Url)| {
        let mut url = url::Url::parse(&database.url).unwrap();
        change(&mut url);
        String::from(url)
    };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let db = Db::open(&database.url).await.unwrap();
    let pooled = db.is_pooled();
    db.close().await;
    // Behind PgBouncer, by scripts/with-pgbouncer.sh, it is PgBouncer that signs in.
    let sign_in = [
        (with(&|url| url.set_password(Some("wrong")).unwrap()), "refuses the password of the user"),
        (with(&|url| url.set_path("no_such_database")), "there is no database no_such_database"),
    ];
    for (url, says) in sign_in.into_iter().filter(|_| !pooled).chain([
        (with(&|url| url.set_port(Some(1)).unwrap()), "connection refused: nothing listens at 127.0.0.1:1"),
        (with(&|url| url.set_host(Some("no-such-host.invalid")).unwrap()), "no-such-host.invalid"),
        (with(&|url| url.set_query(Some("sslmode=require"))), "TLS with"),
        (with(&|url| url.set_port(Some(port)).unwrap()), "does not answer"),
        (with(&|url| url.set_query(Some("sslmode=x"))), "postgres://user:password@host:5432/name"),
        (with(&|url| url.set_query(Some("target_session_attrs=standby"))), "read-write"),
    ]) {
        let ran = keyfob(&url, "migrate").await;
        println!("{}", ran.err);
        ran.refused(says);
        assert!(ran.err.contains("DATABASE_URL") && !ran.err.contains("timed out"), "{ran:?}");
        let password = url::Url::parse(&database.url).unwrap().password().unwrap().to_owned();
        assert!(!ran.err.contains(&password), "the password is shown");
    }
    database.throw_away().await;
}

/// Both drivers read each form of a URL as the same file: a sign-in writes by the one, a key is found by the other.
#[tokio::test]
async fn each_form_of_an_sqlite_url_serves() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display();
    for (n, url) in [
        format!("sqlite://{root}/plain.db"),
        format!("sqlite:{root}/no slashes.db"),
        format!("sqlite://{root}/a%20b%3Fc%23d%25.db"),
        format!("sqlite://{root}/created.db?mode=rwc&cache=private"),
        "sqlite://relative/keyfob.db".to_owned(),
        "sqlite:relative.db".to_owned(),
        "sqlite:./also relative.db?mode=rwc".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let server = Server::start_in(folder.path(), &url).await;
        let key = keyfob_in(folder.path(), &url, "seed --users 1 --keys-per-user 1 --employees-per-user 2").await;
        let answer = server.ask(&format!("GET {EMPLOYEES}"), &[("X-Api-Key", key.trim())], "").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"count\":2"), "{n}: {url}: {answer}");
    }
    let missing = run(&format!("sqlite://{root}/missing.db?mode=rw"), &["migrate"], &[], "").await;
    missing.refused("there is no database");
    for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite://x.db?mode=memory", "sqlite://x.db?mode=ro"] {
        for command in
            ["serve --addr 127.0.0.1:0", "doctor", "backup b.db", "copy --from sqlite://a.db --to sqlite::memory:"]
        {
            let ran = keyfob(url, command).await;
            let said = format!("{}{}", ran.out, ran.err);
            assert!(
                ran.code == 1 && (said.contains("DATABASE_URL") || said.contains("--from")),
                "{url}: {command}: {ran:?}"
            );
        }
    }
    let made: Vec<_> = std::fs::read_dir(".").unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let strays = made.iter().filter(|name| name.to_string_lossy().starts_with("file:"));
    assert_eq!(strays.count(), 0, "{made:?}");
}

/// Runs a command in a folder; gives what it printed.
async fn keyfob_in(folder: &Path, url: &str, line: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
    command.args(line.split(' ')).env_clear().env("DATABASE_URL", url).current_dir(folder).stdin(Stdio::null());
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let printed = String::from_utf8(ran.stdout).unwrap();
    trail::keys(&printed);
    printed
}

#[tokio::test]
async fn wrong_usage_ends_with_2() {
    for line in [
        "nothing",
        "user",
        "user create",
        "key create --user a@b",
        "key revoke",
        "serve --no-such-flag",
        "seed",
        "copy --from sqlite://a",
        "user create --email a@b",
        "key create --user a@b --name x --expires-in soon",
        "key create --user a@b --name x --expires-in 1d --no-expiry",
    ] {
        let ran = keyfob(NOWHERE, line).await;
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line}: {ran:?}");
    }
}

#[tokio::test]
async fn help_lists_every_setting_with_its_default_and_no_password() {
    let help = run("postgres://ada:hunter2@localhost/a", &["serve", "--help"], &[], "").await.done().out;
    for text in [
        "DATABASE_URL",
        "KEYFOB_ADDR",
        "KEYFOB_PUBLIC_URL",
        "KEYFOB_ALLOW_INSECURE_HTTP",
        "KEYFOB_SIGNUP",
        "KEYFOB_API_KEY_HEADER",
        "KEYFOB_KEY_BRAND",
        "KEYFOB_MAX_KEYS_PER_USER",
        "KEYFOB_SECRET_SCANNING_KEYS",
        "KEYFOB_CORS_ORIGINS",
        "KEYFOB_SECURITY_CONTACT",
        "KEYFOB_LOG",
        "KEYFOB_LOG_FORMAT",
        "sqlite://data/keyfob.db",
        "127.0.0.1:8000",
        "http://localhost:8000",
        "50",
    ] {
        assert!(help.contains(text), "{text}");
    }
    assert!(!help.contains("hunter2"));
    assert!(keyfob(NOWHERE, "--version").await.done().out.contains(env!("CARGO_PKG_VERSION")));
}
