//! Links in the navigation to pages of your own.

use serde::{Deserialize, Serialize};

/// Link in the navigation of signed-in users to a page of your own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnLink {
    /// The path of the page, without a trailing slash: `/notes`.
    pub path: String,
    pub label: String,
}
