//! `TestApp`: an empty migrated database, a clock that a test can move, and actors that send requests through the
//! router, without sockets.

mod client;
mod databases;
pub mod functions;
pub mod query_counter;
pub mod scrape;
pub mod server;
pub mod trail;

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use clap::{Args, Command, FromArgMatches};
use keyfob::model::apis::{ApiForm, NewScope};
use keyfob::model::employees::{Department, EmployeeName, EmployeeSpec, OwnerId, Salary};
use keyfob::model::keys::{Access, KeyName, KeySpec, NewKey};
use keyfob::model::teams::{INVITATION_TTL, Team, TeamForm};
use keyfob::model::time::{DAY, Timestamp};
use keyfob::model::users::{Email, User};
use keyfob::server::audit::Actor;
use keyfob::server::auth::{random, sessions};
use keyfob::server::config::Config;
use keyfob::server::db::Db;
use keyfob::server::keys::Request;
use keyfob::server::users::AccountChange;
use keyfob::server::{apis, employees, keys, teams, users};
use keyfob::server::{clock::Clock, state::AppState};
use keyfob::web::router::WebService;
use rstest_reuse::template;
use secrecy::ExposeSecret;

pub use client::{Answer, Client, request};
pub use databases::{Database, ScratchDatabase, execute, open_scratch, set_read_only, texts};

/// Where the employees are.
pub const EMPLOYEES: &str = "/pegasus/employees/api/employees/";
/// Where their figures are.
pub const FIGURES: &str = "/pegasus/employees/api/employee-data/";
/// The password of every user of the tests.
pub const PASSWORD: &str = "four words for tests";
/// The time at which every test begins: 15 Jan 2027, 08:00 UTC.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// One day.
pub const ONE_DAY: Duration = Duration::from_hours(24);

/// Runs a test on SQLite and on PostgreSQL, as the cases `sqlite` and `postgres`.
#[template]
#[rstest::rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgres(Database::Postgres)]
pub fn each_database(#[case] database: Database) {}

/// The settings as they are where nothing is set, whatever the environment says. No browser's files.
pub fn default_config() -> Config {
    let command =
        Config::augment_args(Command::new("keyfob")).mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
    let mut config = Config::from_arg_matches(&command.get_matches_from(["keyfob"])).unwrap();
    config.site_root = "no/such/folder".into();
    config
}

/// The server under test.
pub struct TestApp {
    /// What its requests can reach.
    pub state: AppState,
    /// The database, as `DATABASE_URL` takes it.
    pub url: String,
    own: Router<AppState>,
    router: WebService,
    /// The database of the test, removed with the app. An app that shares the database of another one has none.
    scratch: Option<ScratchDatabase>,
}

impl Drop for TestApp {
    /// Removes the database of a test that passed, after its rows and files went to the trail.
    fn drop(&mut self) {
        let Some(scratch) = self.scratch.take() else { return };
        if std::thread::panicking() {
            return;
        }
        // On a thread of its own: the runtime of the test waits for this one, and its connections with it.
        let clean_up = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                trail::database(&self.state, &self.url).await;
                scratch.throw_away().await;
            });
        };
        std::thread::scope(|scope| scope.spawn(clean_up).join().expect("the database of the test is removed"));
    }
}

impl TestApp {
    /// Starts the server on a migrated database of its own.
    pub async fn start(database: Database) -> Self {
        let scratch = ScratchDatabase::migrated(database).await;
        let db = Db::open(&scratch.url).await.unwrap();
        if database == Database::Sqlite {
            db.migrate().await.unwrap();
        }
        let mut app = Self::over(db, default_config(), Router::new()).at(&scratch.url);
        app.scratch = Some(scratch);
        app
    }

    fn over(db: Db, config: Config, own: Router<AppState>) -> Self {
        if trail::is_left() {
            trail::listen();
            trail::secret(PASSWORD);
        }
        let state = AppState::new(db, config, Clock::standing(NOW));
        let router = keyfob::web::router::router(state.clone(), own.clone());
        Self { state, url: String::new(), own, router, scratch: None }
    }

    fn at(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        self
    }

    /// The same database behind other settings.
    pub fn configured(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.state.config.clone();
        change(&mut config);
        let app = Self::over(self.state.db.clone(), config, self.own.clone());
        app.state.clock.advance(self.elapsed());
        app.at(&self.url)
    }

    /// The same database behind a router with endpoints of one's own.
    pub fn with_own(&self, own: Router<AppState>) -> Self {
        Self::over(self.state.db.clone(), self.state.config.clone(), own).at(&self.url)
    }

    /// The same settings and time over another database.
    pub async fn over_another(&self, url: &str) -> Self {
        let app = Self::over(Db::open(url).await.unwrap(), self.state.config.clone(), self.own.clone());
        app.state.clock.advance(self.elapsed());
        app.at(url)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.state.now().as_millis() - NOW.as_millis()).unwrap())
    }

    /// Moves the clock.
    pub fn advance(&self, by: Duration) {
        self.state.clock.advance(by);
    }

    /// A visitor: no session, no key.
    pub fn anonymous(&self) -> Client {
        Client::of(self.router.clone())
    }

    /// A browser with a session of the user.
    pub async fn signed_in(&self, name: &str) -> Client {
        let user = self.user(name).await;
        let mut tx = self.state.db.begin().await.unwrap();
        let secret = sessions::create(&mut tx, &user.id, "Tests/1.0", &self.by(&user)).await.unwrap();
        tx.commit().await.unwrap();
        trail::secret(secret.expose_secret());
        let cookie = format!("{}={}", sessions::cookie_name(&self.state.config), secret.expose_secret());
        self.browser().with("cookie", &cookie)
    }

    /// A browser without a session, on a page of this site.
    pub fn browser(&self) -> Client {
        let origin = self.state.config.origin();
        let host = origin.split_once("://").unwrap().1.to_owned();
        self.anonymous().with("host", &host).with("origin", &origin).with("sec-fetch-site", "same-origin")
    }

    /// A program with a key of the user that may do all that its user may.
    pub async fn with_key(&self, name: &str) -> Client {
        self.anonymous().with_key(&self.make_key(name).await.key)
    }

    /// A program with a key of the user that may only read.
    pub async fn with_read_only_key(&self, name: &str) -> Client {
        self.anonymous().with_key(&self.make_key_that(name, |spec| spec.access = Access::ReadOnly).await.key)
    }

    /// The user of this name, made if there is none. The address is `<name>@example.com`.
    pub async fn user(&self, name: &str) -> User {
        let email = Email::parse(&format!("{name}@example.com")).unwrap();
        if let Some(user) = users::find(&self.state.db, &email).await.unwrap() {
            return user;
        }
        let (id, at) = (random::make_id(self.state.now()), self.state.now().as_millis());
        let hash = databases::password_hash();
        // Not users::create: hashing the one password of all tests each time would cost more than the rest of them.
        self.sql(&format!(
            "INSERT INTO users (id, email, name, password_hash, superuser, created_at, updated_at) \
             VALUES ('{id}', '{}', '', '{hash}', FALSE, {at}, {at})",
            email.as_str()
        ))
        .await;
        users::find(&self.state.db, &email).await.unwrap().unwrap()
    }

    /// A key of the user that works for 90 days.
    pub async fn make_key(&self, name: &str) -> NewKey {
        self.make_key_that(name, |_| ()).await
    }

    /// A key of the user, changed before it is made.
    pub async fn make_key_that(&self, name: &str, change: impl FnOnce(&mut KeySpec)) -> NewKey {
        let (user, now) = (self.user(name).await, self.state.now());
        let mut spec = KeySpec {
            name: KeyName::parse("nightly report").unwrap(),
            expires_at: Some(now.plus(90 * DAY)),
            access: Access::Full,
            team: None,
        };
        change(&mut spec);
        let request = Request { user: &user.id, form: None, spec };
        let made = keys::create(&self.state.db, &self.state.config.keys, request, &self.by(&user)).await.unwrap();
        trail::keys(&made.key);
        made
    }

    /// An employee of the user; gives its id.
    pub async fn employee(&self, name: &str, employee: (&str, Department, i64)) -> String {
        let user = self.user(name).await;
        let (name, department, salary) = employee;
        let spec =
            EmployeeSpec { name: EmployeeName::parse(name).unwrap(), department, salary: Salary::new(salary).unwrap() };
        self.employee_of(&OwnerId::from(&user.id), spec).await
    }

    /// An employee of a user or a team; gives its id.
    pub async fn employee_of(&self, owner: &OwnerId, spec: EmployeeSpec) -> String {
        let mut tx = self.state.db.begin().await.unwrap();
        let added = employees::insert(&mut tx, owner, vec![spec], self.state.now()).await.unwrap();
        tx.commit().await.unwrap();
        added[0].id.to_string()
    }

    /// Disables the user's account.
    pub async fn disable(&self, name: &str) {
        self.change(name, AccountChange::Disable).await;
    }

    /// Changes the user's account, as the operator does.
    pub async fn change(&self, name: &str, change: AccountChange) {
        let user = self.user(name).await;
        users::change(&self.state.db, &user, change, &Actor::operator(self.state.now())).await.unwrap();
    }

    /// Sets the user's password, as the operator does.
    pub async fn set_password(&self, name: &str, password: &str) {
        let email = Email::parse(&format!("{name}@example.com")).unwrap();
        let (state, by) = (&self.state, Actor::operator(self.state.now()));
        assert!(users::set_password(&state.db, &state.passwords, &email, password.into(), &by).await.unwrap());
    }

    /// A browser with a session of a superuser.
    pub async fn admin(&self) -> Client {
        self.change("root", AccountChange::Promote).await;
        self.signed_in("root").await
    }

    /// Somebody who changes something, now.
    pub fn by(&self, user: &User) -> Actor {
        Actor::user(user, None, self.state.now())
    }

    /// A team of this slug, with its admin and its members, by their names.
    pub async fn team(&self, slug: &str, admin: &str, members: &[&str]) -> Team {
        let admin = self.user(admin).await;
        let form = TeamForm { name: format!("The {slug}"), slug: slug.to_owned() };
        let tx = self.state.db.begin().await.unwrap();
        let team = teams::create_in(tx, &form, &self.by(&admin)).await.unwrap();
        for name in members {
            let user = self.user(name).await;
            let at = self.state.now().as_millis();
            self.sql(&format!(
                "INSERT INTO members (team_id, user_id, role, created_at) VALUES ('{}', '{}', 'member', {at})",
                team.id, user.id
            ))
            .await;
        }
        team
    }

    /// A registered API of this slug with scopes: their names, and whether they write. Gives its id.
    pub async fn api(&self, slug: &str, scopes: &[(&str, bool)]) -> String {
        let form = ApiForm { slug: slug.to_owned(), name: format!("The {slug}"), ..ApiForm::default() };
        let scopes: Vec<_> =
            scopes.iter().map(|(name, writes)| NewScope { name: (*name).to_owned(), writes: *writes }).collect();
        let by = Actor::operator(self.state.now());
        apis::add_with_scopes(&self.state.db, apis::Registrar::Operator, &form, &scopes, &by).await.unwrap();
        self.texts(&format!("SELECT id FROM apis WHERE slug = '{slug}'")).await.remove(0)
    }

    /// Invites an email address to a team as a member, in the name of one of its admins.
    pub async fn invite(&self, team: &Team, admin: &str, email: &str) {
        let (admin, at) = (self.user(admin).await.id, self.state.now().as_millis());
        self.sql(&format!(
            "INSERT INTO invitations (team_id, email, role, inviter_id, created_at, expires_at) \
             VALUES ('{}', '{email}', 'member', '{admin}', {at}, {})",
            team.id,
            at + INVITATION_TTL
        ))
        .await;
    }

    /// Writes how keys were used, as the server does again and again.
    pub async fn write_usage(&self) {
        self.state.usage.flush(&self.state.db, self.state.now()).await.unwrap();
    }

    /// Puts what failed into the audit and forgets what is old, as the server does again and again.
    pub async fn maintain(&self) {
        self.state.login_throttle.maintain(&self.state.db, self.state.now()).await.unwrap();
    }

    /// Runs a statement behind the server's back.
    pub async fn sql(&self, statement: &str) {
        databases::execute(&self.state.db, statement).await;
        // Nobody told the server.
        self.state.db.invalidations().invalidate_all();
    }

    /// All values of the first column of a query, as text.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        databases::texts(&self.state.db, query).await
    }

    /// Every row of every table.
    pub async fn rows(&self) -> Vec<String> {
        databases::rows(&self.state.db).await
    }

    /// The names of the columns of all tables.
    pub async fn columns(&self) -> BTreeSet<String> {
        databases::columns(&self.state.db).await
    }

    /// The one number that a query gives.
    pub async fn number(&self, query: &str) -> i64 {
        databases::number(&self.state.db, query).await
    }
}
