//! The service, built from its configuration: opens what it owns, then runs until it is told to stop.

pub mod backtest;
pub mod build;
mod ingest;
mod kit;
mod metrics;
pub mod push;
pub mod reload;
mod restore;
pub mod rules;
pub mod serve;
mod shown;
mod sources;
pub mod verify;
pub mod windows;

pub use ingest::{Ingested, ingest};
pub use restore::Restorer;
