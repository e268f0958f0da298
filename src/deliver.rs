//! Alerts go out: a worker takes messages from the outbox and hands each to its target until it is delivered or given up.
//!
//! Delivery is at least once: a repeat carries the same id and the same bytes, so a receiver can tell it.

pub mod address;
pub mod schedule;
pub mod sign;
pub mod webhook;
pub mod worker;

pub use address::{AddressPolicy, Cidr};
pub use sign::SigningSecret;
pub use webhook::{Webhook, WebhookError, WebhookSettings};
pub use worker::{Note, Target, Worker, WorkerSettings};
