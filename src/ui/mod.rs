//! Building blocks of pages. They know no feature and call no server function.

pub mod browser;
pub mod chart;
pub mod dialog;
pub mod feedback;
pub mod field;
pub mod form;
pub mod layout;
pub mod navigate;
pub mod table;
pub mod time;
