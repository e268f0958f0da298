//! Which leaves of a record may hold a secret: few, so that the full look is taken at those alone.
//!
//! Sure when it leaves a leaf out: the tests hold it against the full look at every leaf. A text without escapes is looked at where it stands in
//! the record, in one scan of the whole, which is why a sign must not need what stands outside of its value.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind, packed};
use memchr::memmem;

use super::secrets::{self, KeyRole, Names};
use super::{encoded, pan, parted, scan};
use crate::model::{Doc, Leaf, LeafKind, Path};

/// Roles of keys that are remembered, by path.
const ROLES: usize = 2048;
/// What stands in a text, in lower case, before the names that a secret follows, or in a text that makes an object a Secret. At least four bytes
/// each: short literals are found in too many places. What other secrets need is asked for in [`Signs::each`].
const LITERALS: &[&str] = &[
    "bearer",
    "basic",
    "passw",
    "passphrase",
    SECRET,
    "api_key",
    "api-key",
    "apikey",
    "private_key",
    "private-key",
    "privatekey",
    "keydata",
    "key-data",
    "key_data",
    "token\"",
    "token\\",
    "_token",
    "token=",
    "%3a%2f%2f",
];
const SECRET: &str = "secret";

/// Finds the literals, by vectors where the machine has them.
#[derive(Debug)]
enum Literals {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

/// What announces a secret in a text.
#[derive(Debug)]
struct Signs {
    literals: Literals,
    jwt: memmem::Finder<'static>,
    url: memmem::Finder<'static>,
    flag: memmem::Finder<'static>,
    /// By byte: whether a flag that is named for a secret can go on so after its hyphens.
    flags: [bool; 256],
}

static SIGNS: LazyLock<Signs> = LazyLock::new(|| Signs {
    literals: packed::Searcher::new(LITERALS).map_or_else(
        || {
            let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(LITERALS);
            Literals::Automaton(automaton.expect("a dozen short literals fit an automaton"))
        },
        Literals::Packed,
    ),
    jwt: memmem::Finder::new("eyJ"),
    url: memmem::Finder::new("://"),
    flag: memmem::Finder::new("--"),
    flags: secrets::flag_starts(),
});

impl Signs {
    /// Where signs stand in a text, which is given in lower case too. In no order.
    fn each(&self, text: &[u8], lower: &[u8], mut to: impl FnMut(usize)) {
        let mut literal = |pattern: usize, at: usize| {
            if LITERALS.get(pattern) != Some(&SECRET) || is_secret(lower, at) {
                to(at);
            }
        };
        // Of literals that overlap the first counts; it stands in the same value.
        match &self.literals {
            Literals::Packed(searcher) => searcher.find_iter(lower).for_each(|hit| literal(hit.pattern().as_usize(), hit.start())),
            Literals::Automaton(automaton) => automaton.find_iter(lower).for_each(|hit| literal(hit.pattern().as_usize(), hit.start())),
        }
        self.jwt.find_iter(text).for_each(&mut to);
        self.url.find_iter(text).filter(|at| has_user(text, at + 3)).for_each(&mut to);
        self.flag.find_iter(text).filter(|at| self.is_flag(text, at + 2)).for_each(&mut to);
        pan::runs(text, &mut to);
        parted::hits(text, &mut to);
        encoded::hits(text, to);
    }

    /// Of more than two hyphens in a row the finder tells every other pair, so a hyphen passes too.
    fn is_flag(&self, text: &[u8], at: usize) -> bool {
        text.get(at).is_some_and(|byte| self.flags[usize::from(*byte)])
    }
}

/// Whether the word at this place is a whole value's start or a part of a path, or of a name such as `client_secret` or `secret-key`; or hides the
/// start of `token=`.
fn is_secret(lower: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| lower.get(at));
    matches!(before, None | Some(b'"' | b'/' | b't' | b'_' | b'-')) || matches!(lower.get(at + SECRET.len()), Some(b'_' | b'-' | b'a' | b'o'))
}

/// Whether the authority of a URL has a user.
fn has_user(text: &[u8], from: usize) -> bool {
    let rest = text.get(from..).unwrap_or_default();
    rest.iter().take_while(|byte| !scan::AUTHORITY_ENDS.contains(&char::from(**byte))).any(|byte| *byte == b'@')
}

/// Looks for leaves to look at. Holds buffers that are reused from record to record.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    lower: Vec<u8>,
    /// Where signs stand in the text, in order.
    hits: Vec<usize>,
    roles: Roles,
    names: Names,
    leaves: Vec<usize>,
}

impl Suspects {
    /// With names of the configuration.
    pub(super) fn new(names: Names) -> Self {
        Self { names, ..Self::default() }
    }

    /// The leaves, in order.
    pub(super) fn of(&mut self, doc: &Doc) -> &[usize] {
        let Self { lower, hits, roles, names, leaves } = self;
        leaves.clear();
        hits.clear();
        let signs = &*SIGNS;
        lower_into(doc.text(), lower);
        signs.each(doc.text().as_bytes(), lower, |at| hits.push(at));
        hits.sort_unstable();
        let mut hits = hits.iter().copied().peekable();
        // The list whose next element a flag announces.
        let mut announced = None;
        for (at, leaf) in doc.leaves().iter().enumerate() {
            if !matches!(leaf.kind, LeafKind::Text | LeafKind::Number | LeafKind::Raw) {
                announced = None;
                continue;
            }
            let has_hit = match doc.plain_range(leaf) {
                Some(range) => {
                    while hits.next_if(|hit| *hit < range.start).is_some() {}
                    hits.peek().is_some_and(|hit| *hit < range.end)
                }
                None => {
                    let mut has_hit = false;
                    let text = doc.value(leaf).text;
                    lower_into(text, lower);
                    signs.each(text.as_bytes(), lower, |_| has_hit = true);
                    has_hit
                }
            };
            let is_announced = announced == Some(leaf.parent);
            announced = (has_hit && doc.value(leaf).text.starts_with("--")).then_some(leaf.parent);
            if has_hit || is_announced || roles.of(doc, leaf, names) != KeyRole::None || is_json(doc, leaf) {
                leaves.push(at);
            }
        }
        leaves
    }
}

/// Whether a text is JSON itself: what is in it is told by its own places.
fn is_json(doc: &Doc, leaf: &Leaf) -> bool {
    leaf.kind == LeafKind::Text && secrets::is_json(doc.value(leaf).text)
}

fn lower_into(text: &str, lower: &mut Vec<u8>) {
    lower.clear();
    lower.extend_from_slice(text.as_bytes());
    lower.make_ascii_lowercase();
}

/// The roles of keys, by the path of their leaf: most paths have been seen before.
#[derive(Debug)]
struct Roles(Box<[(Path, KeyRole); ROLES]>);

impl Default for Roles {
    fn default() -> Self {
        Self(Box::new([(Path::ROOT, KeyRole::None); ROLES]))
    }
}

impl Roles {
    #[inline]
    fn of(&mut self, doc: &Doc, leaf: &Leaf, names: &Names) -> KeyRole {
        // The lowest bit is that of every path but the record's, which has no key.
        let known = &mut self.0[leaf.path.0 as usize / 2 % ROLES];
        if known.0 != leaf.path {
            *known = (leaf.path, secrets::role(doc, leaf, names));
        }
        known.1
    }
}
