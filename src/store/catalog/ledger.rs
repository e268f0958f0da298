//! The minutes of the ledger: a row for each source and minute in which something became durable.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::model::{MinuteRow, SourceId, Tally, Timestamp};
use crate::ports::{LedgerStore, StoreError};

use super::{Catalog, engine, from_sql, to_sql};

/// Days after which minutes are summed up in one row a source: the sums stay exact, the table stays small.
const DAYS_MAX: i64 = 400;

/// The row that older minutes are summed up in.
const SUMMED_UP: i64 = -1;

const DAY_S: i64 = 86_400;

/// Rows read at one time.
const PAGE_ROWS: i64 = 10_000;

/// Which minutes to list, the newest first; what is `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MinutesAsked {
    pub source: Option<SourceId>,
    /// Minutes that begin at or after, and before.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Only what comes after this row in the list.
    pub after: Option<(i64, SourceId)>,
    pub limit: usize,
}

impl MinutesAsked {
    /// Whether a row belongs to the answer.
    pub fn takes(&self, row: &MinuteRow) -> bool {
        let begins = Timestamp::from_seconds(row.minute);
        self.source.as_ref().is_none_or(|source| *source == row.source)
            && self.from.is_none_or(|from| begins >= from)
            && self.to.is_none_or(|to| begins < to)
            && self.after.as_ref().is_none_or(|(minute, source)| row.minute < *minute || row.minute == *minute && row.source > *source)
    }
}

type SqlRow = (i64, String, i64, i64, i64, i64, i64, i64, i64, i64);

fn read(row: SqlRow) -> MinuteRow {
    let (minute, source, bytes, records, events, duplicates, rejects, dropped, refused, upstream_lost) = row;
    let tally = Tally {
        bytes: from_sql(bytes),
        records: from_sql(records),
        events: from_sql(events),
        duplicates: from_sql(duplicates),
        rejects: from_sql(rejects),
        dropped: from_sql(dropped),
        refused: from_sql(refused),
        upstream_lost: from_sql(upstream_lost),
    };
    MinuteRow { minute, source: SourceId::from(source.as_str()), tally }
}

const COLUMNS: &str = "minute, source, bytes, records, events, duplicates, rejects, dropped, refused, upstream_lost";

impl Catalog {
    /// Minutes that are in the table, the newest first.
    pub async fn minutes(&self, asked: &MinutesAsked) -> Result<Vec<MinuteRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM ledger WHERE minute >= 0"));
        if let Some(source) = &asked.source {
            query.push(" AND source = ").push_bind(source.0.as_ref());
        }
        if let Some(from) = asked.from {
            query.push(" AND minute >= ").push_bind(from.nanos().div_euclid(1_000_000_000));
        }
        if let Some(to) = asked.to {
            query.push(" AND minute < ").push_bind(to.nanos().div_euclid(1_000_000_000));
        }
        if let Some((minute, source)) = &asked.after {
            query.push(" AND (minute < ").push_bind(*minute);
            query.push(" OR minute = ").push_bind(*minute).push(" AND source > ").push_bind(source.0.as_ref()).push(")");
        }
        query.push(" ORDER BY minute DESC, source LIMIT ").push_bind(i64::try_from(asked.limit).unwrap_or(i64::MAX));
        let rows: Vec<SqlRow> = query.build_query_as().fetch_all(&self.reader).await.map_err(|cause| engine("read the ledger", cause))?;
        Ok(rows.into_iter().map(read).collect())
    }

    /// Every row, one at a time, those that were summed up first.
    pub async fn each_minute(&self, mut each: impl FnMut(MinuteRow)) -> Result<(), StoreError> {
        let mut after = (i64::MIN, String::new());
        loop {
            let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM ledger WHERE minute > "));
            query.push_bind(after.0).push(" OR minute = ").push_bind(after.0).push(" AND source > ").push_bind(after.1.clone());
            query.push(" ORDER BY minute, source LIMIT ").push_bind(PAGE_ROWS);
            let page: Vec<SqlRow> = query.build_query_as().fetch_all(&self.reader).await.map_err(|cause| engine("read the ledger", cause))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = (last.0, last.1.clone());
            page.into_iter().map(read).for_each(&mut each);
        }
    }

    /// Sums up what is older than the table reaches.
    async fn sum_up(&self, minute: i64, in_it: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM ledger WHERE minute < "));
        let old: Vec<SqlRow> = query.push_bind(minute - DAYS_MAX * DAY_S).build_query_as().fetch_all(&mut *in_it).await?;
        if old.iter().all(|row| row.0 == SUMMED_UP) {
            return Ok(());
        }
        let mut sums: BTreeMap<SourceId, Tally> = BTreeMap::new();
        for row in old.into_iter().map(read) {
            let sum = sums.entry(row.source).or_default();
            *sum = sum.plus(&row.tally);
        }
        sqlx::query("DELETE FROM ledger WHERE minute < $1").bind(minute - DAYS_MAX * DAY_S).execute(&mut *in_it).await?;
        for (source, tally) in sums {
            put(&MinuteRow { minute: SUMMED_UP, source, tally }, in_it).await?;
        }
        Ok(())
    }
}

async fn put(row: &MinuteRow, in_it: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let Tally { bytes, records, events, duplicates, rejects, dropped, refused, upstream_lost } = row.tally;
    let mut query = QueryBuilder::<Sqlite>::new(format!("INSERT INTO ledger ({COLUMNS}) VALUES ("));
    query.push_bind(row.minute).push(", ").push_bind(row.source.0.as_ref());
    for number in [bytes, records, events, duplicates, rejects, dropped, refused, upstream_lost] {
        query.push(", ").push_bind(to_sql(number));
    }
    query.push(
        ") ON CONFLICT (minute, source) DO UPDATE SET bytes = excluded.bytes, records = excluded.records, events = excluded.events, \
         duplicates = excluded.duplicates, rejects = excluded.rejects, dropped = excluded.dropped, refused = excluded.refused, \
         upstream_lost = excluded.upstream_lost",
    );
    query.build().execute(in_it).await.map(drop)
}

#[async_trait]
impl LedgerStore for Catalog {
    async fn keep(&self, rows: &[MinuteRow]) -> Result<(), StoreError> {
        let work = async {
            let mut transaction = self.writer.begin().await?;
            for row in rows {
                put(row, &mut transaction).await?;
            }
            // Once a day.
            if let Some(row) = rows.iter().find(|row| row.minute % DAY_S == 0) {
                self.sum_up(row.minute, &mut transaction).await?;
            }
            transaction.commit().await
        };
        work.await.map_err(|cause| engine("keep minutes of the ledger", cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::catalog::tests::open;

    fn row(minute: i64, source: &str, events: u64) -> MinuteRow {
        MinuteRow { minute: minute * 60, source: SourceId::from(source), tally: Tally { records: events, events, ..Tally::default() } }
    }

    async fn list(catalog: &Catalog, asked: &MinutesAsked) -> String {
        let rows = catalog.minutes(asked).await.unwrap();
        assert!(rows.iter().all(|row| asked.takes(row)));
        rows.iter().map(|row| format!("{}{}={}", row.source, row.minute / 60, row.tally.events)).collect::<Vec<_>>().join(" ")
    }

    #[tokio::test]
    async fn minutes_are_listed_newest_first_and_kept_once() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = open(&dir, &[]).await;
        catalog.keep(&[row(1, "a", 1), row(1, "b", 2), row(2, "a", 3)]).await.unwrap();
        // What was kept and not heard of comes again, as it is by then.
        catalog.keep(&[row(2, "a", 4), row(3, "a", 5)]).await.unwrap();
        let all = MinutesAsked { limit: 10, ..MinutesAsked::default() };
        assert_eq!(list(&catalog, &all).await, "a3=5 a2=4 a1=1 b1=2");
        assert_eq!(list(&catalog, &MinutesAsked { source: Some(SourceId::from("b")), ..all.clone() }).await, "b1=2");
        let from = MinutesAsked { from: Some(Timestamp::from_seconds(120)), to: Some(Timestamp::from_seconds(180)), ..all.clone() };
        assert_eq!(list(&catalog, &from).await, "a2=4");
        assert_eq!(list(&catalog, &MinutesAsked { after: Some((60, SourceId::from("a"))), ..all.clone() }).await, "b1=2");
        // Past the days of the table minutes are summed up, and the sums stay.
        catalog.keep(&[row((DAYS_MAX + 1) * 1_440, "a", 7)]).await.unwrap();
        catalog.keep(&[row((DAYS_MAX + 2) * 1_440, "a", 9)]).await.unwrap();
        assert_eq!(list(&catalog, &all).await, format!("a{}=9 a{}=7", (DAYS_MAX + 2) * 1_440, (DAYS_MAX + 1) * 1_440));
        let mut sums: BTreeMap<SourceId, u64> = BTreeMap::new();
        catalog.each_minute(|row| *sums.entry(row.source).or_default() += row.tally.events).await.unwrap();
        assert_eq!(sums.into_iter().map(|(source, sum)| format!("{source}={sum}")).collect::<Vec<_>>(), ["a=26", "b=2"]);
    }
}
