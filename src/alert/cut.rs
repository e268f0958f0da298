//! Cuts an alert to a size that every receiver takes: evidence goes first, who and what stay.

use serde_json::Value;

use crate::model::Alert;

/// What a webhook's `data` may take in bytes (CONTRACTS 3).
pub const BYTES_MAX: usize = 20_000;
/// The least that [`cut`] can be asked for: what the names of an alert take once each is shortened.
pub const BYTES_MIN: usize = 8_000;

/// Bytes of JSON that one text keeps in the last cut, and in the first.
const TEXT_BYTES_HARD: usize = 120;
const TEXT_BYTES_SOFT: usize = 400;
/// Entries that a list keeps in the last cut.
const ENTRIES_HARD: usize = 10;

/// The alert as one JSON object of at most `bytes_max` bytes (never asked for less than [`BYTES_MIN`]). What had to be left out is said by `"cut":true`;
/// the whole is at `/api/v1/alerts/{id}`. The same alert always gives the same bytes.
pub fn cut(alert: &Alert, bytes_max: usize) -> String {
    let bytes_max = bytes_max.max(BYTES_MIN);
    let whole = json(alert);
    if whole.len() <= bytes_max {
        return whole;
    }
    let room = bytes_max - r#","cut":true"#.len();
    let mut alert = alert.clone();
    shorten_texts(&mut alert, TEXT_BYTES_SOFT);
    let gentle: [fn(&mut Alert) -> bool; 4] = [
        |alert| halve(&mut alert.steps, 2),
        |alert| halve(&mut alert.events, ENTRIES_HARD),
        |alert| halve(&mut alert.entities, ENTRIES_HARD),
        |alert| halve(&mut alert.evidence_gaps, 2),
    ];
    let mut text = json(&alert);
    for step in gentle {
        while text.len() > room && step(&mut alert) {
            text = json(&alert);
        }
    }
    if text.len() > room {
        cut_hard(&mut alert);
        text = json(&alert);
    }
    text.pop();
    text.push_str(r#","cut":true}"#);
    text
}

fn json(alert: &Alert) -> String {
    serde_json::to_string(alert).expect("an alert holds texts, numbers and lists of them, and all map keys are strings")
}

/// Halves a list that is longer than `least`; says whether it did.
fn halve<T>(list: &mut Vec<T>, least: usize) -> bool {
    let shorter = (list.len() / 2).max(least);
    let longer = list.len() > shorter;
    list.truncate(shorter);
    longer
}

fn shorten_texts(alert: &mut Alert, bytes: usize) {
    let names = [&mut alert.title, &mut alert.rule.id, &mut alert.rule.title];
    let rest = alert.rule.author.iter_mut().chain(&mut alert.rule.runbook).chain(&mut alert.rule.tags);
    let matches =
        alert.steps.iter_mut().flat_map(|step| &mut step.matched).flat_map(|found| [&mut found.selection, &mut found.field, &mut found.value]);
    let lists = alert.entities.iter_mut().chain(&mut alert.evidence_gaps);
    names.into_iter().chain(rest).chain(matches).chain(lists).for_each(|text| shorten(text, bytes));
    for (mut field, mut value) in std::mem::take(&mut alert.group) {
        shorten(&mut field, bytes);
        match &mut value {
            Value::String(text) => shorten(text, bytes),
            Value::Array(_) | Value::Object(_) => value = Value::Null,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        alert.group.insert(field, value);
    }
}

fn cut_hard(alert: &mut Alert) {
    alert.steps.clear();
    alert.evidence_gaps.truncate(2);
    alert.entities.truncate(ENTRIES_HARD);
    alert.events.truncate(ENTRIES_HARD);
    alert.rule.tags.truncate(ENTRIES_HARD);
    alert.group = std::mem::take(&mut alert.group).into_iter().take(ENTRIES_HARD).collect();
    shorten_texts(alert, TEXT_BYTES_HARD);
}

/// Shortens a text so that its JSON takes at most so many bytes, and shows that it did.
fn shorten(text: &mut String, bytes: usize) {
    const MARK: char = '…';
    let mut used = MARK.len_utf8();
    let mut end = None;
    for (at, char) in text.char_indices() {
        used += match char {
            '"' | '\\' => 2,
            '\0'..='\x1f' => 6,
            _ => char.len_utf8(),
        };
        if used > bytes {
            end = Some(at);
            break;
        }
    }
    if let Some(end) = end {
        text.truncate(end);
        text.push(MARK);
    }
}
