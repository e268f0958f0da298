//! The integration tests: one binary, a module a feature.

mod cli;
mod crash;
mod demo;
mod service;
mod tidy;
mod webhook;
