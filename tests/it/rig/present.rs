//! What the program says that it has: every event, read by pages, then its ledger, alerts and messages.

use std::collections::BTreeMap;
use std::time::Duration;

use bartizan::model::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::events::{Kind, number_of, record, time_of};
use super::oracle::{Around, Oracle, Verdict};
use super::reference::Expected;
use super::run::count;

/// Numbers of one search: as many events as a page has.
const SLICE: u64 = 1_000;
/// Searches at one time.
const AT_ONCE: usize = 3;

/// How long what was confirmed may take to be found after a restart.
const DRAIN_S: u64 = 300;
/// How long alerts and their messages may take after that.
const SETTLE_S: u64 = 120;
/// Within this a fresh record is found, in milliseconds. `BARTIZAN_PROBE_MS` is for a machine that is kept busy on purpose.
const PROBE_MS_MAX: u64 = 5_000;
/// Probes of which the quickest counts: a busy machine is not a slow program.
const PROBES: usize = 5;

pub(crate) fn probe_ms_max() -> u128 {
    u128::from(count("BARTIZAN_PROBE_MS", PROBE_MS_MAX))
}

fn seconds(name: &str, ordinary: u64) -> Duration {
    Duration::from_secs(count(name, ordinary))
}

/// All events of a program, by number.
#[derive(Debug, Default)]
pub(crate) struct Present {
    pub(crate) counts: Vec<u8>,
    pub(crate) found: u64,
    /// What is no record of the rig's.
    pub(crate) foreign: Vec<String>,
    /// Records that are not as issued.
    pub(crate) damaged: Vec<String>,
}

async fn get(client: &reqwest::Client, url: &str) -> Result<String, String> {
    let mut last = String::new();
    // A search may be refused for want of turns.
    for _ in 0..50 {
        match client.get(url).send().await {
            Ok(answer) if answer.status().is_success() => return answer.text().await.map_err(|error| error.to_string()),
            Ok(answer) => last = format!("{}: {}", answer.status(), answer.text().await.unwrap_or_default()),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("{url}: {last}"))
}

pub(crate) async fn get_json(client: &reqwest::Client, url: &str) -> Result<Value, String> {
    serde_json::from_str(&get(client, url).await?).map_err(|error| format!("{url}: {error}"))
}

/// The number of all events that match.
pub(crate) async fn total(client: &reqwest::Client, url: &str, query: &str) -> Result<u64, String> {
    let answer = get_json(client, &format!("{url}/api/v1/events/search?limit=0&query={query}")).await?;
    answer["total"]["value"].as_u64().ok_or_else(|| format!("no total: {answer}"))
}

/// Reads every event that has a number.
pub(crate) async fn read(client: &reqwest::Client, url: &str, oracle: &Oracle) -> Result<Present, String> {
    use futures_util::StreamExt;
    let next = oracle.next();
    let kinds = oracle.kinds();
    let mut present = Present { counts: vec![0; usize::try_from(next).unwrap()], ..Present::default() };
    let slices = (0..next.div_ceil(SLICE)).map(|slice| slice_text(client, url, slice * SLICE));
    let mut slices = futures_util::stream::iter(slices).buffered(AT_ONCE);
    while let Some(pages) = slices.next().await {
        for page in pages? {
            take(&mut present, &page, oracle.seed, &kinds);
        }
    }
    // What lies outside the times of the run can not be the rig's.
    let all = total(client, url, "*").await?;
    let told = total(client, url, "event.kind:source_health").await?;
    if all != present.found + told {
        present.foreign.push(format!("{all} events in all, {} with a number and {told} on sources", present.found));
    }
    Ok(present)
}

/// The pages of one slice of numbers.
async fn slice_text(client: &reqwest::Client, url: &str, first: u64) -> Result<Vec<String>, String> {
    let time = |id| Timestamp::from_nanos(time_of(id)).to_string();
    let start = format!("{url}/api/v1/events/search?limit=1000&from={}&to={}&query=NOT%20event.kind:source_health", time(first), time(first + SLICE));
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let text = get(client, &format!("{start}{cursor}")).await?;
        let tail = &text[text.len().saturating_sub(300)..];
        let next = tail.split_once("\"next_cursor\":\"").and_then(|(_, rest)| rest.split('"').next()).map(|next| format!("&cursor={next}"));
        let is_partial = !tail.contains("\"partial\":false");
        pages.push(text);
        match next {
            _ if is_partial => return Err(format!("a partial answer for numbers from {first}")),
            Some(next) => cursor = next,
            None => return Ok(pages),
        }
    }
}

/// Counts the events of a page and compares each with what was issued, byte by byte.
fn take(present: &mut Present, page: &str, seed: u64, kinds: &[Option<Kind>]) {
    const RAW: &[u8] = b"\"raw\":";
    let page = page.as_bytes();
    for at in memchr::memmem::find_iter(page, RAW) {
        present.found += 1;
        let rest = &page[at + RAW.len()..];
        let Some(id) = number_of(rest) else {
            present.foreign.push(String::from_utf8_lossy(&rest[..rest.len().min(200)]).into_owned());
            continue;
        };
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        let Some(Some(kind)) = kinds.get(index) else {
            present.foreign.push(format!("number {id}"));
            continue;
        };
        present.counts[index] = present.counts[index].saturating_add(1);
        let issued = record(seed, id, *kind);
        if !rest.starts_with(issued.as_bytes()) {
            let found = String::from_utf8_lossy(&rest[..rest.len().min(issued.len() + 40)]).into_owned();
            present.damaged.push(format!("number {id}: issued {issued}, found {found}"));
        }
    }
}

/// The whole check: waits until what was confirmed is found, then asks for everything.
pub(crate) async fn check(client: &reqwest::Client, url: &str, oracle: &Oracle, around: &Around) -> Result<Verdict, String> {
    let since = Instant::now();
    first_probe(client, url, oracle).await?;
    let mut before = u64::MAX;
    let (present, mut verdict) = loop {
        // All that is confirmed, and no more coming.
        let now = total(client, url, "*").await?;
        if now == before {
            // Only now nothing stands before a fresh one.
            let probe_ms = probe(client, url, oracle).await?;
            let present = read(client, url, oracle).await?;
            let verdict = Verdict { probe_ms, ..oracle.judge(&present) };
            if verdict.lost.is_empty() || since.elapsed() > seconds("BARTIZAN_DRAIN_S", DRAIN_S) {
                break (present, verdict);
            }
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    };
    let ledger = get_json(client, &format!("{url}/api/v1/ledger")).await?;
    let remainders = ledger["sources"].as_array().into_iter().flatten().map(|row| row["remainder"].as_i64().unwrap_or(i64::MAX).abs());
    verdict.remainder = remainders.sum();
    let expected = oracle.expected(&present);
    verdict.alerts = expected.len();
    let since = Instant::now();
    loop {
        let (alerts, wrong) = alerts(client, url, &expected).await?;
        let (messages, wrong_messages) = messages(&alerts, around);
        (verdict.alerts_wrong, verdict.messages, verdict.messages_wrong) = (wrong, messages, wrong_messages);
        if verdict.alerts_wrong.is_empty() && verdict.messages_wrong.is_empty() || since.elapsed() > seconds("BARTIZAN_SETTLE_S", SETTLE_S) {
            return Ok(verdict);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A record that is confirmed now is found once all that was pushed before it is.
async fn first_probe(client: &reqwest::Client, url: &str, oracle: &Oracle) -> Result<(), String> {
    probe_once(client, url, oracle).await.map(drop)
}

/// A fresh record is found quickly; the milliseconds of the quickest of a few.
async fn probe(client: &reqwest::Client, url: &str, oracle: &Oracle) -> Result<u128, String> {
    let mut best = u128::MAX;
    for _ in 0..PROBES {
        best = best.min(probe_once(client, url, oracle).await?);
        if best < probe_ms_max() / 2 {
            break;
        }
    }
    Ok(best)
}

async fn probe_once(client: &reqwest::Client, url: &str, oracle: &Oracle) -> Result<u128, String> {
    let batch = oracle.issue(Kind::Audit, 1);
    oracle.sent(&batch);
    let since = Instant::now();
    let mut tries = 0;
    while let Err(why) = super::feeds::push(client, url, "k8s-audit", batch.lines(oracle.seed).join("\n"), 1).await {
        tries += 1;
        if tries > 100 {
            return Err(format!("a probe is not taken: {why:?}"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    oracle.confirmed(&batch);
    let time = |id| Timestamp::from_nanos(time_of(id)).to_string();
    let found = format!("{url}/api/v1/events/search?limit=0&query=verb:*&from={}&to={}", time(batch.first), time(batch.first + 1));
    while get_json(client, &found).await?["total"]["value"].as_u64() != Some(1) {
        if since.elapsed() > seconds("BARTIZAN_DRAIN_S", DRAIN_S) {
            return Err("a probe that was confirmed is not found".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(since.elapsed().as_millis())
}

/// The alerts that are not superseded, by id, and what is wrong with them.
async fn alerts(
    client: &reqwest::Client,
    url: &str,
    expected: &BTreeMap<Expected, Option<usize>>,
) -> Result<(BTreeMap<String, String>, Vec<String>), String> {
    let (mut by_id, mut found, mut wrong) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let mut cursor = String::new();
    loop {
        let page = get_json(client, &format!("{url}/api/v1/alerts?limit=1000{cursor}")).await?;
        for alert in page["alerts"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (id, status, rule) = (text(&alert["id"]), text(&alert["status"]), text(&alert["rule"]["id"]));
            by_id.insert(id.clone(), status.clone());
            if status == "superseded" || alert["rule"]["type"] == "health" {
                continue;
            }
            let group = &alert["group"];
            let subject = if rule.ends_with("a6") { text(&group["k8s.pod"]) } else { text(&group["actor.user.name"]) };
            let hour = Timestamp::parse(&text(&alert["first_seen"])).map_or(0, |time| time.nanos().div_euclid(3_600_000_000_000));
            let Some(rule) = ["a2", "a3", "a6"].into_iter().find(|known| rule.ends_with(known)) else {
                wrong.push(format!("unexpected alert {alert}"));
                continue;
            };
            let count = alert["count"].as_u64().and_then(|count| usize::try_from(count).ok());
            let key = Expected { rule, subject, hour };
            match expected.get(&key) {
                None => wrong.push(format!("unexpected {key:?}")),
                Some(Some(right)) if count != Some(*right) => wrong.push(format!("{key:?} counts {count:?} and not {right}")),
                Some(_) => {}
            }
            if found.insert(key.clone(), ()).is_some() {
                wrong.push(format!("twice: {key:?}"));
            }
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    wrong.extend(expected.keys().filter(|key| !found.contains_key(key)).map(|key| format!("missing {key:?}")));
    Ok((by_id, wrong))
}

/// The messages that came, and what is wrong with them: each alert was told of, under one id a change, and nothing else was.
fn messages(alerts: &BTreeMap<String, String>, around: &Around) -> (u64, Vec<String>) {
    let heard = around.sink.heard.lock().unwrap();
    let mut wrong = Vec::new();
    if heard.unsigned > 0 {
        wrong.push(format!("{} without a signature that holds", heard.unsigned));
    }
    for (alert, status) in alerts {
        let told = heard.by_alert.get(alert);
        let opened = told.into_iter().flatten().filter(|(_, kind)| kind == "alert.opened").count();
        if opened != 1 && status != "superseded" {
            wrong.push(format!("alert {alert} was opened under {opened} ids"));
        }
    }
    for (alert, told) in &heard.by_alert {
        if !alerts.contains_key(alert) {
            wrong.push(format!("told of an alert that does not exist: {alert} {told:?}"));
        }
        let ids: std::collections::BTreeSet<&str> = told.iter().map(|(id, _)| id.as_str()).collect();
        if ids.len() != told.len() {
            wrong.push(format!("one id for two changes of {alert}: {told:?}"));
        }
    }
    (heard.messages, wrong)
}
