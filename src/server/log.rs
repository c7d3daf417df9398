//! Which request a line of the log belongs to, and the lines that tell of refusals: for whoever has to see attempts to get in,
//! or to do what one may not (ASVS 5.0, 16.3.2 and 16.3.3). Nothing from outside ends a line or puts a key into one.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::{self, Display, Formatter, Write as _};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use axum::extract::{MatchedPath, Request};
use axum::http::{Extensions, Method, Uri};
use axum::response::Response;
use tracing::Span;
use tracing_subscriber::fmt::MakeWriter;

use super::audit;
use super::auth::client::Doubt;
use super::receive::RequestId;
use super::state::AppState;
use super::windows::{Addresses, MINUTE};
use crate::error::AppError;
use crate::model::redact::redact;
use crate::model::text::is_hidden;
use crate::model::time::Timestamp;
use crate::model::users::User;

/// How many an address gets into the log in a minute, so that nobody fills a disk by asking.
const MOST: u32 = 20;
/// How many bytes of a path are written.
const PATH_MAX: usize = 200;
/// How many bytes of a method are written. A client may make one up.
const METHOD_MAX: usize = 20;

tokio::task_local! {
    static HERE: Subject;
}

/// What the log says of a request. No span is made before there is something to say: to make one for each request takes a tenth
/// of the time of a check of a key.
pub struct Subject {
    id: RequestId,
    method: Method,
    uri: Uri,
    route: OnceCell<MatchedPath>,
    user: OnceCell<String>,
    key: OnceCell<String>,
}

impl Subject {
    /// Of this request.
    #[must_use]
    pub fn of(request: &Request, id: RequestId) -> Self {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Self { id, method, uri, route: OnceCell::new(), user: OnceCell::new(), key: OnceCell::new() }
    }

    /// Runs what answers it. No `async fn`, for that would have room for the answer twice.
    pub fn run<F: Future>(self, answer: F) -> impl Future<Output = F::Output> {
        HERE.scope(self, answer)
    }
}

/// The span for what there is to say of the request that is being answered; none outside of one.
#[must_use]
pub fn request() -> Span {
    let span = HERE.try_with(|subject| {
        let (id, method, path) = (subject.id.as_str(), subject.method.as_str(), Shown(subject.uri.path()));
        let (method, route) = (&method[..method.len().min(METHOD_MAX)], subject.route.get().map(MatchedPath::as_str));
        tracing::error_span!("request", id, method, %path, route, user = subject.user.get(), key = subject.key.get())
    });
    span.unwrap_or_else(|_| Span::none())
}

/// Notes who asks, for what there is to say.
pub fn name_user(user: &User) {
    let _ = HERE.try_with(|subject| subject.user.set(user.id.to_string()));
}

/// Notes the pattern of the path, once the router has found it.
pub fn name_route(extensions: &Extensions) {
    if let Some(route) = extensions.get::<MatchedPath>() {
        let _ = HERE.try_with(|subject| subject.route.set(route.clone()));
    }
}

/// Notes the public beginning of the key that came with the request.
pub fn name_key(prefix: &str) {
    let _ = HERE.try_with(|subject| subject.key.set(prefix.to_owned()));
}

/// How many refusals of each address were written lately. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Refusals(Addresses);

impl Default for Refusals {
    fn default() -> Self {
        Self(Addresses::of(MINUTE))
    }
}

impl Refusals {
    /// Throws away what is over.
    pub fn forget(&self, now: Timestamp) {
        self.0.forget(now);
    }
}

/// Writes that a request was refused, if this is the answer to one that was: 401, 403, 429, and 404 where superusers would
/// find something.
pub fn note(state: &AppState, response: &Response, from: Option<IpAddr>) {
    let Some(error) = response.extensions().get::<AppError>() else { return };
    if error.is_refusal() && state.refusals.0.spend(from, MOST, state.now()).is_ok() {
        let (from, code) = (audit::text(from), error.code().code);
        request().in_scope(|| tracing::info!(from, code, "a request was refused"));
    }
}

/// What is strange about the addresses that proxies tell: written once a minute, for it comes with each request.
#[derive(Debug, Default)]
pub struct Doubts {
    untrusted: AtomicI64,
    unreadable: AtomicI64,
}

impl Doubts {
    /// Writes it, unless something of the kind was written in the last minute.
    pub fn tell(&self, doubt: &Doubt, now: Timestamp) {
        let last = match doubt {
            Doubt::Untrusted(_) => &self.untrusted,
            Doubt::Unreadable(_) => &self.unreadable,
        };
        let (before, now) = (last.load(Relaxed), now.as_millis());
        let is_over = now >= before + MINUTE || now < before;
        if !is_over || last.compare_exchange(before, now, Relaxed, Relaxed).is_err() {
            return;
        }
        let request = request();
        let _request = request.enter();
        match doubt {
            Doubt::Untrusted(from) => tracing::warn!(
                %from,
                "headers of a proxy come from an address that is not in KEYFOB_TRUSTED_PROXIES: they do not count"
            ),
            Doubt::Unreadable(hop) => {
                tracing::warn!(hop, "a trusted proxy sent an address in X-Forwarded-For that cannot be read");
            }
        }
    }
}

/// A path as it may be written: without keys, in printable ASCII, and not at any length.
pub struct Shown<'a>(pub &'a str);

impl Display for Shown<'_> {
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

/// A text as one line without keys: what would end the line, or is not shown, is written by its number.
#[must_use]
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

/// Standard error, for the lines of the log: whatever crate wrote them, each stays one line and holds no key.
#[derive(Clone, Copy, Debug)]
pub struct Stderr {
    /// Whether the lines are JSON.
    pub json: bool,
    /// Whether the lines have colours.
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
    /// Takes a whole line, as the log writes it.
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

    use super::super::auth::secrets::make_key;
    use super::*;

    #[test]
    fn a_path_is_written_without_the_keys_in_it_and_not_at_any_length() {
        let made = make_key("kf");
        let key = made.key.expose_secret();
        assert_eq!(Shown("/a/acme_b/employees/").to_string(), "/a/acme_b/employees/");
        let left = format!("{}...", made.prefix);
        assert_eq!(Shown(&format!("/api/{key}/x/{key}")).to_string(), format!("/api/{left}/x/{left}"));
        assert_eq!(Shown(&format!("/api/x{key}y")).to_string(), format!("/api/x{left}"));
        let encoded = key.replace('_', "%5F");
        assert!(!Shown(&format!("/api/{encoded}")).to_string().contains(&key[12..]));
        for long in ["/a".repeat(1000), format!("/{}", "ä".repeat(1000)), format!("{}/{key}", "/a".repeat(90))] {
            let shown = Shown(&long).to_string();
            assert!((180..=PATH_MAX).contains(&shown.len()) && !shown.contains(&key[12..24]), "{shown}");
        }
    }

    #[test]
    fn a_path_is_written_in_printable_ascii() {
        assert_eq!(Shown("/a\u{2028}b\n\u{1b}[31m é").to_string(), "/a%E2%80%A8b%0A%1B[31m%20%C3%A9");
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
