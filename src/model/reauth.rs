//! Re-authentication without JavaScript.

/// A form that needs the password. The re-authentication page sends it again.
#[derive(Clone, PartialEq, Eq)]
pub struct PendingForm {
    /// The path that the form is sent to.
    pub action: String,
    /// The page of the form, with its query.
    pub page: String,
    pub fields: Vec<(String, String)>,
}

impl PendingForm {
    /// The name of the added password field.
    pub const PASSWORD: &'static str = "password_again";
    /// The name of the added field with [`PendingForm::page`].
    pub const PAGE: &'static str = "sent_from";
}
