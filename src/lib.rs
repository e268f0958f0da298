//! Bartizan: a Kubernetes SIEM. Audit logs, Falco alerts and Hubble flows in; alerts out.
//!
//! The layers point down; `tests/it/tidy.rs` holds the table and fails the build on any other import. `model` has the nouns;
//! the stages from `decode` to `ocsf` are pure: they do no IO and read no clock.
#![forbid(unsafe_code)]

mod defect;
pub mod model;

pub mod alert;
pub mod decode;
pub mod dedupe;
pub mod detect;
pub mod normalize;
pub mod ocsf;
pub mod query;

#[cfg(feature = "embedded")]
pub mod clock;
#[cfg(feature = "embedded")]
pub mod codec;
#[cfg(feature = "embedded")]
pub mod ports;
#[cfg(feature = "embedded")]
pub mod segment;
#[cfg(feature = "embedded")]
pub mod telemetry;

#[cfg(feature = "embedded")]
pub mod deliver;
#[cfg(feature = "embedded")]
pub mod source;
#[cfg(feature = "embedded")]
pub mod store;

#[cfg(feature = "embedded")]
pub mod pipeline;

#[cfg(feature = "embedded")]
pub mod api;
#[cfg(feature = "embedded")]
pub mod config;

#[cfg(feature = "embedded")]
pub mod app;
#[cfg(feature = "embedded")]
pub mod cli;
