//! How the server and the program of a page exchange data: as postcard, whose decoder is a third of JSON's in the download. It
//! does not describe itself, so the program decodes only what a server of its own version sent: every request names the version
//! (see [`VERSION_HEADER`]), and another version answers 409.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The media type. A request that accepts it comes from the program of a page.
pub const MEDIA_TYPE: &str = "application/x-keyfob";
/// The header with the version of the browser's files.
pub const VERSION_HEADER: &str = "x-site-version";

/// What a script element must not contain as it is: the HTML parser changes control characters, and `<` could end the element.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'<');

/// Encodes a value. It fails for no type of this crate.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Decodes a value; `None` if these are not its bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}

/// Encodes a value as the text of a script element. Text in it can be read.
pub fn encode_text<T: Serialize>(value: &T) -> String {
    percent_encode(&encode(value), ESCAPED).to_string()
}

/// Decodes the text of a script element.
pub fn decode_text<T: DeserializeOwned>(text: &str) -> Option<T> {
    decode(&percent_decode_str(text).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_script_survives_the_html_parser() {
        let value = ("</script><!-- %3C \r\n\0\u{7f} å 日本".to_owned(), vec![0_u64, 13, 60, u64::MAX], Some(-1_i64));
        let text = encode_text(&value);
        assert!(text.is_ascii() && !text.contains(['<', '\r', '\n', '\0']), "{text}");
        assert_eq!(decode_text(&text), Some(value));
        assert_eq!(decode_text::<String>("%ff"), None);
    }
}
