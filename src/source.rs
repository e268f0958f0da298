//! Where events come from. Every source is a log that is read from a checkpoint.

pub mod file;
pub mod spool;
