//! Work on the whole database or installation: backup, copy, checks, sample data.

pub mod backup;
pub mod copy;
pub mod doctor;
pub mod fold_names;
pub mod seed;
