//! Escapes in URLs, JSON, HTML, Markdown and mail.

/// A character and the bytes that encode it. An escape has several.
#[derive(Clone, Copy)]
pub struct Piece {
    pub c: char,
    pub start: usize,
    pub end: usize,
}

/// Decodes the escapes of a text once. Returns `None` if it has none.
pub fn unescape(pieces: &[Piece]) -> Option<Vec<Piece>> {
    let mut plain = Vec::with_capacity(pieces.len());
    let (mut at, mut changed) = (0, false);
    while let Some(piece) = pieces.get(at) {
        let escape = escape(&pieces[at..]);
        let (c, len) = escape.unwrap_or((Some(piece.c), 1));
        changed |= escape.is_some();
        if let Some(c) = c {
            plain.push(Piece { c, start: piece.start, end: pieces[at + len - 1].end });
        }
        at += len;
    }
    changed.then_some(plain)
}

/// Decodes the escape at the start. Returns its character, `None` for one that is skipped, and its length.
fn escape(pieces: &[Piece]) -> Option<(Option<char>, usize)> {
    let is = |place: usize, wanted: char| pieces.get(place).is_some_and(|piece| piece.c == wanted);
    match pieces[0].c {
        '%' => {
            // Encoded several times, `%5F` becomes `%255F`, `%25255F` and so on.
            let mut at = 1;
            while is(at, '2') && is(at + 1, '5') {
                at += 2;
            }
            let byte = hex(pieces.get(at..at + 2)?)?;
            // Other bytes may encode an invisible character.
            Some((char::from_u32(byte).filter(char::is_ascii), at + 2))
        }
        '=' if is(1, '5') && is(2, 'F') => Some((Some('_'), 3)),
        '=' if is(1, '\n') || (is(1, '\r') && is(2, '\n')) => Some((None, 1)),
        '\\' if is(1, 'u') && is(2, '{') => {
            let end = pieces.iter().take(10).position(|piece| piece.c == '}')?;
            Some((char::from_u32(hex(&pieces[3..end])?), end + 1))
        }
        '\\' if is(1, 'u') => Some((char::from_u32(hex(pieces.get(2..6)?)?), 6)),
        '\\' if is(1, 'x') => Some((char::from_u32(hex(pieces.get(2..4)?)?), 4)),
        '\\' if is(1, 'n') || is(1, 'r') || is(1, 't') => Some((None, 2)),
        '\\' if is(1, '_') || is(1, '.') || is(1, '\\') => Some((None, 1)),
        '&' => entity(pieces),
        _ => None,
    }
}

fn entity(pieces: &[Piece]) -> Option<(Option<char>, usize)> {
    let end = pieces.iter().take(10).position(|piece| piece.c == ';')?;
    let name: String = pieces[1..end].iter().map(|piece| piece.c).collect();
    let c = match name.as_str() {
        "lowbar" | "UnderBar" => '_',
        "amp" => '&',
        number if number.starts_with("#x") || number.starts_with("#X") => char::from_u32(hex(&pieces[3..end])?)?,
        number => char::from_u32(number.strip_prefix('#')?.parse().ok()?)?,
    };
    Some((Some(c), end + 1))
}

fn hex(digits: &[Piece]) -> Option<u32> {
    let add = |sum: u32, piece: &Piece| sum.checked_mul(16)?.checked_add(piece.c.to_digit(16)?);
    digits.iter().try_fold(0, add).filter(|_| !digits.is_empty())
}
