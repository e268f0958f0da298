//! Pages and counts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use crate::model::Event;
use crate::ports::StoreError;
use crate::query::{self, Query};
use crate::store::ids;
use crate::store::manifest::engine_error;
use crate::store::part::PartView;
use crate::store::raw::{Block, Loc};
use crate::store::record::Restore;
use crate::store::segment::SegmentView;

use super::bits::Bits;
use super::cursor::Cursor;
use super::plan::{Planner, time_range};
use super::{Budget, Hit, LIMIT_MAX, SearchAnswer, SearchError, SearchRequest, Searcher, Step, Total};

/// Events that one search may restore to decide whether they match, beyond those of its page.
const LOOKS_MAX: usize = 20_000;
/// Events between two looks at the budget.
const EVENTS_PER_CHECK: usize = 64;
/// Blocks that a search keeps decompressed.
const BLOCKS_KEPT: usize = 64;

/// Restores events of one part.
pub(super) struct Fetch<'a> {
    part: &'a PartView,
    restore: &'a dyn Restore,
    blocks: HashMap<u64, Block>,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(part: &'a PartView, restore: &'a dyn Restore) -> Self {
        Self { part, restore, blocks: HashMap::new() }
    }

    pub(super) fn event(&mut self, loc: Loc) -> Result<Event, StoreError> {
        if !self.blocks.contains_key(&loc.block()) {
            if self.blocks.len() >= BLOCKS_KEPT {
                self.blocks.clear();
            }
            self.blocks.insert(loc.block(), self.part.raw.block(loc.block())?.0);
        }
        let stored = self.blocks.get(&loc.block()).and_then(|block| block.record(loc));
        stored.and_then(|stored| self.restore.restore(&stored)).ok_or_else(|| unreadable(self.part, loc))
    }
}

pub(super) fn unreadable(part: &PartView, loc: Loc) -> StoreError {
    let what = format!("`{}` in the block at byte {}", part.dir.join("raw.blk").display(), loc.block());
    StoreError::Damaged { what, why: "a record is not what was stored".to_owned() }
}

/// The answer of one segment: what matches, and what was not looked at for want of budget.
pub(super) struct Resolved {
    pub(super) hits: Bits,
    pub(super) open: Option<Bits>,
}

/// What a search has spent on looking at events.
pub(super) struct Looks<'a> {
    pub(super) left: usize,
    pub(super) budget: &'a Budget,
}

impl<'a> Looks<'a> {
    pub(super) fn new(budget: &'a Budget) -> Self {
        Self { left: LOOKS_MAX, budget }
    }
}

/// Works a query out on one segment and looks at the events that the terms leave open.
pub(super) fn resolve(
    query: &Query,
    (low, high): (i64, i64),
    segment: &SegmentView,
    fetch: &mut Fetch<'_>,
    looks: &mut Looks<'_>,
) -> Result<Resolved, StoreError> {
    let (from, to) = time_range(segment, low, high);
    if from >= to {
        return Ok(Resolved { hits: Bits::none(segment.len), open: None });
    }
    let planned = Planner { segment, budget: looks.budget }.plan(query, 0);
    let mut bounds = planned.map_err(|error| engine_error("search", &fetch.part.dir, error))?;
    bounds.keep(from, to);
    let mut hits = bounds.sure;
    let Some(mut open) = bounds.maybe else { return Ok(Resolved { hits, open: None }) };
    open.minus(&hits);
    let docs: Vec<u32> = open.iter_from(0).take(looks.left).collect();
    for (at, doc) in docs.into_iter().enumerate() {
        if at % EVENTS_PER_CHECK == 0 && looks.budget.is_spent() {
            break;
        }
        looks.left = looks.left.saturating_sub(1);
        open.remove(doc);
        if query::matches(query, &fetch.event(Loc(segment.loc.get_val(doc)))?) {
            hits.insert(doc);
        }
    }
    let open = (!open.is_empty()).then_some(open);
    Ok(Resolved { hits, open })
}

/// Order of pages: newest first, then by id.
type Key = (Reverse<i64>, crate::model::EventId);

struct Page {
    limit: usize,
    after: Option<Key>,
    hits: BTreeMap<Key, Event>,
}

impl Page {
    /// Whether nothing of this time and older can get in any more.
    fn is_past(&self, time: i64) -> bool {
        self.hits.len() >= self.limit && self.hits.last_key_value().is_some_and(|((Reverse(worst), _), _)| time < *worst)
    }

    /// Whether an event of this time and beginning of an id cannot get in.
    fn is_out(&self, time: i64, head: u64) -> bool {
        let key = (Reverse(time), head);
        let short = |key: &Key| (key.0, ids::head(ids::prefix(&key.1)));
        self.after.as_ref().is_some_and(|after| key < short(after))
            || self.hits.len() >= self.limit && self.hits.last_key_value().is_some_and(|(worst, _)| key > short(worst))
    }

    fn put(&mut self, event: Event) {
        let key = (Reverse(event.time.nanos()), event.id);
        if self.after.is_none_or(|after| key > after) {
            self.hits.insert(key, event);
            if self.hits.len() > self.limit {
                self.hits.pop_last();
            }
        }
    }

    fn add(&mut self, query: &Query, segment: &SegmentView, resolved: &Resolved, fetch: &mut Fetch<'_>, budget: &Budget) -> Result<bool, StoreError> {
        let mut candidates = resolved.hits.clone();
        if let Some(open) = &resolved.open {
            candidates.or(open);
        }
        let start = self.after.map_or(0, |(Reverse(time), _)| time_range(segment, i64::MIN, time).0);
        for (at, doc) in candidates.iter_from(start).enumerate() {
            let time = segment.time.get_val(doc);
            if self.is_past(time) {
                break;
            }
            if at % EVENTS_PER_CHECK == 0 && budget.is_spent() {
                return Ok(false);
            }
            if self.is_out(time, segment.id.get_val(doc)) {
                continue;
            }
            let event = fetch.event(Loc(segment.loc.get_val(doc)))?;
            if resolved.hits.contains(doc) || query::matches(query, &event) {
                self.put(event);
            }
        }
        Ok(true)
    }
}

impl Searcher {
    /// One page and the number of all events that match.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchAnswer, SearchError> {
        let after = match &request.cursor {
            Some(text) => Some(Cursor::read(text).map(|c| (Reverse(c.time), c.id)).ok_or(SearchError::BadCursor)?),
            None => None,
        };
        if request.limit > LIMIT_MAX {
            return Err(SearchError::BadRequest(format!("a page has at most {LIMIT_MAX} events: use the cursor for more")));
        }
        // One more than asked for says whether there is a next page.
        let mut page = Page { limit: request.limit + 1, after, hits: BTreeMap::new() };
        let mut looks = Looks::new(&request.budget);
        let (mut total, mut partial) = (Total { value: 0, exact: true }, false);
        let mut range = (request.low(), request.high());
        if let Some((Reverse(time), _)) = page.after.filter(|_| !request.is_counted) {
            range.1 = range.1.min(time);
        }
        let (parts, mut steps) = (self.parts_between(range.0, range.1), Vec::new());
        for part in &parts {
            if !request.is_counted && page.is_past(part.stats.time_max) {
                total.exact = false;
                break;
            }
            let mut fetch = Fetch::new(part, self.restore.as_ref());
            let (left, mut matched, mut undecided) = (looks.left, 0, 0);
            for segment in &part.segments {
                if request.budget.is_spent() {
                    partial = true;
                    break;
                }
                let resolved = resolve(&request.query, range, segment, &mut fetch, &mut looks)?;
                matched += resolved.hits.count();
                undecided += resolved.open.as_ref().map_or(0, Bits::count);
                if request.limit > 0 && !page.is_past(part.stats.time_max) {
                    partial |= !page.add(&request.query, segment, &resolved, &mut fetch, &request.budget)?;
                }
            }
            let (segments, looked_at) = (part.segments.len() as u64, (left - looks.left) as u64);
            steps.push(Step { part: part.seq, events: part.stats.events, segments, matched, looked_at, undecided });
            total.value += matched;
            total.exact &= undecided == 0;
        }
        let skipped = (self.parts.load().len().saturating_sub(steps.len())) as u64;
        partial |= request.budget.is_spent();
        total.exact &= !partial;
        let has_more = page.hits.len() > request.limit;
        let events: Vec<Hit> = page.hits.into_iter().take(request.limit).map(|((_, id), event)| Hit { id, time: event.time, event }).collect();
        let next_cursor = events.last().filter(|_| has_more).map(|hit| Cursor { time: hit.time.nanos(), id: hit.id }.write());
        Ok(SearchAnswer { events, total, next_cursor, partial, steps, skipped })
    }

    /// How many events match.
    pub fn count(&self, request: &SearchRequest) -> Result<Total, SearchError> {
        Ok(self.search(&SearchRequest { limit: 0, cursor: None, ..request.clone() })?.total)
    }
}
