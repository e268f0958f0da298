//! What an object is, by its top-level keys: read in order, values skipped, and no further than it takes to know.

use std::fmt;
use std::ops::Range;

use super::carrier;
use super::members::members;
use super::open::Opening;
use crate::model::{Doc, EnvelopeKind, Kind, ParseError, skip_value};

/// What the value of a telling key must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Any,
    Object,
    List,
    /// A list of objects, or an empty one.
    Objects,
    /// A string whose JSON text starts so, after the quote.
    Text(&'static str),
    /// An object or list whose JSON text has this somewhere.
    Says(&'static str),
    /// An object with this member.
    Member(&'static str),
}

/// A telling key; with a `*` at its end, any key that starts so.
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
    /// It wraps one record; where nothing in it is known, it is one itself, of kind `other`.
    pub(super) is_record: bool,
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

/// Signs as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bits([u64; Bits::WORDS]);

impl Bits {
    const WORDS: usize = 4;
    /// Different signs that the tables may have.
    const MAX: usize = Self::WORDS * 64;

    fn set(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn has(&self, bit: usize) -> bool {
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    fn has_all(&self, of: &Self) -> bool {
        self.0.iter().zip(&of.0).all(|(own, wanted)| own & wanted == *wanted)
    }

    fn has_any(&self, of: &Self) -> bool {
        self.0.iter().zip(&of.0).any(|(own, wanted)| own & wanted != 0)
    }
}

/// A shape or envelope with its signs as bits.
#[derive(Debug)]
struct Coded {
    all: Bits,
    any: Bits,
    told: Told,
}

/// The shapes, ready to be asked.
#[derive(Debug)]
pub(super) struct Sniffer {
    signs: Vec<Sign>,
    coded: Vec<Coded>,
    /// By the first byte of a key: the signs whose key starts so.
    by_first: Box<[Vec<usize>; 256]>,
    /// By sign: the shapes and envelopes that ask for it.
    by_sign: Vec<Vec<usize>>,
}

/// What an object is.
#[derive(Debug)]
pub(super) enum Verdict {
    Record {
        shape: &'static Shape,
        /// Bytes that were read until it was known.
        read: usize,
    },
    /// An envelope.
    Wrapper(&'static Wrapper),
    /// A list of records: the position after the bracket that opens it.
    List { inner: usize },
    /// `{}`.
    Empty { end: usize },
    /// Of no known shape, with the values of its carrier fields in the order in which they are to be tried.
    Unknown { end: usize, carried: Vec<(usize, Range<usize>)> },
}

impl Sniffer {
    /// Codes the tables.
    pub(super) fn new(envelopes: &'static [&'static [Wrapper]], tables: &'static [&'static [Shape]]) -> Self {
        let mut signs: Vec<Sign> = Vec::new();
        let mut code = |wanted: &[Sign]| {
            let mut bits = Bits::default();
            for sign in wanted {
                bits.set(signs.iter().position(|known| known == sign).unwrap_or_else(|| {
                    signs.push(*sign);
                    signs.len() - 1
                }));
            }
            bits
        };
        let wrappers = envelopes.iter().flat_map(|table| table.iter()).map(|one| (one.all, one.any, Told::Wrapper(one)));
        let shapes = tables.iter().flat_map(|table| table.iter()).map(|shape| (shape.all, shape.any, Told::Shape(shape)));
        let coded: Vec<Coded> = wrappers.chain(shapes).map(|(all, any, told)| Coded { all: code(all), any: code(any), told }).collect();
        debug_assert!(signs.len() <= Bits::MAX, "{} signs", signs.len());
        let mut by_first = Box::new([const { Vec::new() }; 256]);
        for (at, sign) in signs.iter().enumerate() {
            by_first[usize::from(sign.key.as_bytes()[0])].push(at);
        }
        let asks = |sign: usize| (0..coded.len()).filter(|at| coded[*at].all.has(sign) || coded[*at].any.has(sign)).collect();
        let by_sign = (0..signs.len()).map(asks).collect();
        Self { signs, coded, by_first, by_sign }
    }

    /// Tells what the object at the start of the bytes is. An error at the very end of the bytes says that more of them may help; the
    /// verdict on a part of an object is that on the whole.
    pub(super) fn sniff(&self, bytes: &[u8]) -> Result<Verdict, ParseError> {
        let err = |at: usize, what: &'static str| Err(ParseError { at, what });
        let mut seen = Bits::default();
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
            match self.told_by(key, bytes, start, &mut seen)? {
                Some(Told::Wrapper(wrapper)) => return Ok(Verdict::Wrapper(wrapper)),
                Some(Told::Shape(shape)) if shape.envelope != EnvelopeKind::EventList => return Ok(Verdict::Record { shape, read: start }),
                Some(Told::Shape(_)) if *first == b'[' => return Ok(Verdict::List { inner: start + 1 }),
                // A list's name after its items comes too late.
                Some(Told::Shape(_)) | None => {}
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

    /// The shape of an object that has been parsed without a limit being met, if it is a record of which nothing is lifted: what [`Sniffer::sniff`]
    /// says of the same bytes. `None` says nothing.
    pub(super) fn record(&self, bytes: &[u8], doc: &Doc) -> Option<&'static Shape> {
        let mut seen = Bits::default();
        for (key, start) in doc.members() {
            match self.told_by(key?.as_bytes(), bytes, start, &mut seen).ok()? {
                Some(Told::Shape(shape)) => return Some(shape).filter(|shape| shape.lift.is_none() && shape.envelope != EnvelopeKind::EventList),
                Some(Told::Wrapper(_)) => return None,
                None => {}
            }
        }
        None
    }

    /// Takes in one member. The first of the tables that it completes, if it does: what does not ask for it was complete before, or is not yet.
    fn told_by(&self, key: &[u8], bytes: &[u8], start: usize, seen: &mut Bits) -> Result<Option<Told>, ParseError> {
        let near = key.first().map_or(&[][..], |first| &self.by_first[usize::from(*first)]);
        let mut asked: Option<usize> = None;
        let mut is_first = true;
        // All signs of the member count before anything is told by one of them.
        for pass in [true, false] {
            for sign in near {
                if pass && !seen.has(*sign) && self.is_so(self.signs[*sign], key, bytes, start)? {
                    seen.set(*sign);
                    is_first = false;
                }
                if !pass && seen.has(*sign) {
                    let complete = |at: &&usize| {
                        let Coded { all, any, .. } = &self.coded[**at];
                        seen.has_all(all) && (*any == Bits::default() || seen.has_any(any))
                    };
                    let first = self.by_sign[*sign].iter().find(complete).copied();
                    asked = first.map_or(asked, |first| Some(asked.map_or(first, |known| known.min(first))));
                }
            }
            if is_first {
                return Ok(None);
            }
        }
        Ok(asked.map(|at| self.coded[at].told))
    }

    fn is_so(&self, sign: Sign, key: &[u8], bytes: &[u8], start: usize) -> Result<bool, ParseError> {
        if sign.key.as_bytes() != key && !sign.key.strip_suffix('*').is_some_and(|start| key.starts_with(start.as_bytes())) {
            return Ok(false);
        }
        Ok(match sign.want {
            Want::Any => true,
            Want::Object => bytes.get(start) == Some(&b'{'),
            Want::List => bytes.get(start) == Some(&b'['),
            Want::Objects if bytes.get(start) == Some(&b'[') => match bytes.get(blank(bytes, start + 1)) {
                Some(first) => matches!(first, b'{' | b']'),
                None => return Err(ParseError { at: bytes.len(), what: "the text ends within a list" }),
            },
            Want::Objects => false,
            Want::Member(name) => {
                let end = if bytes.get(start) == Some(&b'{') { skip_value(bytes, start)? } else { start };
                members(bytes.get(start..end).unwrap_or_default(), [name])[0].is_some()
            }
            Want::Text(prefix) => {
                let end = if bytes.get(start) == Some(&b'"') { skip_value(bytes, start)? } else { start };
                bytes.get(start + 1..end).is_some_and(|text| text.starts_with(prefix.as_bytes()))
            }
            Want::Says(what) => {
                let end = if matches!(bytes.get(start), Some(b'{' | b'[')) { skip_value(bytes, start)? } else { start };
                memchr::memmem::find(bytes.get(start..end).unwrap_or_default(), what.as_bytes()).is_some()
            }
        })
    }
}

/// Past white space.
pub(super) fn blank(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).unwrap_or(rest.len())
}
