//! Where events and alerts are kept.

pub mod catalog;
pub mod outbox;
pub mod tokens;
