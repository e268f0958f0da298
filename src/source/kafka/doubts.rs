//! What must be looked into before reading can go on somewhere: ends of logs, positions that are in none, batches that can not be read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use tokio::time::Instant;

use super::context::{Context, Counts, list_of};
use super::look::{self, Found};
use super::places::{Begin, Place, Verdict};
use super::reader::Reader;
use super::trouble::Trouble;
use crate::model::{Notice, Noticed};

/// A log that ends before our position is another one if it still does so after this time; until then its leader may lag.
const BEYOND_FOR: Duration = Duration::from_secs(3);

/// Times that a batch is heard to be damaged before it is skipped.
const DAMAGE_TRIES_MAX: u32 = 5;

/// Damaged batches that are remembered at once. Past it the oldest offsets are forgotten, and heard of again if they still matter.
const DAMAGES_MAX: usize = 64;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is in doubt.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// A position is not in its log: nobody says which.
    is_out_of_range: bool,
    /// Since when logs end before our positions.
    beyond: BTreeMap<Place, Instant>,
    /// How often a batch at an offset was heard to be damaged: nobody says in which partition.
    damaged: BTreeMap<i64, u32>,
    looking: Option<Receiver<KafkaResult<Found>>>,
    looked: Option<Instant>,
}

impl Doubts {
    /// An error of the client that is about one partition; its text has the offset.
    pub(super) fn hear(&mut self, code: Option<RDKafkaErrorCode>, said: &str) {
        match code {
            Some(RDKafkaErrorCode::AutoOffsetReset) => self.is_out_of_range = true,
            Some(code) if look::is_damage(code) => {
                if let Some(offset) = offset_in(said) {
                    *self.damaged.entry(offset).or_default() += 1;
                }
                while self.damaged.len() > DAMAGES_MAX {
                    self.damaged.pop_first();
                }
            }
            _ => {}
        }
    }

    /// Takes out what was heard of damage in these offsets.
    fn take_damage(&mut self, from: i64, to: i64) -> bool {
        let count = self.damaged.len();
        self.damaged.retain(|offset, _| !(from..to).contains(offset));
        self.damaged.len() < count
    }
}

/// The offset that a text of the client names: `MessageSet at offset 7 ...`, `... of message at 7 of ...`.
fn offset_in(said: &str) -> Option<i64> {
    let mut words = said.split_whitespace().skip_while(|word| *word != "at").skip(1);
    let word = words.next()?;
    let word = if word == "offset" { words.next()? } else { word };
    word.parse().ok()
}

impl Reader {
    /// The next message stands further on: by design, unless a damaged batch was passed over by the client.
    pub(super) fn jumped(&mut self, place: &Place, from: i64, to: i64) {
        if self.doubts.take_damage(from, to) {
            self.skip(place, from, to, "a damaged batch");
        }
    }

    /// Says that offsets are lost, and goes on after them.
    fn skip(&mut self, place: &Place, from: i64, to: i64, why: &str) {
        let lost = u64::try_from(to - from).unwrap_or_default();
        let detail = format!("{place}: {why}: offsets {from} to {} are lost", to - 1);
        tracing::warn!(source = %self.shared.source, partition = %place, from, to, lost, why, "messages are lost");
        Counts::add(&self.shared.counts.gaps, 1);
        Counts::add(&self.shared.counts.lost, lost);
        self.shared.places().reach(place, to);
        let origin = self.origin(place);
        self.gather.say(place, origin, to, vec![Notice { what: Noticed::Gap, detail, lost }]);
    }

    /// The log is another one than before.
    fn renew(&mut self, place: &Place, at: i64, oldest: i64, end: i64) {
        let detail =
            format!("{place}: the log ends at {end}, before {at}, where reading stood: it is another one, or was cut; read from {oldest} on");
        tracing::warn!(source = %self.shared.source, partition = %place, at, oldest, end, "the log of a partition is another one");
        let before = self.shared.places().id(place);
        self.shared.places().renew(place);
        self.shared.places().reach(place, oldest);
        let origin = self.origin(place);
        self.gather.say(place, origin, oldest, vec![Notice { what: Noticed::Recreated, detail, lost: 0 }]);
        self.gather.forget(before);
    }

    /// Looks into what is in doubt. Whether partitions were assigned anew.
    pub(super) fn settle(&mut self, consumer: &BaseConsumer<Context>) -> bool {
        let Some(looking) = &self.doubts.looking else {
            self.look();
            return false;
        };
        let found = match looking.try_recv() {
            Ok(found) => found,
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => Ok(Found::NoDamage),
        };
        self.doubts.looking = None;
        self.doubts.looked = Some(Instant::now());
        let is_changed = match found {
            Ok(Found::Ends(ends)) => self.judge(&ends),
            Ok(Found::Damage { place, from, to }) => {
                self.doubts.damaged.clear();
                let stands = self.shared.places().next(&place).unwrap_or(from);
                let is_there = stands <= from && self.shared.places().assigned().contains(&place);
                if is_there {
                    Counts::add(&self.shared.counts.skipped_batches, 1);
                    self.skip(&place, stands, to, "a batch that can not be read");
                    self.shared.troubles().end(Trouble::Damaged);
                }
                is_there
            }
            Ok(Found::NoDamage) => {
                self.doubts.damaged.clear();
                false
            }
            Err(error) => {
                self.shared.trouble(Trouble::Other, &error.to_string());
                false
            }
        };
        if is_changed {
            let begins = self.shared.places().begins();
            if let Err(error) = consumer.assign(&list_of(&begins)) {
                self.shared.trouble(Trouble::Other, &error.to_string());
            }
        }
        is_changed
    }

    /// Begins a look, if there is a doubt and it is time.
    fn look(&mut self) {
        if self.doubts.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        let begins = self.shared.places().begins();
        let settings = Arc::clone(&self.settings);
        // Damage first: where a checksum is wrong the client goes astray, and is out of range time and again.
        let tried = self.doubts.damaged.iter().find(|(_, tries)| **tries >= DAMAGE_TRIES_MAX).map(|(at, _)| *at);
        if let Some(at) = tried {
            let ends = self.shared.ends().clone();
            let stand = |(place, begin): &(Place, Begin)| match begin {
                Begin::At(next) => Some((place.clone(), *next)),
                _ => Some((place.clone(), ends.get(place)?.oldest?)),
            };
            let suspects: Vec<(Place, i64)> = begins.iter().filter_map(stand).filter(|(_, next)| *next <= at).collect();
            self.start(move || look::damage(&settings, &suspects));
            return;
        }
        let is_asked = |begin: &Begin| self.doubts.is_out_of_range || *begin == Begin::Ask;
        let asked: Vec<Place> = begins.iter().filter(|(_, begin)| is_asked(begin)).map(|(place, _)| place.clone()).collect();
        if !asked.is_empty() {
            self.start(move || look::ends(&settings, &asked));
        }
    }

    fn start(&mut self, look: impl FnOnce() -> KafkaResult<Found> + Send + 'static) {
        let (to, found) = sync_channel(1);
        let started = std::thread::Builder::new().name("kafka-look".to_owned()).spawn(move || drop(to.send(look())));
        match started {
            Ok(_) => self.doubts.looking = Some(found),
            Err(error) => tracing::warn!(source = %self.shared.source, %error, "cannot start a thread to look at logs"),
        }
    }

    /// What the ends of logs say. Whether a partition is to begin elsewhere.
    fn judge(&mut self, ends: &[(Place, i64, i64)]) -> bool {
        let was_out_of_range = std::mem::take(&mut self.doubts.is_out_of_range);
        let begins: BTreeMap<Place, Begin> = self.shared.places().begins().into_iter().collect();
        let mut is_changed = was_out_of_range;
        for (place, oldest, end) in ends {
            let Some(begin) = begins.get(place) else { continue };
            let verdict = self.shared.places().judge(place, *oldest, *end);
            if !matches!(verdict, Verdict::Beyond { .. }) {
                self.doubts.beyond.remove(place);
            }
            match verdict {
                _ if *begin == Begin::Ask => {
                    self.shared.places().reach(place, *end);
                    let origin = self.origin(place);
                    self.gather.say(place, origin, *end, Vec::new());
                    is_changed = true;
                }
                Verdict::Within => {}
                Verdict::Lost { from, to } => {
                    self.skip(place, from, to, "the log was cut before it was read");
                    is_changed = true;
                }
                Verdict::Beyond { at, end } => {
                    let since = *self.doubts.beyond.entry(place.clone()).or_insert_with(Instant::now);
                    if since.elapsed() >= BEYOND_FOR {
                        self.doubts.beyond.remove(place);
                        self.renew(place, at, *oldest, end);
                        is_changed = true;
                    }
                }
            }
        }
        // Who could not be asked, or is not sure yet, is asked again.
        self.doubts.is_out_of_range = was_out_of_range && (ends.len() < begins.len() || !self.doubts.beyond.is_empty());
        is_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_names_offsets_in_words() {
        let table = [
            ("MessageSet at offset 123 (45 bytes) failed CRC32C check", Some(123)),
            ("Decompression (codec 0x4) of message at 77 of 456 bytes failed: Local: Invalid compressed data", Some(77)),
            ("Message at offset 9 might be too large to fetch, try increasing receive.message.max.bytes", Some(9)),
            ("no offset here", None),
        ];
        for (said, expected) in table {
            assert_eq!(offset_in(said), expected, "{said}");
        }
    }

    #[test]
    fn damage_that_was_passed_over_is_found_by_its_offset() {
        let mut doubts = Doubts::default();
        doubts.hear(Some(RDKafkaErrorCode::BadMessage), "MessageSet at offset 12 (4 bytes) failed CRC32C check");
        doubts.hear(Some(RDKafkaErrorCode::UnknownPartition), "at offset 13");
        assert!(!doubts.take_damage(0, 12) && !doubts.take_damage(13, 99) && doubts.take_damage(5, 13) && !doubts.take_damage(5, 13));
    }
}
