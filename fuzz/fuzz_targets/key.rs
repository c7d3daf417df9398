//! Whatever the bytes, the parser does not panic, it takes what is a key by the published rules and nothing else, and what it
//! takes it knows by the digest of exactly these bytes. A checksum is nothing that mutation comes upon, so each input is
//! tried as it is and as the rest of a key: its checksum is put behind it, or what stands before a byte 1, and each two bytes
//! behind that are a change. The keys in `seeds/key` never existed.

#![no_main]

use keyfob::server::auth::key_format::{Digest, PresentedKey};
use keyfob_fuzz::{is_key, with_checksum};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    let mut parts = bytes.splitn(2, |byte| *byte == 1);
    let mut raw = with_checksum(parts.next().unwrap_or_default());
    for change in parts.next().unwrap_or_default().chunks_exact(2) {
        match raw.get_mut(usize::from(change[0])) {
            Some(byte) => *byte = change[1],
            None => raw.push(change[1]),
        }
    }
    check(&raw);
});

fn check(raw: &[u8]) {
    let read = PresentedKey::parse(raw).map(|key| key.digest());
    let expected = is_key(raw).then(|| Digest::of(&String::from_utf8_lossy(raw)));
    assert_eq!(read, expected, "{}", raw.escape_ascii());
}
