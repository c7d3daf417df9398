//! Signatures of reports of leaked keys, as GitHub's secret scanning sends them: ECDSA P-256 with SHA-256 over the body.

use std::fmt;
use std::io::Read;

use axum::http::HeaderMap;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;

const IDENTIFIER: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";

/// Size of the file of public keys, in bytes. GitHub has about three keys of 300 bytes.
const MAX_FILE_SIZE: u64 = 64 * 1024;
/// How every public key on P-256 begins in DER: the algorithm and the curve (RFC 5480), then the length of the point.
const P256_HEADER: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Length of an uncompressed point on P-256: a 4 and two coordinates.
const POINT_LEN: usize = 65;

/// Public keys of a secret scanner.
#[derive(Clone)]
pub struct ScanningKeys(Vec<ScanningKey>);

#[derive(Clone)]
struct ScanningKey {
    identifier: String,
    point: Vec<u8>,
}

impl fmt::Debug for ScanningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.identifier)).finish()
    }
}

/// GitHub's JSON form.
#[derive(Deserialize)]
struct KeyFile {
    public_keys: Vec<PublicKey>,
}

#[derive(Deserialize)]
struct PublicKey {
    key_identifier: String,
    key: String,
}

impl ScanningKeys {
    /// Reads a file in GitHub's JSON form.
    pub fn read(path: &str) -> Result<Self, String> {
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(|error| format!("the file can't be opened: {error}"))?;
        file.take(MAX_FILE_SIZE)
            .read_to_string(&mut text)
            .map_err(|error| format!("the file can't be read: {error}"))?;
        Self::parse(&text)
    }

    /// Parses GitHub's JSON form.
    pub fn parse(json: &str) -> Result<Self, String> {
        const HINT: &str = "download it again from https://api.github.com/meta/public_keys/secret_scanning";
        let file: KeyFile = serde_json::from_str(json)
            .map_err(|error| format!("the file doesn't list public keys ({error}); {HINT}"))?;
        let parse = |key: PublicKey| match point(&key.key) {
            Some(point) => Ok(ScanningKey { identifier: key.key_identifier, point }),
            None => Err(format!("the key {:?} in the file is no PEM public key on P-256; {HINT}", key.key_identifier)),
        };
        let keys: Vec<_> = file.public_keys.into_iter().map(parse).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(format!("the file has no public key; {HINT}")) } else { Ok(Self(keys)) }
    }

    /// Whether the headers hold a valid signature of the body.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let text = |name| {
            let mut values = headers.get_all(name).into_iter();
            values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
        };
        let (Some(identifier), Some(signature)) = (text(IDENTIFIER), text(SIGNATURE)) else { return false };
        let (Some(key), Ok(signature)) =
            (self.0.iter().find(|key| key.identifier == identifier), BASE64_STANDARD.decode(signature))
        else {
            return false;
        };
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.point).verify(body, &signature).is_ok()
    }
}

/// Whether a request claims to be signed.
pub fn is_signed(headers: &HeaderMap) -> bool {
    headers.contains_key(IDENTIFIER) || headers.contains_key(SIGNATURE)
}

/// Returns the point of a PEM public key on P-256.
fn point(pem: &str) -> Option<Vec<u8>> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok()?;
    let point = der.as_ref().strip_prefix(&P256_HEADER)?;
    (point.len() == POINT_LEN && point[0] == 4).then(|| point.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample of GitHub's documentation.
    const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd\n\
                       AjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==\n-----END PUBLIC KEY-----\n";
    const ID: &str = "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c";
    const SIGNED: &str =
        "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg==";
    const BODY: &str =
        r#"[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/base-repo-url/"}]"#;

    fn file(keys: &[(&str, &str)]) -> String {
        let keys: Vec<_> = keys
            .iter()
            .map(|(id, key)| serde_json::json!({"key_identifier": id, "key": key, "is_current": true}))
            .collect();
        serde_json::json!({ "public_keys": keys }).to_string()
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_sample_of_github_verifies_and_no_change_of_it() {
        let keys = ScanningKeys::parse(&file(&[("other", KEY), (ID, KEY)])).unwrap();
        let signed = headers(&[(IDENTIFIER, ID), (SIGNATURE, SIGNED)]);
        assert!(is_signed(&signed) && keys.verify(&signed, BODY.as_bytes()));
        for body in [&format!("{BODY} "), &BODY[1..], ""] {
            assert!(!keys.verify(&signed, body.as_bytes()), "{body}");
        }
        let mut doubled = signed.clone();
        doubled.append(SIGNATURE, SIGNED.parse().unwrap());
        let others = [
            doubled,
            headers(&[(IDENTIFIER, ID)]),
            headers(&[(SIGNATURE, SIGNED)]),
            headers(&[(IDENTIFIER, "unknown"), (SIGNATURE, SIGNED)]),
            headers(&[(IDENTIFIER, ID), (SIGNATURE, "")]),
            headers(&[(IDENTIFIER, ID), (SIGNATURE, "MEQC")]),
            headers(&[(IDENTIFIER, ID), (SIGNATURE, "no base64")]),
        ];
        for headers in others {
            assert!(is_signed(&headers) && !keys.verify(&headers, BODY.as_bytes()), "{headers:?}");
        }
        assert!(!is_signed(&HeaderMap::new()));
    }

    #[test]
    fn file_without_a_key_on_p256_is_rejected() {
        let wrong = [
            (String::new(), "doesn't list public keys"),
            ("[]".to_owned(), "doesn't list public keys"),
            (file(&[]), "has no public key"),
            (file(&[(ID, KEY), ("b", "")]), "the key \"b\""),
            (file(&[("b", &KEY.replace("PUBLIC", "PRIVATE"))]), "no PEM public key on P-256"),
            (file(&[("b", &KEY.replace("QSyJFVw==", "QSyJF"))]), "no PEM public key on P-256"),
            (file(&[("b", &KEY.replace("AQcDQgAE", "AQcDQgAF"))]), "no PEM public key on P-256"),
        ];
        for (json, says) in wrong {
            let error = ScanningKeys::parse(&json).unwrap_err();
            assert!(error.contains(says) && !error.contains('\n'), "{json}: {error}");
        }
        assert!(ScanningKeys::read("no/such/file").unwrap_err().contains("can't be opened"));
    }
}
