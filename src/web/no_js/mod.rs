//! What browsers without JavaScript need: forms answered by whole pages.

pub mod form_error;
pub mod reauth;
pub mod replay;
pub mod reveal_once;
