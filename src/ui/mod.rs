//! Building blocks of pages. They know no feature and call no server function.

pub mod browser;
pub mod chart;
pub mod dialog;
pub mod field;
pub mod layout;
pub mod notice;
pub mod table;
