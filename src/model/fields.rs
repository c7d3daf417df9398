//! Validation errors of forms and bodies, by field.

use serde::{Deserialize, Serialize};

/// The field of errors that belong to no single field, as in Django REST framework.
pub const WHOLE_FORM: &str = "non_field_errors";

/// Bounds the errors of one request, so that validation and the response stay cheap.
const MAX_MESSAGES: usize = 20;
/// The last message where there are more errors.
const MORE: &str = "There are more errors than listed here.";

/// Messages by field, at most 20. A list, because a map adds 2 kB to the browser build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldErrors(Vec<(String, Vec<String>)>);

impl FieldErrors {
    /// Returns one error at one field.
    pub fn one(field: &str, sentence: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, sentence);
        errors
    }

    /// Returns one error of the whole form.
    pub fn whole(sentence: impl Into<String>) -> Self {
        Self::one(WHOLE_FORM, sentence)
    }

    /// Adds a message to a field. After the limit, the first call adds that there are more.
    pub fn add(&mut self, field: &str, sentence: impl Into<String>) {
        match self.sentences().count() {
            ..MAX_MESSAGES => self.push(field, sentence.into()),
            MAX_MESSAGES => self.push(WHOLE_FORM, MORE.to_owned()),
            _ => {}
        }
    }

    /// Whether further errors would be dropped.
    pub fn is_full(&self) -> bool {
        self.sentences().count() > MAX_MESSAGES
    }

    fn push(&mut self, field: &str, sentence: String) {
        match self.0.iter_mut().find(|(name, _)| name == field) {
            Some((_, sentences)) => sentences.push(sentence),
            None => self.0.push((field.to_owned(), vec![sentence])),
        }
    }

    /// Returns the value of a parsed field, or adds its error and returns `None`.
    pub fn take<T>(&mut self, field: &str, parsed: Result<T, impl Into<String>>) -> Option<T> {
        parsed.map_err(|sentence| self.add(field, sentence)).ok()
    }

    /// Returns the value of a parsed field, or adds the error to its field and returns `None`.
    pub fn take_at<T>(&mut self, parsed: Result<T, FieldError>) -> Option<T> {
        parsed.map_err(|error| self.add(error.field, error.message)).ok()
    }

    /// Returns the first message of a field.
    pub fn first(&self, field: &str) -> Option<&str> {
        self.fields().find(|(name, _)| *name == field).and_then(|(_, sentences)| sentences.first()).map(String::as_str)
    }

    /// Returns each field with errors, and its messages.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(field, sentences)| (field.as_str(), sentences.as_slice()))
    }

    /// Returns all messages in the order of their fields.
    pub fn sentences(&self) -> impl Iterator<Item = &str> {
        self.fields().flat_map(|(_, sentences)| sentences).map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An error at one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub field: &'static str,
    pub message: String,
}

impl FieldError {
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
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
}
