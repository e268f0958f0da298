//! Where reading of each partition stands, and where it begins. Pure: what brokers say comes in as numbers.
//!
//! The store's checkpoint decides, and in a running process what was handed to the flow already. What the group committed on the broker is never asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::model::{Checkpoint, PartitionId, Position, SourceId};

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) topic: Arc<str>,
    pub(super) number: i32,
}

impl Place {
    pub(super) fn new(topic: &str, number: i32) -> Self {
        Self { topic: Arc::from(topic), number }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

/// Where a partition begins that was never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With the oldest message there is.
    #[default]
    Earliest,
    /// With the first message after the source has come to know the partition.
    Latest,
}

/// Where reading of a partition is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// At this offset.
    At(i64),
    /// At the oldest message.
    Oldest,
    /// At the end of the log, which is to be asked for and made durable first.
    Ask,
}

/// What the ends of a log say of our position in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in the log, or nothing was read yet.
    Within,
    /// The log begins after it: what was between is lost.
    Lost { from: i64, to: i64 },
    /// The log ends before it: it is another log, or was cut.
    Beyond { at: i64, end: i64 },
}

/// What is known of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Spot {
    /// How often the log was found to be another one. Its positions begin anew, so it has another name in the checkpoint.
    life: u32,
    /// The next offset.
    next: Option<i64>,
}

/// All partitions that the source has come to know.
#[derive(Debug)]
pub(super) struct Places {
    source: SourceId,
    start: Start,
    spots: BTreeMap<Place, Spot>,
    /// Those that the group has given to this process.
    assigned: BTreeSet<Place>,
}

impl Places {
    /// What the checkpoint says of a source.
    pub(super) fn new(source: SourceId, start: Start, checkpoint: &Checkpoint) -> Self {
        let mut spots: BTreeMap<Place, Spot> = BTreeMap::new();
        for (partition, position) in &checkpoint.0 {
            let Some((place, life)) = parse(&source, partition) else { continue };
            let spot = spots.entry(place).or_default();
            if life >= spot.life {
                *spot = Spot { life, next: i64::try_from(position.0).ok() };
            }
        }
        Self { source, start, spots, assigned: BTreeSet::new() }
    }

    /// As the checkpoint names it.
    pub(super) fn id(&self, place: &Place) -> PartitionId {
        let head = format!("kafka/{}/{place}", self.source);
        let life = self.spots.get(place).map_or(0, |spot| spot.life);
        PartitionId(if life == 0 { head } else { format!("{head}~{life}") }.into())
    }

    /// These are ours now, besides those that were. Says where each begins.
    pub(super) fn assign(&mut self, places: impl IntoIterator<Item = Place>) -> Vec<(Place, Begin)> {
        self.assigned.extend(places);
        self.begins()
    }

    /// These are no longer ours. What was taken of them stays where it is: in the flow.
    pub(super) fn revoke(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            self.assigned.remove(&place);
        }
    }

    /// Where every partition of ours begins, or goes on.
    pub(super) fn begins(&self) -> Vec<(Place, Begin)> {
        self.assigned.iter().map(|place| (place.clone(), self.begin(place))).collect()
    }

    fn begin(&self, place: &Place) -> Begin {
        match (self.next(place), self.start) {
            (Some(next), _) => Begin::At(next),
            (None, Start::Earliest) => Begin::Oldest,
            // A log that took the place of one that was read has nothing in it that is older than the wish to begin late.
            (None, Start::Latest) if self.spots.get(place).is_some_and(|spot| spot.life > 0) => Begin::Oldest,
            (None, Start::Latest) => Begin::Ask,
        }
    }

    pub(super) fn assigned(&self) -> &BTreeSet<Place> {
        &self.assigned
    }

    /// The next offset that is not handed over yet; `None` while nothing of the partition was read.
    pub(super) fn next(&self, place: &Place) -> Option<i64> {
        self.spots.get(place).and_then(|spot| spot.next)
    }

    /// Where reading of our partitions stands, 0 where nothing was read.
    pub(super) fn stands(&self) -> Vec<i64> {
        self.assigned.iter().map(|place| self.next(place).unwrap_or_default()).collect()
    }

    /// Everything below is handed over, or is known not to be there.
    pub(super) fn reach(&mut self, place: &Place, next: i64) {
        self.spots.entry(place.clone()).or_default().next = Some(next);
    }

    /// The log is another one now: it is read from its beginning, under a name of its own.
    pub(super) fn renew(&mut self, place: &Place) {
        let spot = self.spots.entry(place.clone()).or_default();
        *spot = Spot { life: spot.life + 1, next: None };
    }

    /// What the ends of the log say: the oldest offset, and the one after the newest.
    pub(super) fn judge(&self, place: &Place, oldest: i64, end: i64) -> Verdict {
        match self.next(place) {
            Some(next) if next < oldest => Verdict::Lost { from: next, to: oldest },
            Some(next) if next > end => Verdict::Beyond { at: next, end },
            _ => Verdict::Within,
        }
    }

    /// The part of a checkpoint that is ours to commit: partitions that we hold, in their present life, by place.
    pub(super) fn committable(&self, checkpoint: &Checkpoint) -> Vec<(Place, i64)> {
        let of = |place: &Place| {
            let Position(next) = checkpoint.0.get(&self.id(place)).copied()?;
            Some((place.clone(), i64::try_from(next).ok()?))
        };
        self.assigned.iter().filter_map(of).collect()
    }
}

/// The place and life that a name in the checkpoint stands for, if it is one of this source.
fn parse(source: &SourceId, partition: &PartitionId) -> Option<(Place, u32)> {
    let rest = partition.0.strip_prefix("kafka/")?.strip_prefix(source.0.as_ref())?.strip_prefix('/')?;
    let (topic, number) = rest.rsplit_once('/')?;
    let (number, life) = number.split_once('~').unwrap_or((number, "0"));
    Some((Place::new(topic, number.parse().ok()?), life.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(start: Start, known: &[(&str, u64)]) -> Places {
        let known = known.iter().map(|(name, at)| (PartitionId::from(*name), Position(*at))).collect();
        Places::new("s".into(), start, &Checkpoint(known))
    }

    /// Where partition `t/0` begins, by what the checkpoint knows.
    fn check(start: Start, known: &[(&str, u64)], expected: Begin) {
        let mut places = places(start, known);
        assert_eq!(places.assign([Place::new("t", 0)]), [(Place::new("t", 0), expected)], "{known:?}");
    }

    #[test]
    fn the_checkpoint_decides_where_reading_begins() {
        check(Start::Earliest, &[], Begin::Oldest);
        check(Start::Latest, &[], Begin::Ask);
        check(Start::Latest, &[("kafka/s/t/0", 0)], Begin::At(0));
        check(Start::Earliest, &[("kafka/s/t/0", 7), ("kafka/s/t/1", 9), ("kafka/z/t/0", 3), ("s3/s", 5)], Begin::At(7));
        check(Start::Earliest, &[("kafka/s/t/0", 70), ("kafka/s/t/0~1", 4)], Begin::At(4));
        check(Start::Earliest, &[("kafka/s/t/0~x", 70), ("kafka/s/t/no", 4), ("kafka/s", 1)], Begin::Oldest);
    }

    #[test]
    fn what_was_handed_over_is_not_read_again_after_it_came_back() {
        let (mut places, place) = (places(Start::Earliest, &[("kafka/s/t/0", 7)]), Place::new("t", 0));
        places.assign([place.clone()]);
        places.reach(&place, 12);
        places.revoke([place.clone()]);
        assert!(places.begins().is_empty());
        assert_eq!(places.assign([place.clone()]), [(place, Begin::At(12))]);
    }

    #[test]
    fn the_ends_of_the_log_tell_loss_and_another_log() {
        let (mut places, place) = (places(Start::Latest, &[("kafka/s/t/0", 7)]), Place::new("t", 0));
        places.assign([place.clone()]);
        assert_eq!(places.judge(&place, 0, 7), Verdict::Within);
        assert_eq!(places.judge(&place, 9, 20), Verdict::Lost { from: 7, to: 9 });
        assert_eq!(places.judge(&place, 0, 6), Verdict::Beyond { at: 7, end: 6 });
        places.renew(&place);
        assert_eq!((places.id(&place).0.as_ref(), places.begins()), ("kafka/s/t/0~1", vec![(place.clone(), Begin::Oldest)]));
        assert_eq!(places.judge(&place, 5, 6), Verdict::Within);
        let durable = |name: &str| Checkpoint([(PartitionId::from(name), Position(3))].into());
        assert_eq!(places.committable(&durable("kafka/s/t/0")), []);
        assert_eq!(places.committable(&durable("kafka/s/t/0~1")), [(place, 3)]);
    }
}
