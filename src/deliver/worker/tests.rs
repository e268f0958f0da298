use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::ports::Notification;

const START: i64 = 1_767_225_600;

#[derive(Debug, Clone)]
struct Row {
    leased: Leased,
    next: Timestamp,
    attempted: Timestamp,
    state: &'static str,
}

/// An outbox in memory: what the port promises, in the plainest way.
#[derive(Debug)]
struct Memory {
    rows: Mutex<Vec<Row>>,
    wake: watch::Sender<u64>,
}

impl Memory {
    fn new(messages: &[(&str, &str)]) -> Arc<Self> {
        let start = Timestamp::from_seconds(START);
        let row = |(target, id): &(&str, &str)| Row {
            leased: Leased {
                notification: Notification { id: (*id).to_owned(), body: String::new() },
                target: (*target).to_owned(),
                attempt: 0,
                created: start,
            },
            next: start,
            attempted: start,
            state: "waiting",
        };
        Arc::new(Self { rows: Mutex::new(messages.iter().map(row).collect()), wake: watch::channel(0).0 })
    }

    fn set(&self, leased: &Leased, state: &'static str, next: Timestamp) {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.iter_mut().find(|row| row.leased.notification.id == leased.notification.id && row.leased.target == leased.target).unwrap();
        (row.state, row.next) = (state, next);
    }

    fn states(&self) -> String {
        let rows = self.rows.lock().unwrap();
        rows.iter().map(|row| format!("{}/{} {}", row.leased.target, row.leased.notification.id, row.state)).collect::<Vec<_>>().join(", ")
    }
}

#[async_trait]
impl Outbox for Memory {
    async fn lease(&self, target: &str, now: Timestamp, until: Timestamp) -> Result<Option<Leased>, StoreError> {
        let mut rows = self.rows.lock().unwrap();
        let due = rows.iter_mut().find(|row| row.leased.target == target && row.state == "waiting" && row.next <= now);
        Ok(due.map(|row| {
            (row.next, row.attempted) = (until, now);
            row.leased.attempt += 1;
            row.leased.clone()
        }))
    }
    async fn next_due(&self, target: &str) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.rows.lock().unwrap();
        Ok(rows.iter().filter(|row| row.leased.target == target && row.state == "waiting").map(|row| row.next).min())
    }
    async fn done(&self, leased: &Leased) -> Result<(), StoreError> {
        self.set(leased, "done", leased.created);
        Ok(())
    }
    async fn retry(&self, leased: &Leased, at: Timestamp, _why: &str) -> Result<(), StoreError> {
        self.set(leased, "waiting", at);
        Ok(())
    }
    async fn dead(&self, leased: &Leased, _why: &str) -> Result<(), StoreError> {
        self.set(leased, "dead", leased.created);
        Ok(())
    }
    async fn disable(&self, target: &str, _why: &str, _now: Timestamp) -> Result<u64, StoreError> {
        let mut given_up = 0;
        for row in self.rows.lock().unwrap().iter_mut().filter(|row| row.leased.target == target && row.state == "waiting") {
            row.state = "dead";
            given_up += 1;
        }
        Ok(given_up)
    }
    async fn hasten(&self, target: &str, now: Timestamp, spacing: Duration) -> Result<(), StoreError> {
        for row in self.rows.lock().unwrap().iter_mut().filter(|row| row.leased.target == target && row.state == "waiting") {
            row.next = row.next.min(now.max(row.attempted.plus(spacing)));
        }
        Ok(())
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }
}

type Answers = BTreeMap<String, Vec<Delivery>>;

/// Answers each message with what is written for it, the last answer for ever; keeps who was tried, and when.
struct Script {
    answers: Answers,
    tried: Mutex<Vec<(String, i64)>>,
    clock: Clock,
}

#[async_trait]
impl Notifier for Script {
    async fn deliver(&self, notification: &Notification, now: Timestamp) -> Delivery {
        let mut tried = self.tried.lock().unwrap();
        let before = tried.iter().filter(|(id, _)| *id == notification.id).count();
        tried.push((notification.id.clone(), now.since(Timestamp::from_seconds(START)).0 / 1_000_000_000));
        // An attempt takes a millisecond of simulated time.
        self.clock.advance(Duration(1_000_000));
        let answers = self.answers.get(&notification.id);
        answers.and_then(|answers| answers.get(before).or(answers.last())).cloned().unwrap_or(Delivery::Done)
    }
}

fn later(retry_after_s: Option<u64>) -> Delivery {
    Delivery::Later { why: "down".into(), retry_after_s }
}

struct Outcome {
    states: String,
    tried: Vec<(String, i64)>,
    notes: Vec<Note>,
}

/// Runs the worker while the simulated clock steps, until nothing waits or so many hours have passed.
async fn check(messages: &[(&str, &str)], answers: &[(&str, Vec<Delivery>)], hours: i64, step_s: i64) -> Outcome {
    let clock = Clock::simulated(Timestamp::from_seconds(START));
    let outbox = Memory::new(messages);
    let answers = answers.iter().map(|(id, answers)| ((*id).to_owned(), answers.clone())).collect();
    let script = Arc::new(Script { answers, tried: Mutex::default(), clock: clock.clone() });
    let mut names: Vec<&str> = messages.iter().map(|(target, _)| *target).collect();
    names.sort_unstable();
    names.dedup();
    let targets = names.iter().map(|name| Target { name: (*name).to_owned(), notifier: Arc::<Script>::clone(&script) }).collect();
    let notes = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&notes);
    let settings = WorkerSettings { idle_max: Patience::from_millis(1), ..WorkerSettings::default() };
    let worker = Worker::new(Arc::<Memory>::clone(&outbox), targets, clock.clone(), settings, move |note| kept.lock().unwrap().push(note));
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    let end = Timestamp::from_seconds(START).plus(Duration::hours(hours));
    while clock.now() < end && outbox.states().contains("waiting") {
        tokio::time::sleep(Patience::from_millis(4)).await;
        clock.advance(Duration::seconds(step_s));
    }
    stop.send_replace(true);
    running.await.unwrap();
    let (tried, notes) = (script.tried.lock().unwrap().clone(), notes.lock().unwrap().clone());
    Outcome { states: outbox.states(), tried, notes }
}

#[tokio::test]
async fn messages_of_a_target_go_in_order() {
    let outcome = check(&[("a", "1"), ("a", "2"), ("b", "3"), ("a", "4")], &[], 1, 1).await;
    assert_eq!(outcome.states, "a/1 done, a/2 done, b/3 done, a/4 done");
    let of_a: Vec<&str> = outcome.tried.iter().map(|(id, _)| id.as_str()).filter(|id| *id != "3").collect();
    assert_eq!(of_a, ["1", "2", "4"]);
    assert!(outcome.notes.is_empty());
}

#[tokio::test]
async fn a_dead_target_delays_no_other_and_is_given_up() {
    let outcome = check(&[("dead", "1"), ("live", "2")], &[("1", vec![later(None)])], 100, 600).await;
    assert_eq!(outcome.states, "dead/1 dead, live/2 done");
    assert!(outcome.tried.iter().any(|(id, at)| id == "2" && *at <= 1));
    let last = outcome.tried.last().unwrap().1;
    assert!((74 * 3_600..=75 * 3_600).contains(&last), "the last attempt was after {last} s");
    assert!(outcome.notes.contains(&Note::Dead { target: "dead".into(), id: "1".into(), why: "down".into() }));
}

#[tokio::test]
async fn a_target_that_is_back_gets_everything_soon() {
    // The first message probes while the target is down, then the fifth finds it up again.
    let down = vec![later(None), later(None), Delivery::Done];
    let answers = [("1", down.clone()), ("2", down.clone()), ("3", down.clone()), ("4", down)];
    let outcome = check(&[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4"), ("a", "5")], &answers, 2, 1).await;
    assert_eq!(outcome.states, "a/1 done, a/2 done, a/3 done, a/4 done, a/5 done");
    let last = outcome.tried.iter().map(|(_, at)| *at).max().unwrap();
    assert!(last < 300, "all were delivered after {last} s");
    let (failing, recovered) = outcome.notes.iter().fold((0, 0), |(failing, recovered), note| match note {
        Note::Failing { .. } => (failing + 1, recovered),
        Note::Recovered { .. } => (failing, recovered + 1),
        other => panic!("{other:?}"),
    });
    assert!(failing == recovered && failing >= 1);
}

#[tokio::test]
async fn retry_after_is_heeded_up_to_an_hour() {
    for (asked, least) in [(120, 120), (u64::MAX, 3_600)] {
        let outcome = check(&[("a", "1")], &[("1", vec![later(Some(asked)), Delivery::Done])], 5, 60).await;
        let second = outcome.tried[1].1;
        assert!((least..least + 120).contains(&second) && outcome.tried.len() == 2, "asked for {asked}, came after {second}");
    }
}

#[tokio::test]
async fn refused_and_gone_end_at_once() {
    let refused = Delivery::Refused { why: "no".into() };
    let outcome = check(&[("a", "1"), ("a", "2")], &[("1", vec![refused])], 1, 1).await;
    assert_eq!(outcome.states, "a/1 dead, a/2 done");
    let gone = Delivery::Gone { why: "410".into() };
    let outcome = check(&[("a", "1"), ("a", "2"), ("b", "3")], &[("1", vec![gone])], 1, 1).await;
    assert_eq!((outcome.states.as_str(), outcome.tried.len()), ("a/1 dead, a/2 dead, b/3 done", 2));
    assert_eq!(outcome.notes, [Note::Disabled { target: "a".into(), why: "410".into(), given_up: 2 }]);
}
