//! The flow: sources are read, their payloads become events, events become findings, and both are made durable in one order.
//!
//! ```text
//! read (a task a source, each in its turn) -> work (decode, normalise, drop what is known, detect) -> publish (alerts, events, checkpoint, commit)
//! ```
//!
//! A stage ends when its input ends: only `read` watches the stop signal. Nothing here decides what is durable: the stores do, and
//! `publish` calls them in the order of RELIABILITY: alerts at once, events now, the checkpoint with the next flush, then the commit to the source.

mod drop;
mod guard;
mod hearing;
mod ledger;
mod publish;
mod publisher;
mod read;
mod recheck;
mod roster;
mod tail;
mod turns;
mod view;
mod vitals;
mod work;

pub use drop::{DropRule, Drops};
pub use guard::Guard;
pub use hearing::Skew;
pub use ledger::{Ledger, Outcome};
pub use publish::{Flow, FlowError, FlowSettings, Summary, SwapError, Swapped, Swapper};
pub use roster::{Entry, Rate, Roster, State};
pub use tail::Tail;
pub use view::{Heard, View};
pub use work::{Batch, Worker, WorkerSettings};
