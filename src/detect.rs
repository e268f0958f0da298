//! Detection: Sigma rules and correlations over events, in event time.
//!
//! `rule` has what a rule says; `sigma` reads it from YAML; `matcher` and `prefilter` compile all rules to shared
//! predicates; `window` and `correlate` keep what needs more than one event, judged up to where `watermark` says; `recheck` is for what came after
//! that. `cases` reads the tests beside rules, `sight` tells what events show of rules, and `pack` holds the detections compiled in.

pub mod cases;
mod cidr;
mod correlate;
#[cfg(any(test, fuzzing))]
mod draw;
pub mod engine;
mod explain;
mod fold;
pub mod health;
pub mod identity;
mod journal;
mod key;
pub mod matcher;
mod needs;
pub mod pack;
mod prefilter;
pub mod recheck;
pub mod rule;
#[cfg(test)]
pub(crate) mod sample;
pub mod sight;
pub mod sigma;
mod title;
pub mod watermark;
mod window;
mod witness;
mod words;

/// What correlations have to come to, by brute force: for the fuzzer, which stands outside.
#[cfg(any(test, fuzzing))]
pub use correlate::model as correlate_model;
