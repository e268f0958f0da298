//! Looks at logs beside the reader, on a thread of its own: where they begin and end, and where a damaged batch ends.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::KafkaSettings;
use super::client;
use super::places::Place;

/// How long one question to a broker may take.
const ASK: Duration = Duration::from_secs(5);

/// How long to wait for the first message, or the error, at an offset.
const WAIT: Duration = Duration::from_secs(10);

/// How long one look may take, besides the question that is being asked when this is over.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// A look that has not answered after so long never will.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(90);

/// Clients of looks at once. One that has answered may still wait for a broker to let it go, and has been seen to do so for long.
const CLIENTS_MAX: usize = 8;

/// Offsets that a batch is taken to span at most. Past it, it is not skipped.
pub(super) const BATCH_OFFSETS_MAX: i64 = 1 << 24;

/// What there is at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// A message that can be read, there or after it.
    Good,
    /// A batch that can not be read.
    Bad,
    /// Nothing more, for now.
    End,
    /// Nothing was heard.
    Nothing,
}

/// What was asked, and what was found out.
#[derive(Debug)]
pub(super) enum Found {
    /// The oldest offset and the end of each, as far as they were told.
    Ends(Vec<(Place, i64, i64)>),
    /// A batch that begins or stands at the first offset can not be read; what can, begins at the second.
    Damage { place: Place, from: i64, to: i64 },
    /// No batch that can not be read was found.
    NoDamage,
}

/// Looks, one at a time.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// What the one that is under way says, and since when.
    under_way: Option<(Receiver<KafkaResult<Found>>, Instant)>,
    /// Held by every client that is not gone yet.
    clients: Arc<()>,
    ended: Option<Instant>,
}

impl Looks {
    /// How long ago the last one ended.
    pub(super) fn rested(&self) -> Option<Duration> {
        self.ended.map(|ended| ended.elapsed())
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Begins one, on a thread and with a client of its own. It answers before its client is let go, which can take long.
    ///
    /// # Errors
    /// When there is no thread to be had, or too many clients are still there.
    pub(super) fn start(
        &mut self,
        settings: Arc<KafkaSettings>,
        look: impl FnOnce(&BaseConsumer) -> KafkaResult<Found> + Send + 'static,
    ) -> std::io::Result<()> {
        if Arc::strong_count(&self.clients) > CLIENTS_MAX {
            return Err(std::io::Error::other(format!("{CLIENTS_MAX} earlier ones have not ended")));
        }
        let (to, found) = sync_channel(1);
        let client = Arc::clone(&self.clients);
        let run = move || {
            match client::looker(&settings).create::<BaseConsumer>() {
                Ok(consumer) => drop(to.send(look(&consumer))),
                Err(error) => drop(to.send(Err(error))),
            }
            drop(client);
        };
        std::thread::Builder::new().name("kafka-look".to_owned()).spawn(run)?;
        self.under_way = Some((found, Instant::now()));
        Ok(())
    }

    /// What was found out, if one has ended. One that does not end is given up, and has found nothing.
    pub(super) fn end(&mut self) -> Option<KafkaResult<Found>> {
        let (looking, since) = self.under_way.as_ref()?;
        let found = match looking.try_recv() {
            Ok(found) => found,
            Err(TryRecvError::Empty) if since.elapsed() < GIVEN_UP_AFTER => return None,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(Found::NoDamage),
        };
        self.under_way = None;
        self.ended = Some(Instant::now());
        Some(found)
    }
}

/// Asks where logs begin and end.
pub(super) fn ends(consumer: &BaseConsumer, places: &[Place]) -> KafkaResult<Found> {
    let until = Instant::now() + LOOK_MAX;
    let ask = |place: &Place| {
        let (oldest, end) = consumer.fetch_watermarks(&place.topic, place.number, ASK).ok()?;
        Some((place.clone(), oldest, end))
    };
    Ok(Found::Ends(places.iter().take_while(|_| Instant::now() < until).filter_map(ask).collect()))
}

/// Finds the partition that is held up by a batch that can not be read, among those that stand at or before the offset that was told.
pub(super) fn damage(consumer: &BaseConsumer, suspects: &[(Place, i64)]) -> KafkaResult<Found> {
    let until = Instant::now() + LOOK_MAX;
    let see = |place: &Place, offset| if Instant::now() < until { see(consumer, place, offset) } else { Ok(Seen::Nothing) };
    for (place, from) in suspects {
        if see(place, *from)? != Seen::Bad {
            continue;
        }
        if let Some(to) = after(|offset| see(place, offset), *from)? {
            return Ok(Found::Damage { place: place.clone(), from: *from, to });
        }
    }
    Ok(Found::NoDamage)
}

/// The first offset after the damaged batch at `bad`: steps that double find one after it, halves find the first. `None` while nothing that can be
/// read stands after it: a service whose checksums are never right has no log that can be skipped.
fn after(mut see: impl FnMut(i64) -> KafkaResult<Seen>, bad: i64) -> KafkaResult<Option<i64>> {
    let (mut bad, mut step) = (bad, 1);
    let (mut past, mut is_good) = loop {
        if step > BATCH_OFFSETS_MAX {
            return Ok(None);
        }
        match see(bad + step)? {
            Seen::Good => break (bad + step, true),
            Seen::End => break (bad + step, false),
            Seen::Bad => bad += step,
            Seen::Nothing => return Ok(None),
        }
        step *= 2;
    };
    while past - bad > 1 {
        let middle = bad + (past - bad) / 2;
        match see(middle)? {
            Seen::Good => (past, is_good) = (middle, true),
            Seen::End => past = middle,
            Seen::Bad => bad = middle,
            Seen::Nothing => return Ok(None),
        }
    }
    Ok(is_good.then_some(past))
}

/// What there is at an offset of a partition.
fn see(consumer: &BaseConsumer, place: &Place, offset: i64) -> KafkaResult<Seen> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&place.topic, place.number, Offset::Offset(offset))?;
    consumer.assign(&list)?;
    let until = Instant::now() + WAIT;
    let seen = loop {
        if Instant::now() >= until {
            break Seen::Nothing;
        }
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) if message.offset() >= offset => break Seen::Good,
            Some(Ok(_)) => {}
            Some(Err(KafkaError::PartitionEOF(_))) => break Seen::End,
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(code) if is_damage(code) => break Seen::Bad,
                // After the end of the log.
                Some(RDKafkaErrorCode::AutoOffsetReset) => break Seen::End,
                _ => {}
            },
        }
    };
    consumer.unassign()?;
    Ok(seen)
}

/// Whether a batch can not be read, however often it is tried.
pub(super) fn is_damage(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::BadMessage | Code::BadCompression | Code::MessageSizeTooLarge | Code::NotImplemented | Code::InvalidMessage)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a batch over these offsets is found to end in a log of this length, and by how many looks at most.
    fn check(first: i64, end: i64, log: i64, is_found: bool, looks_max: u32) {
        let mut looks = 0;
        let see = |offset: i64| {
            looks += 1;
            Ok(if (first..end).contains(&offset) {
                Seen::Bad
            } else if offset < log {
                Seen::Good
            } else {
                Seen::End
            })
        };
        assert_eq!(after(see, first), Ok(is_found.then_some(end)), "{first}..{end} of {log}");
        assert!(looks <= looks_max, "{looks} looks at {first}..{end}");
    }

    #[test]
    fn the_end_of_a_damaged_batch_is_found_by_few_looks() {
        check(0, 1, 9, true, 1);
        check(7, 9, 99, true, 4);
        check(100, 1_100, 1_101, true, 20);
        check(5, 100_005, 200_000, true, 40);
        check(100, 200, 200, false, 20);
        check(0, 7, 8, true, 9);
        assert_eq!(after(|_| Ok(Seen::Bad), 0), Ok(None));
        assert_eq!(after(|_| Ok(Seen::Nothing), 0), Ok(None));
    }

    #[test]
    fn an_answer_does_not_wait_for_its_client_to_be_let_go_and_clients_are_bounded() {
        let settings = Arc::new(KafkaSettings::new("s".into(), &["127.0.0.1:1".to_owned()], &["t".to_owned()]));
        let mut looks = Looks::default();
        let start = |looks: &mut Looks, hold: Receiver<()>| {
            looks.start(Arc::clone(&settings), move |_| {
                let _ = hold.recv();
                Ok(Found::NoDamage)
            })
        };
        let end = |looks: &mut Looks| {
            while looks.end().is_none() {
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let (mut holders, patience) = (Vec::new(), Instant::now() + Duration::from_secs(60));
        for _ in 0..CLIENTS_MAX {
            let (holder, hold) = sync_channel(1);
            holders.push(holder);
            start(&mut looks, hold).unwrap();
            assert!(looks.end().is_none() && looks.is_under_way());
            // As if it had been given up.
            looks.under_way = None;
        }
        assert!(start(&mut looks, sync_channel(1).1).unwrap_err().to_string().contains("earlier ones"));
        holders.clear();
        while start(&mut looks, sync_channel(1).1).is_err() {
            assert!(Instant::now() < patience, "clients are let go");
            std::thread::sleep(Duration::from_millis(20));
        }
        end(&mut looks);
        assert!(!looks.is_under_way() && looks.rested().is_some());
    }
}
