//! How a page without JavaScript learns what was wrong with the form before it.

use serde::{Deserialize, Serialize};

/// The error of a form, as the server put it into a cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormError {
    /// The path of the server function.
    pub function: String,
    /// The error, as Leptos encodes it.
    pub error: String,
}
