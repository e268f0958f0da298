//! Fault rigs: the real program as a child process, given records by several sources at once, harmed on purpose, and then asked by its API
//! what it has. Small in the ordinary run; `tests/rigs` does the full counts. `CONTRIBUTING.md` has the settings.

mod bucket;
mod diary;
mod events;
mod feeds;
#[cfg(feature = "scale")]
mod kafka;
mod kills;
mod oracle;
mod order;
mod plan;
mod power;
mod present;
mod reference;
mod retries;
mod reused;
mod room;
mod run;
mod signals;
mod sink;
mod syscalls;
