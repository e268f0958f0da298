//! Groups: histograms and top values, nested; and the names of fields.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use tantivy::postings::TermInfo;

use crate::model::{Duration, Field, FieldRef, Timestamp};
use crate::store::manifest::engine_error;
use crate::store::part::PartView;
use crate::store::raw::Loc;
use crate::store::segment::SegmentView;
use crate::store::term;

use super::bits::Bits;
use super::page::{Fetch, Looks, resolve};
use super::plan::Planner;
use super::stats::Stats;
use super::{Budget, SearchError, SearchRequest, Searcher, Total};

/// Groups in an answer, and groups of values that are kept while counting.
const GROUPS_MAX: usize = 10_000;
/// Values of a field that are kept where they are only counted.
const VALUES_MAX: usize = 100_000;
/// Levels of nesting.
const LEVELS_MAX: usize = 4;
/// Names of fields in an answer.
const FIELDS_MAX: usize = 5_000;

/// How to group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bucket {
    /// By time, in steps of this length aligned in UTC.
    Time(Duration),
    /// By value, the most frequent first.
    Field { field: FieldRef, size: usize },
    /// Not into groups: what the values of a field are like. The last level only.
    Stats { field: FieldRef },
}

/// One group.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Group {
    pub key: String,
    pub count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<Group>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<Stats>,
}

/// What an aggregation answers.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Grouped {
    pub buckets: Vec<Group>,
    /// Where the only level asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<Stats>,
    /// Events that match.
    pub total: Total,
    /// Something was left out, for want of budget or past a bound.
    pub partial: bool,
}

/// A field that events have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldInfo {
    pub name: String,
    /// `text`, `number`, `bool`, `ip`, `time` or `words`; `native` for what is not in the vocabulary.
    pub kind: &'static str,
    /// The most frequent values, folded to lower case.
    pub top: Vec<String>,
}

/// Counts of one group while parts are added up.
#[derive(Default)]
struct Tally {
    count: u64,
    /// An event that has the value, to show it as it is written.
    sample: Option<(usize, Loc)>,
    groups: BTreeMap<Key, Tally>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Time(i64),
    Value(String),
}

/// Values of a field, each with its places in the index of a segment.
type Values = BTreeMap<String, Vec<TermInfo>>;

struct Count<'a, 'b> {
    planner: Planner<'a>,
    fetch: &'b mut Fetch<'a>,
    looks: &'b mut Looks<'a>,
    segment: &'a SegmentView,
    part: usize,
    groups: usize,
    groups_max: usize,
    is_cut: bool,
}

impl Count<'_, '_> {
    fn level(&mut self, docs: &Bits, by: &[Bucket], to: &mut Tally) -> io::Result<()> {
        let Some((bucket, rest)) = by.split_first() else { return Ok(()) };
        match bucket {
            Bucket::Time(step) => self.by_time(docs, *step, rest, to),
            Bucket::Field { field, .. } | Bucket::Stats { field } => self.by_value(docs, field, rest, to),
        }
    }

    fn by_time(&mut self, docs: &Bits, step: Duration, rest: &[Bucket], to: &mut Tally) -> io::Result<()> {
        let start = |doc: u32| Timestamp::from_nanos(self.segment.time.get_val(doc)).bucket(step).nanos();
        let mut groups: Vec<(i64, Bits)> = Vec::new();
        // Documents stand in order of time, so groups do not interleave.
        let mut counts: Vec<(i64, u64, u32)> = Vec::new();
        for doc in docs.iter_from(0) {
            let key = start(doc);
            match counts.last_mut() {
                Some((last, count, _)) if *last == key => *count += 1,
                _ => counts.push((key, 1, doc)),
            }
        }
        for (at, (key, count, first)) in counts.iter().enumerate() {
            let Some(tally) = self.slot(to, Key::Time(*key)) else { break };
            tally.count += count;
            if !rest.is_empty() {
                let mut subset = docs.clone();
                subset.keep(*first, counts.get(at + 1).map_or(self.segment.len, |next| next.2));
                groups.push((*key, subset));
            }
        }
        for (key, subset) in groups {
            if let Some(tally) = to.groups.get_mut(&Key::Time(key)) {
                self.level(&subset, rest, tally)?;
            }
        }
        Ok(())
    }

    fn by_value(&mut self, docs: &Bits, field: &FieldRef, rest: &[Bucket], to: &mut Tally) -> io::Result<()> {
        let (values, shared) = self.values_of(docs, field)?;
        let mut found: Vec<(&str, Bits)> = Vec::new();
        for (value, infos) in &values {
            let (count, first, subset) = self.count_of(docs, infos, !rest.is_empty())?;
            let Some(first) = first else { continue };
            let (part, loc) = (self.part, Loc(self.segment.loc.get_val(first)));
            let Some(tally) = self.slot(to, Key::Value(value.clone())) else { break };
            tally.count += count;
            tally.sample = tally.sample.or(Some((part, loc)));
            found.extend(subset.map(|subset| (value.as_str(), subset)));
        }
        self.by_look(docs, field, shared, &values, rest, to)?;
        for (value, subset) in found {
            if let Some(tally) = to.groups.get_mut(&Key::Value(value.to_owned())) {
                self.level(&subset, rest, tally)?;
            }
        }
        Ok(())
    }

    /// The values that events of a set have, each with its places in the index, and the events of which the terms do not tell the value.
    fn values_of(&mut self, docs: &Bits, field: &FieldRef) -> io::Result<(Values, Bits)> {
        let (mut values, mut shared, groups_max) = (Values::new(), Bits::none(self.segment.len), self.groups_max);
        for range in self.segment.ranges_of(field) {
            self.planner.walk(&range.prefix, "", |value, info| {
                if term::is_shared(value) {
                    self.planner.add(info, &mut shared)?;
                } else if self.planner.has_any(info, |doc| docs.contains(doc))? {
                    values.entry(value.to_owned()).or_default().push(info.clone());
                }
                Ok(values.len() < groups_max)
            })?;
        }
        self.is_cut |= values.len() >= groups_max;
        Ok((values, shared))
    }

    /// How many of the events have a term, the first of them, and which, where that is asked for.
    fn count_of(&self, docs: &Bits, infos: &[TermInfo], is_set_wanted: bool) -> io::Result<(u64, Option<u32>, Option<Bits>)> {
        if let ([info], false) = (infos, is_set_wanted) {
            let (mut count, mut first) = (0, None);
            self.planner.each(info, |doc| {
                if docs.contains(doc) {
                    count += 1;
                    first = first.or(Some(doc));
                }
            })?;
            return Ok((count, first, None));
        }
        let mut subset = Bits::none(self.segment.len);
        infos.iter().try_for_each(|info| self.planner.add(info, &mut subset))?;
        subset.and(docs);
        let first = subset.iter_from(0).next();
        Ok((subset.count(), first, (is_set_wanted && first.is_some()).then_some(subset)))
    }

    /// Counts the values that the terms do not tell, by looking at the events; `known` are those that they do tell.
    fn by_look(&mut self, docs: &Bits, field: &FieldRef, mut shared: Bits, known: &Values, rest: &[Bucket], to: &mut Tally) -> io::Result<()> {
        shared.and(docs);
        let forms: Vec<term::Form> = self.segment.ranges_of(field).iter().map(|range| range.form).collect();
        let places: Vec<u32> = shared.iter_from(0).take(self.looks.left + 1).collect();
        for doc in places {
            if self.looks.left == 0 || self.looks.budget.is_spent() || !rest.is_empty() {
                self.is_cut = true;
                break;
            }
            self.looks.left -= 1;
            let loc = Loc(self.segment.loc.get_val(doc));
            let event = self.fetch.event(loc).map_err(io::Error::other)?;
            let mut own = BTreeSet::new();
            event.each(field, |value| {
                if forms.iter().any(|form| form.is_shared(value.text)) {
                    let mut folded = String::new();
                    term::write_value(value.text, &mut folded);
                    own.insert(folded);
                }
            });
            for value in own {
                let mut told = known.get(&value).into_iter().flatten();
                if told.try_fold(false, |is_told, info| Ok::<_, io::Error>(is_told || self.planner.has_any(info, |other| other == doc)?))? {
                    continue;
                }
                let part = self.part;
                let Some(tally) = self.slot(to, Key::Value(value)) else { return Ok(()) };
                tally.count += 1;
                tally.sample = tally.sample.or(Some((part, loc)));
            }
        }
        Ok(())
    }

    /// The group of a key, if there is room for it.
    fn slot<'t>(&mut self, to: &'t mut Tally, key: Key) -> Option<&'t mut Tally> {
        if !to.groups.contains_key(&key) {
            if self.groups >= self.groups_max {
                self.is_cut = true;
                return None;
            }
            self.groups += 1;
        }
        Some(to.groups.entry(key).or_default())
    }
}

impl Searcher {
    /// Groups of the events that match.
    pub fn aggregate(&self, request: &SearchRequest, by: &[Bucket]) -> Result<Grouped, SearchError> {
        let is_stats = |bucket: &Bucket| matches!(bucket, Bucket::Stats { .. });
        if by.iter().rev().skip(1).any(is_stats) {
            return Err(SearchError::BadRequest("`stats` has no level below it: put it last".to_owned()));
        }
        let groups_max = if by.last().is_some_and(is_stats) { VALUES_MAX } else { GROUPS_MAX };
        if by.len() > LEVELS_MAX || by.iter().any(|bucket| matches!(bucket, Bucket::Time(step) if step.0 <= 0)) {
            return Err(SearchError::BadRequest(format!("at most {LEVELS_MAX} levels, and steps of time longer than nothing")));
        }
        let (mut tally, mut total, mut partial) = (Tally::default(), Total { value: 0, exact: true }, false);
        let mut looks = Looks::new(&request.budget);
        let range = (request.low(), request.high());
        let parts = self.parts_between(range.0, range.1);
        let mut groups = 0;
        for (at, part) in parts.iter().enumerate() {
            let mut fetch = Fetch::new(part, self.restore.as_ref());
            for segment in &part.segments {
                if request.budget.is_spent() {
                    partial = true;
                    break;
                }
                let resolved = resolve(&request.query, range, segment, &mut fetch, &mut looks)?;
                total.value += resolved.hits.count();
                total.exact &= resolved.open.is_none();
                let planner = Planner { segment, budget: &request.budget };
                let mut count = Count { planner, fetch: &mut fetch, looks: &mut looks, segment, part: at, groups, groups_max, is_cut: false };
                count.level(&resolved.hits, by, &mut tally).map_err(|error| engine_error("group events of", &part.dir, error))?;
                groups = count.groups;
                partial |= count.is_cut;
            }
        }
        partial |= !total.exact || request.budget.is_spent();
        total.exact &= !partial;
        let Group { buckets, stats, .. } = self.finish(String::new(), tally, by, &parts)?;
        Ok(Grouped { buckets, stats, total, partial })
    }

    /// The group of a key, with what is below it.
    fn finish(&self, key: String, tally: Tally, by: &[Bucket], parts: &[std::sync::Arc<PartView>]) -> Result<Group, SearchError> {
        let mut group = Group { key, count: tally.count, buckets: Vec::new(), stats: None };
        let Some((bucket, rest)) = by.split_first() else { return Ok(group) };
        let mut groups: Vec<(Key, Tally)> = tally.groups.into_iter().collect();
        match bucket {
            Bucket::Time(_) => {}
            Bucket::Field { size, .. } => {
                groups.sort_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(&b.0)));
                groups.truncate(*size);
            }
            Bucket::Stats { .. } => {
                let of = |(key, tally): &(Key, Tally)| if let Key::Value(value) = key { Some((value.clone(), tally.count)) } else { None };
                group.stats = Some(Stats::of(groups.iter().filter_map(of)));
                return Ok(group);
            }
        }
        for (key, tally) in groups {
            let key = match (key, bucket) {
                (Key::Value(folded), Bucket::Field { field, .. }) => self.spelling(field, folded, tally.sample, parts)?,
                (Key::Value(folded), _) => folded,
                (Key::Time(start), _) => Timestamp::from_nanos(start).to_string(),
            };
            group.buckets.push(self.finish(key, tally, rest, parts)?);
        }
        Ok(group)
    }

    /// A value as an event writes it: terms are folded, and cut when they are long.
    fn spelling(
        &self,
        field: &FieldRef,
        folded: String,
        sample: Option<(usize, Loc)>,
        parts: &[std::sync::Arc<PartView>],
    ) -> Result<String, SearchError> {
        let Some((part, loc)) = sample.and_then(|(at, loc)| Some((parts.get(at)?, loc))) else { return Ok(folded) };
        let event = Fetch::new(part, self.restore.as_ref()).event(loc)?;
        let mut found = None;
        event.each(field, |value| {
            let mut encoded = String::new();
            term::write_value(value.text, &mut encoded);
            if found.is_none() && encoded == folded {
                found = Some(value.text.chars().take(1024).collect());
            }
        });
        Ok(found.unwrap_or_else(|| folded.chars().filter(|c| !c.is_control()).collect()))
    }

    /// Every field that stored events have: those of the vocabulary with their most frequent values, then native ones by name. Says besides
    /// whether the budget ended it early.
    pub fn fields(&self, budget: &Budget) -> Result<(Vec<FieldInfo>, bool), SearchError> {
        let mut names: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for part in self.parts_between(i64::MIN, i64::MAX) {
            for segment in part.segments.iter().take_while(|_| !budget.is_spent()) {
                collect_fields(segment, &mut names).map_err(|error| engine_error("list the fields of", &part.dir, error))?;
            }
        }
        let info = |(marked, values): (String, BTreeMap<String, u64>)| {
            let mut top: Vec<(String, u64)> = values.into_iter().collect();
            top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let top = top.into_iter().take(10).map(|(value, _)| value).collect();
            let name: String = marked.chars().skip(1).collect();
            match Field::by_name(&name).filter(|_| marked.starts_with(term::FACT)) {
                Some(field) => FieldInfo { kind: kind_name(field), name, top },
                None => FieldInfo { kind: "native", name, top },
            }
        };
        let mut fields: Vec<FieldInfo> = names.into_iter().map(info).collect();
        fields.sort_by(|a, b| (a.kind == "native", &a.name).cmp(&(b.kind == "native", &b.name)));
        Ok((fields, budget.is_spent()))
    }
}

/// Adds the field names of a segment. Jumps from field to field; of the vocabulary's fields the first values are counted.
fn collect_fields(segment: &SegmentView, names: &mut BTreeMap<String, BTreeMap<String, u64>>) -> io::Result<()> {
    const COUNTED_MAX: usize = 1000;
    let terms = segment.terms.terms();
    let mut from = String::new();
    while names.len() < FIELDS_MAX {
        let mut stream = terms.range().ge(&from).into_stream()?;
        let Some((field, _)) = next_text(&mut stream) else { break };
        let Some(name) = term::split(&field).map(|(name, _)| name.to_owned()) else {
            from = format!("{field}\0");
            continue;
        };
        let shown = shown_names(&name);
        let (facts, native): (Vec<_>, Vec<_>) = shown.into_iter().partition(|name| name.starts_with(term::FACT));
        for name in native {
            names.entry(name).or_default();
        }
        let mut next = (!facts.is_empty()).then(|| (field.clone(), u64::from(stream.value().doc_freq)));
        for _ in 0..COUNTED_MAX {
            let Some((term, count)) = next.take() else { break };
            let Some((_, value)) = term::split(&term).filter(|(known, value)| *known == name && !term::is_cut(value)) else { break };
            for fact in &facts {
                *names.entry(fact.clone()).or_default().entry(value.to_owned()).or_default() += count;
            }
            next = next_text(&mut stream);
        }
        from = term::end_of(&term::closed(&name));
    }
    Ok(())
}

/// The facts first, then the native field, that a field of the index stands for, each with its mark.
fn shown_names(name: &str) -> Vec<String> {
    if let Some((facts, native)) = term::names_of_both(&term::closed(name)) {
        let facts = facts.into_iter().map(|fact| format!("{}{}", term::FACT, fact.name()));
        return facts.chain(std::iter::once(format!("{}{native}", term::NATIVE))).collect();
    }
    if name.starts_with([term::FACT, term::NATIVE]) { vec![name.to_owned()] } else { Vec::new() }
}

fn next_text(stream: &mut tantivy::termdict::TermStreamer<'_>) -> Option<(String, u64)> {
    let (key, info) = stream.next()?;
    Some((String::from_utf8_lossy(key).into_owned(), u64::from(info.doc_freq)))
}

fn kind_name(field: Field) -> &'static str {
    use crate::model::FieldType;
    match field.kind() {
        FieldType::Text => "text",
        FieldType::Number => "number",
        FieldType::Bool => "bool",
        FieldType::Ip => "ip",
        FieldType::Time => "time",
        FieldType::Words => "words",
    }
}
