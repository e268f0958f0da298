use super::*;

fn source() -> SourceId {
    SourceId::from("s")
}

/// So many new events and duplicates of one source.
fn take(ledger: &Ledger, events: u64, duplicates: u64) {
    ledger.receive(&source(), 10 * (events + duplicates), events + duplicates);
    ledger.end(&source(), Outcome::Event(Kind::Falco), events);
    ledger.end(&source(), Outcome::Duplicate, duplicates);
}

/// Events by minute number of a page.
fn minutes(page: &LedgerPage) -> Vec<(i64, u64)> {
    page.minutes.iter().map(|row| (row.minute / 60, row.tally.events)).collect()
}

#[test]
fn counts_stand_in_the_minute_in_which_they_became_durable_and_nowhere_twice() {
    let ledger = Ledger::default();
    take(&ledger, 3, 1);
    let page = ledger.page(Timestamp::from_seconds(59));
    assert_eq!((minutes(&page), page.closed().len()), (vec![(0, 3)], 0));
    take(&ledger, 2, 0);
    let page = ledger.page(Timestamp::from_seconds(60));
    assert_eq!((minutes(&page), page.closed().len()), (vec![(0, 3), (1, 2)], 1));
    ledger.kept(&page.closed());
    take(&ledger, 5, 0);
    // A clock that goes back moves nothing to a minute that is closed.
    let page = ledger.page(Timestamp::from_seconds(1));
    assert_eq!(minutes(&page), [(1, 7)]);
    assert!(page.minutes.iter().all(|row| row.tally.remainder() == 0));
    let totals = page.totals.get(&source()).cloned().unwrap_or_default();
    assert_eq!((totals.tally.events, totals.tally.duplicates, totals.tally.bytes, totals.remainder()), (10, 1, 110, 0));
    assert_eq!(ledger.total(), totals);
}

#[test]
fn a_crash_takes_back_what_no_checkpoint_carries_and_no_refusal() {
    let ledger = Ledger::default();
    take(&ledger, 3, 0);
    ledger.refuse(&source(), 2);
    let page = ledger.page(Timestamp::from_seconds(0));
    take(&ledger, 4, 0);
    ledger.refuse(&source(), 5);
    // This page never became durable.
    ledger.page(Timestamp::from_seconds(70));
    ledger.resume(page.clone());
    let total = ledger.total();
    assert_eq!((total.tally.events, total.tally.refused, total.tally.records, total.remainder()), (3, 7, 10, 0));
    // They come again.
    take(&ledger, 4, 0);
    let after = ledger.page(Timestamp::from_seconds(80));
    assert_eq!(minutes(&after), [(0, 3), (1, 4)]);
    assert_eq!(after.minutes.iter().map(|row| row.tally.refused).collect::<Vec<_>>(), [2, 5]);
    // Another process goes on from the page as it is written.
    let text = serde_json::to_string(&page).unwrap();
    let other = Ledger::default();
    other.resume(serde_json::from_str(&text).unwrap());
    take(&other, 1, 0);
    assert_eq!((other.total().tally.events, minutes(&other.page(Timestamp::from_seconds(5)))), (4, vec![(0, 4)]));
}

#[test]
fn minutes_that_find_no_table_are_bounded() {
    let ledger = Ledger::default();
    for minute in 0..(OPEN_MAX as i64 + 100) {
        take(&ledger, 1, 0);
        ledger.page(Timestamp::from_seconds(minute * 60));
    }
    let open = ledger.open_minutes();
    assert_eq!((open.len(), open.iter().map(|row| row.tally.events).sum::<u64>()), (OPEN_MAX, OPEN_MAX as u64 + 100));
}
