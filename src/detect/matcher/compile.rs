//! From rules to shared predicates, field indexes and conditions.

use std::collections::HashMap;
use std::sync::Arc;

use super::check::{Check, Shape, fold_parts, regex, shape};
use super::element::Elements;
use super::needles;
use super::paths::Paths;
use super::program::{Node, Program};
use crate::detect::cidr::Cidr;
use crate::detect::fold::{Glob, fold};
use crate::detect::prefilter::{FieldIndex, Quick};
use crate::detect::rule::{Body, Condition, Detection, Filter, Item, LogSource, Pattern, Place, Rule, Selection, Test};
use crate::model::{Field, FieldRef, Kind};

/// Nesting of a condition or selection; deeper rules are refused.
const DEPTH_MAX: usize = 64;

/// The slot of keywords: every string and number of the record, whatever its field.
pub(super) const KEYWORDS: u32 = 0;

/// A field that rules read.
#[derive(Debug)]
pub(super) struct Slot {
    /// `None` for keywords.
    pub(super) field: Option<FieldRef>,
    pub(super) index: FieldIndex,
}

/// A test on a field, shared by all rules that make it.
#[derive(Debug)]
pub(super) struct Predicate {
    pub(super) slot: u32,
    pub(super) check: Check,
    /// As `explain` shows it; equal texts of one slot are one predicate.
    pub(super) text: Box<str>,
    /// How many rules use it.
    pub(super) uses: u32,
}

/// A selection as evidence needs it.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) name: Arc<str>,
    /// Holds when the selection does.
    pub(super) node: u32,
    /// The predicates that values are shown for.
    pub(super) shown: Vec<u32>,
}

/// A rule, compiled.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Index in the rule set.
    pub(super) rule: u32,
    /// Bit for each kind of event it is for.
    pub(super) kinds: u16,
    pub(super) node: u32,
    /// Of the rule, then of its filters.
    pub(super) evidence: Vec<Arc<Evidence>>,
}

/// Everything but what changes from event to event.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) slots: Vec<Slot>,
    pub(super) predicates: Vec<Predicate>,
    pub(super) program: Program,
    pub(super) rules: Vec<Compiled>,
    pub(super) paths: Paths,
    /// From a normalised field to its slot.
    pub(super) facts: Vec<Option<u32>>,
    /// Objects and lists count for some field.
    pub(super) wants_containers: bool,
    pub(super) wants_keywords: bool,
}

/// Builds [`Tables`], rule by rule.
#[derive(Debug)]
pub(super) struct Builder {
    pub(super) tables: Tables,
    slots: HashMap<FieldRef, u32>,
    known: HashMap<(u32, Box<str>), u32>,
    /// Nodes of filters and what is evidence of them, by where the filter lies: one for all its rules, which keep it alive.
    filters: HashMap<usize, (u32, Vec<Arc<Evidence>>)>,
}

impl Builder {
    pub(super) fn new() -> Self {
        let tables =
            Tables { slots: vec![Slot { field: None, index: FieldIndex::default() }], facts: vec![None; Field::ALL.len()], ..Tables::default() };
        Self { tables, slots: HashMap::new(), known: HashMap::new(), filters: HashMap::new() }
    }

    /// Adds a rule. The error says what of it cannot be run; a rule that is refused leaves no condition behind.
    pub(super) fn add(&mut self, at: usize, rule: &Rule) -> Result<(), String> {
        let Body::Single(detection) = &rule.body else { return Ok(()) };
        let kinds = match &rule.logsource {
            LogSource::Any => u16::MAX,
            LogSource::Kind(kind) => 1 << *kind as u16,
            LogSource::NotApplicable(_) => return Ok(()),
        };
        let (node, mut evidence) = self.detection(detection, "")?;
        let mut nodes = vec![node];
        for filter in &detection.filters {
            let (node, own) = self.filter(filter).map_err(|error| format!("filter `{}`: {error}", filter.id))?;
            nodes.push(node);
            evidence.extend(own);
        }
        let node = self.tables.program.and(nodes);
        let mut used = Vec::new();
        self.tables.program.predicates(node, &mut used);
        used.sort_unstable();
        used.dedup();
        for predicate in used {
            self.tables.predicates[predicate as usize].uses += 1;
        }
        self.tables.rules.push(Compiled { rule: u32::try_from(at).unwrap_or(u32::MAX), kinds, node, evidence });
        Ok(())
    }

    /// The node of a condition; and what is evidence of it: its selections that are not negated, with `within` before their names. Of a list of maps each
    /// map is evidence by itself.
    fn detection(&mut self, detection: &Detection, within: &str) -> Result<(u32, Vec<Arc<Evidence>>), String> {
        let positive = positive(detection);
        let (mut evidence, mut nodes) = (Vec::with_capacity(detection.selections.len()), Vec::with_capacity(detection.selections.len()));
        for (at, (name, selection)) in detection.selections.iter().enumerate() {
            let alternatives = if let Selection::Any(of) = selection { of.as_slice() } else { std::slice::from_ref(selection) };
            let shown_name: Arc<str> = Arc::from(format!("{within}{name}"));
            let mut any = Vec::with_capacity(alternatives.len());
            for alternative in alternatives {
                let mut shown = Vec::new();
                let node = self.selection(alternative, &mut shown, 0).map_err(|error| format!("selection `{name}`: {error}"))?;
                any.push(node);
                if positive.get(at).copied().unwrap_or_default() {
                    evidence.push(Arc::new(Evidence { name: Arc::clone(&shown_name), node, shown }));
                }
            }
            nodes.push(self.tables.program.or(any));
        }
        Ok((self.condition(&detection.condition, &nodes, 0)?, evidence))
    }

    fn filter(&mut self, filter: &Arc<Filter>) -> Result<(u32, Vec<Arc<Evidence>>), String> {
        let place = Arc::as_ptr(filter).addr();
        if let Some(known) = self.filters.get(&place) {
            return Ok(known.clone());
        }
        let (node, evidence) = self.detection(&filter.detection, &format!("{}: ", filter.title))?;
        let made = (self.tables.program.share(node), evidence);
        self.filters.insert(place, made.clone());
        Ok(made)
    }

    /// Seals all indexes.
    pub(super) fn build(mut self) -> Tables {
        for slot in &mut self.tables.slots {
            slot.index.seal();
        }
        self.tables.paths.seal();
        self.tables.wants_containers = self.tables.slots.iter().any(|slot| slot.index.wants_presence());
        self.tables.wants_keywords = self.tables.predicates.iter().any(|predicate| predicate.slot == KEYWORDS);
        self.tables
    }

    fn condition(&mut self, condition: &Condition, selections: &[u32], depth: usize) -> Result<u32, String> {
        if depth > DEPTH_MAX {
            return Err(format!("the condition is nested deeper than {DEPTH_MAX}"));
        }
        let mut each = |of: &[Condition]| of.iter().map(|inner| self.condition(inner, selections, depth + 1)).collect::<Result<Vec<u32>, _>>();
        Ok(match condition {
            Condition::Selection(at) => *selections.get(*at).ok_or("the condition names a selection that is not there")?,
            Condition::Not(inner) => {
                let inner = self.condition(inner, selections, depth + 1)?;
                self.tables.program.not(inner)
            }
            Condition::And(of) => {
                let of = each(of)?;
                self.tables.program.and(of)
            }
            Condition::Or(of) => {
                let of = each(of)?;
                self.tables.program.or(of)
            }
            Condition::AtLeast(count, of) => {
                let of = each(of)?;
                self.tables.program.at_least(*count, of)
            }
        })
    }

    fn selection(&mut self, selection: &Selection, shown: &mut Vec<u32>, depth: usize) -> Result<u32, String> {
        if depth > DEPTH_MAX {
            return Err(format!("the selection is nested deeper than {DEPTH_MAX}"));
        }
        match selection {
            Selection::All(items) => {
                let nodes = items.iter().map(|item| self.item(item, shown)).collect::<Result<_, _>>()?;
                Ok(self.tables.program.and(nodes))
            }
            Selection::Any(of) => {
                let nodes = of.iter().map(|inner| self.selection(inner, shown, depth + 1)).collect::<Result<_, _>>()?;
                Ok(self.tables.program.or(nodes))
            }
            Selection::Keywords { words, all } => {
                let nodes = words.iter().map(|word| self.keyword(word, shown)).collect();
                Ok(if *all { self.tables.program.and(nodes) } else { self.tables.program.or(nodes) })
            }
        }
    }

    /// A word counts wherever it stands in a value.
    fn keyword(&mut self, word: &Pattern, shown: &mut Vec<u32>) -> u32 {
        let anywhere = Pattern { parts: word.parts.clone(), place: Place::Anywhere };
        self.text(KEYWORDS, &anywhere, false, shown)
    }

    pub(super) fn item(&mut self, item: &Item, shown: &mut Vec<u32>) -> Result<u32, String> {
        let slot = self.slot(&item.field);
        let mut hidden = Vec::new();
        let shown = if item.negated { &mut hidden } else { shown };
        let nodes = item
            .tests
            .iter()
            .map(|test| self.test(slot, test, shown).map_err(|error| format!("field `{}`: {error}", item.field.name())))
            .collect::<Result<_, _>>()?;
        let node = if item.all { self.tables.program.and(nodes) } else { self.tables.program.or(nodes) };
        Ok(if item.negated { self.tables.program.not(node) } else { node })
    }

    fn slot(&mut self, field: &FieldRef) -> u32 {
        if let Some(slot) = self.slots.get(field) {
            return *slot;
        }
        let slot = u32::try_from(self.tables.slots.len()).unwrap_or(u32::MAX);
        self.tables.slots.push(Slot { field: Some(field.clone()), index: FieldIndex::default() });
        self.slots.insert(field.clone(), slot);
        match field {
            FieldRef::Fact(field) => self.tables.facts[*field as usize] = Some(slot),
            FieldRef::Native { paths, .. } => {
                for path in paths {
                    self.tables.paths.add(path.0, slot);
                }
            }
        }
        slot
    }

    fn predicate(&mut self, slot: u32, text: String, check: Check, quick: Option<&Quick>) -> u32 {
        let key = (slot, Box::<str>::from(text));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let predicate = u32::try_from(self.tables.predicates.len()).unwrap_or(u32::MAX);
        if let Some(quick) = quick {
            self.tables.slots[slot as usize].index.add(quick, predicate);
        }
        self.tables.predicates.push(Predicate { slot, check, text: key.1.clone(), uses: 0 });
        self.known.insert(key, predicate);
        predicate
    }

    fn quick(&mut self, slot: u32, text: String, check: Check, quick: &Quick) -> (u32, u32) {
        let predicate = self.predicate(slot, text, check, Some(quick));
        (self.tables.program.push(Node::Quick(predicate)), predicate)
    }

    fn late(&mut self, slot: u32, text: String, check: Check) -> (u32, u32) {
        let predicate = self.predicate(slot, text, check, None);
        (self.tables.program.push(Node::Late(predicate)), predicate)
    }

    fn literal(&mut self, slot: u32, place: Place, folded: &str) -> (u32, u32) {
        let text = format!("{} {folded:?}", place.words());
        self.quick(slot, text, Check::Text(place, folded.into()), &Quick::Text(place, folded.into()))
    }

    fn text(&mut self, slot: u32, pattern: &Pattern, cased: bool, shown: &mut Vec<u32>) -> u32 {
        let (node, predicate) = match shape(pattern) {
            Shape::Any => self.quick(slot, "any value".to_owned(), Check::Any, &Quick::Any),
            Shape::Text(place, text) => {
                let (quick, predicate) = self.literal(slot, place, &fold(&text));
                if cased {
                    let (late, predicate) = self.late(slot, format!("{} cased {text:?}", place.words()), Check::Cased(place, text.into()));
                    (self.tables.program.and(vec![quick, late]), predicate)
                } else {
                    (quick, predicate)
                }
            }
            Shape::Glob(parts, needed) => {
                let parts = if cased { parts } else { fold_parts(&parts) };
                let text = format!("like{} {parts:?}", if cased { " cased" } else { "" });
                let (late, predicate) = self.late(slot, text, Check::Glob { glob: Glob::new(&parts), cased });
                let mut all: Vec<u32> = needed.iter().map(|(place, literal)| self.literal(slot, *place, literal).0).collect();
                all.push(late);
                (self.tables.program.and(all), predicate)
            }
        };
        shown.push(predicate);
        node
    }

    fn test(&mut self, slot: u32, test: &Test, shown: &mut Vec<u32>) -> Result<u32, String> {
        let (node, predicate) = match test {
            Test::Text { pattern, cased } => return Ok(self.text(slot, pattern, *cased, shown)),
            Test::Number { op, value } => self.quick(slot, format!("{} {value}", op.sign()), Check::Number(*op, *value), &Quick::Number(*op, *value)),
            Test::Time { part, op, value } => {
                let text = format!("{} {} {value}", part.name(), op.sign());
                let (late, predicate) = self.late(slot, text, Check::Time(*part, *op, *value));
                // Any value leads to the rule, for there is no index of times.
                let (any, _) = self.quick(slot, "any value".to_owned(), Check::Any, &Quick::Any);
                (self.tables.program.and(vec![any, late]), predicate)
            }
            Test::Cidr { text } => {
                let cidr = Cidr::parse(text).ok_or_else(|| format!("`{text}` is no network such as 10.0.0.0/8"))?;
                self.quick(slot, format!("in {text}"), Check::Cidr(cidr), &Quick::Cidr(cidr))
            }
            Test::Exists(wanted) => {
                let (node, predicate) = self.quick(slot, "exists".to_owned(), Check::Exists, &Quick::Exists);
                if !*wanted {
                    return Ok(self.tables.program.not(node));
                }
                (node, predicate)
            }
            Test::Null => {
                let (null, predicate) = self.quick(slot, "null".to_owned(), Check::Null, &Quick::Null);
                let (exists, _) = self.quick(slot, "exists".to_owned(), Check::Exists, &Quick::Exists);
                let missing = self.tables.program.not(exists);
                (self.tables.program.or(vec![null, missing]), predicate)
            }
            Test::Regex { pattern, ignore_case, multi_line, dot_all } => {
                let compiled = regex(test)?.ok_or("not a regular expression")?;
                let flags = [(*ignore_case, 'i'), (*multi_line, 'm'), (*dot_all, 's')];
                let flags: String = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag).collect();
                let (late, predicate) = self.late(slot, format!("re/{pattern}/{flags}"), Check::Regex(compiled));
                let mut all = Vec::new();
                for need in needles::of_regex(test) {
                    let literals = need.iter().map(|literal| self.literal(slot, Place::Anywhere, literal).0).collect();
                    all.push(self.tables.program.or(literals));
                }
                all.push(late);
                (self.tables.program.and(all), predicate)
            }
            Test::FieldRef { other, place, cased } => {
                let text = format!("{}{} field {}", place.words(), if *cased { " cased" } else { "" }, other.name());
                self.late(slot, text, Check::SameAs { other: other.clone(), place: *place, cased: *cased })
            }
            Test::Elements(elements) => {
                let field = self.tables.slots[slot as usize].field.clone().ok_or("words have no elements")?;
                let (compiled, text) = Elements::new(&field, elements)?;
                let necessary = self.necessary(elements)?;
                let (late, predicate) = self.late(slot, text, Check::Elements(Box::new(compiled)));
                (self.tables.program.and(necessary.into_iter().chain([late]).collect()), predicate)
            }
        };
        shown.push(predicate);
        Ok(node)
    }
}

/// For each selection, whether the condition asks for it anywhere outside a `not`.
fn positive(detection: &Detection) -> Vec<bool> {
    fn walk(condition: &Condition, is_positive: bool, out: &mut [bool]) {
        match condition {
            Condition::Selection(at) => {
                if let Some(slot) = out.get_mut(*at) {
                    *slot |= is_positive;
                }
            }
            Condition::Not(inner) => walk(inner, !is_positive, out),
            Condition::And(of) | Condition::Or(of) | Condition::AtLeast(_, of) => of.iter().for_each(|inner| walk(inner, is_positive, out)),
        }
    }
    let mut out = vec![false; detection.selections.len()];
    walk(&detection.condition, true, &mut out);
    out
}

/// The bit of a kind.
pub(super) fn kind_bit(kind: Kind) -> u16 {
    1 << kind as u16
}
