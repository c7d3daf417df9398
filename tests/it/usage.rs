//! How keys are used: the last use, requests per day, and limits.

use std::time::Duration;

use futures_util::FutureExt;
use keyfob::server::auth::key_format::{Digest, make_secret_for};
use rstest_reuse::apply;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Client, Database, EMPLOYEES, ONE_DAY, TestApp, each_database};

const VERIFY: &str = "/api/v1/verify";

fn from(client: &Client, ip: &str) -> Client {
    client.coming_from(ip)
}

async fn last_use(app: &TestApp) -> Vec<String> {
    app.write_usage().await;
    app.texts(
        "SELECT CAST(used_at AS TEXT) || ' ' || COALESCE(used_ip, '-') || ' ' || used_agent FROM \
         (SELECT used_at, used_ip, used_agent FROM usage UNION ALL SELECT used_at, used_ip, used_agent FROM keys) AS uses \
         WHERE used_at IS NOT NULL ORDER BY used_at DESC LIMIT 1",
    )
    .await
}

async fn counted(app: &TestApp) -> Vec<String> {
    app.write_usage().await;
    app.texts("SELECT CAST(allowed AS TEXT) || '/' || CAST(refused AS TEXT) FROM usage ORDER BY day").await
}

#[apply(each_database)]
#[tokio::test]
async fn the_last_use_tells_when_from_where_and_by_what(database: Database) {
    let app = &TestApp::start(database).await;
    let client = from(&app.with_key("ada").await.with("user-agent", "curl/8.14.1"), "203.0.113.9");
    client.get(EMPLOYEES).await.is(200);
    assert_eq!(last_use(app).await, [format!("{} 203.0.113.9 curl/8.14.1", app.state.now().as_millis())]);
    app.advance(Duration::from_mins(5));
    let page = app.signed_in("ada").await.open("/profile").await.is(200).body;
    assert!(
        page.contains("5 minutes ago")
            && page.contains("203.0.113.9, curl")
            && page.contains("1 request in 30 days<")
            && !page.contains("rejected"),
        "{page}"
    );
    app.sql(&format!("UPDATE usage SET used_at = {}", app.state.now().plus(60_000).as_millis())).await;
    client.get(EMPLOYEES).await.is(200);
    assert!(
        last_use(app).await[0].starts_with(&app.state.now().plus(60_000).as_millis().to_string()),
        "never backwards"
    );
}

#[apply(each_database)]
#[tokio::test]
async fn a_request_writes_nothing_by_itself(database: Database) {
    let app = &TestApp::start(database).await;
    app.with_key("ada").await.get(EMPLOYEES).await.is(200);
    assert_eq!(app.number("SELECT COUNT(*) FROM usage").await, 0);
    assert_eq!(app.number("SELECT COUNT(*) FROM keys WHERE used_at IS NOT NULL").await, 0);
}

#[apply(each_database)]
#[tokio::test]
async fn a_forwarded_address_counts_from_a_trusted_proxy_only(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    for (trusted, expected) in [(None, "10.1.2.3"), (Some("10.0.0.0/8"), "203.0.113.9")] {
        let app =
            app.configured(|config| config.trusted_proxies = trusted.iter().map(|net| net.parse().unwrap()).collect());
        app.advance(Duration::from_secs(1));
        let client = app.anonymous().with_key(&key).with("x-forwarded-for", "1.1.1.1, 203.0.113.9");
        from(&client, "10.1.2.3").get(EMPLOYEES).await.is(200);
        assert!(last_use(&app).await[0].contains(&format!(" {expected} ")), "{expected}");
        app.sql("UPDATE usage SET used_at = NULL").await;
    }
}

/// Azure adds the port. Without it all people would share the proxy's limit.
#[apply(each_database)]
#[tokio::test]
async fn clients_behind_a_proxy_have_separate_limits(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]);
    app.user("ada").await;
    let tries = std::cell::Cell::new(0);
    let sign_in = async |forwarded: &[u8]| {
        let browser = app.browser().coming_from("10.1.2.3").with_bytes("x-forwarded-for", forwarded);
        // Another account each time, for accounts have limits too.
        tries.set(tries.get() + 1);
        let email = format!("nobody-{}@example.com", tries.get());
        browser.call("sign_in", &[("email", &email), ("password", "wrong")]).await.status
    };
    for (one, other) in [
        ("203.0.113.9:51008", "203.0.113.10:51008"),
        ("[2001:db8:1::9]:51008", "[2001:db8:2::9]:51008"),
        ("\"203.0.113.11\"", "203.0.113.12"),
        ("unknown, 203.0.113.13", "_hidden, 203.0.113.14, ,"),
    ] {
        app.sql("DELETE FROM failed_sign_ins").await;
        for n in 0..11 {
            // The port is another each time.
            let forwarded = one.replace("51008", &(51_008 + n).to_string());
            app.sql("DELETE FROM failed_sign_ins").await;
            assert_eq!(sign_in(forwarded.as_bytes()).await, if n < 10 { 400 } else { 429 }, "{forwarded} {n}");
        }
        assert_eq!(sign_in(other.as_bytes()).await, 400, "{other}");
    }
    app.sql("DELETE FROM failed_sign_ins").await;
    assert_eq!(sign_in(b"\xff\xfe, 203.0.113.15").await, 400, "bytes that are no text");
}

#[apply(each_database)]
#[tokio::test]
async fn requests_are_counted_by_day_let_through_or_refused(database: Database) {
    let app = &TestApp::start(database).await;
    let reader = app.with_read_only_key("ada").await;
    for _ in 0..3 {
        reader.get(EMPLOYEES).await.is(200);
    }
    reader.post(EMPLOYEES, json!({})).await.is(403);
    reader.get("/pegasus/employees/api/employees/01890000-0000-7000-8000-000000000000").await.is(404);
    assert_eq!(counted(app).await, ["4/1"]);
    app.advance(ONE_DAY);
    reader.get(EMPLOYEES).await.is(200);
    app.sql("UPDATE keys SET revoked_at = 1").await;
    reader.get(EMPLOYEES).await.is(401);
    assert_eq!(counted(app).await, ["4/1", "1/1"]);
    app.advance(ONE_DAY * 89);
    app.sql("UPDATE keys SET revoked_at = NULL, expires_at = NULL").await;
    reader.get(EMPLOYEES).await.is(200);
    assert_eq!(counted(app).await, ["1/1", "1/0"], "kept for 90 days");
}

#[apply(each_database)]
#[tokio::test]
async fn a_limit_is_exact_and_says_when_to_come_back(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.key_rate = 3);
    let (client, other) = (app.with_key("ada").await, app.with_key("ada").await);
    for _ in 0..3 {
        client.get(EMPLOYEES).await.is(200);
    }
    app.advance(Duration::from_secs(10));
    let answer = client.get(EMPLOYEES).await;
    assert_eq!((answer.header("retry-after"), answer.header("ratelimit-policy")), ("50", "\"key_requests\";q=3;w=60"));
    assert_eq!(answer.header("ratelimit"), "\"key_requests\";r=0;t=50");
    answer.refused(429, "rate_limited");
    other.get(EMPLOYEES).await.is(200);
    app.advance(Duration::from_secs(49));
    client.get(VERIFY).await.refused(429, "rate_limited");
    app.advance(Duration::from_secs(1));
    client.get(VERIFY).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn rejected_key_spends_no_quota(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.key_rate = 1);
    let client = app.with_key("ada").await;
    app.sql("UPDATE keys SET revoked_at = 1").await;
    for _ in 0..3 {
        client.get(VERIFY).await.refused(401, "key_revoked");
    }
    app.sql("UPDATE keys SET revoked_at = NULL").await;
    client.get(VERIFY).await.is(200);
    client.get(VERIFY).await.refused(429, "rate_limited");
}

#[apply(each_database)]
#[tokio::test]
async fn an_administrator_gives_a_key_its_own_limit(database: Database) {
    let app = &TestApp::start(database).await;
    let app = app.configured(|config| config.key_rate = 1);
    let (made, admin) = (app.make_key("ada").await, app.admin().await);
    let edit = async |rate: &str| {
        let fields = [
            ("form[id]", made.facts.id.as_str()),
            ("form[name]", "x"),
            ("form[expires]", "keep"),
            ("form[rate]", rate),
        ];
        admin.call_admin("edit_key", &fields).await
    };
    edit("2").await.is(200);
    let client = app.anonymous().with_key(&made.key);
    client.get(VERIFY).await.is(200);
    client.get(VERIFY).await.is(200);
    client.get(VERIFY).await.refused(429, "rate_limited");
    edit("0").await.is(200);
    client.get(VERIFY).await.is(200);
    for junk in ["-1", "many", "1.5", "99999999999"] {
        edit(junk).await.failed_at("rate");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn unknown_keys_are_limited_by_address(database: Database) {
    let app = &TestApp::start(database).await;
    let made_up: Vec<_> = (0..202).map(|_| made_up()).collect();
    let (known, new) = (app.make_key("ada").await.key, app.make_key("ada").await.key);
    let from = |key: &str, ip: &str| from(&app.anonymous().with_key(key), ip);
    from(&known, IP).get(VERIFY).await.is(200);
    for key in &made_up[..100] {
        from(key, IP).get(VERIFY).await.refused(401, "key_unknown");
    }
    // Those that are remembered as unknown, new ones, and valid ones in between: after minutes, too.
    for (n, key) in made_up[90..150].iter().enumerate() {
        from(key, IP).get(VERIFY).await.refused(429, "rate_limited");
        if n % 10 == 0 {
            from(&new, IP).get(VERIFY).await.is(200);
            from(&known, IP).get(VERIFY).await.is(200);
            app.advance(Duration::from_secs(6));
        }
    }
    from(&made_up[200], "203.0.113.10").get(VERIFY).await.refused(401, "key_unknown");
    app.advance(Duration::from_secs(24));
    from(&made_up[201], IP).get(VERIFY).await.refused(401, "key_unknown");
}

#[apply(each_database)]
#[tokio::test]
async fn flood_of_unknown_keys_delays_no_known_key(database: Database) {
    let app = &TestApp::start(database).await;
    let (known, new) = (app.make_key("ada").await.key, app.make_key("ada").await.key);
    let from = |key: &str, ip: &str| from(&app.anonymous().with_key(key), ip);
    from(&known, IP).get(VERIFY).await.is(200);
    for _ in 0..100 {
        from(&made_up(), IP).get(VERIFY).await.refused(401, "key_unknown");
    }
    // As if the database were slow: all turns of the look-ups are taken.
    let digest = Digest::of("made up");
    let mut turns = Vec::new();
    while let Some(turn) = app.state.key_lookups.acquire(&digest).now_or_never() {
        turns.push(turn.unwrap());
    }
    app.advance(Duration::from_secs(6));
    from(&known, IP).get(VERIFY).await.is(200);
    from(&new, "203.0.113.10").get(VERIFY).await.is(200);
    let flood: JoinSet<_> = (0..100)
        .map(|_| {
            let client = from(&made_up(), IP);
            async move { client.get(VERIFY).await.status }
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(turns);
    let answered = flood.join_all().await;
    let count = |status| answered.iter().filter(|answered| **answered == status).count();
    assert_eq!((count(429), count(503)), (32, 68), "32 waited for their turn");
    from(&new, IP).get(VERIFY).await.is(200);
}

const IP: &str = "203.0.113.9";

/// A key of the right form, with a right checksum, that nobody has.
fn made_up() -> String {
    make_secret_for("kf_12345678").key.expose_secret().to_owned()
}
