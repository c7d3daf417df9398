//! The rules of a key as they are published, read by other means than the program's: what its readers are compared with.

#![forbid(unsafe_code)]

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether this is a key, `[a-z]{2,8}_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}` and its checksum: by the place of each byte,
/// counted from the end. An imported key is `[0-9A-Za-z]{8}\.[0-9A-Za-z]{32,64}`.
#[must_use]
pub fn is_key(raw: &[u8]) -> bool {
    let is_imported = |(place, byte): (usize, &u8)| if place == 8 { *byte == b'.' } else { DIGITS.contains(byte) };
    if (41..=73).contains(&raw.len()) && raw.iter().enumerate().all(is_imported) {
        return true;
    }
    let fits = raw.iter().rev().enumerate().all(|(place, byte)| match place {
        38 | 47 => *byte == b'_',
        0..47 => DIGITS.contains(byte),
        _ => byte.is_ascii_lowercase(),
    });
    (50..=56).contains(&raw.len()) && fits && raw.ends_with(&checksum(&raw[..raw.len() - 6]))
}

/// CRC-32, bit by bit, in base62 with 6 digits.
#[must_use]
pub fn checksum(body: &[u8]) -> [u8; 6] {
    let crc = !body.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    });
    [5, 4, 3, 2, 1, 0].map(|place| DIGITS[(u64::from(crc) / 62_u64.pow(place) % 62) as usize])
}

/// The text with the checksum that makes it a key, if it has the form.
#[must_use]
pub fn with_checksum(body: &[u8]) -> Vec<u8> {
    [body, &checksum(body)].concat()
}
