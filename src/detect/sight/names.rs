//! The names that events have, and the values of the fields that rules read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::detect::fold::cut;
use crate::model::{Event, Field, FieldRef, Kind, LeafKind, Path, Value, ValueKind, distance};

/// Native names that are kept of one kind of event. Past it new ones are not taken in: then a near name may not be told.
const NAMES_MAX: usize = 5_000;
/// Bytes of a name that is kept.
const NAME_BYTES_MAX: usize = 512;
/// Different values that are counted of one field of one kind of event. Past it new ones are not taken in.
const VALUES_MAX: usize = 256;
/// Bytes of a value that is kept.
const VALUE_BYTES_MAX: usize = 80;
/// Near names that are told of one field.
const NEAR_MAX: usize = 3;

/// Values and how many events have them.
type Counts = BTreeMap<Box<str>, u64>;

/// What events of one kind had.
#[derive(Debug, Default)]
struct OfKind {
    /// By path: the name. Places of all of them, for look-ups only.
    known: HashMap<Path, usize>,
    names: Vec<Box<str>>,
    facts: BTreeSet<Field>,
    /// By wanted field.
    values: Vec<Counts>,
}

/// What events had, by kind.
#[derive(Debug, Default)]
pub(super) struct Names {
    kinds: Vec<(Kind, OfKind)>,
    wanted: Vec<FieldRef>,
    by_field: HashMap<FieldRef, usize>,
    by_path: HashMap<Path, Vec<usize>>,
    by_fact: BTreeMap<Field, usize>,
}

impl Names {
    /// Values of this field are to be counted.
    pub(super) fn want(&mut self, field: &FieldRef) {
        if self.by_field.contains_key(field) {
            return;
        }
        let at = self.wanted.len();
        self.by_field.insert(field.clone(), at);
        self.wanted.push(field.clone());
        match field {
            FieldRef::Fact(field) => {
                self.by_fact.insert(*field, at);
            }
            FieldRef::Native { paths, .. } => paths.iter().for_each(|path| self.by_path.entry(*path).or_default().push(at)),
        }
    }

    /// Takes in an event.
    pub(super) fn see(&mut self, event: &Event) {
        let at = self.kinds.iter().position(|(kind, _)| *kind == event.kind).unwrap_or_else(|| {
            self.kinds.push((event.kind, OfKind::default()));
            self.kinds.len() - 1
        });
        let of = &mut self.kinds[at].1;
        of.values.resize_with(self.wanted.len(), Counts::default);
        for leaf in event.doc.leaves() {
            if !of.known.contains_key(&leaf.path) && of.names.len() < NAMES_MAX {
                let mut name = String::new();
                event.doc.write_path(leaf, &mut name);
                of.known.insert(leaf.path, of.names.len());
                of.names.push(cut(&name, NAME_BYTES_MAX).into());
            }
            if matches!(leaf.kind, LeafKind::EmptyArray | LeafKind::EmptyObject) {
                continue;
            }
            for wanted in self.by_path.get(&leaf.path).into_iter().flatten() {
                count(&mut of.values[*wanted], event.doc.value(leaf));
            }
        }
        for (field, value) in event.facts.iter(&event.doc) {
            of.facts.insert(field);
            if let Some(wanted) = self.by_fact.get(&field) {
                count(&mut of.values[*wanted], value);
            }
        }
    }

    /// The most common values of a field in events of this kind, or of any, with how often they were there.
    pub(super) fn common(&self, field: &FieldRef, kind: Option<Kind>, max: usize) -> Vec<(String, u64)> {
        let Some(at) = self.by_field.get(field) else { return Vec::new() };
        let mut all: BTreeMap<&str, u64> = BTreeMap::new();
        for (value, count) in self.of(kind).filter_map(|of| of.values.get(*at)).flatten() {
            *all.entry(value).or_default() += count;
        }
        let mut all: Vec<(&str, u64)> = all.into_iter().collect();
        all.sort_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
        all.into_iter().take(max).map(|(value, count)| (value.to_owned(), count)).collect()
    }

    fn of(&self, kind: Option<Kind>) -> impl Iterator<Item = &OfKind> {
        self.kinds.iter().filter(move |(known, _)| kind.is_none_or(|kind| kind == *known)).map(|(_, of)| of)
    }

    /// Names of events of this kind, or of any, that this name may stand for; the nearest first.
    pub(super) fn near(&self, name: &str, kind: Option<Kind>) -> Vec<String> {
        let mut found: BTreeSet<(u8, usize, &str)> = BTreeSet::new();
        for of in self.of(kind) {
            let names = of.names.iter().map(AsRef::as_ref).chain(of.facts.iter().map(|field| field.name()));
            for known in names {
                if let Some((class, far)) = nearness(name, known) {
                    found.insert((class, far, known));
                }
            }
        }
        // Where some are near in one way, those that are less near in another only distract.
        let best = found.first().map(|(class, ..)| *class);
        found.into_iter().filter(|(class, ..)| Some(*class) == best).take(NEAR_MAX).map(|(_, _, known)| known.to_owned()).collect()
    }
}

fn count(to: &mut Counts, value: Value<'_>) {
    let text = if value.kind == ValueKind::Null { "null" } else { cut(value.text, VALUE_BYTES_MAX) };
    if let Some(count) = to.get_mut(text) {
        *count += 1;
    } else if to.len() < VALUES_MAX {
        to.insert(text.into(), 1);
    }
}

/// How near a name is to the one that was asked for, if it is: another spelling of it first, then one with the same last part, then one that has
/// all its parts in their order, then one of few other letters.
fn nearness(asked: &str, known: &str) -> Option<(u8, usize)> {
    if asked == known {
        return None;
    }
    let (a, b) = (plain(asked), plain(known));
    let far = distance(&a, &b);
    if a == b {
        return Some((0, far));
    }
    let parts = |name: &str| name.split('.').map(plain).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let (asked, known) = (parts(asked), parts(known));
    let (asked_last, known_last) = (asked.last()?, known.last()?);
    if asked_last == known_last {
        // Of names that end alike, those that share more come first.
        let shared = asked.iter().filter(|part| known.contains(part)).count();
        return Some((1, 1_000 - shared.min(999) + known.len()));
    }
    let mut rest = known.iter();
    if asked.iter().all(|part| rest.any(|other| other == part)) {
        return Some((2, known.len()));
    }
    // The last part is misspelled, and what stands before it is the same or not there.
    let last_far = distance(asked_last, known_last);
    if last_far <= asked_last.chars().count() / 3 && asked.len() == known.len() && asked[..asked.len() - 1] == known[..known.len() - 1] {
        return Some((2, last_far));
    }
    if far <= a.chars().count() / 3 || last_far <= asked_last.chars().count() / 4 {
        return Some((3, far));
    }
    None
}

/// A name without what differs from one way of writing to another.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::event;

    /// The names that come to mind.
    fn check(json: &str, asked: &str, expected: &[&str]) {
        let mut names = Names::default();
        names.see(&event("e", 0, json));
        let near = names.near(asked, Some(Kind::K8sAudit));
        assert_eq!(near, expected, "{asked}");
    }

    #[test]
    fn near_names() {
        let json = r#"{"objectRef":{"resource":"pods","subresource":"exec","apiGroup":""},"user":{"username":"x","groups":["a"]},"requestObject":{"spec":{"containers":[{"image":"x","name":"n"}],"hostNetwork":true}},"proc_name":"sh"}"#;
        check(json, "container.image", &["requestObject.spec.containers.image"]);
        check(json, "objectref.resource", &["objectRef.resource"]);
        check(json, "objectRef.resorce", &["objectRef.resource"]);
        check(json, "user.user_name", &["user.username"]);
        check(json, "username", &["user.username"]);
        check(json, "hostNetwork", &["requestObject.spec.hostNetwork"]);
        check(json, "requestObject.hostNetwork", &["requestObject.spec.hostNetwork"]);
        check(json, "requestObject.containers", &["requestObject.spec.containers.image", "requestObject.spec.containers.name"]);
        check(json, "procName", &["proc_name"]);
        check(json, "nothing.alike", &[]);
        // A name that is there is no name beside itself.
        check(json, "objectRef.resource", &["objectRef.subresource"]);
    }

    #[test]
    fn names_and_values_are_bounded() {
        let mut names = Names::default();
        let field = FieldRef::parse("a").unwrap();
        names.want(&field);
        for at in 0..NAMES_MAX + 10 {
            names.see(&event("e", 0, &format!(r#"{{"k{at}":1,"a":"{at}{}"}}"#, "x".repeat(200))));
        }
        let of = &names.kinds[0].1;
        assert_eq!((of.names.len(), of.values[0].len()), (NAMES_MAX, VALUES_MAX));
        assert!(of.values[0].keys().all(|value| value.len() <= VALUE_BYTES_MAX));
    }

    #[test]
    fn the_most_common_values_come_first() {
        let mut names = Names::default();
        let field = FieldRef::parse("a").unwrap();
        names.want(&field);
        for value in [r#""x""#, r#"["y","y"]"#, r#""z""#, "null", r#""z""#, "{}"] {
            names.see(&event("e", 0, &format!(r#"{{"a":{value}}}"#)));
        }
        let common = |max| names.common(&field, None, max).into_iter().map(|(value, count)| format!("{value} {count}")).collect::<Vec<_>>();
        assert_eq!(common(3), ["y 2", "z 2", "null 1"]);
        assert_eq!(names.common(&field, Some(Kind::Flow), 3), []);
    }
}
