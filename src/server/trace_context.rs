//! W3C Trace Context: takes over the trace of a request, and passes it on. Anyone may send one, since it gives no right.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::auth::random::{hex, make_span_id};

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Length of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// Longest `tracestate` that is passed on, in bytes. The specification asks for this much.
const STATE_MAX: usize = 512;
/// The flag that callers record the trace. No other flag of version 00 has a meaning.
pub const SAMPLED: u8 = 1;

/// Trace that a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    /// Span of the caller.
    pub parent_id: [u8; 8],
    /// Span of this request, where it is recorded.
    pub span_id: Option<[u8; 8]>,
    pub flags: u8,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// Makes the context of a request that begins a trace.
    pub const fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Self {
        Self { trace_id, parent_id: [0; 8], span_id: Some(span_id), flags, state: None }
    }

    /// Returns the trace with the span of this request.
    #[must_use]
    pub fn recorded(&self, span_id: [u8; 8], flags: u8) -> Self {
        Self { span_id: Some(span_id), flags, ..self.clone() }
    }

    /// Reads the headers of a request. Without a valid `traceparent` there is no trace.
    pub fn extract(headers: &HeaderMap) -> Option<Self> {
        let mut found = headers.get_all(&TRACEPARENT).into_iter();
        let (Some(only), None) = (found.next(), found.next()) else { return None };
        Some(Self { state: read_state(headers), ..parse(only.as_bytes())? })
    }

    /// Returns the trace id as the log shows it.
    pub fn trace_id_text(&self) -> String {
        hex(&self.trace_id)
    }

    /// Returns the headers for a request to another service.
    pub fn outgoing(&self) -> HeaderMap {
        let span_id = self.span_id.unwrap_or_else(make_span_id);
        let parent = format!("00-{}-{}-{:02x}", hex(&self.trace_id), hex(&span_id), self.flags & SAMPLED);
        let mut headers = HeaderMap::new();
        if let Ok(parent) = HeaderValue::try_from(parent) {
            headers.insert(&TRACEPARENT, parent);
        }
        if let Some(state) = &self.state {
            headers.insert(&TRACESTATE, state.clone());
        }
        headers
    }
}

/// Parses `version-traceid-parentid-flags`. A later version may have more after it.
fn parse(value: &[u8]) -> Option<TraceContext> {
    let (known, rest) = value.split_at_checked(LENGTH)?;
    let [version] = bytes(&known[..2])?;
    let is_complete = rest.is_empty() || (version > 0 && rest[0] == b'-');
    if version == 0xff || !is_complete || [2, 35, 52].iter().any(|at| known[*at] != b'-') {
        return None;
    }
    let (trace_id, parent_id) = (bytes(&known[3..35])?, bytes(&known[36..52])?);
    let [flags] = bytes(&known[53..])?;
    let is_valid = trace_id != [0; 16] && parent_id != [0; 8];
    is_valid.then_some(TraceContext { trace_id, parent_id, span_id: None, flags, state: None })
}

/// Decodes lower-case hex.
fn bytes<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Returns the lists of all `tracestate` headers as one; `None` if it is empty, too long or not in printable ASCII.
fn read_state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut found = headers.get_all(&TRACESTATE).into_iter();
    let first = found.next()?;
    let is_plain = |value: &HeaderValue| value.to_str().is_ok_and(|text| !text.trim().is_empty());
    let Some(second) = found.next() else {
        return (first.len() <= STATE_MAX && is_plain(first)).then(|| first.clone());
    };
    let mut joined = first.as_bytes().to_vec();
    for value in [second].into_iter().chain(found) {
        if joined.len() + 1 + value.len() > STATE_MAX {
            return None;
        }
        joined.push(b',');
        joined.extend_from_slice(value.as_bytes());
    }
    HeaderValue::from_bytes(&joined).ok().filter(is_plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn extract(traceparent: &str) -> Option<TraceContext> {
        TraceContext::extract(&headers(&[("traceparent", traceparent)]))
    }

    #[test]
    fn malformed_parent_is_ignored() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01what",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(extract(wrong), None, "{wrong}");
        }
        let twice = [("traceparent", GOOD), ("traceparent", GOOD), ("tracestate", "a=1")];
        assert_eq!(TraceContext::extract(&headers(&twice)), None);
        assert_eq!(TraceContext::extract(&headers(&[("tracestate", "a=1")])), None);
    }

    #[test]
    fn later_version_is_read_as_far_as_it_is_known() {
        for later in [
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings",
        ] {
            assert_eq!(extract(later), extract(GOOD), "{later}");
        }
    }

    #[test]
    fn trace_is_passed_on_with_a_new_parent() {
        let lines = [("traceparent", &*GOOD.replace("-01", "-ff")), ("tracestate", "a=1"), ("tracestate", "b=2")];
        let trace = TraceContext::extract(&headers(&lines)).unwrap();
        assert_eq!(trace.trace_id_text(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let (one, two) = (trace.outgoing(), trace.outgoing());
        assert_eq!(one[&TRACESTATE], "a=1,b=2");
        assert_ne!(one[&TRACEPARENT], two[&TRACEPARENT]);
        let next = TraceContext::extract(&one).unwrap();
        assert_eq!((next.trace_id, next.flags), (trace.trace_id, SAMPLED));
        assert_ne!(next.parent_id, trace.parent_id);
        let recorded = trace.recorded([7; 8], SAMPLED);
        assert_eq!(TraceContext::extract(&recorded.outgoing()).unwrap().parent_id, [7; 8]);
    }

    #[test]
    fn long_state_is_dropped_and_the_trace_kept() {
        for (state, kept) in [("a=".to_owned() + &"1".repeat(510), true), ("a=".to_owned() + &"1".repeat(511), false)] {
            let trace = TraceContext::extract(&headers(&[("traceparent", GOOD), ("tracestate", &state)])).unwrap();
            assert_eq!(trace.outgoing().contains_key(&TRACESTATE), kept);
        }
        let many: Vec<_> = [("traceparent", GOOD)].into_iter().chain((0..200).map(|_| ("tracestate", "a=1"))).collect();
        assert!(!TraceContext::extract(&headers(&many)).unwrap().outgoing().contains_key(&TRACESTATE));
    }

    proptest! {
        #[test]
        fn random_parents_never_panic(value in proptest::string::bytes_regex("(?s-u)[0-9a-f-]{0,70}|.{0,70}").unwrap()) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let headers = [(TRACEPARENT.clone(), value)].into_iter().collect();
                let _ = TraceContext::extract(&headers);
            }
        }
    }
}
