//! A query against the terms of one segment: which events meet it for sure, and which may and have to be looked at.

use std::io;
use std::net::IpAddr;

use tantivy::postings::TermInfo;
use tantivy::schema::IndexRecordOption;

use crate::model::{EventId, Field, FieldRef, FieldType, Timestamp};
use crate::query::{self, Bound, Query, ValueTest, Wild, WildPart};
use crate::store::ids;
use crate::store::segment::SegmentView;
use crate::store::term::{self, Form, TermRange};

use super::Budget;
use super::bits::{Bits, Bounds};
use super::verdict::{Verdict, exact, in_net, in_range, of_pattern};

/// Terms of a field that one condition may take in; past it the events are looked at instead.
const EXPANDED_TERMS_MAX: usize = 200_000;
/// Terms between two looks at the budget.
const TERMS_PER_CHECK: usize = 4096;
/// Deeper queries are not planned but checked event by event. The parser allows 32.
const DEPTH_MAX: usize = 64;

/// The words of a message-like field.
fn words_of(field: Field) -> TermRange<'static> {
    TermRange { prefix: term::field(term::WORD, field.name()).into(), form: Form::Whole }
}

/// Evaluates queries on one segment.
pub(super) struct Planner<'a> {
    pub(super) segment: &'a SegmentView,
    pub(super) budget: &'a Budget,
}

impl Planner<'_> {
    /// Which events of the segment meet the query.
    pub(super) fn plan(&self, query: &Query, depth: usize) -> io::Result<Bounds> {
        if depth > DEPTH_MAX {
            return Ok(self.look_at_all());
        }
        Ok(match query {
            Query::All => Bounds::exact(Bits::all(self.segment.len)),
            Query::None => Bounds::exact(Bits::none(self.segment.len)),
            Query::Not(inner) => self.plan(inner, depth + 1)?.not(),
            Query::And(all) => self.join(all, depth, Bounds::exact(Bits::all(self.segment.len)), Bits::and)?,
            Query::Or(any) => self.join(any, depth, Bounds::exact(Bits::none(self.segment.len)), Bits::or)?,
            Query::Field { field, test } => self.field(field, test)?,
            Query::Word(wild) => self.word(wild)?,
            Query::Phrase(text) => self.phrase(text)?,
        })
    }

    fn join(&self, parts: &[Query], depth: usize, start: Bounds, with: fn(&mut Bits, &Bits)) -> io::Result<Bounds> {
        parts.iter().try_fold(start, |sum, part| Ok(sum.join(&self.plan(part, depth + 1)?, with)))
    }

    fn look_at_all(&self) -> Bounds {
        Bounds { sure: Bits::none(self.segment.len), maybe: Some(Bits::all(self.segment.len)) }
    }

    /// The events that have a term.
    pub(super) fn each(&self, info: &TermInfo, mut to: impl FnMut(u32)) -> io::Result<()> {
        let mut postings = self.segment.terms.read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        while postings.block_len() > 0 {
            postings.docs().iter().for_each(|doc| to(*doc));
            postings.advance();
        }
        Ok(())
    }

    /// Whether one of the events that have a term is such a one.
    pub(super) fn has_any(&self, info: &TermInfo, is_such: impl Fn(u32) -> bool) -> io::Result<bool> {
        let mut postings = self.segment.terms.read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        while postings.block_len() > 0 {
            if postings.docs().iter().any(|doc| is_such(*doc)) {
                return Ok(true);
            }
            postings.advance();
        }
        Ok(false)
    }

    /// Adds the events that have a term.
    pub(super) fn add(&self, info: &TermInfo, to: &mut Bits) -> io::Result<()> {
        self.each(info, |doc| to.insert(doc))
    }

    fn add_term(&self, term: &str, to: &mut Bits) -> io::Result<()> {
        self.segment.terms.terms().get(term)?.map_or(Ok(()), |info| self.add(&info, to))
    }

    /// Walks over the terms with a prefix that belong to a field, value by value, until told to stop.
    pub(super) fn walk(&self, field: &str, value_prefix: &str, mut each: impl FnMut(&str, &TermInfo) -> io::Result<bool>) -> io::Result<()> {
        let start = format!("{field}{value_prefix}");
        let mut terms = self.segment.terms.terms().range().ge(&start).lt(term::end_of(field)).into_stream()?;
        let mut seen = 0;
        while let Some((key, info)) = terms.next() {
            seen += 1;
            if seen % TERMS_PER_CHECK == 0 && self.budget.is_spent() {
                break;
            }
            let Ok(key) = std::str::from_utf8(key) else { continue };
            let Some(value) = key.strip_prefix(field) else { continue };
            if !value.starts_with(value_prefix) || !each(value, info)? {
                break;
            }
        }
        Ok(())
    }

    /// Adds to the events that may: those of which not all terms are indexed.
    fn with_overfull(&self, sure: Bits, mut maybe: Bits) -> io::Result<Bounds> {
        self.add_term(term::OVERFULL, &mut maybe)?;
        maybe.or(&sure);
        Ok(if maybe == sure { Bounds::exact(sure) } else { Bounds { sure, maybe: Some(maybe) } })
    }

    fn expand(&self, range: &TermRange<'_>, value_prefix: &str, test: impl Fn(&str) -> Verdict) -> io::Result<Bounds> {
        let (mut sure, mut maybe) = (Bits::none(self.segment.len), Bits::none(self.segment.len));
        let mut taken = 0;
        self.walk(&range.prefix, value_prefix, |value, info| {
            match test(value) {
                Verdict::No => return Ok(true),
                Verdict::Yes => self.add(info, &mut sure)?,
                Verdict::Look => self.add(info, &mut maybe)?,
            }
            taken += 1;
            Ok(taken < EXPANDED_TERMS_MAX)
        })?;
        if taken >= EXPANDED_TERMS_MAX {
            maybe = Bits::all(self.segment.len);
        }
        self.with_overfull(sure, maybe)
    }

    fn field(&self, field: &FieldRef, test: &ValueTest) -> io::Result<Bounds> {
        let kind = match field {
            FieldRef::Fact(Field::EventId) => return Ok(self.id(test)),
            FieldRef::Fact(Field::EventTime) => return Ok(self.time(test)),
            FieldRef::Fact(Field::EventIngested) => return Ok(self.look_at_all()),
            FieldRef::Fact(fact) => fact.kind(),
            FieldRef::Native { .. } => FieldType::Text,
        };
        self.any(&self.segment.ranges_of(field), |range| match test {
            ValueTest::Wild(wild) => self.wild(range, kind, wild),
            ValueTest::Exists => self.expand(range, "", |value| if value == "null" { Verdict::Look } else { Verdict::Yes }),
            ValueTest::Range { low, high } => self.expand(range, "", |value| in_range(value, low, high)),
            ValueTest::Cidr { net, bits } => self.expand(range, "", |value| in_net(value, *net, *bits)),
        })
    }

    /// What meets a test in any of the places that the values of a field stand.
    fn any(&self, ranges: &[TermRange<'_>], test: impl Fn(&TermRange<'_>) -> io::Result<Bounds>) -> io::Result<Bounds> {
        let Some((first, rest)) = ranges.split_first() else { return Ok(Bounds::exact(Bits::none(self.segment.len))) };
        rest.iter().try_fold(test(first)?, |sum, range| Ok(sum.join(&test(range)?, Bits::or)))
    }

    fn id(&self, test: &ValueTest) -> Bounds {
        let exact = match test {
            ValueTest::Wild(wild) => exact(wild),
            ValueTest::Exists => return Bounds::exact(Bits::all(self.segment.len)),
            ValueTest::Range { .. } | ValueTest::Cidr { .. } => None,
        };
        let Some(text) = exact else { return self.look_at_all() };
        let mut maybe = Bits::none(self.segment.len);
        if let Ok(id) = text.parse::<EventId>() {
            let head = ids::head(ids::prefix(&id));
            (0..self.segment.len).filter(|doc| self.segment.id.get_val(*doc) == head).for_each(|doc| maybe.insert(doc));
        }
        Bounds { sure: Bits::none(self.segment.len), maybe: Some(maybe) }
    }

    fn time(&self, test: &ValueTest) -> Bounds {
        let ValueTest::Range { low, high } = test else { return self.look_at_all() };
        let edge = |bound: &Bound, open: i64, shift: i64| match bound {
            Bound::Open => Some(open),
            Bound::Inclusive(text) => Timestamp::parse(text).map(Timestamp::nanos),
            Bound::Exclusive(text) => Timestamp::parse(text).map(|t| t.nanos().saturating_add(shift)),
        };
        let (Some(low), Some(high)) = (edge(low, i64::MIN, 1), edge(high, i64::MAX, -1)) else { return self.look_at_all() };
        let mut bits = Bits::all(self.segment.len);
        let (from, to) = time_range(self.segment, low, high);
        bits.keep(from, to);
        Bounds::exact(bits)
    }

    fn wild(&self, range: &TermRange<'_>, kind: FieldType, wild: &Wild) -> io::Result<Bounds> {
        let Some(text) = exact(wild) else {
            let start = match wild.parts.first() {
                Some(WildPart::Text(text)) if text.len() <= 200 && !term::is_cut(text) => text.as_str(),
                _ => "",
            };
            // Numbers of a query string are not in the terms.
            let start = if range.form == Form::Uri { start.split('?').next().unwrap_or_default() } else { start };
            let found = self.expand(range, start, |value| of_pattern(&wild.parts, value))?;
            return if start.is_empty() || range.form == Form::Whole {
                Ok(found)
            } else {
                Ok(found.join(&self.shared(range, start, wild)?, Bits::or))
            };
        };
        let address: Option<IpAddr> = if kind == FieldType::Ip { text.parse().ok() } else { None };
        if let Some(address) = address.filter(IpAddr::is_ipv6) {
            return self.expand(range, "", |value| if value.parse() == Ok(address) { Verdict::Look } else { Verdict::No });
        }
        let mut key = range.prefix.to_string();
        range.form.write(&text, &mut key);
        let mut found = Bits::none(self.segment.len);
        self.add_term(&key, &mut found)?;
        let none = Bits::none(self.segment.len);
        let is_sure = text != "null" && key.strip_prefix(range.prefix.as_ref()).is_some_and(|value| !term::is_cut(value));
        if is_sure { self.with_overfull(found, none) } else { self.with_overfull(none, found) }
    }

    /// Terms that stand for several values, of which some may begin with this text while the terms themselves do not.
    fn shared(&self, range: &TermRange<'_>, start: &str, wild: &Wild) -> io::Result<Bounds> {
        let mut maybe = Bits::none(self.segment.len);
        for head in (0..start.len().min(term::LEAN_HEAD_MAX + 1)).filter_map(|end| start.get(..end)) {
            self.walk(&range.prefix, &format!("{head}{}", term::CUT), |value, info| {
                if of_pattern(&wild.parts, value) != Verdict::No {
                    self.add(info, &mut maybe)?;
                }
                Ok(true)
            })?;
        }
        Ok(to_look(Bounds::exact(maybe)))
    }

    /// A free word may be a word of a message, or the whole value of some field; which fields count is for `query::matches` to say.
    fn word(&self, wild: &Wild) -> io::Result<Bounds> {
        let mut sum = Bounds::exact(Bits::none(self.segment.len));
        for field in Field::ALL {
            if matches!(field, Field::EventId | Field::EventTime | Field::EventIngested) {
                continue;
            }
            let whole = self.any(&self.segment.ranges_of(&FieldRef::Fact(*field)), |range| self.wild(range, FieldType::Text, wild))?;
            let whole = if *field == Field::Entity { whole } else { to_look(whole) };
            sum = sum.join(&whole, Bits::or);
            if field.kind() == FieldType::Words {
                sum = sum.join(&to_look(self.wild(&words_of(*field), FieldType::Text, wild)?), Bits::or);
                if let Some(text) = exact(wild) {
                    sum = sum.join(&self.all_words(*field, &text)?, Bits::or);
                }
            }
        }
        let mut ids = Bits::none(self.segment.len);
        if let Some(Ok(id)) = exact(wild).map(|text| text.parse::<EventId>()) {
            (0..self.segment.len).filter(|doc| self.segment.id.get_val(*doc) == ids::head(ids::prefix(&id))).for_each(|doc| ids.insert(doc));
        }
        Ok(sum.join(&Bounds { sure: Bits::none(self.segment.len), maybe: Some(ids) }, Bits::or))
    }

    fn phrase(&self, text: &str) -> io::Result<Bounds> {
        let mut sum = self.word(&Wild { parts: vec![WildPart::Text(term::fold(text).into_owned())] })?;
        for field in Field::ALL.iter().filter(|field| field.kind() == FieldType::Words) {
            sum = sum.join(&self.all_words(*field, text)?, Bits::or);
        }
        Ok(to_look(sum))
    }

    /// Events of which a message-like field has all words of a text, in whatever order.
    fn all_words(&self, field: Field, text: &str) -> io::Result<Bounds> {
        let range = words_of(field);
        let mut sum: Option<Bounds> = None;
        for word in query::words(text).take(64) {
            let wild = Wild { parts: vec![WildPart::Text(word.into_owned())] };
            let found = self.wild(&range, FieldType::Text, &wild)?;
            sum = Some(match sum {
                Some(sum) => sum.join(&found, Bits::and),
                None => found,
            });
        }
        Ok(to_look(sum.unwrap_or_else(|| Bounds::exact(Bits::none(self.segment.len)))))
    }
}

/// Nothing of it is sure.
fn to_look(bounds: Bounds) -> Bounds {
    let mut sure = bounds.sure.clone();
    sure.minus(&bounds.sure);
    Bounds { sure, maybe: Some(bounds.maybe.unwrap_or(bounds.sure)) }
}

/// The documents of a segment in a range of time, both ends included. Documents stand newest first.
pub(super) fn time_range(segment: &SegmentView, low: i64, high: i64) -> (u32, u32) {
    let first = |is_before: &dyn Fn(i64) -> bool| {
        let (mut from, mut to) = (0, segment.len);
        while from < to {
            let middle = from + (to - from) / 2;
            if is_before(segment.time.get_val(middle)) { from = middle + 1 } else { to = middle }
        }
        from
    };
    (first(&|time| time > high), first(&|time| time >= low))
}
