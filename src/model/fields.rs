//! What is wrong with a form or a body, field by field, and the rules that more than one field shares.

use serde::{Deserialize, Serialize};

use super::text::typed;

/// The name under which an error stands that belongs to no single field, as in Django REST framework.
pub const WHOLE_FORM: &str = "non_field_errors";

/// How many sentences are kept. Whatever was sent, checking it and answering it stays cheap.
const MAX_SENTENCES: usize = 20;
/// What the last one says where there are more.
const MORE: &str = "More is wrong than is listed here.";

/// Field → sentences that tell the reader how to correct it, at most 20. A list, for a map costs the browser 2 kB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldErrors(Vec<(String, Vec<String>)>);

impl FieldErrors {
    /// One error at one field.
    #[must_use]
    pub fn one(field: &str, sentence: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, sentence);
        errors
    }

    /// One error of the form as a whole.
    #[must_use]
    pub fn whole(sentence: impl Into<String>) -> Self {
        Self::one(WHOLE_FORM, sentence)
    }

    /// Adds a sentence to a field. Of more than are kept, one says that there are more.
    pub fn add(&mut self, field: &str, sentence: impl Into<String>) {
        match self.sentences().count() {
            ..MAX_SENTENCES => self.push(field, sentence.into()),
            MAX_SENTENCES => self.push(WHOLE_FORM, MORE.to_owned()),
            _ => {}
        }
    }

    /// Whether no more sentences are kept, so that looking for more is of no use.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.sentences().count() > MAX_SENTENCES
    }

    fn push(&mut self, field: &str, sentence: String) {
        match self.0.iter_mut().find(|(name, _)| name == field) {
            Some((_, sentences)) => sentences.push(sentence),
            None => self.0.push((field.to_owned(), vec![sentence])),
        }
    }

    /// Takes the value of a parsed field, or notes its error and gives `None`.
    pub fn take<T>(&mut self, field: &str, parsed: Result<T, impl Into<String>>) -> Option<T> {
        parsed.map_err(|sentence| self.add(field, sentence)).ok()
    }

    /// The first sentence of a field.
    #[must_use]
    pub fn first(&self, field: &str) -> Option<&str> {
        self.fields().find(|(name, _)| *name == field).and_then(|(_, sentences)| sentences.first()).map(String::as_str)
    }

    /// Each field that is wrong, with its sentences.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(field, sentences)| (field.as_str(), sentences.as_slice()))
    }

    /// All sentences, in the order in which they were found.
    pub fn sentences(&self) -> impl Iterator<Item = &str> {
        self.fields().flat_map(|(_, sentences)| sentences).map(String::as_str)
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A text of 1 to 100 characters on one line, as [`typed`] takes it.
///
/// # Errors
/// `missing` if nothing is left of it, and as [`typed`].
pub fn short_text(raw: &str, missing: &str) -> Result<String, String> {
    let text = typed(raw, 100)?;
    if text.is_empty() { Err(missing.to_owned()) } else { Ok(text) }
}

/// Refuses more than `limit` characters. Code points are counted, here as in the JSON schema: browsers count otherwise, and are
/// not asked to.
///
/// # Errors
/// A sentence that says how many there are.
pub fn within(text: &str, limit: usize) -> Result<(), String> {
    match text.chars().count() {
        count if count > limit => Err(format!("Use at most {limit} characters; this has {count}.")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_sentences_are_kept_and_one_that_says_that_there_are_more() {
        let mut errors = FieldErrors::default();
        for n in 0..20 {
            assert!(!errors.is_full());
            errors.add(&format!("field{}", n / 2), n.to_string());
        }
        assert!(!errors.is_full() && errors.first(WHOLE_FORM).is_none());
        for _ in 0..1000 {
            errors.add("one_more", "Wrong.");
        }
        assert!(errors.is_full() && errors.first("one_more").is_none());
        assert_eq!(errors.fields().count(), 11);
        assert_eq!(errors.sentences().last(), Some(MORE));
    }

    #[test]
    fn a_name_has_1_to_100_characters_after_trimming() {
        assert_eq!(short_text("", "Missing.").unwrap_err(), "Missing.");
        assert_eq!(short_text(" \u{2003} ", "Missing.").unwrap_err(), "Missing.");
        assert_eq!(short_text(" a ", "Missing.").unwrap(), "a");
        assert!(short_text(&"é".repeat(100), "Missing.").is_ok());
        assert!(short_text(&"é".repeat(101), "Missing.").unwrap_err().contains("100"));
    }

    #[test]
    fn a_name_may_be_emoji_or_right_to_left_but_not_control_characters() {
        assert!(short_text("🔑 מפתח", "Missing.").is_ok());
        assert!(short_text("a\0b", "Missing.").is_err());
        assert!(short_text("a\nb", "Missing.").is_err());
    }
}
