//! Forms that were sent without JavaScript, and are needed again.

/// The fields that a failed form shows again. An allow-list: no password and no token is among them.
const SHOWN_AGAIN: &[&str] = &[
    "access",
    "api",
    "date",
    "department",
    "description",
    "email",
    "expires",
    "grace",
    "kind",
    "name",
    "owner",
    "rate",
    "role",
    "salary",
    "scopes",
    "slug",
    "team",
];

/// Returns the name of a field without `form[…]` around it and `[]` after it.
fn bare_name(field: &str) -> &str {
    let field = field.strip_suffix("[]").unwrap_or(field);
    field.strip_prefix("form[").and_then(|rest| rest.strip_suffix(']')).unwrap_or(field)
}

/// A form. The re-authentication page sends it again, and after an error the form shows again what was typed.
#[derive(Clone, PartialEq, Eq)]
pub struct SentForm {
    /// The path that the form is sent to.
    pub action: String,
    /// The page of the form, with its query.
    pub page: String,
    pub fields: Vec<(String, String)>,
}

impl SentForm {
    /// The name of the added password field.
    pub const PASSWORD: &'static str = "password_again";
    /// The name of the added field with [`SentForm::page`].
    pub const PAGE: &'static str = "sent_from";

    /// Returns the fields that the form shows again after an error, by their bare names.
    pub fn shown_again(&self) -> Vec<(String, String)> {
        let fields = self.fields.iter().map(|(field, value)| (bare_name(field), value));
        let shown = fields.filter(|(field, _)| SHOWN_AGAIN.contains(field));
        shown.map(|(field, value)| (field.to_owned(), value.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_shows_again_what_was_typed_but_no_secret() {
        let sent = [
            ("form[name]", "ci"),
            ("form[scopes][]", "a:b"),
            ("scopes[]", "c:d"),
            ("email", "ada@example.com"),
            ("password", "secret"),
            ("current", "secret"),
            ("new", "secret"),
            ("token", "secret"),
            ("form[password]", "secret"),
            (SentForm::PASSWORD, "secret"),
            ("form[name", "secret"),
        ];
        let fields = sent.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let shown = SentForm { action: String::new(), page: String::new(), fields }.shown_again();
        let shown: Vec<_> = shown.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(shown, [("name", "ci"), ("scopes", "a:b"), ("scopes", "c:d"), ("email", "ada@example.com")]);
    }
}
