//! A witness as bytes, and back.

use std::sync::Arc;

use super::Witness;
use crate::detect::correlate::chain::Content;
use crate::detect::journal::{Bytes, Headers, put_key, put_len, put_text, put_time};
use crate::model::{EventId, Level, RuleHeader, RuleType};

/// Alerts within alerts: steps are of single rules, so there is one storey in truth.
const DEPTH_MAX: usize = 1;

impl Witness {
    /// Appends it.
    pub(in crate::detect) fn write(&self, to: &mut Vec<u8>) {
        let Self { rule, told, below } = self;
        put_text(to, &rule.id);
        put_len(to, told.len());
        to.extend_from_slice(told);
        to.push(u8::from(below.is_some()));
        if let Some(Content { first, last, is_clamped, events, steps, values }) = below.as_deref() {
            put_time(to, *first);
            put_time(to, *last);
            to.push(u8::from(*is_clamped));
            put_len(to, events.len());
            for (time, id) in events {
                put_time(to, *time);
                to.extend_from_slice(&id.0);
            }
            put_len(to, steps.len());
            for (key, witness) in steps {
                put_key(to, key);
                witness.write(to);
            }
            put_len(to, values.len());
            for (name, value) in values {
                [name, value].into_iter().for_each(|text| put_text(to, text));
            }
        }
    }

    /// Reads it. `None` if these bytes are none.
    pub(in crate::detect) fn read(from: &mut Bytes<'_>, headers: &Headers) -> Option<Self> {
        Self::read_within(from, headers, 0)
    }

    fn read_within(from: &mut Bytes<'_>, headers: &Headers, depth: usize) -> Option<Self> {
        if depth > DEPTH_MAX {
            return None;
        }
        let id = from.text()?;
        // Of a rule that is gone only the id is left; who refers to it is gone as well.
        let rule = headers.get(id).map_or_else(|| Arc::new(nameless(id)), Arc::clone);
        let len = from.len()?;
        let told = from.take(len)?;
        is_told(told)?;
        let below = if from.flag()? { Some(Box::new(Self::read_below(from, headers, depth)?)) } else { None };
        Some(Self { rule, told: told.into(), below })
    }

    fn read_below(from: &mut Bytes<'_>, headers: &Headers, depth: usize) -> Option<Content> {
        Some(Content {
            first: from.time()?,
            last: from.time()?,
            is_clamped: from.flag()?,
            events: from.list(|from| Some((from.time()?, EventId(from.array()?))))?,
            steps: from.list(|from| Some((from.key()?, Arc::new(Self::read_within(from, headers, depth + 1)?))))?,
            values: from.list(|from| Some((from.text()?.into(), from.text()?.into())))?,
        })
    }
}

/// Whether these are three lists of texts and no more.
fn is_told(told: &[u8]) -> Option<()> {
    let mut from = Bytes::of(told);
    for width in [1, 3, 2] {
        Witness::list(&mut from, width, |_| {})?;
    }
    from.is_empty().then_some(())
}

fn nameless(id: &str) -> RuleHeader {
    RuleHeader {
        id: id.to_owned(),
        title: String::new(),
        author: None,
        level: Level::Informational,
        tags: Vec::new(),
        kind: RuleType::Single,
        runbook: None,
    }
}
