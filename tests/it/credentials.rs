//! The credentials of a request: what is a key, where it may stand, and what is refused.

use keyfob::server::auth::key_format;
use keyfob::server::keys;
use rstest_reuse::apply;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::{Answer, Database, EMPLOYEES, FIGURES, ONE_DAY, TestApp, each_database};

/// The challenges of a 401.
fn challenges(answer: &Answer) -> Vec<&str> {
    answer.all("www-authenticate")
}

/// Puts the checksum behind a key, as it is published: CRC-32 of all before it, in base62, six characters.
fn with_checksum(body: &str) -> String {
    const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let sum = u64::from(crc32fast::hash(body.as_bytes()));
    let digits = (0..6).rev().map(|place| char::from(BASE62[usize::try_from(sum / 62_u64.pow(place) % 62).unwrap()]));
    digits.fold(body.to_owned(), |mut key, digit| {
        key.push(digit);
        key
    })
}

#[apply(each_database)]
#[tokio::test]
async fn missing_credentials_are_401_and_name_both_schemes(database: Database) {
    let app = &TestApp::start(database).await;
    for path in [EMPLOYEES, FIGURES] {
        let answer = app.anonymous().get(path).await;
        answer.refused(401, "credentials_missing");
        // RFC 6750, 3.1: no error code where nothing was sent.
        assert_eq!(challenges(&answer), ["Api-Key realm=\"api\"", "Bearer realm=\"api\""]);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_bad_key_is_challenged_with_invalid_token(database: Database) {
    let app = &TestApp::start(database).await;
    let answer = app.anonymous().with_key("junk").get(EMPLOYEES).await;
    answer.refused(401, "key_malformed");
    assert_eq!(challenges(&answer), ["Api-Key realm=\"api\"", "Bearer realm=\"api\", error=\"invalid_token\""]);
}

#[apply(each_database)]
#[tokio::test]
async fn other_text_is_a_malformed_key(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    let mut one_wrong = key.clone().into_bytes();
    one_wrong[20] = if one_wrong[20] == b'x' { b'y' } else { b'x' };
    let one_wrong = String::from_utf8(one_wrong).unwrap();
    let (short_prefix, huge) = (key.replacen(&key[10..11], "", 1), key.repeat(2000));
    for wrong in [
        "",
        "abcd",
        "foo.bar",
        "p.foobar",
        "null",
        "undefined",
        "<your-api-key>",
        "kf_",
        "kf__",
        "Bearer",
        &key.to_uppercase(),
        &key.to_lowercase(),
        &short_prefix,
        &key[1..],
        &key[..key.len() - 1],
        &key[..11],
        &one_wrong,
        &format!(" {key}"),
        &format!("{key} "),
        &format!("\t{key}"),
        &format!("{key}{key}"),
        &format!("{key},{key}"),
        &format!("{key}0"),
        &format!("\"{key}\""),
        &format!("Api-Key {key}"),
        &key.replace('_', "-"),
        &key.replace("kf_", "kF_"),
        &huge,
        "🔑",
        &"0".repeat(50),
    ] {
        for scheme in ["Api-Key", "Bearer"] {
            let sent = app.anonymous().with("authorization", &format!("{scheme} {wrong}"));
            sent.get(EMPLOYEES).await.refused(401, "key_malformed");
        }
        app.anonymous().with("x-api-key", wrong).get(EMPLOYEES).await.refused(401, "key_malformed");
    }
    for scheme in ["Api-Key", "api-key", "Bearer"] {
        app.anonymous().with("authorization", scheme).get(EMPLOYEES).await.refused(401, "key_malformed");
    }
    let not_text = [&b"Api-Key "[..], &[0xff, 0xfe, 0x80], key.as_bytes()].concat();
    app.anonymous().with_bytes("authorization", &not_text).get(EMPLOYEES).await.refused(401, "key_malformed");
    app.anonymous().with_key(&key).get(EMPLOYEES).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn another_scheme_is_no_key(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    for other in [
        format!("X-Key {key}"),
        format!("Basic {key}"),
        format!("Api-Key:{key}"),
        format!("Api-Key{key}"),
        "My-Special-Api-Key 12345".into(),
        format!("Token {key}"),
        format!("Apikey {key}"),
        key.clone(),
        String::new(),
    ] {
        let answer = app.anonymous().with("authorization", &other).get(EMPLOYEES).await;
        answer.refused(401, "credentials_missing");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_in_the_url_the_body_or_another_header_is_not_looked_at(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    for query in ["api_key", "key", "access_token", "token"] {
        app.anonymous().get(&format!("{EMPLOYEES}?{query}={key}")).await.refused(401, "credentials_missing");
    }
    let sent = app.anonymous().post(EMPLOYEES, json!({"api_key": key, "access_token": key})).await;
    sent.refused(401, "credentials_missing");
    for other in ["x-company-key", "api-key", "cookie", "proxy-authorization"] {
        let client = app.anonymous().with(other, &key).with(other, &format!("keyfob_session={key}"));
        client.get(EMPLOYEES).await.refused(401, "credentials_missing");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_that_was_never_made_is_unknown(database: Database) {
    let app = &TestApp::start(database).await;
    app.make_key("ada").await;
    let never = key_format::make_key("kf");
    let answer = app.anonymous().with_key(never.key.expose_secret()).get(EMPLOYEES).await;
    answer.refused(401, "key_unknown");
    assert!(challenges(&answer)[1].ends_with("error=\"invalid_token\""));
}

#[apply(each_database)]
#[tokio::test]
async fn the_stored_digest_and_the_public_prefix_are_no_credentials(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    let digest = app.texts("SELECT digest FROM keys").await.remove(0);
    for stolen in [digest.as_str(), &format!("kf_{digest}"), &made.facts.prefix, made.facts.id.as_str()] {
        app.anonymous().with_key(stolen).get(EMPLOYEES).await.refused(401, "key_malformed");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn the_checksum_is_as_published(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    assert_eq!(with_checksum(&key[..key.len() - 6]), key);
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_has_only_letters_digits_and_underscores(database: Database) {
    let app = &TestApp::start(database).await;
    let form = regex::Regex::new("^kf_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}$").unwrap();
    let key = app.make_key("ada").await.key;
    assert!(form.is_match(&key), "{key}");
}

#[apply(each_database)]
#[tokio::test]
async fn each_place_for_a_key_works(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    for scheme in ["Api-Key", "api-key", "API-KEY", "Bearer", "bearer", "BEARER"] {
        let answer = app.anonymous().with("authorization", &format!("{scheme} {key}")).get(EMPLOYEES).await.is(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(challenges(&answer).is_empty());
    }
    app.anonymous().with("x-api-key", &key).get(EMPLOYEES).await.is(200);
    app.anonymous().with("x-api-key", &key).with("authorization", "Basic YTpi").get(EMPLOYEES).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn a_header_of_the_operators_own_carries_a_key_once_it_is_named(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    let named = app.configured(|config| config.api_key_header = Some("x-company-key".parse().unwrap()));
    app.anonymous().with("X-Company-Key", &key).get(EMPLOYEES).await.refused(401, "credentials_missing");
    named.anonymous().with("x-company-key", "junk").get(EMPLOYEES).await.refused(401, "key_malformed");
    named.anonymous().with("X-Company-Key", &key).get(EMPLOYEES).await.is(200);
    named.anonymous().with("x-api-key", &key).get(EMPLOYEES).await.is(200);
    named.anonymous().with_key(&key).get(EMPLOYEES).await.is(200);
    let both = named.anonymous().with("x-company-key", &key).with_key(&key);
    both.get(EMPLOYEES).await.refused(400, "credentials_ambiguous");
    let same = app.configured(|config| config.api_key_header = Some("x-api-key".parse().unwrap()));
    same.anonymous().with("x-api-key", &key).get(EMPLOYEES).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn more_than_one_key_is_ambiguous(database: Database) {
    let app = &TestApp::start(database).await;
    let (key, other) = (app.make_key("ada").await.key, app.make_key("bob").await.key);
    let bearer = format!("Bearer {key}");
    for lines in [
        [("x-api-key", key.as_str()), ("authorization", bearer.as_str())],
        [("x-api-key", key.as_str()), ("x-api-key", key.as_str())],
        [("x-api-key", key.as_str()), ("x-api-key", "junk")],
        [("authorization", bearer.as_str()), ("authorization", bearer.as_str())],
        [("authorization", bearer.as_str()), ("x-api-key", other.as_str())],
        [("authorization", "Api-Key junk"), ("x-api-key", "")],
    ] {
        for client in [app.anonymous(), app.signed_in("ada").await] {
            let client = lines.iter().fold(client, |client, (name, value)| client.with(name, value));
            client.get(EMPLOYEES).await.refused(400, "credentials_ambiguous");
        }
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_revoked_key_is_refused_from_the_next_request_on(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key("ada").await;
    let (client, ada) = (app.anonymous().with_key(&made.key), app.user("ada").await);
    client.get(EMPLOYEES).await.is(200);
    assert!(keys::revoke(&app.state.db, &ada.id, &made.facts.id, &app.by(&ada)).await.unwrap());
    client.get(EMPLOYEES).await.refused(401, "key_revoked");
    app.advance(ONE_DAY * 365);
    client.get(EMPLOYEES).await.refused(401, "key_revoked");
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_is_expired_at_the_instant_of_its_expiry(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key_that("ada", |spec| spec.expires_at = Some(app.state.now().plus(1000))).await;
    let client = app.anonymous().with_key(&made.key);
    client.get(EMPLOYEES).await.is(200);
    app.advance(std::time::Duration::from_millis(999));
    client.get(EMPLOYEES).await.is(200);
    app.advance(std::time::Duration::from_millis(1));
    client.get(EMPLOYEES).await.refused(401, "key_expired");
    app.advance(ONE_DAY * 2);
    client.get(EMPLOYEES).await.refused(401, "key_expired");
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_without_expiry_works_for_ever(database: Database) {
    let app = &TestApp::start(database).await;
    let made = app.make_key_that("ada", |spec| spec.expires_at = None).await;
    app.advance(ONE_DAY * 3650);
    app.anonymous().with_key(&made.key).get(EMPLOYEES).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn key_of_a_disabled_user_is_rejected_until_enabled(database: Database) {
    let app = &TestApp::start(database).await;
    let client = app.with_key("ada").await;
    app.disable("ada").await;
    client.get(EMPLOYEES).await.refused(401, "account_disabled");
    app.sql("UPDATE users SET disabled_at = NULL").await;
    client.get(EMPLOYEES).await.is(200);
}

#[apply(each_database)]
#[tokio::test]
async fn reason_of_rejection_needs_the_matching_secret(database: Database) {
    let app = &TestApp::start(database).await;
    for state in ["revoked_at = 1", "expires_at = 1"] {
        let made = app.make_key("ada").await;
        app.sql(&format!("UPDATE keys SET {state} WHERE id = '{}'", made.facts.id)).await;
        let guess = with_checksum(&format!("{}_{}", made.facts.prefix, "A".repeat(32)));
        app.anonymous().with_key(&guess).get(EMPLOYEES).await.refused(401, "key_unknown");
    }
    let made = app.make_key("ada").await;
    app.disable("ada").await;
    let guess = with_checksum(&format!("{}_{}", made.facts.prefix, "A".repeat(32)));
    app.anonymous().with_key(&guess).get(EMPLOYEES).await.refused(401, "key_unknown");
}

#[apply(each_database)]
#[tokio::test]
async fn a_session_decides_where_there_is_no_key(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let answer = ada.get(EMPLOYEES).await.is(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    ada.with("authorization", "Basic YTpi").get(EMPLOYEES).await.is(200);
    for cookie in ["keyfob_session=", "keyfob_session=junk", &format!("keyfob_session={}", "0".repeat(64)), "other=1"] {
        let client = ada.without("cookie").with("cookie", cookie);
        client.get(EMPLOYEES).await.refused(401, "credentials_missing");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn bad_key_is_rejected_despite_a_good_session(database: Database) {
    let app = &TestApp::start(database).await;
    let ada = app.signed_in("ada").await;
    let (revoked, expired) = (app.make_key("ada").await, app.make_key("ada").await);
    app.sql(&format!("UPDATE keys SET revoked_at = 1 WHERE id = '{}'", revoked.facts.id)).await;
    app.sql(&format!("UPDATE keys SET expires_at = 1 WHERE id = '{}'", expired.facts.id)).await;
    let never = key_format::make_key("kf");
    for (key, code) in [
        ("junk", "key_malformed"),
        (never.key.expose_secret(), "key_unknown"),
        (&revoked.key, "key_revoked"),
        (&expired.key, "key_expired"),
    ] {
        ada.with_key(key).get(EMPLOYEES).await.refused(401, code);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn key_decides_the_caller_when_a_session_is_present(database: Database) {
    let app = &TestApp::start(database).await;
    let id = app.employee("bob", ("Bob's", keyfob::model::employees::Department::Hr, 1)).await;
    let ada_with_bobs_key = app.signed_in("ada").await.with_key(&app.make_key("bob").await.key);
    ada_with_bobs_key.get(&format!("{EMPLOYEES}{id}/")).await.is(200);
    let bob_with_adas_key = app.signed_in("bob").await.with_key(&app.make_key("ada").await.key);
    bob_with_adas_key.get(&format!("{EMPLOYEES}{id}/")).await.refused(404, "not_found");
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_is_checked_on_each_view(database: Database) {
    let app = &TestApp::start(database).await;
    let id = app.employee("ada", ("Ada's", keyfob::model::employees::Department::Hr, 1)).await;
    let client = app.with_key("ada").await;
    for path in [EMPLOYEES, FIGURES, &format!("{EMPLOYEES}{id}/")] {
        client.get(path).await.is(200);
        app.anonymous().with_key("junk").get(path).await.refused(401, "key_malformed");
    }
}

#[apply(each_database)]
#[tokio::test]
async fn a_public_path_asks_for_no_credentials(database: Database) {
    let app = &TestApp::start(database).await;
    for client in [app.anonymous(), app.anonymous().with_key("junk")] {
        client.get("/healthz").await.is(200);
        client.get("/readyz").await.is(200);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn keys_of_an_older_brand_keep_working(database: Database) {
    let app = &TestApp::start(database).await;
    let old = app.make_key("ada").await.key;
    let renamed = app.configured(|config| config.keys.key_brand = "acme".into());
    let new = renamed.make_key("ada").await.key;
    assert!(old.starts_with("kf_") && new.starts_with("acme_"), "{new}");
    for key in [old, new] {
        renamed.anonymous().with_key(&key).get(EMPLOYEES).await.is(200);
        app.anonymous().with_key(&key).get(EMPLOYEES).await.is(200);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn on_pages_what_a_proxy_for_single_sign_on_adds_is_no_key(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    let (ada, root) = (app.signed_in("ada").await, app.admin().await);
    for added in
        ["Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.", "Bearer junk", "bearer", "Api-Key x", "Basic YWRhOng="]
    {
        let behind = ada.with("authorization", added);
        for page in ["/", "/profile", "/employees", "/teams", "/docs/errors", "/sign-in"] {
            behind.open(page).await.is(200);
        }
        behind.call("save_name", &[("name", "Ada")]).await.is(200);
        behind.submit("http://localhost:8000/profile", "save_name", &[("name", "Ada")]).await.is(302);
        app.browser().with("authorization", added).open("/profile").await.goes_to("/sign-in?next=/profile");
        app.browser()
            .with("authorization", added)
            .call("sign_in", &[("email", "ada@example.com"), ("password", crate::support::PASSWORD)])
            .await
            .is(200);
        root.with("authorization", added).open("/admin/users").await.is(200);
        root.with("authorization", added).get("/admin/audit.csv").await.is(200);
    }
    // The API takes it for what it says that it is.
    ada.with("authorization", "Bearer junk").get(EMPLOYEES).await.refused(401, "key_malformed");
    // A key on a page is refused, be it good or bad, and so is what stands in a header for keys.
    let mistyped = format!("{}000000", &key[..key.len() - 6]);
    for (name, value) in [
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("Api-Key {mistyped}")),
        ("x-api-key", "junk".into()),
    ] {
        let answer = ada.with(name, &value).open("/profile").await.is(403);
        assert!(!answer.body.contains("ada@example.com"), "{answer:?}");
        ada.with(name, &value).call("save_name", &[("name", "x")]).await.is(403);
    }
}

#[apply(each_database)]
#[tokio::test]
async fn unknown_path_is_a_json_404_for_programs(database: Database) {
    let app = &TestApp::start(database).await;
    let (program, browser) = (app.with_key("ada").await, app.signed_in("ada").await);
    for path in
        ["/nothing", "/pegasus/employee/api/", "/employees/1", "/admin/keys", "/admin/nothing", "/v1/me", "/api2"]
    {
        for client in [
            program.with("accept", "application/json"),
            program.with("accept", "*/*"),
            program.clone(),
            browser.with("accept", "application/json, text/plain"),
            app.anonymous().with_key("junk").with("accept", "application/json"),
            app.anonymous().with("accept", "application/problem+json"),
        ] {
            client.get(path).await.refused(404, "not_found");
        }
        // A browser sees a page, with a key too.
        for client in [&program, &browser, &app.browser()] {
            let page = client.open(path).await.is(404);
            // Below the paths of the API it is a problem for everybody.
            let expected = if path.starts_with("/pegasus/") { "\"not_found\"" } else { "Page not found" };
            assert!(page.body.contains(expected), "{path}: {page:?}");
        }
    }
    program.with("accept", "application/json").post("/nothing", json!({})).await.refused(404, "not_found");
    program.with("accept", "application/json").get("/profile").await.is(403);
}

#[apply(each_database)]
#[tokio::test]
async fn a_key_does_nothing_outside_the_api(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    for client in [app.anonymous().with_key(&key), app.signed_in("ada").await.with_key(&key)] {
        for function in ["list_keys", "create_key", "revoke_key", "list_sessions", "save_name"] {
            let answer =
                client.call(function, &[("name", "x"), ("id", "x"), ("query[state]", ""), ("form[name]", "x")]);
            assert_eq!(answer.await.failed(403), json!("SessionRequired"), "{function}");
        }
        for page in ["/profile", "/employees"] {
            let answer = client.get(page).await;
            assert_eq!(answer.status, 403, "{page}: {}", answer.body);
            assert!(!answer.body.contains("ada@example.com") && !answer.headers.contains_key("set-cookie"));
        }
        client.form("/profile/keys", &[("name", "x")]).await.is(403);
    }
}
