//! What an object is, by its top-level keys: read in order, values skipped, and no further than it takes to know.

use std::fmt;
use std::ops::Range;

use super::carrier;
use super::members::members;
use super::open::Opening;
use crate::model::{EnvelopeKind, Kind, ParseError, skip_value};

/// What the value of a telling key must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Any,
    Object,
    List,
    /// A string whose JSON text starts so, after the quote.
    Text(&'static str),
    /// An object with this member.
    Member(&'static str),
}

/// A telling key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sign {
    key: &'static str,
    want: Want,
}

pub(super) const fn sign(key: &'static str, want: Want) -> Sign {
    Sign { key, want }
}

/// A kind of record: every sign of `all` and, unless it is empty, one of `any`.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) all: &'static [Sign],
    pub(super) any: &'static [Sign],
    pub(super) kind: Kind,
    pub(super) envelope: EnvelopeKind,
    /// The member whose own members count as the record's.
    pub(super) lift: Option<&'static str>,
}

/// An envelope: an object that holds records and is none. Told by its signs like a shape, and before any.
pub(super) struct Wrapper {
    pub(super) all: &'static [Sign],
    pub(super) any: &'static [Sign],
    pub(super) kind: EnvelopeKind,
    /// Hands over what the object holds. What it does not hand over is left out.
    pub(super) open: fn(&[u8], &mut Opening<'_>),
}

impl fmt::Debug for Wrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapper").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What signs tell.
#[derive(Debug, Clone, Copy)]
enum Told {
    Shape(&'static Shape),
    Wrapper(&'static Wrapper),
}

/// A shape or envelope with its signs as bits.
#[derive(Debug)]
struct Coded {
    all: u128,
    any: u128,
    told: Told,
}

/// The shapes, ready to be asked.
#[derive(Debug)]
pub(super) struct Sniffer {
    signs: Vec<Sign>,
    coded: Vec<Coded>,
    /// By the first byte of a key: the bits of the signs whose key starts so.
    by_first: Box<[u128; 256]>,
}

/// What an object is.
#[derive(Debug)]
pub(super) enum Verdict {
    Record(&'static Shape),
    /// An envelope.
    Wrapper(&'static Wrapper),
    /// A list of records: the position after the bracket that opens it.
    List {
        inner: usize,
    },
    /// `{}`.
    Empty {
        end: usize,
    },
    /// Of no known shape, with the values of its carrier fields in the order in which they are to be tried.
    Unknown {
        end: usize,
        carried: Vec<(usize, Range<usize>)>,
    },
}

impl Sniffer {
    /// Codes the tables. At most 128 different signs.
    pub(super) fn new(envelopes: &'static [&'static [Wrapper]], tables: &'static [&'static [Shape]]) -> Self {
        let mut signs: Vec<Sign> = Vec::new();
        let mut code = |wanted: &[Sign]| {
            wanted.iter().fold(0_u128, |bits, sign| {
                let at = signs.iter().position(|known| known == sign).unwrap_or_else(|| {
                    signs.push(*sign);
                    signs.len() - 1
                });
                bits | 1 << at
            })
        };
        let wrappers = envelopes.iter().flat_map(|table| table.iter()).map(|one| (one.all, one.any, Told::Wrapper(one)));
        let shapes = tables.iter().flat_map(|table| table.iter()).map(|shape| (shape.all, shape.any, Told::Shape(shape)));
        let coded = wrappers.chain(shapes).map(|(all, any, told)| Coded { all: code(all), any: code(any), told }).collect();
        let mut by_first = Box::new([0_u128; 256]);
        for (at, sign) in signs.iter().enumerate() {
            by_first[usize::from(sign.key.as_bytes()[0])] |= 1 << at;
        }
        Self { signs, coded, by_first }
    }

    /// Tells what the object at the start of the bytes is. An error at the very end of the bytes says that more of them may help; the
    /// verdict on a part of an object is that on the whole.
    pub(super) fn sniff(&self, bytes: &[u8]) -> Result<Verdict, ParseError> {
        let err = |at: usize, what: &'static str| Err(ParseError { at, what });
        let mut seen = 0_u128;
        let mut carried = Vec::new();
        let mut at = blank(bytes, 1);
        if bytes.get(at) == Some(&b'}') {
            return Ok(Verdict::Empty { end: at + 1 });
        }
        loop {
            if bytes.get(at).is_some_and(|byte| *byte != b'"') {
                return err(at, "a key in quotes is missing");
            }
            let key_end = skip_value(bytes, at)?;
            let key = bytes.get(at + 1..key_end - 1).unwrap_or_default();
            let colon = blank(bytes, key_end);
            if bytes.get(colon) != Some(&b':') {
                return err(colon, "a colon is missing");
            }
            let start = blank(bytes, colon + 1);
            let Some(first) = bytes.get(start) else { return err(start, "a value is missing") };
            let found = self.signs_of(key, bytes, start)?;
            if found & !seen != 0 {
                seen |= found;
                match self.told_by(seen) {
                    Some(Told::Wrapper(wrapper)) => return Ok(Verdict::Wrapper(wrapper)),
                    Some(Told::Shape(shape)) if shape.envelope == EnvelopeKind::EventList => return Ok(Verdict::List { inner: start + 1 }),
                    Some(Told::Shape(shape)) => return Ok(Verdict::Record(shape)),
                    None => {}
                }
            }
            let end = skip_value(bytes, start)?;
            if let (b'{' | b'[' | b'"', Some(rank)) = (first, carrier::rank(key)) {
                carried.push((rank, start..end));
            }
            at = blank(bytes, end);
            match bytes.get(at) {
                Some(b',') => at = blank(bytes, at + 1),
                Some(b'}') => {
                    carried.sort_unstable_by_key(|(rank, _)| *rank);
                    carried.truncate(carrier::FIELDS.len());
                    return Ok(Verdict::Unknown { end: at + 1, carried });
                }
                _ => return err(at, "a comma or the end of the object is missing"),
            }
        }
    }

    fn signs_of(&self, key: &[u8], bytes: &[u8], start: usize) -> Result<u128, ParseError> {
        let mut near = key.first().map_or(0, |first| self.by_first[usize::from(*first)]);
        let mut found = 0;
        while near != 0 {
            let bit = near.trailing_zeros();
            near &= near - 1;
            let sign = self.signs[bit as usize];
            if sign.key.as_bytes() != key {
                continue;
            }
            let is_so = match sign.want {
                Want::Any => true,
                Want::Object => bytes.get(start) == Some(&b'{'),
                Want::List => bytes.get(start) == Some(&b'['),
                Want::Member(name) => {
                    let end = if bytes.get(start) == Some(&b'{') { skip_value(bytes, start)? } else { start };
                    members(bytes.get(start..end).unwrap_or_default(), [name])[0].is_some()
                }
                Want::Text(prefix) => {
                    let end = if bytes.get(start) == Some(&b'"') { skip_value(bytes, start)? } else { start };
                    bytes.get(start + 1..end).is_some_and(|text| text.starts_with(prefix.as_bytes()))
                }
            };
            found |= u128::from(is_so) << bit;
        }
        Ok(found)
    }

    fn told_by(&self, seen: u128) -> Option<Told> {
        self.coded.iter().find(|coded| seen & coded.all == coded.all && (coded.any == 0 || seen & coded.any != 0)).map(|coded| coded.told)
    }
}

/// Past white space.
pub(super) fn blank(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).unwrap_or(rest.len())
}
