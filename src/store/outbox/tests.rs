use super::*;
use crate::model::{AlertId, Status};
use crate::ports::AlertStore;
use crate::store::catalog::Patch;
use crate::store::catalog::tests::{START, finding, open};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

async fn take(catalog: &Catalog, target: &str, now: i64) -> Option<Leased> {
    catalog.lease(target, at(now), at(now + 30)).await.unwrap()
}

/// A catalog where alert 1 was opened, closed, and opened again, and alert 2 was opened after it.
async fn filled(dir: &tempfile::TempDir) -> Catalog {
    let catalog = open(dir, &["soc", "chat"]).await;
    catalog.publish(&[finding(1, Level::High, 1)]).await.unwrap();
    let close = Patch { who: "bob".into(), status: Some(Status::Closed), ..Patch::default() };
    catalog.patch(AlertId([1; 16]), &close).await.unwrap();
    catalog.publish(&[finding(1, Level::High, 2), finding(2, Level::High, 1)]).await.unwrap();
    catalog
}

fn name(leased: Option<&Leased>) -> String {
    leased.map_or_else(|| "none".into(), |leased| leased.notification.id.replace("01", "").replace("02", ""))
}

#[tokio::test]
async fn messages_come_in_order_and_hold_back_only_their_own_alert() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = filled(&dir).await;
    let first = take(&catalog, "soc", 0).await;
    assert_eq!(name(first.as_ref()), ".1");
    let first = first.unwrap();
    assert!(first.notification.id.starts_with("0101") && first.notification.body.starts_with(r#"{"type":"alert.opened","timestamp":"2026-01-01T"#));
    assert_eq!(first.attempt, 1);
    // The reopening of alert 1 waits for its opening; alert 2 does not.
    let second = take(&catalog, "soc", 0).await.unwrap();
    assert!(second.notification.id.starts_with("0202"));
    assert_eq!(take(&catalog, "soc", 0).await, None);
    assert_eq!(name(take(&catalog, "chat", 0).await.as_ref()), ".1", "each target has its own");
    catalog.retry(&first, at(5), "down\u{7}").await.unwrap();
    assert_eq!(take(&catalog, "soc", 4).await, None);
    assert_eq!(catalog.next_due("soc").await.unwrap(), Some(at(0)), "the reopening itself is due");
    let again = take(&catalog, "soc", 5).await.unwrap();
    assert_eq!((again.notification.clone(), again.attempt), (first.notification.clone(), 2), "the same id and bytes again");
    // A crash: the lease lapses, and the attempt counts.
    assert_eq!(take(&catalog, "soc", 34).await.map(|leased| leased.notification.id), Some(second.notification.id.clone()));
    let third = take(&catalog, "soc", 35).await.unwrap();
    assert_eq!(third.attempt, 3);
    catalog.retry(&again, at(999), "too late").await.unwrap();
    catalog.done(&third).await.unwrap();
    assert_eq!(name(take(&catalog, "soc", 35).await.as_ref()), ".3");
    assert_eq!(catalog.queued("done").await.unwrap().len(), 1);
    assert_eq!(catalog.prune_delivered(at(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn dead_letters_stay_and_can_be_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = filled(&dir).await;
    let first = take(&catalog, "soc", 0).await.unwrap();
    catalog.dead(&first, "75 hours").await.unwrap();
    let dead = catalog.queued("dead").await.unwrap();
    assert_eq!((dead.len(), dead[0].attempts, dead[0].last_error.as_deref()), (1, 1, Some("75 hours")));
    assert!(take(&catalog, "soc", 0).await.unwrap().notification.id.ends_with(".3"), "what was given up holds nothing back");
    assert_eq!(catalog.replay("soc", at(0), at(1)).await.unwrap(), 1);
    assert_eq!(take(&catalog, "soc", 0).await.unwrap().notification, first.notification);
}

#[tokio::test]
async fn a_target_that_is_gone_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = filled(&dir).await;
    assert_eq!(catalog.disable("soc", "410", at(1)).await.unwrap(), 3);
    assert_eq!(take(&catalog, "soc", 1).await, None);
    catalog.publish(&[finding(3, Level::High, 1)]).await.unwrap();
    let waiting = catalog.queued("waiting").await.unwrap();
    assert!(waiting.iter().all(|row| row.target == "chat") && waiting.len() == 4);
    assert_eq!(catalog.disabled_targets().await.unwrap()[0].why, "410");
    assert!(catalog.enable_target("soc").await.unwrap() && !catalog.enable_target("soc").await.unwrap());
    catalog.publish(&[finding(4, Level::High, 1)]).await.unwrap();
    assert!(take(&catalog, "soc", 1).await.unwrap().notification.id.starts_with("0404"));
}

#[tokio::test]
async fn a_target_that_is_back_gets_what_waits_soon() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(&dir, &["soc"]).await;
    catalog.publish(&[finding(1, Level::High, 1)]).await.unwrap();
    let first = take(&catalog, "soc", 0).await.unwrap();
    catalog.retry(&first, at(900), "down").await.unwrap();
    let mut changes = catalog.changes();
    changes.mark_unchanged();
    catalog.hasten("soc", at(10), Duration::seconds(30)).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(catalog.next_due("soc").await.unwrap(), Some(at(30)), "not sooner than 30 s after its last attempt");
    catalog.hasten("soc", at(10), Duration::seconds(30)).await.unwrap();
    assert_eq!(catalog.next_due("soc").await.unwrap(), Some(at(30)));
    assert_eq!(catalog.next_due("chat").await.unwrap(), None);
}
