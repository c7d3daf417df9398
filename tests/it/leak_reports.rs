//! Reports of leaked keys: signed by GitHub's secret scanning, and unsigned. What a scanner needs to know is in
//! `docs/secret-scanning.md`.

use std::fs;

use axum::http::Method;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use keyfob::server::auth::key_format::PresentedKey;
use keyfob::server::report_signature::ScanningKeys;
use regex::Regex;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::cli::run;
use crate::support::{Answer, Client, Database, TestApp, each_database};

const PATH: &str = "/api/v1/leaked-keys";
const IDENTIFIER: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";
const GITHUB: &str = "198.51.100.7";
/// The key of the worked example. It never existed.
const EXAMPLE: &str = "kf_8Qw3ZkPa_3f9KmQ7vXc2LrT5yBn8Wd4HsJg6Pz1Ea0scyTc";

/// A scanner with its key pair.
struct Scanner {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Scanner {
    fn new() -> Self {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pair.as_ref(), &random).unwrap();
        Self { pair, random }
    }

    /// The public key, as GitHub publishes its own.
    fn public_keys(&self) -> Value {
        let mut der = hex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
        der.extend(self.pair.public_key().as_ref());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der));
        json!({"public_keys": [{"key_identifier": "scanner-1", "key": pem, "is_current": true}]})
    }

    fn signature(&self, body: &str) -> String {
        BASE64_STANDARD.encode(self.pair.sign(&self.random, body.as_bytes()).unwrap())
    }

    fn app(&self, app: &TestApp) -> TestApp {
        let keys = ScanningKeys::parse(&self.public_keys().to_string()).unwrap();
        app.configured(|config| config.secret_scanning_keys = Some(keys))
    }

    /// A report with the signature of another body.
    async fn send(&self, client: &Client, body: &str, signed: &str) -> Answer {
        let client = client.with(IDENTIFIER, "scanner-1").with(SIGNATURE, &self.signature(signed));
        client.text(Method::POST, PATH, body).await
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A match, as GitHub reports it.
fn found(token: &str) -> Value {
    let url = "https://github.com/octocat/Hello-World/blob/12345600b9cbe38a219f39a9941c9319b600c002/foo/bar.txt";
    json!({"token": token, "type": "keyfob_api_key", "url": url, "source": "content"})
}

#[apply(each_database)]
#[tokio::test]
async fn report_whose_signature_does_not_verify_is_rejected(database: Database) {
    let (app, scanner) = (TestApp::start(database).await, Scanner::new());
    let key = app.make_key("ada").await;
    let app = &scanner.app(&app);
    let body = json!([found(&key.key)]).to_string();
    let github = app.anonymous().coming_from(GITHUB);
    let answers = [
        scanner.send(&github, &body, &format!("{body} ")).await,
        Scanner::new().send(&github, &body, &body).await,
        github.with(IDENTIFIER, "scanner-1").text(Method::POST, PATH, &body).await,
        github.with(SIGNATURE, &scanner.signature(&body)).text(Method::POST, PATH, &body).await,
        github.with(IDENTIFIER, "2").with(SIGNATURE, &scanner.signature(&body)).text(Method::POST, PATH, &body).await,
    ];
    for answer in answers {
        let problem = answer.refused(403, "signature_invalid");
        assert!(problem["detail"].as_str().unwrap().contains("KEYFOB_SECRET_SCANNING_KEYS"), "{problem}");
    }
    app.anonymous().with_key(&key.key).get("/api/v1/key").await.is(200);
    scanner.send(&github, &body, &body).await.is(202);
    app.anonymous().with_key(&key.key).get("/api/v1/key").await.refused(401, "key_revoked");
}

#[apply(each_database)]
#[tokio::test]
async fn verified_report_has_no_limit_and_every_other_has(database: Database) {
    let (app, scanner) = (TestApp::start(database).await, Scanner::new());
    let key = app.make_key("ada").await;
    let app = &scanner.app(&app);
    let body = json!([found(&key.key), found("no key")]).to_string();
    let github = app.anonymous().coming_from(GITHUB);
    for at in 0..30 {
        match at % 2 {
            0 => github.text(Method::POST, PATH, "[]").await.is(202),
            _ => scanner.send(&github, "[]", "{}").await.is(403),
        };
    }
    github.text(Method::POST, PATH, &body).await.refused(429, "rate_limited");
    scanner.send(&github, &body, "{}").await.refused(429, "rate_limited");
    for _ in 0..3 {
        scanner.send(&github, &body, &body).await.is(202);
    }
    app.anonymous().with_key(&key.key).get("/api/v1/key").await.refused(401, "key_revoked");
}

#[apply(each_database)]
#[tokio::test]
async fn verified_report_has_the_bounds_of_every_report(database: Database) {
    let (app, scanner) = (TestApp::start(database).await, Scanner::new());
    let app = &scanner.app(&app);
    let client = app.anonymous();
    let many = Value::from(vec![found("x"); 251]).to_string();
    scanner.send(&client, &many, &many).await.refused(400, "validation_failed");
    scanner.send(&client, "[1]", "[1]").await.refused(400, "malformed_json");
    let large = " ".repeat(65_537);
    scanner.send(&client, &large, &large).await.refused(413, "content_too_large");
    let signed = client.with(IDENTIFIER, "scanner-1").with(SIGNATURE, &scanner.signature("[]"));
    signed.typed(Method::POST, PATH, "text/plain", "[]").await.refused(415, "unsupported_media_type");
}

#[apply(each_database)]
#[tokio::test]
async fn without_the_setting_a_signature_is_not_looked_at(database: Database) {
    let (app, scanner) = (TestApp::start(database).await, Scanner::new());
    let key = app.make_key("ada").await;
    let body = json!([found(&key.key)]).to_string();
    scanner.send(&app.anonymous(), &body, "{}").await.is(202);
    app.anonymous().with_key(&key.key).get("/api/v1/key").await.refused(401, "key_revoked");
}

#[tokio::test]
async fn wrong_file_of_public_keys_ends_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys.json");
    let url = format!("sqlite://{}", dir.path().join("keyfob.db").display());
    for (text, says) in [(None, "can't be opened"), (Some("<html>"), "doesn't list public keys")] {
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let ran = run(&url, &["serve"], &[("KEYFOB_SECRET_SCANNING_KEYS", file.to_str().unwrap())], "").await;
        ran.refused("KEYFOB_SECRET_SCANNING_KEYS is");
        ran.refused(says);
    }
    fs::write(&file, Scanner::new().public_keys().to_string()).unwrap();
    assert!(ScanningKeys::read(file.to_str().unwrap()).is_ok());
}

#[apply(each_database)]
#[tokio::test]
async fn key_check_tells_keys_from_other_texts(database: Database) {
    let app = &TestApp::start(database).await;
    let key = app.make_key("ada").await.key;
    let check = async |input: &str| run("postgres://no-database-is-opened", &["key", "check"], &[], input).await;
    for input in [key.clone(), format!("  {key}\r\n")] {
        assert_eq!(check(&input).await.done().out, format!("{}\n", &key[..11]));
    }
    assert_eq!(check(EXAMPLE).await.done().out, "kf_8Qw3ZkPa\n");
    let typo = key.replace(&key[20..21], if &key[20..21] == "a" { "b" } else { "a" });
    check(&typo).await.refused("its checksum is wrong");
    for (input, says) in [
        ("", "there is no key on standard input"),
        ("kf_8Qw3ZkPa", "does not have the form of a key"),
        (&format!("{key}\n{key}"), "does not have the form of a key"),
        (&" ".repeat(2000), "there is no key on standard input"),
    ] {
        let ran = check(input).await;
        ran.refused(says);
        assert!(!ran.err.contains(&key[12..]));
    }
    let ran = run(&app.url, &["key", "check", &key], &[], "").await;
    assert_eq!((ran.code, ran.err.contains(&key[12..])), (2, false), "{ran:?}");
}

#[test]
fn worked_example_of_the_document_is_right() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/secret-scanning.md");
    let text = fs::read_to_string(path).unwrap();
    let pattern =
        text.lines().find_map(|line| line.trim().strip_prefix("kf_[")).expect("the pattern is in the document");
    assert!(Regex::new(&format!("^kf_[{pattern}$")).unwrap().is_match(EXAMPLE));
    assert!(PresentedKey::parse(EXAMPLE.as_bytes()).is_some());
    let (body, sum) = EXAMPLE.split_at(EXAMPLE.len() - 6);
    let crc = crc32fast::hash(body.as_bytes());
    let digits = (0..6).rev().map(|power| (crc / 62_u32.pow(power) % 62).to_string()).collect::<Vec<_>>().join(", ");
    for part in [body, EXAMPLE, &format!("`{sum}`"), &crc.to_string(), &digits] {
        assert!(text.contains(part), "{part} is not in the document");
    }
}
