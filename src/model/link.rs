//! Links within the site.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters that a query value percent-encodes: all but the unreserved ones of RFC 3986 and the slash.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Query parameters of a page, such as those that a dialog keeps of the list below it.
pub type Parameters = Vec<(&'static str, String)>;

/// Returns a path with query parameters that a page keeps. Those without a value are left out.
pub fn link_to(path: &str, parameters: &[(&'static str, String)]) -> String {
    link(path, parameters.iter().map(|(name, value)| (*name, value.as_str())))
}

/// Returns a path with query parameters. Parameters without a value are left out. Names must need no encoding.
pub fn link<'a>(path: &str, query: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut link = path.to_owned();
    for (name, value) in query.into_iter().filter(|(_, value)| !value.is_empty()) {
        link.push(if link.len() == path.len() { '?' } else { '&' });
        link.push_str(name);
        link.push('=');
        link.extend(utf8_percent_encode(value, ENCODED));
    }
    link
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_encoded_whole_and_empty_ones_left_out() {
        assert_eq!(link("/a", []), "/a");
        assert_eq!(link("/a", [("search", ""), ("x", "1")]), "/a?x=1");
        assert_eq!(
            link("/a", [("search", "c#sharp+1@x.org"), ("x", "ä&b=%")]),
            "/a?search=c%23sharp%2B1%40x.org&x=%C3%A4%26b%3D%25"
        );
        assert_eq!(link("/sign-in", [("next", "/employees?page=2")]), "/sign-in?next=/employees%3Fpage%3D2");
    }

    proptest! {
        #[test]
        fn every_value_comes_back_as_it_was(one in "\\PC{1,20}", other in "[ -~]{1,20}") {
            let made = link("/path", [("one", one.as_str()), ("other", other.as_str())]);
            let query = made.strip_prefix("/path?").unwrap();
            let read: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            prop_assert_eq!(read, [("one".to_owned(), one), ("other".to_owned(), other)]);
            prop_assert!(query.bytes().all(|b| b.is_ascii_graphic() && !b"\"'<>#\\".contains(&b)));
        }
    }
}
