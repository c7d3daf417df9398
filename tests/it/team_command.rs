//! `keyfob team`: an operator lists teams, and repairs one that has no active admin left.

use rstest_reuse::apply;

use crate::cli::keyfob;
use crate::support::{Database, TestApp, each_database};

async fn roles(app: &TestApp) -> Vec<String> {
    app.texts("SELECT u.email || ' ' || m.role FROM members m JOIN users u ON u.id = m.user_id ORDER BY u.email").await
}

#[apply(each_database)]
#[tokio::test]
async fn operator_lists_teams_with_their_active_admins(database: Database) {
    let app = &TestApp::start(database).await;
    assert_eq!(keyfob(&app.url, "team list").await.done().out, "");
    app.team("red", "ada", &["mia"]).await;
    app.team("blue", "off", &[]).await;
    app.disable("off").await;
    let list = keyfob(&app.url, "team list").await.done().out;
    assert_eq!(
        list,
        "blue\t1 member\tno active admin\t2027-01-15\tThe blue\nred\t2 members\tada@example.com\t2027-01-15\tThe red\n"
    );
}

#[apply(each_database)]
#[tokio::test]
async fn every_team_is_listed_however_many_there_are(database: Database) {
    let app = &TestApp::start(database).await;
    let rows: Vec<_> = (0..1001).map(|n| format!("('t{n}', 'team-{n}', 'Team', 1)")).collect();
    app.sql(&format!("INSERT INTO teams (id, slug, name, created_at) VALUES {}", rows.join(", "))).await;
    let list = keyfob(&app.url, "team list").await.done().out;
    let slugs: std::collections::BTreeSet<_> = list.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!((slugs.len(), list.lines().count()), (1001, 1001));
}

#[apply(each_database)]
#[tokio::test]
async fn operator_repairs_a_team_whose_only_admin_is_disabled(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia"]).await;
    app.disable("ada").await;
    app.user("bob").await;
    for email in ["MIA@example.com", "bob@example.com"] {
        let line = format!("team set-role --team red --user {email} --role admin");
        for _ in 0..2 {
            let ran = keyfob(&app.url, &line).await.done();
            assert!(ran.err.contains("is now admin of red") && ran.out.is_empty(), "{ran:?}");
        }
    }
    assert_eq!(roles(app).await, ["ada@example.com admin", "bob@example.com admin", "mia@example.com admin"]);
    let mia = app.signed_in("mia").await;
    assert!(mia.open("/a/red").await.is(200).body.contains("Add member"));
    for email in ["ada@example.com", "bob@example.com"] {
        keyfob(&app.url, &format!("team set-role --team red --user {email} --role member")).await.done();
    }
    let told = app.texts("SELECT action || ' ' || actor || ' ' || subject || ' ' || detail FROM audit WHERE action IN ('team.add', 'team.role') ORDER BY id").await;
    assert_eq!(
        told,
        [
            "team.role the command line red now admin",
            "team.add the command line red bob@example.com as admin",
            "team.role the command line red now member",
            "team.role the command line red now member"
        ]
    );
}

#[apply(each_database)]
#[tokio::test]
async fn operator_cannot_leave_a_team_without_an_active_admin(database: Database) {
    let app = &TestApp::start(database).await;
    app.team("red", "ada", &["mia"]).await;
    let set = async |team: &str, name: &str, role: &str| {
        keyfob(&app.url, &format!("team set-role --team {team} --user {name}@example.com --role {role}")).await
    };
    set("red", "ada", "member").await.refused("A team needs an admin");
    set("blue", "ada", "admin").await.refused("there is no team blue. `keyfob team list` lists all teams.");
    set("Red", "ada", "admin").await.refused("there is no team Red");
    set("red", "nobody", "admin").await.refused("there is no account nobody@example.com");
    assert_eq!(set("red", "ada", "owner").await.code, 2);
    app.disable("mia").await;
    set("red", "mia", "admin").await.refused("disabled");
    app.user("off").await;
    app.disable("off").await;
    set("red", "off", "member").await.refused("disabled");
    assert_eq!(roles(app).await, ["ada@example.com admin", "mia@example.com member"]);
}
