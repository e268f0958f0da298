//! What must be looked into before reading can go on somewhere: ends of logs, positions that are in none, batches that can not be read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use tokio::time::Instant;

use super::context::{Context, Counts, list_of};
use super::look::{self, Found, Looks};
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

/// Offsets of damage are believed so far after a position of ours. Where a checksum is wrong the client takes any bytes for the head of the next
/// batch, and tells what it finds there: numbers of 64 bits, as chance has it.
const DAMAGE_AHEAD_MAX: i64 = 1 << 40;

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
    looks: Looks,
}

impl Doubts {
    /// An error of the client that is about one partition; its text has the offset. Those that can not be, by where reading stands, are no word of damage.
    pub(super) fn hear(&mut self, code: Option<RDKafkaErrorCode>, said: &str, stands: &[i64]) {
        match code {
            Some(RDKafkaErrorCode::AutoOffsetReset) => self.is_out_of_range = true,
            Some(code) if look::is_damage(code) => {
                let can_be = |at: i64| stands.iter().any(|next| at >= 0 && holds_up(*next, at) && at - next <= DAMAGE_AHEAD_MAX);
                if let Some(offset) = offset_in(said).filter(|at| can_be(*at)) {
                    *self.damaged.entry(offset).or_default() += 1;
                }
                while self.damaged.len() > DAMAGES_MAX {
                    self.damaged.pop_first();
                }
            }
            _ => {}
        }
    }

    /// Damage is to be heard anew before it is looked at again. It is still known, should the client pass over it.
    fn calm(&mut self) {
        self.damaged.values_mut().for_each(|tries| *tries = 0);
    }

    /// Takes out what was heard of damage in these offsets.
    fn take_damage(&mut self, from: i64, to: i64) -> bool {
        let count = self.damaged.len();
        self.damaged.retain(|offset, _| !(from..to).contains(offset));
        self.damaged.len() < count
    }
}

/// Whether a batch that begins at an offset can be in the way of a position: it is ahead, or the position is within it.
fn holds_up(next: i64, at: i64) -> bool {
    at >= next - look::BATCH_OFFSETS_MAX
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
        if !self.doubts.looks.is_under_way() {
            self.look();
            return false;
        }
        let Some(found) = self.doubts.looks.end() else { return false };
        let is_changed = match found {
            Ok(Found::Ends(ends)) => self.judge(&ends),
            Ok(Found::Damage { place, from, to }) => {
                let stands = self.shared.places().next(&place).unwrap_or(from);
                self.doubts.take_damage(from - look::BATCH_OFFSETS_MAX, to);
                self.doubts.calm();
                let is_there = stands <= from && self.shared.places().assigned().contains(&place);
                if is_there {
                    Counts::add(&self.shared.counts.skipped_batches, 1);
                    self.skip(&place, stands, to, "a batch that can not be read");
                    self.shared.troubles().end(Trouble::Damaged);
                }
                is_there
            }
            Ok(Found::NoDamage) => {
                self.doubts.calm();
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
        if self.doubts.looks.rested().is_some_and(|rested| rested < LOOK_EVERY) {
            return;
        }
        let begins = self.shared.places().begins();
        // Damage first: where a checksum is wrong the client goes astray, and is out of range time and again.
        let tried = self.doubts.damaged.iter().find(|(_, tries)| **tries >= DAMAGE_TRIES_MAX).map(|(at, _)| *at);
        if let Some(at) = tried {
            let ends = self.shared.ends().clone();
            let stand = |(place, begin): &(Place, Begin)| match begin {
                Begin::At(next) => Some((place.clone(), *next)),
                _ => Some((place.clone(), ends.get(place)?.oldest?)),
            };
            let mut suspects: Vec<(Place, i64)> = begins.iter().filter_map(stand).filter(|(_, next)| holds_up(*next, at)).collect();
            suspects.sort_by_key(|(_, next)| next.abs_diff(at));
            self.start(move |consumer| look::damage(consumer, &suspects));
            return;
        }
        let is_asked = |begin: &Begin| self.doubts.is_out_of_range || *begin == Begin::Ask;
        let asked: Vec<Place> = begins.iter().filter(|(_, begin)| is_asked(begin)).map(|(place, _)| place.clone()).collect();
        if !asked.is_empty() {
            self.start(move |consumer| look::ends(consumer, &asked));
        }
    }

    fn start(&mut self, look: impl FnOnce(&BaseConsumer) -> KafkaResult<Found> + Send + 'static) {
        if let Err(error) = self.doubts.looks.start(Arc::clone(&self.settings), look) {
            self.shared.trouble(Trouble::Other, &format!("cannot look at the logs: {error}"));
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

    fn bad(doubts: &mut Doubts, offset: i64, stands: &[i64]) {
        doubts.hear(Some(RDKafkaErrorCode::BadMessage), &format!("MessageSet at offset {offset} (4 bytes) failed CRC32C check"), stands);
    }

    #[test]
    fn damage_that_was_passed_over_is_found_by_its_offset() {
        let mut doubts = Doubts::default();
        bad(&mut doubts, 12, &[0]);
        doubts.hear(Some(RDKafkaErrorCode::UnknownPartition), "at offset 13", &[0]);
        doubts.calm();
        assert!(!doubts.take_damage(0, 12) && !doubts.take_damage(13, 99) && doubts.take_damage(5, 13) && !doubts.take_damage(5, 13));
    }

    #[test]
    fn what_the_client_reads_into_a_damaged_batch_is_no_offset() {
        // Each with where reading stands: of the bytes after a wrong checksum any number can be made.
        for (offset, stands, is_believed) in [
            (100, vec![100], true),
            (100, vec![150], true),
            (100, vec![7, 99_000_000_000], true),
            (-7, vec![100, 30_000_000], false),
            (i64::MIN, vec![100], false),
            (i64::MAX, vec![0], false),
            (i64::MAX, vec![], false),
            (100, vec![99_000_000_000], false),
            (1 << 41, vec![5], false),
        ] {
            let mut doubts = Doubts::default();
            bad(&mut doubts, offset, &stands);
            assert_eq!(doubts.damaged.contains_key(&offset), is_believed, "{offset} {stands:?}");
        }
    }
}
