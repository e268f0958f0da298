//! The integration tests: one binary, a module a feature.
#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a test says what is wrong by failing")]

mod backtest;
mod blind;
mod bucket;
mod cli;
mod compose;
mod crash;
mod demo;
mod door;
mod envelopes;
#[path = "../fakes/s3.rs"]
mod fake_s3;
mod files;
mod hostile;
#[cfg(feature = "scale")]
#[path = "../fakes/members.rs"]
mod kafka_members;
mod kinds;
mod late;
#[cfg(feature = "scale")]
mod live_kafka;
mod live_s3;
mod ocsf;
mod parity;
mod public_rules;
mod pushers;
mod reading;
mod reading_on;
mod reload;
mod rig;
mod samples;
mod secrets;
mod senders;
mod service;
mod sustained;
mod tidy;
mod tls;
mod traps;
mod unpacked;
mod webhook;
mod windows;
