//! The diary of a run: what was confirmed and what was done to the program, and when. It is told if something was lost.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::oracle::Batch;

/// Batches that are told.
const TOLD: usize = 12;

/// What happened.
#[derive(Debug)]
enum Entry {
    /// A sender heard that these are there.
    Confirmed(&'static str, Batch),
    /// Something was done to the program.
    Done(String),
}

#[derive(Debug)]
pub(crate) struct Diary {
    since: Instant,
    entries: Mutex<Vec<(Duration, Entry)>>,
}

impl Diary {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), entries: Mutex::default() }
    }

    fn note(&self, entry: Entry) {
        self.entries.lock().unwrap().push((self.since.elapsed(), entry));
    }

    pub(crate) fn confirmed(&self, by: &'static str, batch: &Batch) {
        self.note(Entry::Confirmed(by, batch.clone()));
    }

    pub(crate) fn done(&self, what: impl Into<String>) {
        self.note(Entry::Done(what.into()));
    }

    /// The batches that these numbers were of, each with what was done before and after it was confirmed.
    pub(crate) fn of(&self, numbers: &[u64]) -> Vec<String> {
        let entries = self.entries.lock().unwrap();
        let told = |at: Option<&(Duration, Entry)>| match at {
            Some((at, Entry::Done(what))) => format!("{what} at {} ms", at.as_millis()),
            _ => "nothing".to_owned(),
        };
        let is_done = |entry: &&(Duration, Entry)| matches!(entry.1, Entry::Done(_));
        let mut lines = Vec::new();
        for (n, (at, entry)) in entries.iter().enumerate() {
            let Entry::Confirmed(by, batch) = entry else { continue };
            let lost = numbers.iter().filter(|id| (batch.first..batch.first + batch.count).contains(id)).count();
            if lost > 0 {
                let (before, after) = (told(entries[..n].iter().rev().find(is_done)), told(entries[n..].iter().find(is_done)));
                let (first, count) = (batch.first, batch.count);
                lines.push(format!(
                    "  {lost} of {count} from {first} by {by}, confirmed at {} ms; before it: {before}; after it: {after}",
                    at.as_millis()
                ));
            }
        }
        lines.truncate(TOLD);
        lines
    }
}
