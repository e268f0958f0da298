//! A bar for each source that catches up, on a terminal: what it has read and what still waits.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;

use crate::model::SourceId;
use crate::ports::{Condition, LagUnit, Tells};

/// How often sources are asked.
const EVERY: Duration = Duration::from_millis(500);
/// Objects that wait before a bar is worth showing.
const WAITING_MIN: u64 = 100;

/// Shows bars until `stop`; in a pipe it shows none.
pub(super) async fn show(sources: Vec<(SourceId, Arc<dyn Tells>)>, mut stop: watch::Receiver<bool>) {
    if !io::stderr().is_terminal() {
        return;
    }
    let bars = MultiProgress::new();
    let mut shown: Vec<Option<ProgressBar>> = sources.iter().map(|_| None).collect();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(EVERY) => {}
        }
        for ((source, tells), bar) in sources.iter().zip(&mut shown) {
            let told = tells.condition();
            match waiting(&told) {
                Some(waiting) if bar.is_some() || waiting >= WAITING_MIN => {
                    let bar = bar.get_or_insert_with(|| bars.add(new_bar(source)));
                    let read = told.counts.get("read").copied().unwrap_or_default();
                    bar.set_length(read + waiting);
                    bar.set_position(read);
                    bar.set_message(words(&told));
                }
                _ => drop(bar.take().inspect(ProgressBar::finish_and_clear)),
            }
        }
    }
    shown.into_iter().flatten().for_each(|bar| bar.finish_and_clear());
}

/// Objects that wait; `None` where nothing does, or where a source counts in something else.
fn waiting(told: &Condition) -> Option<u64> {
    told.lag.filter(|lag| lag.unit == LagUnit::Objects && lag.amount > 0).map(|lag| lag.amount)
}

fn new_bar(source: &SourceId) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {pos} of {len} objects  {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(source.to_string());
    bar
}

/// What has been read, and how old the oldest is of what waits.
fn words(told: &Condition) -> String {
    let bytes = HumanBytes(told.counts.get("bytes").copied().unwrap_or_default());
    match told.lag.and_then(|lag| lag.seconds) {
        Some(seconds) => format!("{bytes}, {} behind", HumanDuration(Duration::from_secs(seconds))),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Lag;

    #[test]
    fn a_bar_is_for_objects_that_wait() {
        let told = |amount, unit| Condition { lag: Some(Lag { amount, unit, seconds: Some(7_200) }), ..Condition::default() };
        assert_eq!(waiting(&told(5, LagUnit::Objects)), Some(5));
        assert_eq!((waiting(&told(0, LagUnit::Objects)), waiting(&told(5, LagUnit::Bytes)), waiting(&Condition::default())), (None, None, None));
        assert_eq!(words(&told(5, LagUnit::Objects)), "0 B, 2 hours behind");
    }
}
