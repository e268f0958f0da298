use std::sync::Arc;

use super::*;
use crate::model::{ClusterId, EventId, Finding, Level, RuleHeader, RuleType, Status, Step, TenantId};
use crate::ports::AlertStore;

pub(in crate::store) const START: i64 = 1_767_225_600;

/// A finding of the rule `rule` with this level and count, its alert told apart by `number`.
pub(in crate::store) fn finding(number: u8, level: Level, count: u8) -> Finding {
    let event = |index: u8| EventId([number, index, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let at = |index: u8| Timestamp::from_seconds(START + i64::from(number) * 60 + i64::from(index));
    let rule = RuleHeader {
        id: format!("rule-{}", number % 2),
        title: "A rule".into(),
        author: None,
        level,
        tags: Vec::new(),
        kind: RuleType::Single,
        runbook: None,
    };
    Finding {
        id: AlertId([number; 16]),
        rule: Arc::new(rule),
        tenant: TenantId::default(),
        cluster: if number < 100 { ClusterId::default() } else { "prod".parse().unwrap() },
        group: vec![(Arc::from("k8s.pod"), Some(Arc::from("web-0")))],
        title: format!("alert {number}"),
        first: at(1),
        last: at(count),
        count: u64::from(count),
        events: (1..=count).map(event).collect(),
        entities: vec!["user:alice".into(), format!("pod:prod/web-{number}")],
        steps: vec![Step { rule: "rule".into(), event: event(1), time: at(1), matched: Vec::new() }],
        late: false,
        evidence_gaps: Vec::new(),
        superseded_by: None,
        is_new: false,
    }
}

pub(in crate::store) async fn open(dir: &tempfile::TempDir, targets: &[&str]) -> Catalog {
    let clock = Clock::simulated(Timestamp::from_seconds(START));
    let targets = targets.iter().map(|target| (*target).to_owned()).collect();
    Catalog::open(dir.path(), clock, Routes::medium_and_above(targets)).await.unwrap()
}

async fn patch(catalog: &Catalog, number: u8, status: Status) -> Result<Stored, PatchError> {
    let patch = Patch { who: "bob".into(), status: Some(status), ..Patch::default() };
    catalog.patch(AlertId([number; 16]), &patch).await
}

/// Publishes in turn alert 1 with these counts, `9>2` as superseded by alert 2, or `close`s it; gives the changes, and the messages that wait.
async fn check(level: Level, story: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(&dir, &["soc", "chat"]).await;
    let mut told = Vec::new();
    for word in story.split_whitespace() {
        if word == "close" {
            patch(&catalog, 1, Status::Closed).await.unwrap();
            continue;
        }
        let (count, successor) = word.split_once('>').map_or((word, None), |(count, successor)| (count, Some(successor.parse().unwrap())));
        let mut finding = finding(1, level, count.parse().unwrap());
        finding.superseded_by = successor.map(|number: u8| AlertId([number; 16]));
        let changes = catalog.publish(&[finding]).await.unwrap();
        told.push(format!("{:?}", changes[0].1).to_lowercase());
    }
    let queued = catalog.queued("waiting").await.unwrap();
    let messages: Vec<String> = queued.iter().map(|row| format!("{}{}", row.target, row.id.trim_start_matches("01"))).collect();
    format!("{}; {}", told.join(" "), messages.join(" "))
}

#[tokio::test]
async fn publishing_fills_the_outbox_once() {
    let table = [
        (Level::High, "1", "opened; chat.1 soc.1"),
        (Level::High, "1 1 1", "opened none none; chat.1 soc.1"),
        (Level::Medium, "1 2 3", "opened updated updated; chat.1 soc.1"),
        (Level::Low, "1", "opened; "),
        (Level::High, "1 close 1", "opened none; chat.1 soc.1"),
        (Level::High, "1 close 2", "opened reopened; chat.1 soc.1 chat.3 soc.3"),
        (Level::High, "1 1>2 1>2", "opened superseded none; chat.1 soc.1 chat.2 soc.2"),
    ];
    for (level, story, expected) in table {
        assert_eq!(check(level, story).await, expected, "{story}");
    }
}

#[tokio::test]
async fn what_was_published_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(&dir, &["soc"]).await;
    let mut stream = catalog.subscribe();
    catalog.publish(&[finding(1, Level::High, 2), finding(2, Level::Low, 1), finding(1, Level::High, 3)]).await.unwrap();
    let stored = catalog.get(AlertId([1; 16])).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.alert.count), (2, 3));
    assert_eq!(stream.recv().await.unwrap().change, Change::Opened);
    for (pragma, expected) in [("PRAGMA synchronous", "2"), ("PRAGMA foreign_keys", "1"), ("PRAGMA journal_mode", "wal")] {
        use sqlx::{Row as _, ValueRef as _};
        let row = sqlx::query(pragma).fetch_one(&catalog.writer).await.unwrap();
        assert!(!row.try_get_raw(0).unwrap().is_null());
        let value = row.try_get::<String, _>(0).unwrap_or_else(|_| row.get::<i64, _>(0).to_string());
        assert_eq!(value, expected, "{pragma}");
    }
    let beside = Catalog::open_read_only(dir.path(), Clock::System).await.unwrap();
    assert_eq!(beside.get(AlertId([1; 16])).await.unwrap().unwrap(), stored);
    assert!(beside.publish(&[finding(3, Level::High, 1)]).await.is_err(), "a reader writes nothing");
    beside.close().await;
    catalog.backup(&dir.path().join("copy.db")).await.unwrap();
    catalog.close().await;
    let catalog = open(&dir, &["soc"]).await;
    assert_eq!(catalog.get(AlertId([1; 16])).await.unwrap().unwrap(), stored);
    assert_eq!(catalog.queued("waiting").await.unwrap().len(), 1);
    assert_eq!(catalog.publish(&[finding(1, Level::High, 3)]).await.unwrap()[0].1, Change::None);
    let copied = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("copy.db"), file_in(copied.path())).unwrap();
    assert_eq!(open(&copied, &[]).await.get(AlertId([1; 16])).await.unwrap().unwrap(), stored);
}

#[tokio::test]
async fn many_publishers_open_an_alert_once() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = Arc::new(open(&dir, &["soc"]).await);
    let mut tasks = tokio::task::JoinSet::new();
    for count in 1..=8 {
        let catalog = Arc::clone(&catalog);
        tasks.spawn(async move { catalog.publish(&[finding(1, Level::High, count)]).await.unwrap()[0].1 });
    }
    let changes = tasks.join_all().await;
    assert_eq!(changes.iter().filter(|change| **change == Change::Opened).count(), 1);
    assert_eq!(catalog.get(AlertId([1; 16])).await.unwrap().unwrap().alert.count, 8);
    assert_eq!(catalog.queued("waiting").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    for (sql, found) in [
        ("UPDATE meta SET value = '7' WHERE name = 'format_version'", 7),
        ("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9000, 'later', TRUE, x'00', 0)", 9000),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let catalog = open(&dir, &[]).await;
        sqlx::query(sql).execute(&catalog.writer).await.unwrap();
        catalog.close().await;
        let refused = Catalog::open(dir.path(), Clock::System, Routes::none()).await;
        assert!(matches!(refused, Err(StoreError::Newer { found: number, .. }) if number == found), "{sql}: {refused:?}");
    }
}

#[tokio::test]
async fn lists_filter_and_page() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(&dir, &[]).await;
    let level = |number: u8| if number.is_multiple_of(5) { Level::Critical } else { Level::Low };
    let findings: Vec<Finding> = (90..115).map(|number| finding(number, level(number), 1)).collect();
    catalog.publish(&findings).await.unwrap();
    patch(&catalog, 100, Status::Closed).await.unwrap();
    let all = AlertFilter::default();
    let at = |number: i64| Some(Timestamp::from_seconds(START + number * 60));
    let table = [
        (all.clone(), 25),
        (AlertFilter { level_min: Some(Level::Medium), ..all.clone() }, 5),
        (AlertFilter { status: Some(Status::Open), ..all.clone() }, 24),
        (AlertFilter { status: Some(Status::Closed), level_min: Some(Level::High), ..all.clone() }, 1),
        (AlertFilter { rule: Some("rule-1".into()), ..all.clone() }, 12),
        (AlertFilter { cluster: Some("prod".parse().unwrap()), ..all.clone() }, 15),
        (AlertFilter { tenant: Some("other".parse().unwrap()), ..all.clone() }, 0),
        (AlertFilter { entity: Some("pod:prod/web-93".into()), ..all.clone() }, 1),
        (AlertFilter { entity: Some("user:alice' OR 1 = 1 --".into()), ..all.clone() }, 0),
        (AlertFilter { event: Some(findings[3].events[0]), ..all.clone() }, 1),
        (AlertFilter { from: at(110), to: at(112), ..all.clone() }, 2),
    ];
    for (filter, expected) in table {
        let page = catalog.list(&filter, None, PAGE_MAX).await.unwrap();
        assert_eq!((page.alerts.len(), page.next), (expected, None), "{filter:?}");
        let counts = catalog.counts_by_level(&filter).await.unwrap();
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), u64::try_from(expected).unwrap());
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = catalog.list(&all, cursor, 7).await.unwrap();
        seen.extend(page.alerts.into_iter().map(|stored| stored.alert.id));
        let Some(next) = page.next else { break };
        cursor = Some(next.to_string().parse::<Cursor>().unwrap());
    }
    let expected: Vec<AlertId> = (90..115).rev().map(|number| AlertId([number; 16])).collect();
    assert_eq!(seen, expected);
    assert!("17".parse::<Cursor>().is_err() && "x.y".parse::<Cursor>().is_err());
}

#[tokio::test]
async fn people_decide_and_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(&dir, &[]).await;
    catalog.publish(&[finding(1, Level::High, 1)]).await.unwrap();
    let id = AlertId([1; 16]);
    let change = Patch { who: "bob".into(), status: Some(Status::Acknowledged), comment: Some("looking".into()), if_match: Some(1) };
    assert_eq!(catalog.patch(id, &change).await.unwrap().version, 2);
    assert!(matches!(catalog.patch(id, &change).await, Err(PatchError::Conflict { found: 2, wanted: 1 })));
    let comment = Patch { who: "eve".into(), comment: Some("a test".into()), ..Patch::default() };
    assert_eq!(catalog.patch(id, &comment).await.unwrap().version, 2, "a comment is no change of the alert");
    assert_eq!(patch(&catalog, 1, Status::Acknowledged).await.unwrap().version, 2);
    for text in [String::new(), "x".repeat(COMMENT_BYTES_MAX + 1)] {
        let long = Patch { comment: Some(text), ..Patch::default() };
        assert!(matches!(catalog.patch(id, &long).await, Err(PatchError::CommentLength(_))));
    }
    assert!(matches!(patch(&catalog, 1, Status::Superseded).await, Err(PatchError::Status(_))));
    assert!(matches!(patch(&catalog, 9, Status::Closed).await, Err(PatchError::Unknown(_))));
    let comments = catalog.comments(id).await.unwrap();
    let told: Vec<_> = comments.iter().map(|said| (said.number, said.who.as_str(), said.text.as_str(), said.status.as_deref())).collect();
    assert_eq!(told, [(1, "bob", "looking", Some("acknowledged")), (2, "eve", "a test", None)]);
}

/// Every publication failed from then on, until a restart.
#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_refuses_no_other_one() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(&dir, &["soc"]).await;
    let mut transaction = catalog.writer.begin_with("BEGIN IMMEDIATE").await.unwrap();
    // As on a full disk: the driver does not learn of it.
    sqlx::query("ROLLBACK").execute(&mut *transaction).await.unwrap();
    assert!(transaction.commit().await.is_err());
    let changes = catalog.publish(&[finding(1, Level::High, 1)]).await.unwrap();
    assert_eq!(changes[0].1, Change::Opened);
}
