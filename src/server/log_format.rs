//! Log output: one line for each event, without API keys, control characters or unbounded paths.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write as _};
use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;

use crate::model::redact::redact;
use crate::model::text::is_hidden;

/// Target of the access log. It is off unless `KEYFOB_LOG` names it.
pub const ACCESS_TARGET: &str = "keyfob::access";

/// Parses a filter of log lines, as in `KEYFOB_LOG`. The access log is off unless the filter names it.
pub fn parse_filter(filter: &str) -> Result<EnvFilter, ParseError> {
    let parsed = EnvFilter::try_new(filter)?;
    if filter.contains(ACCESS_TARGET) {
        return Ok(parsed);
    }
    Ok(parsed.add_directive(format!("{ACCESS_TARGET}=off").parse()?))
}

/// Longest logged path, in bytes.
const PATH_MAX: usize = 200;

/// Path for the log: without keys, in printable ASCII, and shortened.
pub struct RedactedPath<'a>(pub &'a str);

impl Display for RedactedPath<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut left = PATH_MAX;
        for byte in redact(self.0).bytes() {
            let is_plain = byte.is_ascii_graphic();
            let Some(rest) = left.checked_sub(if is_plain { 1 } else { 3 }) else { break };
            left = rest;
            if is_plain {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// Returns the text as one line without keys. Line breaks and invisible characters are escaped.
pub fn one_line(text: &str) -> Cow<'_, str> {
    without(text, is_hidden, |c| format!("\\u{{{:x}}}", u32::from(c)))
}

fn without(text: &str, hidden: impl Fn(char) -> bool, number: impl Fn(char) -> String) -> Cow<'_, str> {
    let text = redact(text);
    let is_plain = |b: u8| (b' '..=b'~').contains(&b);
    if text.bytes().all(is_plain) || !text.contains(&hidden) {
        return text;
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) { clean.push_str(&number(c)) } else { clean.push(c) }
    }
    Cow::Owned(clean)
}

/// Standard error for log lines. Each event of any crate stays on one line and contains no key.
#[derive(Clone, Copy, Debug)]
pub struct Stderr {
    pub json: bool,
    /// Whether lines have colours.
    pub ansi: bool,
}

impl Stderr {
    fn clean(self, line: &str) -> Cow<'_, str> {
        if !self.json {
            return without(
                line,
                |c| is_hidden(c) && !(self.ansi && c == '\u{1b}'),
                |c| format!("\\u{{{:x}}}", u32::from(c)),
            );
        }
        // Only in a string, where it has this form in JSON.
        let escape = |c: char| {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"));
            units.collect::<Vec<_>>().concat()
        };
        without(line, is_hidden, escape)
    }
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl io::Write for Stderr {
    /// Writes one complete line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
        io::stderr().write_all(format!("{}\n", self.clean(&text)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::server::auth::key_format::make_key;

    #[test]
    fn a_path_is_written_without_the_keys_in_it_and_not_at_any_length() {
        let made = make_key("kf");
        let key = made.key.expose_secret();
        assert_eq!(RedactedPath("/a/acme_b/employees/").to_string(), "/a/acme_b/employees/");
        let left = format!("{}...", made.prefix);
        assert_eq!(RedactedPath(&format!("/api/{key}/x/{key}")).to_string(), format!("/api/{left}/x/{left}"));
        assert_eq!(RedactedPath(&format!("/api/x{key}y")).to_string(), format!("/api/x{left}"));
        let encoded = key.replace('_', "%5F");
        assert!(!RedactedPath(&format!("/api/{encoded}")).to_string().contains(&key[12..]));
        for long in ["/a".repeat(1000), format!("/{}", "ä".repeat(1000)), format!("{}/{key}", "/a".repeat(90))] {
            let shown = RedactedPath(&long).to_string();
            assert!((180..=PATH_MAX).contains(&shown.len()) && !shown.contains(&key[12..24]), "{shown}");
        }
    }

    #[test]
    fn a_path_is_written_in_printable_ascii() {
        assert_eq!(RedactedPath("/a\u{2028}b\n\u{1b}[31m é").to_string(), "/a%E2%80%A8b%0A%1B[31m%20%C3%A9");
    }

    #[test]
    fn nothing_ends_a_line_or_hides_in_one() {
        let forged = "a\u{2028}b\u{85}c\nd\u{202e}e\u{200b}f\u{1b}[31mg";
        let escaped = "a\\u{2028}b\\u{85}c\\u{a}d\\u{202e}e\\u{200b}f\\u{1b}[31mg";
        assert_eq!(one_line(forged), escaped);
        assert_eq!(Stderr { json: false, ansi: false }.clean(forged), escaped);
        assert!(Stderr { json: false, ansi: true }.clean(forged).ends_with("\u{1b}[31mg"));
        let json = Stderr { json: true, ansi: false }.clean("{\"a\":\"\u{2028}\u{e0041}é\"}").into_owned();
        assert_eq!(json, "{\"a\":\"\\u2028\\udb40\\udc41é\"}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["a"], "\u{2028}\u{e0041}é");
        assert_eq!(one_line("日本 é ascii"), "日本 é ascii");
    }
}
