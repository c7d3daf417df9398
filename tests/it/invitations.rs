//! Invitations to teams: who sends, sees and accepts them, what they tell, and what ends them.

use std::time::Duration;

use rstest_reuse::apply;

use crate::support::query_counter::counted;
use crate::support::{Answer, Client, Database, ONE_DAY, PASSWORD, TestApp, each_database};

const HOUR: Duration = Duration::from_hours(1);
const TEAM: &str = "http://localhost:8000/a/red";
const TEAMS: &str = "http://localhost:8000/teams";

async fn invite(client: &Client, name: &str, role: &str) -> Answer {
    let email = format!("{name}@example.com");
    client.call("add_member", &[("team", "red"), ("email", &email), ("role", role)]).await
}

async fn cancel(client: &Client, name: &str) -> Answer {
    client.call("cancel_invitation", &[("team", "red"), ("email", &format!("{name}@example.com"))]).await
}

async fn accept(client: &Client) -> Answer {
    client.call("accept_invitation", &[("team", "red")]).await
}

async fn decline(client: &Client) -> Answer {
    client.call("decline_invitation", &[("team", "red")]).await
}

async fn members(app: &TestApp) -> Vec<String> {
    app.texts("SELECT u.email || ' ' || m.role FROM members m JOIN users u ON u.id = m.user_id ORDER BY u.email").await
}

async fn open(app: &TestApp) -> Vec<String> {
    app.texts("SELECT email || ' ' || role FROM invitations ORDER BY email").await
}

async fn id(app: &TestApp, name: &str) -> String {
    app.user(name).await.id.to_string()
}

#[apply(each_database)]
#[tokio::test]
async fn invited_user_joins_only_by_accepting(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &[]).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    assert!(!bob.open("/teams").await.is(200).body.contains("Invitations"));
    accept(&bob).await.failed(404);
    ada.submit(TEAM, "add_member", &[("team", "red"), ("email", " BOB@example.com "), ("role", "member")])
        .await
        .goes_to("/a/red?done=invited");
    assert_eq!(
        (members(app).await, open(app).await),
        (vec!["ada@example.com admin".to_owned()], vec!["bob@example.com member".to_owned()])
    );
    bob.open("/a/red").await.is(404);
    let page = ada.open("/a/red?done=invited").await.is(200).body;
    for text in ["bob@example.com", "Cancel invitation", "15 Jan 2027", "29 Jan 2027", "No email is sent"] {
        assert!(page.contains(text), "no {text} in {page}");
    }
    let page = bob.open("/teams").await.is(200).body;
    for text in ["Invitations", "The red", "ada@example.com", "Accept", "Decline", "29 Jan 2027"] {
        assert!(page.contains(text), "no {text} in {page}");
    }
    bob.submit(TEAMS, "accept_invitation", &[("team", "red")]).await.goes_to("/a/red?done=joined");
    assert_eq!(members(app).await, ["ada@example.com admin", "bob@example.com member"]);
    assert!(bob.open("/a/red?done=joined").await.is(200).body.contains("You joined the team."));
    assert!(!ada.open("/a/red").await.body.contains("Cancel invitation"));
    // A form that is sent twice, and a member who is invited again.
    accept(&bob).await.is(200);
    assert_eq!(invite(&ada, "bob", "admin").await.failed_at("email"), "This user is already in the team.");
    assert_eq!(members(app).await, ["ada@example.com admin", "bob@example.com member"]);
}

#[apply(each_database)]
#[tokio::test]
async fn answer_is_the_same_for_known_and_unknown_addresses(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia"]).await;
    app.team("blue", "eve", &["bob"]).await;
    app.user("off").await;
    app.disable("off").await;
    let ada = app.signed_in("ada").await;
    let mut answers = Vec::new();
    for name in ["bob", "off", "nobody", "bob", "nobody"] {
        let (script, queries) = counted(invite(&ada, name, "member")).await;
        let email = format!("{name}@example.com");
        let form = ada.submit(TEAM, "add_member", &[("team", "red"), ("email", &email), ("role", "member")]).await;
        let page = ada.open("/a/red?done=invited").await.is(200);
        // What the page shows of an address is what was typed.
        let shown = page.body.matches(&email).count();
        let mut told = vec![format!("{shown} {queries}")];
        for answer in [script, form] {
            let mut headers = answer.headers.clone();
            headers.remove("x-request-id");
            told.push(format!("{} {headers:?} {}", answer.status, answer.body));
        }
        answers.push(told);
    }
    for told in &answers {
        assert_eq!(told, &answers[0]);
    }
    assert_eq!(open(app).await, ["bob@example.com member", "nobody@example.com member", "off@example.com member"]);
}

#[apply(each_database)]
#[tokio::test]
async fn invitation_waits_for_a_later_sign_up(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &[]).await;
    invite(&app.signed_in("ada").await, "New.Person", "member").await.is(200);
    let visitor = app.browser();
    let new = visitor
        .after(&visitor.call("sign_up", &[("email", "new.person@EXAMPLE.com"), ("password", PASSWORD)]).await.is(200));
    assert!(new.open("/teams").await.is(200).body.contains("The red"));
    accept(&new).await.is(200);
    assert_eq!(members(app).await, ["ada@example.com admin", "new.person@example.com member"]);
}

#[apply(each_database)]
#[tokio::test]
async fn invitation_is_for_its_address_only_and_for_14_days(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &[]).await;
    let (ada, eve) = (app.signed_in("ada").await, app.signed_in("eve").await);
    invite(&ada, "bob", "member").await.is(200);
    for answer in [
        accept(&eve).await,
        decline(&eve).await,
        eve.call("accept_invitation", &[("team", "nothing")]).await,
        eve.call("accept_invitation", &[("team", "red\0")]).await,
    ] {
        answer.failed(404);
    }
    app.browser().call("accept_invitation", &[("team", "red")]).await.failed(401);
    assert!(!eve.open("/teams").await.body.contains("The red"));
    app.advance(ONE_DAY * 14 - Duration::from_millis(1));
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    assert!(bob.open("/teams").await.body.contains("The red"));
    app.advance(Duration::from_millis(1));
    assert!(!bob.open("/teams").await.body.contains("The red"));
    assert!(!ada.open("/a/red").await.body.contains("Cancel invitation"));
    accept(&bob).await.failed(404);
    let page = bob.submit(TEAMS, "accept_invitation", &[("team", "red")]).await.is(302);
    let back = page.header("location").trim_start_matches("http://localhost:8000").to_owned();
    let told = bob.keeping(&page);
    assert!(told.open(&back).await.is(200).body.contains("This invitation is no longer open."), "{back}");
    // To invite again renews it, with the role of now.
    invite(&ada, "bob", "admin").await.is(200);
    accept(&bob).await.is(200);
    assert_eq!(members(app).await, ["ada@example.com admin", "bob@example.com admin"]);
}

#[apply(each_database)]
#[tokio::test]
async fn invitation_can_be_declined_and_cancelled(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia"]).await;
    let (ada, mia, bob) = (app.signed_in("ada").await, app.signed_in("mia").await, app.signed_in("bob").await);
    invite(&ada, "bob", "member").await.is(200);
    bob.submit(TEAMS, "decline_invitation", &[("team", "red")]).await.goes_to("/teams?done=declined");
    for answer in [accept(&bob).await, decline(&bob).await] {
        answer.failed(404);
    }
    invite(&ada, "bob", "member").await.is(200);
    cancel(&mia, "bob").await.failed_at("non_field_errors");
    cancel(&bob, "bob").await.failed(404);
    let fields = [("team", "red"), ("email", "bob@example.com")];
    ada.submit(TEAM, "cancel_invitation", &fields).await.goes_to("/a/red?done=cancelled");
    accept(&bob).await.failed(404);
    cancel(&ada, "bob").await.is(200);
    assert_eq!(members(app).await, ["ada@example.com admin", "mia@example.com member"]);
    let mut told = app
        .texts("SELECT action || ' ' || actor || ' ' || subject || ' ' || detail FROM audit WHERE action LIKE 'team.%'")
        .await;
    told.sort();
    assert_eq!(
        told,
        [
            "team.cancel ada@example.com red bob@example.com as member",
            "team.create ada@example.com red ",
            "team.decline bob@example.com red as member",
            "team.invite ada@example.com red bob@example.com as member",
            "team.invite ada@example.com red bob@example.com as member"
        ]
    );
}

#[apply(each_database)]
#[tokio::test]
async fn only_admins_invite_and_see_invitations(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia"]).await;
    let (ada, mia) = (app.signed_in("ada").await, app.signed_in("mia").await);
    invite(&ada, "bob", "member").await.is(200);
    invite(&mia, "eve", "member").await.failed_at("non_field_errors");
    let page = mia.open("/a/red").await.is(200).body;
    assert!(!page.contains("bob@example.com") && !page.contains("Cancel invitation"), "{page}");
    for (email, role, wrong) in [("junk", "member", "email"), ("eve@example.com", "owner", "role")] {
        ada.call("add_member", &[("team", "red"), ("email", email), ("role", role)]).await.failed_at(wrong);
    }
    assert_eq!(open(app).await, ["bob@example.com member"]);
}

#[apply(each_database)]
#[tokio::test]
async fn invitations_end_with_the_rights_of_their_inviter(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia"]).await;
    let (ada, mia_id, bob) = (app.signed_in("ada").await, id(app, "mia").await, app.signed_in("bob").await);
    for end in ["removed", "demoted", "left", "disabled"] {
        app.sql(&format!("DELETE FROM members WHERE user_id = '{mia_id}'")).await;
        app.sql(&format!(
            "INSERT INTO members (team_id, user_id, role, created_at) SELECT id, '{mia_id}', 'admin', 1 FROM teams"
        ))
        .await;
        let mia = app.signed_in("mia").await;
        invite(&mia, "bob", "admin").await.is(200);
        invite(&ada, "eve", "member").await.is(200);
        assert!(bob.open("/teams").await.body.contains("The red"), "{end}");
        match end {
            "removed" => ada.call("remove_member", &[("team", "red"), ("user", &mia_id)]).await.is(200),
            "demoted" => ada.call("set_role", &[("team", "red"), ("user", &mia_id), ("role", "member")]).await.is(200),
            "left" => mia.call("remove_member", &[("team", "red"), ("user", &mia_id)]).await.is(200),
            _ => {
                app.disable("mia").await;
                bob.open("/teams").await
            }
        };
        assert!(!bob.open("/teams").await.body.contains("The red"), "{end}");
        assert_eq!(accept(&bob).await.status, 404, "{end}");
        assert_eq!(open(app).await, ["eve@example.com member"], "{end}");
    }
    // As an older server leaves it, which knows nothing of invitations.
    app.change("mia", keyfob::server::users::AccountChange::Enable).await;
    invite(&app.signed_in("mia").await, "bob", "admin").await.is(200);
    app.sql(&format!("UPDATE members SET role = 'member' WHERE user_id = '{mia_id}'")).await;
    accept(&bob).await.failed(404);
    assert_eq!(members(app).await, ["ada@example.com admin", "mia@example.com member"]);
}

#[apply(each_database)]
#[tokio::test]
async fn invitations_are_limited_by_the_hour_and_in_number(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia", "max", "moe"]).await;
    app.sql("UPDATE members SET role = 'admin'").await;
    let send = async |from: &Client, names: std::ops::Range<u32>| {
        for n in names {
            invite(from, &format!("new-{n}"), "member").await.is(200);
        }
    };
    let (ada, mia, max) = (app.signed_in("ada").await, app.signed_in("mia").await, app.signed_in("max").await);
    send(&ada, 0..20).await;
    let late = invite(&ada, "late", "member").await.is(429);
    assert_eq!(late.header("retry-after"), "3600");
    let known = invite(&ada, "bob", "member").await.is(429);
    assert_eq!(known.body, late.body);
    // Neither cancelling nor another server makes room, and another team neither.
    cancel(&ada, "new-0").await.is(200);
    app.team("blue", "ada", &[]).await;
    let elsewhere = app.over_another(&app.url).await;
    let again = elsewhere.signed_in("ada").await;
    again.call("add_member", &[("team", "blue"), ("email", "late@example.com"), ("role", "member")]).await.is(429);
    elsewhere.state.db.close().await;
    send(&mia, 20..40).await;
    send(&max, 40..50).await;
    invite(&app.signed_in("moe").await, "late", "member").await.is(429);
    app.advance(HOUR);
    send(&ada, 50..51).await;
    assert_eq!(open(app).await.len(), 50);
    let full = invite(&ada, "late", "member").await.failed_at("non_field_errors");
    assert!(full.contains("at most 50 open invitations"), "{full}");
    send(&ada, 50..51).await;
    app.advance(ONE_DAY * 14);
    // What has expired does not count, and does not stay.
    send(&app.signed_in("ada").await, 60..61).await;
    assert_eq!(open(app).await, ["new-60@example.com member"]);
}

#[apply(each_database)]
#[tokio::test]
async fn page_shows_a_bounded_number_of_invitations(database: Database) {
    let app = &TestApp::start(database).await;
    let (ada, bob) = (app.user("ada").await, app.signed_in("bob").await);
    for n in 0..60 {
        app.sql(&format!("INSERT INTO teams (id, slug, name, created_at) VALUES ('t{n}', 'team-{n}', 'Team', 1)"))
            .await;
        app.sql(&format!(
            "INSERT INTO members (team_id, user_id, role, created_at) VALUES ('t{n}', '{}', 'admin', 1)",
            ada.id
        ))
        .await;
        app.sql(&format!(
            "INSERT INTO invitations (team_id, email, role, inviter_id, created_at, expires_at) \
            VALUES ('t{n}', 'bob@example.com', 'member', '{}', {n}, 9000000000000)",
            ada.id
        ))
        .await;
    }
    let list = bob.call("list_invitations", &[]).await.is(200).json();
    let slugs: Vec<_> = list.as_array().unwrap().iter().map(|one| one["slug"].as_str().unwrap()).collect();
    assert_eq!((slugs.len(), slugs[0], slugs[49]), (50, "team-59", "team-10"));
}

#[apply(each_database)]
#[tokio::test]
async fn full_accounts_and_teams_accept_no_invitation(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &[]).await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    invite(&ada, "bob", "member").await.is(200);
    for n in 0..50 {
        let form = [("form[name]", "Mine".to_owned()), ("form[slug]", format!("mine-{n}"))];
        bob.call("create_team", &form.each_ref().map(|(name, value)| (*name, value.as_str()))).await.is(200);
    }
    let sentence =
        bob.call("create_team", &[("form[name]", "Mine"), ("form[slug]", "more")]).await.failed_at("non_field_errors");
    assert!(sentence.contains("at most 50 teams"), "{sentence}");
    assert_eq!(accept(&bob).await.failed_at("non_field_errors"), sentence);
    app.sql("DELETE FROM members WHERE team_id = (SELECT id FROM teams WHERE slug = 'mine-0')").await;
    // Full, but for the one who was invited.
    for n in 0..499 {
        let id = format!("00000000-0000-7000-8000-{n:012}");
        app.sql(&format!("INSERT INTO users (id, email, name, password_hash, superuser, created_at, updated_at) VALUES ('{id}', 'm{n}@example.com', '', '', FALSE, 1, 1)")).await;
        app.sql(&format!("INSERT INTO members (team_id, user_id, role, created_at) SELECT id, '{id}', 'member', 1 FROM teams WHERE slug = 'red'")).await;
    }
    let sentence = accept(&bob).await.failed_at("non_field_errors");
    assert!(sentence.contains("at most 500 members"), "{sentence}");
    app.sql("DELETE FROM members WHERE user_id = '00000000-0000-7000-8000-000000000007'").await;
    accept(&bob).await.is(200);
    assert_eq!(
        app.number("SELECT COUNT(*) FROM members WHERE team_id = (SELECT id FROM teams WHERE slug = 'red')").await,
        500
    );
}

#[apply(each_database)]
#[tokio::test]
async fn concurrent_accept_and_cancel_have_one_winner(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia"]).await;
    app.sql("UPDATE members SET role = 'admin'").await;
    let (ada, mia, mia_id) = (app.signed_in("ada").await, app.signed_in("mia").await, id(app, "mia").await);
    let bob = app.signed_in("bob").await;
    let bob_id = id(app, "bob").await;
    for n in 0..15 {
        app.advance(HOUR / 2);
        invite(&ada, "bob", "member").await.is(200);
        let (accepted, ()) = tokio::join!(accept(&bob), async {
            cancel(&ada, "bob").await.is(200);
        });
        assert!(open(app).await.is_empty());
        let is_in = members(app).await.contains(&"bob@example.com member".to_owned());
        assert_eq!((accepted.status, is_in), if is_in { (200, true) } else { (404, false) }, "{n}");
        if is_in {
            ada.call("remove_member", &[("team", "red"), ("user", &bob_id)]).await.is(200);
        }
    }
    // An admin who keeps inviting while another removes her leaves no invitation behind.
    for _ in 0..15 {
        app.sql(&format!("DELETE FROM members WHERE user_id = '{mia_id}'")).await;
        app.sql(&format!(
            "INSERT INTO members (team_id, user_id, role, created_at) SELECT id, '{mia_id}', 'admin', 1 FROM teams"
        ))
        .await;
        app.advance(HOUR / 2);
        let keep_inviting = async { while invite(&mia, "bob", "member").await.status == 200 {} };
        let mia_in_red = [("team", "red"), ("user", mia_id.as_str())];
        let ((), removed) = tokio::join!(keep_inviting, ada.call("remove_member", &mia_in_red));
        removed.is(200);
        assert!(open(app).await.is_empty());
        accept(&bob).await.failed(404);
    }
    assert_eq!(members(app).await, ["ada@example.com admin"]);
}
