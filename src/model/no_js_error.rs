//! Errors of forms that are sent without JavaScript.

use serde::{Deserialize, Serialize};

/// The error of a form. A cookie carries it to the page that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoJsError {
    /// The path of the server function.
    pub function: String,
    /// The error in the encoding of Leptos.
    pub error: String,
}
