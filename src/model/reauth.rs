//! Entering the password again where there is no JavaScript.

/// A form that waits for the password: the page that asks for it sends it once more.
#[derive(Clone, PartialEq, Eq)]
pub struct PendingForm {
    /// Where it is sent to.
    pub action: String,
    /// The page that it stands on: path and query.
    pub page: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
}

impl PendingForm {
    /// What the page calls the password that it adds to the fields.
    pub const PASSWORD: &'static str = "password_again";
    /// What it calls [`PendingForm::page`].
    pub const PAGE: &'static str = "sent_from";
}
