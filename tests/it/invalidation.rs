//! Invalidation: after every change that a key depends on, no server answers from its cache.

use std::time::Duration;

use keyfob::model::audit::Action;
use keyfob::model::keys::{KeyId, NewKey};
use keyfob::model::teams::{Role, Team};
use keyfob::server::audit::{Actor, AuditTarget, record};
use keyfob::server::auth::key_format::Digest;
use keyfob::server::auth::random;
use keyfob::server::db::invalidations::TTL;
use keyfob::server::keys::leaks::revoke_leaked;
use keyfob::server::teams::operator;
use keyfob::server::users::AccountChange;
use keyfob::server::{change_listener, keys};
use rstest_reuse::apply;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::{Client, Database, PASSWORD, TestApp, each_database};

macro_rules! changes {
    ($($name:ident)*) => {
        /// Every function that changes something that a key depends on.
        #[derive(Clone, Copy, Debug)]
        enum Change { $($name),* }

        const CHANGES: &[Change] = &[$($name),*];
    };
}

changes! {
    RevokeOnPage
    RevokeByCommand
    RevokeByItself
    RevokeByAdmin
    RevokeByTeamAdmin
    RotateOnPage
    RotateByItself
    Edit
    ReportAsLeaked
    SaveName
    SetEmail
    DeleteOwn
    DeleteByAdmin
    Disable
    Enable
    Promote
    Demote
    JoinTeam
    AddToTeamByCommand
    SetRole
    SetRoleByCommand
    RemoveFromTeam
    LeaveTeam
}

use Change::*;

/// Events of changes that no key depends on, and of registered APIs, whose changes invalidate several keys: see apis.rs.
const UNRELATED: [Action; 19] = [
    Action::ApiAdd,
    Action::ApiEdit,
    Action::ApiRemove,
    Action::ApiScopeAdd,
    Action::ApiScopeRemove,
    Action::KeyCreate,
    Action::AccountCreate,
    Action::AccountPassword,
    Action::AccountResetLink,
    Action::TeamDelete,
    Action::SessionBegin,
    Action::SessionConfirm,
    Action::SessionEnd,
    Action::SessionFail,
    Action::SessionDelay,
    Action::TeamCreate,
    Action::TeamInvite,
    Action::TeamDecline,
    Action::TeamCancel,
];

/// A user with a key, and a team with another admin.
struct Subject {
    name: String,
    admin: String,
    team: Team,
    key: NewKey,
}

impl Subject {
    async fn before(app: &TestApp, number: usize, change: Change) -> Self {
        let (name, admin, slug) = (format!("user{number}"), format!("admin{number}"), format!("team{number}"));
        let is_member = !matches!(change, JoinTeam | AddToTeamByCommand);
        let members: &[&str] = if is_member { &[name.as_str()] } else { &[] };
        let team = app.team(&slug, &admin, members).await;
        let team_id = matches!(change, RevokeByTeamAdmin).then(|| team.id.clone());
        let key = app.make_key_that(&name, |spec| spec.team = team_id).await;
        match change {
            Enable => app.change(&name, AccountChange::Disable).await,
            Demote => app.change(&name, AccountChange::Promote).await,
            JoinTeam => app.invite(&team, &admin, &format!("{name}@example.com")).await,
            _ => {}
        }
        Self { name, admin, team, key }
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.key.key)
    }

    async fn make(&self, app: &TestApp, root: &Client, change: Change) {
        let (id, slug, db, now) = (self.key.facts.id.as_str(), self.team.slug.as_str(), &app.state.db, app.state.now());
        let (user, by) = (app.user(&self.name).await, Actor::operator(now));
        let (own, key) = (app.signed_in(&self.name), app.anonymous().with_key(&self.key.key));
        let account =
            async |change| root.call_admin("change_user", &[("id", user.id.as_str()), ("change", change)]).await;
        let answer = match change {
            RevokeOnPage => own.await.call("revoke_key", &[("id", id)]).await,
            RevokeByItself => key.delete("/api/v1/key").await,
            RevokeByAdmin => root.call_admin("revoke_keys", &[("ids[]", id)]).await,
            RevokeByTeamAdmin => {
                let admin = app.signed_in(&self.admin).await;
                admin.call("revoke_team_key", &[("team", slug), ("id", id)]).await
            }
            RotateOnPage => {
                let fields = [("form[id]", id), ("form[grace]", "1h"), ("form[seen]", "")];
                own.await.call("rotate_key", &fields).await
            }
            RotateByItself => key.post("/api/v1/key/rotate", json!({"grace": "15m"})).await,
            Edit => {
                let fields =
                    [("form[id]", id), ("form[name]", "renamed"), ("form[expires]", "keep"), ("form[rate]", "")];
                root.call_admin("edit_key", &fields).await
            }
            SaveName => own.await.call("save_name", &[("name", "Another")]).await,
            SetEmail => {
                let fields = [("email", &*format!("new-{}@example.com", self.name)), ("password", PASSWORD)];
                own.await.call("change_email", &fields).await
            }
            DeleteOwn => own.await.call("delete_account", &[("password", PASSWORD)]).await,
            DeleteByAdmin => root.call_admin("delete_user", &[("id", user.id.as_str())]).await,
            Disable => account("disable").await,
            Enable => account("enable").await,
            Promote => account("promote").await,
            Demote => account("demote").await,
            JoinTeam => own.await.call("accept_invitation", &[("team", slug)]).await,
            SetRole => {
                let fields = [("team", slug), ("user", user.id.as_str()), ("role", "admin")];
                app.signed_in(&self.admin).await.call("set_role", &fields).await
            }
            RemoveFromTeam => {
                let fields = [("team", slug), ("user", user.id.as_str())];
                app.signed_in(&self.admin).await.call("remove_member", &fields).await
            }
            LeaveTeam => own.await.call("remove_member", &[("team", slug), ("user", user.id.as_str())]).await,
            RevokeByCommand => {
                assert!(keys::revoke(db, &user.id, &self.key.facts.id, &by).await.unwrap());
                return;
            }
            ReportAsLeaked => {
                let reported = [self.key.key.clone()];
                assert_eq!(revoke_leaked(db, &reported, &Actor::reporter(None, now)).await, Ok(1));
                return;
            }
            AddToTeamByCommand | SetRoleByCommand => {
                operator::set_role(db, &self.team, &user, Role::Admin, &by).await.unwrap();
                return;
            }
        };
        assert!(answer.status < 300, "{change:?}: {} {}", answer.status, answer.body);
    }
}

pub fn is_cached(app: &TestApp, digest: &Digest) -> bool {
    let state = &app.state;
    state.key_cache.get(digest, state.db.invalidations(), state.now()).is_some()
}

pub async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}");
}

/// Starts a second server on the same database, and listens there for changes.
pub async fn second_listening(app: &TestApp) -> (TestApp, JoinHandle<()>) {
    let second = app.over_another(&app.url).await;
    let listener = tokio::spawn(change_listener::run(second.state.db.clone()));
    wait_until("the second server does not listen", || second.state.db.invalidations().ttl() == TTL).await;
    (second, listener)
}

/// Waits until the second server has received every change that was committed so far.
async fn wait_until_received(app: &TestApp, second: &TestApp) {
    let received = second.state.db.invalidations();
    let (now, before) = (app.state.now(), received.version());
    let marker = KeyId::parse(&random::make_id(now)).unwrap();
    let mut tx = app.state.db.begin().await.unwrap();
    tx.invalidate_key(&marker).await.unwrap();
    let about = AuditTarget { key: Some(&marker), subject: "marker", ..AuditTarget::default() };
    record(&mut tx, &Actor::operator(now), Action::KeyCreate, about).await.unwrap();
    tx.commit().await.unwrap();
    let is_received = || !received.is_unchanged_since(before, &[marker.as_str()]);
    wait_until("the second server receives no change", is_received).await;
}

#[apply(each_database)]
#[tokio::test]
async fn every_change_of_a_key_invalidates_it_on_every_server(database: Database) {
    let app = &TestApp::start(database).await;
    let (second, listener) = &second_listening(app).await;
    let (root, untouched) = (app.admin().await, app.make_key("nobody").await);
    let mut subjects = Vec::new();
    for (number, change) in CHANGES.iter().copied().enumerate() {
        subjects.push((change, Subject::before(app, number, change).await));
    }
    wait_until_received(app, second).await;
    app.state.db.invalidations().set_connected(true);

    let digests: Vec<_> = subjects.iter().map(|(_, subject)| subject.digest()).collect();
    for server in [app, second] {
        for key in subjects.iter().map(|(_, subject)| &subject.key.key).chain([&untouched.key]) {
            server.anonymous().with_key(key).get("/api/v1/verify").await;
        }
        assert!(digests.iter().all(|digest| is_cached(server, digest)));
    }
    for ((change, subject), digest) in subjects.iter().zip(&digests) {
        assert!(is_cached(app, digest), "{change:?}: another change invalidated it");
        subject.make(app, &root, *change).await;
        assert!(!is_cached(app, digest), "{change:?}: this server still has it");
    }
    for ((change, _), digest) in subjects.iter().zip(&digests) {
        wait_until(&format!("{change:?}: the second server still has it"), || !is_cached(second, digest)).await;
    }
    for server in [app, second] {
        assert!(is_cached(server, &Digest::of(&untouched.key)), "a key that nothing changed");
    }

    let recorded = app.texts("SELECT DISTINCT action FROM audit").await;
    for action in Action::ALL {
        let is_covered = recorded.iter().any(|recorded| recorded == action.as_str()) || UNRELATED.contains(action);
        assert!(is_covered, "no change of this test records {action:?}");
    }
    listener.abort();
    second.state.db.close().await;
}

/// SQLite only: PostgreSQL notifies instead.
#[tokio::test]
async fn poll_of_the_audit_invalidates_what_changed_and_everything_when_it_is_not_sure() {
    let app = &TestApp::start(Database::Sqlite).await;
    let (second, listener) = &second_listening(app).await;
    let (changed, other) = (app.make_key("ada").await, app.make_key("bob").await);
    let cached = |new: &NewKey| is_cached(second, &Digest::of(&new.key));
    // After 5 s the cache frees the memory of what nothing invalidated.
    let soon = async |what: &str, is_so: &dyn Fn() -> bool| {
        tokio::time::timeout(Duration::from_secs(3), wait_until(what, is_so)).await.expect(what);
    };
    let fill = async || {
        wait_until_received(app, second).await;
        for new in [&changed, &other] {
            second.anonymous().with_key(&new.key).get("/api/v1/verify").await.is(200);
        }
        assert!(cached(&changed) && cached(&other));
    };

    // More events at once than a poll reads.
    fill().await;
    app.sql("UPDATE audit SET rowid = 5000 WHERE rowid = (SELECT MAX(rowid) FROM audit)").await;
    soon("too many events leave a key cached", &|| !cached(&changed) && !cached(&other)).await;

    // One event, after many others.
    fill().await;
    app.change("ada", AccountChange::Promote).await;
    soon("a change leaves its key cached", &|| !cached(&changed)).await;
    assert!(cached(&other), "a key that nothing changed");

    // Another file in place of this one, with fewer events.
    fill().await;
    app.sql("DELETE FROM audit WHERE rowid > 1").await;
    soon("another database leaves a key cached", &|| !cached(&changed) && !cached(&other)).await;
    listener.abort();
    second.state.db.close().await;
}

/// SQLite is polled instead. What is asked for may hold at the second or third time: another process can stop this one.
#[tokio::test]
async fn postgres_listener_stays_connected_and_hears_changes_and_heartbeats() {
    let app = &TestApp::start(Database::Postgres).await;
    let (second, listener) = &second_listening(app).await;
    let state = || second.state.db.invalidations().listener_state();
    let quiet = async || {
        let before = state().disconnects;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        state().connected && state().disconnects == before
    };
    let busy = async || {
        for _ in 0..15 {
            wait_until_received(app, second).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        state().silence.is_some_and(|silence| silence < Duration::from_secs(1))
    };
    assert!(quiet().await || quiet().await || quiet().await, "{:?}", state());
    assert!(busy().await || busy().await || busy().await, "{:?}", state());
    listener.abort();
    second.state.db.close().await;
}
