//! Browsers without JavaScript: forms whose responses are complete pages.

pub mod error_cookie;
pub mod reauth;
pub mod replay;
pub mod reveal_once;
