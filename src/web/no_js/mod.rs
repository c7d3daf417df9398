//! Browsers without JavaScript: forms whose responses are complete pages.

pub mod form_error;
pub mod reauth;
pub mod replay;
pub mod reveal_once;
