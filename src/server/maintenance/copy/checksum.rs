//! Checksum of a table: the number of its rows and a digest, the same on both databases.

use sha2::{Digest, Sha256};

use crate::server::db::bulk::Value;

/// Equal for two tables if their rows are.
// The digests of the rows are combined by XOR, so that the order in which a database reads them does not matter: PostgreSQL
// sorts text by its collation, SQLite by bytes. Two rows that are alike would cancel each other out, but no two are: each
// table has a primary key. That finds what went wrong by mishap; nobody here forges rows that add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableChecksum {
    pub rows: u64,
    digest: [u8; 32],
}

impl TableChecksum {
    pub(super) fn add(&mut self, row: &[Value]) {
        let mut hash = Sha256::new();
        for value in row {
            // A kind each and the length of each text: no two rows come to the same bytes.
            match value {
                Value::Null(_) => hash.update([0]),
                Value::Text(text) => {
                    hash.update([1]);
                    hash.update((text.len() as u64).to_be_bytes());
                    hash.update(text);
                }
                Value::Number(number) => {
                    hash.update([2]);
                    hash.update(number.to_be_bytes());
                }
                Value::Flag(flag) => hash.update([3, u8::from(*flag)]),
            }
        }
        self.rows += 1;
        for (sum, byte) in self.digest.iter_mut().zip(hash.finalize()) {
            *sum ^= byte;
        }
    }

    /// The first 12 hex digits of the digest.
    pub fn short(&self) -> String {
        let start = self.digest.iter().take(6).fold(0_u64, |start, byte| start << 8 | u64::from(*byte));
        format!("{start:012x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::db::bulk::Kind;

    fn contents(rows: &[&[Value]]) -> TableChecksum {
        let mut contents = TableChecksum::default();
        rows.iter().copied().for_each(|row| contents.add(row));
        contents
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn rows_that_differ_in_anything_have_different_contents() {
        let rows: [&[Value]; 14] = [
            &[],
            &[text("")],
            &[text(""), text("")],
            &[text("ab"), text("c")],
            &[text("a"), text("bc")],
            &[text("abc"), text("")],
            &[text("abc"), Value::Null(Kind::Text)],
            &[text("abc\0")],
            &[Value::Null(Kind::Text)],
            &[Value::Number(0)],
            &[Value::Number(1)],
            &[Value::Number(-1)],
            &[Value::Flag(false)],
            &[Value::Flag(true)],
        ];
        for (n, row) in rows.iter().enumerate() {
            for other in &rows[..n] {
                assert_ne!(contents(&[row]), contents(&[other]), "{n}");
            }
        }
    }

    #[test]
    fn the_order_of_rows_does_not_matter_but_each_row_does() {
        let (a, b, c): (&[_], &[_], &[_]) = (&[text("a")], &[text("b")], &[text("c")]);
        assert_eq!(contents(&[a, b, c]), contents(&[c, a, b]));
        assert_ne!(contents(&[a, b]), contents(&[a, b, c]));
        assert_ne!(contents(&[a]), contents(&[a, b, b]));
    }

    #[test]
    fn the_short_form_is_the_beginning_of_the_digest_in_hex() {
        // SHA-256 of the byte 1, eight of length and "a", by another program.
        assert_eq!(contents(&[&[text("a")]]).short(), "b98e9326c737");
        assert_eq!(TableChecksum::default().short(), "000000000000");
    }
}
